//! A core's part of the store: its own shard, and the others read in place.
//!
//! ```text
//!  shard        this core's: every operation, in the poll that asks
//!  read_remote  another core's: a read, in the poll that asks, or "ask the owner"
//! ```
//!
//! **Not**: waiting; asking another core or a node ([`crate::tiers`]).
//!
//! **Invariants**: only this core writes its shard; no borrow of it is held across an await.

use std::cell::{RefCell, RefMut};

use reactor::Reactor;
use shardstore::cache::{CacheOptions, Commit};
use shardstore::key::{KeyHash, KeyHasher};
use shardstore::shard::Shard;

use crate::cores::CoreMap;
use crate::owner::{self, Written};
use crate::remote::{Published, RemoteRead, RemoteShards};
use crate::request::Write;

/// What a core's shard is made from.
#[derive(Debug)]
pub struct ShardPlan {
    /// Memory of the shard in bytes.
    pub limit_bytes: u64,
    /// Whether the memory is claimed at once.
    pub commit: Commit,
    /// The cluster's.
    pub hasher: KeyHasher,
    /// Region that versions carry.
    pub region: u8,
    /// Where the cores of the process put their shards' handles.
    pub published: Published,
}

/// One core's part of the store.
pub struct Store {
    reactor: Reactor,
    cores: CoreMap,
    shard: RefCell<Shard>,
    remote: RemoteShards,
}

impl Store {
    /// Makes the shard of the core that `reactor` runs, and publishes its handle.
    ///
    /// # Errors
    ///
    /// The operator's: the shard's memory is refused or too small.
    ///
    /// # Panics
    ///
    /// When the core has been started before.
    pub fn start(reactor: &Reactor, plan: ShardPlan) -> std::io::Result<Self> {
        let (own, cores) = (reactor.core(), plan.published.len());
        let options =
            CacheOptions { readers: cores, commit: plan.commit, ..CacheOptions::new(plan.limit_bytes, plan.hasher) };
        let shard =
            Shard::new(&options, plan.region).map_err(|error| std::io::Error::other(format!("memory: {error}")))?;
        let published = plan.published[own.index()].set(shard.share());
        assert!(published.is_ok(), "a core starts once");
        Ok(Store {
            reactor: reactor.clone(),
            cores: CoreMap::new(own, u16::try_from(cores).expect("cores are numbered by 16 bits")),
            shard: RefCell::new(shard),
            remote: RemoteShards::new(plan.published, own),
        })
    }

    /// The cores of this process, seen from this one.
    #[inline(always)]
    #[must_use]
    pub const fn cores(&self) -> CoreMap {
        self.cores
    }

    /// This core's shard.
    #[inline(always)]
    #[must_use]
    pub fn shard(&self) -> RefMut<'_, Shard> {
        self.shard.borrow_mut()
    }

    /// Reads a key of another core in place and hands what came of it to `then`.
    #[inline]
    pub fn read_remote<R>(&self, key: (KeyHash, &[u8]), then: impl FnOnce(RemoteRead<'_>) -> R) -> R {
        self.remote.read(self.cores, key, self.reactor.wall_ms(), then)
    }

    /// Applies a write to a key of this core.
    pub fn write(&self, (hash, key): (KeyHash, &[u8]), write: &Write<'_>) -> Written {
        debug_assert!(self.cores.owns(hash), "a key is written by its owner");
        owner::write(&mut self.shard.borrow_mut(), hash, key, write, self.reactor.wall_ms())
    }
}

#[cfg(test)]
mod tests;
