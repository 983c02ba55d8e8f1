//! What the key-value service uses of the store. All of its access to shards goes through this file.
//!
//! **Not** HTTP.

use std::cell::RefMut;
use std::rc::Rc;

use reactor::Instant;
use shardstore::key::KeyHash;
use shardstore::shard::Shard;
use store_runtime::remote::RemoteRead;
use store_runtime::request::{StoreOp, StoreRequest, StoreResponse};

use super::plan::Key;
use crate::edge::EdgeCore;

/// The store as a service sees it.
pub(super) struct Store {
    core: Rc<EdgeCore>,
}

impl Store {
    pub(super) fn new(core: &Rc<EdgeCore>) -> Self {
        Store { core: Rc::clone(core) }
    }

    #[inline(always)]
    pub(super) fn hash(&self, stored: &[u8]) -> KeyHash {
        self.core.hasher.hash(stored)
    }

    /// The hash of a stored key without braces.
    #[inline(always)]
    pub(super) fn hash_untagged(&self, stored: &[u8]) -> KeyHash {
        self.core.hasher.hash_untagged(stored)
    }

    /// Unix milliseconds.
    #[inline(always)]
    pub(super) fn now_ms(&self) -> u64 {
        self.core.reactor.wall_ms()
    }

    /// Whether this process is the authority for its items: what it does not hold does not exist, and what it holds is no
    /// copy.
    #[inline(always)]
    pub(super) fn is_authority(&self) -> bool {
        self.core.cluster.is_none()
    }

    /// Whether this core owns the key.
    #[inline(always)]
    pub(super) fn is_own(&self, hash: KeyHash) -> bool {
        self.core.store.cores().owns(hash)
    }

    /// This core's shard.
    #[inline(always)]
    pub(super) fn shard(&self) -> RefMut<'_, Shard> {
        self.core.store.shard()
    }

    /// Reads an item of another core in place.
    #[inline]
    pub(super) fn read_remote<T>(&self, key: (KeyHash, &[u8]), then: impl FnOnce(RemoteRead<'_>) -> T) -> T {
        self.core.store.read_remote(key, then)
    }

    /// By when a request must be answered whose value has `value_bytes` bytes, or may have.
    pub(super) fn deadline(&self, value_bytes: usize) -> Instant {
        self.core.request_deadline(value_bytes)
    }

    /// Asks whoever owns the key. A request has one deadline, however often it asks.
    pub(super) async fn ask(&self, key: &Key, op: StoreOp, deadline: Instant) -> StoreResponse {
        let request = StoreRequest { key: key.stored.clone(), hash: key.hash, op, deadline };
        self.core.tiers.serve(request).await
    }
}
