//! The product's cache: one shard, used as the core that owns it uses it.
//!
//! **Not**: checksums of values, which the server computes as bytes arrive; other caches have none.
//!
//! **Invariants**: hashing the key is part of every call (twice where it was hashed ahead); after a write comes the slice of maintenance that the server gives.

use anyhow::{Context, Result};
use shardstore::cache::{Cache, CacheOptions, Commit, Insert, LOOKAHEAD};
use shardstore::key::{KeyHash, KeyHasher};
use shardstore::version::Version;

use crate::engine::store::{Call, LoadKey, MeasuredStore};

/// Work units of maintenance after a write, as the edge does after a write.
const UNITS_PER_WRITE: u32 = 64;

/// The time of every call, steady milliseconds. Nothing expires here, and a core reads the clock once for many calls.
const NOW_MS: u64 = 1_000_000_000_000;

/// Any seed does; a fixed one makes runs repeat.
const HASH_SEED: u64 = 0x636f_7265_6c61_6e65;

/// The cache.
#[derive(Debug)]
pub(crate) struct ShardstoreStore {
    cache: Cache,
    hasher: KeyHasher,
    /// Of calls that are about to come.
    hashes: Vec<KeyHash>,
    version: u64,
}

impl ShardstoreStore {
    /// An empty one; the budget is for all its memory.
    ///
    /// # Errors
    /// The budget is outside of what a shard can have, or the kernel refused the memory.
    pub(crate) fn new(budget_bytes: u64, commit: Commit) -> Result<Self> {
        let hasher = KeyHasher::new(HASH_SEED);
        // It never grows, so that no address space is reserved for that.
        let options = CacheOptions { ceiling_bytes: budget_bytes, commit, ..CacheOptions::new(budget_bytes, hasher) };
        let cache = Cache::new(&options).context("shardstore; choose another --memory")?;
        Ok(Self { cache, hasher, hashes: Vec::with_capacity(LOOKAHEAD), version: 0 })
    }
}

impl MeasuredStore for ShardstoreStore {
    #[inline]
    fn find(&mut self, key: &LoadKey, sink: &mut [u8]) -> Option<usize> {
        let hit = self.cache.get(self.hasher.hash(key), key, NOW_MS)?;
        let value = hit.value();
        match value.as_slice() {
            Some(whole) => sink[..whole.len()].copy_from_slice(whole),
            None => {
                let mut at = 0;
                for piece in value.pieces() {
                    sink[at..at + piece.len()].copy_from_slice(piece);
                    at += piece.len();
                }
            }
        }
        Some(value.len())
    }

    #[inline]
    fn expect(&mut self, calls: &[Call]) {
        for calls in calls.chunks(LOOKAHEAD) {
            self.hashes.clear();
            self.hashes.extend(calls.iter().map(|call| self.hasher.hash(&call.key)));
            self.cache.prefetch(&self.hashes);
        }
    }

    #[inline]
    fn store(&mut self, key: &LoadKey, value: &[u8]) {
        self.version += 1;
        let insert = Insert::new(value, Version::from_bits(self.version), 0);
        // What is too large for the shard is not kept, as with the other caches.
        let _ = self.cache.insert(self.hasher.hash(key), key, &insert, NOW_MS);
    }

    #[inline]
    fn tend(&mut self) -> bool {
        self.cache.maintain(NOW_MS, UNITS_PER_WRITE);
        true
    }

    #[inline]
    fn remove(&mut self, key: &LoadKey) -> bool {
        self.cache.remove(self.hasher.hash(key), key, NOW_MS).is_some()
    }

    fn items(&mut self) -> u64 {
        self.cache.stats().items
    }
}
