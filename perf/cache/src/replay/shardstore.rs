//! The product's cache as an engine: one shard, used as a core of the server uses it.
//!
//! **Not**: other cores, other processes, times to live.
//!
//! **Invariants**: a request is a lookup and, on a miss, an insert followed by a slice of maintenance.

use anyhow::{Context, Result};
use serde::Serialize;
use shardstore::cache::{Cache, CacheOptions, CacheStats, Insert};
use shardstore::key::KeyHasher;
use shardstore::version::Version;

use super::engine::{Capacity, Engine, Held};
use super::fit::{Fits, Shape};
use perf_basis::trace::{TraceRequest, hasher, key_of};

/// Work units of maintenance after an insert, as the edge does after a write.
const UNITS_PER_INSERT: u32 = 64;

/// The time of every call, steady milliseconds: nothing expires, so that any will do.
const NOW_MS: u64 = 1_000_000_000_000;

/// What only this engine can tell; summed over the shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Details {
    /// Memory for index and data together.
    pub(crate) memory_bytes: u64,
    /// Value of every item, when the replay counts objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value_bytes: Option<u32>,
    /// Items that were stored.
    pub(crate) inserts: u64,
    /// Items that were not: too large, or no room.
    pub(crate) refused: u64,
    /// Items copied from one segment to another.
    pub(crate) moved_items: u64,
    /// Items evicted because both of their buckets were full.
    pub(crate) evicted_for_slot: u64,
    /// Inserts that had to reclaim a whole segment first.
    pub(crate) stalls: u64,
}

impl Details {
    /// Adds another shard's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.memory_bytes += other.memory_bytes;
        self.value_bytes = other.value_bytes;
        self.inserts += other.inserts;
        self.refused += other.refused;
        self.moved_items += other.moved_items;
        self.evicted_for_slot += other.evicted_for_slot;
        self.stalls += other.stalls;
    }
}

/// The engine.
#[derive(Debug)]
pub(crate) struct ShardstoreEngine {
    cache: Cache,
    hasher: KeyHasher,
    /// Set when all values are to be alike.
    shape: Option<Shape>,
    /// What values are cut from.
    value: Vec<u8>,
    version: u64,
    refused: u64,
}

impl ShardstoreEngine {
    /// An empty one that holds a capacity of objects, or of memory.
    ///
    /// # Errors
    /// The capacity is outside of what a shard can have; the message says what to do.
    pub(crate) fn new(capacity: Capacity, fits: &mut Fits) -> Result<Self> {
        match capacity {
            Capacity::Objects(objects) => Self::of_shape(fits.shape_for(objects)?),
            Capacity::Bytes(bytes) => Self::of_memory(bytes),
        }
    }

    /// An empty one of a shape, whatever the trace says of sizes.
    ///
    /// # Errors
    /// The kernel refused the memory.
    pub(crate) fn of_shape(shape: Shape) -> Result<Self> {
        let value = vec![0; shape.value_bytes as usize];
        Ok(Self { shape: Some(shape), value, ..Self::of_memory(shape.memory_bytes)? })
    }

    fn of_memory(memory_bytes: u64) -> Result<Self> {
        let hasher = hasher();
        // It never grows, so that no address space is reserved for that.
        let options = CacheOptions { ceiling_bytes: memory_bytes, ..CacheOptions::new(memory_bytes, hasher) };
        let cache = Cache::new(&options).context("engine shardstore; give more --bytes or fewer --shards")?;
        let value = vec![0; cache.value_bytes_max()];
        Ok(Self { cache, hasher, shape: None, value, version: 0, refused: 0 })
    }

    /// The cache's own account.
    pub(crate) fn stats(&self) -> CacheStats {
        self.cache.stats()
    }
}

impl Engine for ShardstoreEngine {
    fn request(&mut self, request: TraceRequest) -> bool {
        let key = key_of(request.name);
        let hash = self.hasher.hash(&key);
        if self.cache.get(hash, &key, NOW_MS).is_some() {
            return true;
        }
        let value_bytes = self.shape.map_or(request.value_bytes, |shape| shape.value_bytes);
        let Some(value) = self.value.get(..value_bytes as usize) else {
            self.refused += 1;
            return false;
        };
        self.version += 1;
        let insert = Insert::new(value, Version::from_bits(self.version), 0);
        self.refused += u64::from(self.cache.insert(hash, &key, &insert, NOW_MS).is_err());
        self.cache.maintain(NOW_MS, UNITS_PER_INSERT);
        false
    }

    fn held(&self) -> Held {
        let stats = self.stats();
        Held { objects: stats.items, bytes: stats.bytes_live }
    }

    fn details(&self) -> Option<Details> {
        let stats = self.stats();
        Some(Details {
            memory_bytes: stats.bytes_limit,
            value_bytes: self.shape.map(|shape| shape.value_bytes),
            inserts: stats.inserts,
            refused: self.refused,
            moved_items: stats.moved_items,
            evicted_for_slot: stats.evicted_for_slot,
            stalls: stats.stalls,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine::Kind;
    use super::super::measure;
    use super::*;
    use perf_basis::trace::{Builder, Trace};

    fn distinct(count: u64, value_bytes: u32) -> Trace {
        let mut builder = Builder::new(value_bytes);
        (0..count).for_each(|key| builder.add(key).unwrap());
        builder.finish()
    }

    #[test]
    fn what_it_holds_is_near_the_count_also_in_shards() {
        let trace = distinct(30_000, 0);
        for (shards, objects) in [(1, 204), (1, 2583), (1, 10_000), (4, 10_000)] {
            let parts = trace.split(shards);
            let capacity = Capacity::Objects(objects);
            let outcome = measure::replay(&parts, Kind::Shardstore, capacity, &mut Fits::within_chunks(16)).unwrap();
            let off = outcome.held.objects as f64 / objects as f64 - 1.0;
            assert!(off.abs() <= 0.02, "{objects} in {shards} shards: {}", outcome.held.objects);
            assert_eq!((outcome.hits, outcome.details.unwrap().refused), (0, 0));
        }
    }

    #[test]
    fn what_fits_is_found_again() {
        let mut store = ShardstoreEngine::new(Capacity::Objects(500), &mut Fits::within_chunks(16)).unwrap();
        let trace = distinct(400, 0);
        assert_eq!(trace.requests().filter(|request| store.request(*request)).count(), 0);
        assert_eq!(trace.requests().filter(|request| store.request(*request)).count(), 400);
    }

    #[test]
    fn by_bytes_the_limit_is_memory_and_what_is_too_large_is_refused() {
        let capacity = Capacity::Bytes(4 << 20);
        let parts = [distinct(20_000, 300)];
        let outcome = measure::replay(&parts, Kind::Shardstore, capacity, &mut Fits::default()).unwrap();
        let details = outcome.details.unwrap();
        assert_eq!((details.memory_bytes, details.refused, details.value_bytes), (4 << 20, 0, None));
        assert!((3 << 20..4 << 20).contains(&outcome.held.bytes), "{:?}", outcome.held);
        let outcome =
            measure::replay(&[distinct(3, 64 << 20)], Kind::Shardstore, capacity, &mut Fits::default()).unwrap();
        assert_eq!(outcome.details.unwrap().refused, 3);
    }

    #[test]
    fn too_little_memory_is_refused_with_a_remedy() {
        let error = format!("{:#}", ShardstoreEngine::new(Capacity::Bytes(1000), &mut Fits::default()).unwrap_err());
        assert!(error.contains("--bytes") && error.contains("2097152"), "{error}");
    }
}
