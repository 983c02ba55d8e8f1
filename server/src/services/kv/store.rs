//! What the key-value service uses of the store. All of its access to shards goes through this file.
//!
//! **Not** HTTP.

use std::cell::RefMut;
use std::rc::Rc;
use std::time::Duration;

use reactor::{Instant, Reactor};
use shardstore::key::{KeyHash, KeyHasher};
use shardstore::shard::Shard;
use store_runtime::remote::RemoteRead;
use store_runtime::request::{StoreOp, StoreRequest, StoreResponse};
use store_runtime::store::Store;
use store_runtime::tiers::Tiers;

use super::plan::Key;
use crate::message::Message;
use crate::nodes::{Cluster, transfer_time};
use crate::snapshot::CurrentSnapshot;

/// The store as the key-value service sees it.
pub(crate) struct KvStore {
    pub(crate) reactor: Reactor,
    pub(crate) snapshot: Rc<CurrentSnapshot>,
    pub(crate) hasher: KeyHasher,
    /// This core's shard, and the other cores'.
    pub(crate) store: Rc<Store>,
    /// The store as requests see it that take more than a poll.
    pub(crate) tiers: Rc<Tiers<Cluster, Message>>,
    /// Whether this process is the authority for its items: what it does not hold does not exist, and what it holds is no
    /// copy.
    pub(crate) is_authority: bool,
}

impl KvStore {
    #[inline(always)]
    pub(super) fn hash(&self, stored: &[u8]) -> KeyHash {
        self.hasher.hash(stored)
    }

    /// The hash of a stored key without braces.
    #[inline(always)]
    pub(super) fn hash_untagged(&self, stored: &[u8]) -> KeyHash {
        self.hasher.hash_untagged(stored)
    }

    /// Steady milliseconds.
    #[inline(always)]
    pub(super) fn now_ms(&self) -> u64 {
        self.reactor.steady_ms()
    }

    /// Whether this core owns the key.
    #[inline(always)]
    pub(super) fn is_own(&self, hash: KeyHash) -> bool {
        self.store.cores().owns(hash)
    }

    /// This core's shard.
    #[inline(always)]
    pub(super) fn shard(&self) -> RefMut<'_, Shard> {
        self.store.shard()
    }

    /// Reads an item of another core in place.
    #[inline]
    pub(super) fn read_remote<T>(&self, key: (KeyHash, &[u8]), then: impl FnOnce(RemoteRead<'_>) -> T) -> T {
        self.store.read_remote(key, then)
    }

    /// By when a request must be answered whose value has `value_bytes` bytes, or may have: the time a node gets to show a
    /// sign of life (`upstream.request_timeout`), and the time that many bytes take on a slow way.
    pub(super) fn deadline(&self, value_bytes: usize) -> Instant {
        self.reactor.now() + self.patience(value_bytes)
    }

    /// How long an answer of as many bytes may take.
    pub(super) fn patience(&self, value_bytes: usize) -> Duration {
        self.snapshot.get().settings.upstream.request_timeout + transfer_time(value_bytes)
    }

    /// Sends a request to the owner of the key. All requests of one exchange share its deadline.
    pub(super) async fn ask(&self, key: &Key, op: StoreOp, deadline: Instant) -> StoreResponse {
        let request = StoreRequest { key: key.stored.clone(), hash: key.hash, op, deadline };
        self.tiers.serve(request).await
    }
}
