//! A core's part of the store: its own shard, and the others read in place.
//!
//! ```text
//!  shard           this core's: the hit path
//!  inspect, read   this core's: what is known of a key, a part of its value
//!  write           this core's: set, delete, touch; a large value is staged (`crate::staging`)
//!  read_remote     another core's: a read in place, in the poll that asks, or "ask the owner"
//!  inspect_remote  another core's: what is known of a key, whatever the size of its value
//! ```
//!
//! **Not**: waiting; asking another core or a node ([`crate::tiers`]).
//!
//! **Invariants**: only this core writes its shard; no borrow of it is held across an await; a call copies at most
//! [`PART_BYTES_MAX`](crate::request::PART_BYTES_MAX) bytes of a value.

use std::cell::{RefCell, RefMut};
use std::io;
use std::sync::Arc;

use reactor::Reactor;
use shardstore::cache::{CacheError, CacheOptions, Commit, Hit};
use shardstore::key::{KeyHash, KeyHasher, SlotId};
use shardstore::shard::{ClockReadings, Shard};

use crate::cores::CoreOwners;
use crate::edge_copy;
use crate::holds::Holds;
use crate::kind::ItemKind;
use crate::owner::{self, Written};
use crate::remote::{Published, RemoteRead, RemoteShards};
use crate::request::{Outcome, ReadPart, StoredValue, Write};
use crate::staging::StagingRoom;

/// The error of a start whose shard cannot be made; its kind is that of the kernel's error.
fn refused(error: &CacheError) -> io::Error {
    let kind = match error {
        CacheError::Map(reason) => reason.kind(),
        _ => io::ErrorKind::InvalidInput,
    };
    io::Error::new(kind, format!("memory: {error}"))
}

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
    cores: CoreOwners,
    shard: RefCell<Shard>,
    holds: RefCell<Holds>,
    staging: StagingRoom,
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
        let shard = Shard::new(&options, plan.region).map_err(|error| refused(&error))?;
        let published = plan.published[own.index()].set(shard.share());
        assert!(published.is_ok(), "a core starts once");
        Ok(Store {
            reactor: reactor.clone(),
            cores: CoreOwners::new(own, u16::try_from(cores).expect("cores are numbered by 16 bits")),
            shard: RefCell::new(shard),
            holds: RefCell::default(),
            staging: StagingRoom::new(plan.limit_bytes),
            remote: RemoteShards::new(plan.published, own),
        })
    }

    /// The cores of this process, seen from this one.
    #[inline(always)]
    #[must_use]
    pub const fn cores(&self) -> CoreOwners {
        self.cores
    }

    pub(crate) const fn reactor(&self) -> &Reactor {
        &self.reactor
    }

    /// Room for large values on their way into the shard.
    pub(crate) const fn staging(&self) -> &StagingRoom {
        &self.staging
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
        self.remote.read(self.cores, key, self.reactor.steady_ms(), then)
    }

    /// What is known of a key of another core, read in place; `None` where its owner has to be asked.
    #[must_use]
    pub fn inspect_remote(&self, key: (KeyHash, &[u8])) -> Option<Outcome> {
        self.read_remote(key, |read| match read {
            RemoteRead::Found(item) | RemoteRead::Large(item) => {
                let (expire_ms, metadata) = edge_copy::of_value(item.kind, item.expire_ms, item.metadata);
                Some(Outcome::Found(StoredValue {
                    version: item.version,
                    expire_ms,
                    metadata: metadata.into(),
                    value_bytes: item.value_bytes,
                    value_crc32c: item.value_crc32c,
                    offset: 0,
                    part: Arc::default(),
                }))
            }
            RemoteRead::Absent => Some(Outcome::Absent),
            RemoteRead::AskOwner => None,
        })
    }

    /// What is known of a key of this core. Counts as a use of it.
    #[must_use]
    pub fn inspect(&self, (hash, key): (KeyHash, &[u8])) -> Outcome {
        let mut shard = self.shard.borrow_mut();
        shard.get(hash, key, self.reactor.steady_ms()).map_or(Outcome::Absent, |hit| Outcome::Found(described(&hit)))
    }

    /// A part of the value of a key of this core; [`Outcome::NotApplied`] where another version than the one that is asked for
    /// is there. The first part counts as a use of the value, and has it held for the parts that follow.
    #[must_use]
    pub fn read(&self, (hash, key): (KeyHash, &[u8]), part: &ReadPart) -> Outcome {
        let now = self.reactor.now();
        let outcome = self.read_shard((hash, key), part);
        let found = match outcome {
            Outcome::Found(found) => found,
            outcome => match self.holds.borrow_mut().read((hash, key), part, now) {
                Some(found) => found,
                None => return outcome,
            },
        };
        if !part.is_first && found.offset + found.part.len() >= found.value_bytes {
            self.holds.borrow_mut().end((hash, key), found.version);
        }
        Outcome::Found(found)
    }

    fn read_shard(&self, (hash, key): (KeyHash, &[u8]), part: &ReadPart) -> Outcome {
        let (mut shard, now_ms) = (self.shard.borrow_mut(), self.reactor.steady_ms());
        let hit = if part.is_first { shard.get(hash, key, now_ms) } else { shard.peek(hash, key, now_ms) };
        let Some(hit) = hit else { return Outcome::Absent };
        if part.version.is_some_and(|version| version != hit.version()) {
            return Outcome::NotApplied;
        }
        let range = part.range(hit.value().len());
        let mut bytes = Vec::with_capacity(range.len());
        hit.value().copy_range_to(range.clone(), &mut bytes);
        let found = StoredValue { offset: range.start, part: Arc::new(bytes), ..described(&hit) };
        if part.is_first && range.end < found.value_bytes {
            self.holds.borrow_mut().begin((hash, key), &hit, &found, self.reactor.now());
        }
        Outcome::Found(found)
    }

    /// Does a bounded part of the shard's background work; the units that were used.
    pub fn maintain(&self, units: u32) -> u32 {
        self.holds.borrow_mut().expire(self.reactor.now());
        self.shard.borrow_mut().maintain(self.reactor.steady_ms(), units)
    }

    /// Forgets what is held for readers of slots that have gone to another process.
    pub fn release_held(&self, has_left: impl Fn(SlotId) -> bool) {
        self.holds.borrow_mut().release(has_left);
    }

    /// Values that are held for readers that take them part by part.
    #[must_use]
    pub fn held(&self) -> usize {
        self.holds.borrow().len()
    }

    /// Applies a write to a key of this core.
    pub fn write(&self, (hash, key): (KeyHash, &[u8]), write: &Write<'_>) -> Written {
        debug_assert!(self.cores.owns(hash), "a key is written by its owner");
        owner::write(&mut self.shard.borrow_mut(), hash, key, write, readings(&self.reactor))
    }
}

/// What the clocks say in this pass.
pub(crate) fn readings(reactor: &Reactor) -> ClockReadings {
    ClockReadings { steady_ms: reactor.steady_ms(), wall_ms: reactor.wall_ms() }
}

/// What is known of an item beside its value.
fn described(hit: &Hit<'_>) -> StoredValue {
    let kind = ItemKind::of_flags(hit.flags());
    let (expire_ms, metadata) = edge_copy::of_value(kind, hit.expire_ms(), hit.metadata());
    StoredValue {
        version: hit.version(),
        expire_ms,
        metadata: metadata.into(),
        value_bytes: hit.value().len(),
        value_crc32c: hit.value_crc32c(),
        offset: 0,
        part: Arc::default(),
    }
}

#[cfg(test)]
mod tests;
