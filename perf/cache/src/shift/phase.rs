//! One phase: values of one size come until they have filled the cache several times, and half of them are read.
//!
//! **Not**: judging (that is `report`).
//!
//! **Invariants**: every key is new; nothing is allocated between the first reading of the process's memory and the last but
//! what the cache allocates.

use anyhow::{Context, Result};
use serde::Serialize;
use shardstore::cache::{Cache, CacheOptions, Insert};
use shardstore::key::KeyHasher;
use shardstore::version::Version;

use perf_basis::machine::resident_bytes;
use perf_basis::random::mixed;

/// Any seed does; a fixed one makes runs repeat.
const HASH_SEED: u64 = 0x636f_7265_6c61_6e65;

/// The time of every call, steady milliseconds: nothing expires.
const NOW_MS: u64 = 1_000_000_000_000;

/// Work units of maintenance after a write, as the edge does after a write.
const UNITS_PER_WRITE: u32 = 64;

const KEY_BYTES: usize = 36;

/// What an item takes beside its value, about: enough to know how often the cache was filled.
const OVERHEAD_BYTES: u64 = 68;

/// How often a phase fills the cache: once to fill it, and twice for all that was there before to have gone.
const FILLS: u64 = 3;

/// Bytes written between two looks at the process's memory.
const LOOK_BYTES: u64 = 1 << 20;

/// A phase and what was found in it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct ShiftPhase {
    /// Of every value.
    pub(crate) value_bytes: u64,
    /// Most memory of the process beyond what it had before the cache was made.
    pub(crate) resident_bytes_peak: u64,
    /// Bytes of the values that can be read at the end, of this phase and those before.
    pub(crate) live_value_bytes: u64,
    /// Items of them.
    pub(crate) items: u64,
    /// Values written.
    pub(crate) written: u64,
    /// Values that the cache did not take.
    pub(crate) refused: u64,
}

/// The cache and the keys it was given.
pub(crate) struct Subject {
    cache: Cache,
    hasher: KeyHasher,
    base_bytes: u64,
    value: Vec<u8>,
    /// By phase: the numbers of its keys, and the size of its values.
    given: Vec<(std::ops::Range<u64>, u64)>,
}

impl Subject {
    /// An empty cache for values up to `value_bytes_max`.
    ///
    /// # Errors
    /// The limit is outside of what a shard can have, or too small for such values.
    pub(crate) fn new(limit_bytes: u64, value_bytes_max: u64) -> Result<Self> {
        let value = vec![0x5a; value_bytes_max as usize];
        let hasher = KeyHasher::new(HASH_SEED);
        let base_bytes = resident_bytes(std::process::id())?;
        let options = CacheOptions { ceiling_bytes: limit_bytes, ..CacheOptions::new(limit_bytes, hasher) };
        let cache = Cache::new(&options).context("the cache could not be made; choose another --limit")?;
        anyhow::ensure!(
            value_bytes_max <= cache.value_bytes_max() as u64,
            "--sizes has {value_bytes_max}, and a cache of {} MiB takes values up to {}; give more --limit",
            limit_bytes >> 20,
            cache.value_bytes_max()
        );
        Ok(Self { cache, hasher, base_bytes, value, given: Vec::new() })
    }

    /// Writes values of one size until the cache was filled several times.
    ///
    /// # Errors
    /// /proc is not mounted.
    pub(crate) fn phase(&mut self, value_bytes: u64) -> Result<ShiftPhase> {
        let limit_bytes = self.cache.stats().bytes_limit;
        let item_bytes = value_bytes + OVERHEAD_BYTES;
        let first = self.given.last().map_or(0, |(keys, _)| keys.end);
        let keys = first..first + limit_bytes * FILLS / item_bytes;
        let (mut peak, mut refused, mut unseen) = (0, 0, 0);
        for number in keys.clone() {
            refused += u64::from(!self.write(number, value_bytes));
            unseen += item_bytes;
            if unseen >= LOOK_BYTES || number + 1 == keys.end {
                unseen = 0;
                peak = u64::max(peak, resident_bytes(std::process::id())?.saturating_sub(self.base_bytes));
            }
        }
        let written = keys.end - keys.start;
        self.given.push((keys, value_bytes));
        let (items, live_value_bytes) = self.live();
        Ok(ShiftPhase { value_bytes, resident_bytes_peak: peak, live_value_bytes, items, written, refused })
    }

    /// Writes one value, and reads every other one twice, so that the cache keeps it where it keeps what is used.
    fn write(&mut self, number: u64, value_bytes: u64) -> bool {
        let key = key_of(number);
        let hash = self.hasher.hash(&key);
        let insert = Insert::new(&self.value[..value_bytes as usize], Version::from_bits(number + 1), 0);
        let taken = self.cache.insert(hash, &key, &insert, NOW_MS).is_ok();
        self.cache.maintain(NOW_MS, UNITS_PER_WRITE);
        if number.is_multiple_of(2) {
            self.cache.get(hash, &key, NOW_MS);
            self.cache.get(hash, &key, NOW_MS);
        }
        taken
    }

    /// Items that can be read, and the bytes of their values.
    fn live(&self) -> (u64, u64) {
        let is_there = |number: &u64| {
            let key = key_of(*number);
            self.cache.peek(self.hasher.hash(&key), &key, NOW_MS).is_some()
        };
        let of_phase = |(keys, value_bytes): &(std::ops::Range<u64>, u64)| {
            let items = keys.clone().filter(is_there).count() as u64;
            (items, items * value_bytes)
        };
        self.given.iter().map(of_phase).fold((0, 0), |sum, (items, bytes)| (sum.0 + items, sum.1 + bytes))
    }
}

fn key_of(number: u64) -> [u8; KEY_BYTES] {
    let mut key = [b'k'; KEY_BYTES];
    key[..8].copy_from_slice(&mixed(number).to_le_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_is_counted_by_its_size() {
        let mut subject = Subject::new(8 << 20, 10_000).unwrap();
        subject.given = vec![(0..3, 1000), (3..5, 10_000)];
        (0..3).for_each(|number| assert!(subject.write(number, 1000)));
        assert_eq!(subject.live(), (3, 3000));
        (3..5).for_each(|number| assert!(subject.write(number, 10_000)));
        let key = key_of(1);
        subject.cache.remove(subject.hasher.hash(&key), &key, NOW_MS);
        assert_eq!(subject.live(), (4, 22_000));
        assert_eq!(subject.cache.stats().items, 4);
    }

    #[test]
    fn a_value_that_no_cache_of_this_size_takes_is_refused_at_once() {
        let error = Subject::new(8 << 20, 100 << 20).err().expect("it is too large").to_string();
        assert!(error.contains("--limit") && error.contains("8 MiB"), "{error}");
    }
}
