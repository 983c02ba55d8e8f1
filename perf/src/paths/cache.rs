//! The cache's side of a hit: the stored key made, hashed and looked up.
//!
//! **Invariants**: all keys are equally long, and every key has been read often enough before the first counted time that
//! its use is not counted any higher: what is left is the same in every round.

use std::hint::black_box;

use shardstore::cache::{Cache, CacheOptions, Insert};
use shardstore::key::{KeyHasher, StoredKey};
use shardstore::version::Version;
use shardstore::wire::checksum;

/// Keys that are stored, looked up one after another: enough that where a key lies in its bucket evens out.
const KEYS: u64 = 1000;

/// Rounds over the keys before counting. The use of an item is counted up to three.
const ROUNDS_BEFORE: u64 = 4;

/// Memory of the cache, in bytes: all keys fit many times over.
const LIMIT_BYTES: u64 = 8 << 20;

/// Any seed does; a fixed one gives every key the same place each time.
const SEED: u64 = 42;

/// The instant of everything, in steady milliseconds.
const NOW_MS: u64 = 1_700_000_000_000;

const VALUE: [u8; 128] = [b'v'; 128];

/// Bytes of a key, as a user writes it.
const KEY_BYTES: usize = 12;

/// Looks up keys that are there.
pub(crate) fn hit(count: u64) {
    let mut shard = CountedShard::filled();
    let found = shard.read_many(0, count);
    assert_eq!(found, count, "every key is there");
}

/// Looks up keys that are not.
pub(crate) fn miss(count: u64) {
    let mut shard = CountedShard::filled();
    let found = shard.read_many(KEYS, count);
    assert_eq!(found, 0, "none of the keys is there");
}

/// A core's cache and what it looks up with.
struct CountedShard {
    hasher: KeyHasher,
    cache: Cache,
    stored: Vec<u8>,
    /// The keys that are there, then as many that are not.
    keys: Vec<[u8; KEY_BYTES]>,
}

impl CountedShard {
    fn filled() -> Self {
        let hasher = KeyHasher::new(black_box(SEED));
        let cache = Cache::new(&CacheOptions::new(LIMIT_BYTES, hasher)).expect("8 MiB can be mapped");
        let mut shard = Self { hasher, cache, stored: Vec::with_capacity(64), keys: (0..2 * KEYS).map(key).collect() };
        for index in 0..KEYS as usize {
            shard.insert(index);
        }
        shard.read_many(0, ROUNDS_BEFORE * KEYS);
        shard
    }

    fn insert(&mut self, index: usize) {
        let Self { hasher, cache, stored, keys } = self;
        stored.clear();
        StoredKey::encode(b"default", &keys[index], stored).expect("the key is in range");
        let insert = Insert::new(&VALUE[..], Version::from_bits(1), checksum(&VALUE));
        cache.insert(hasher.hash(stored), stored, &insert, NOW_MS).expect("there is room");
    }

    /// Looks up keys from `first` on, round and round; returns how many were found.
    #[inline(never)]
    fn read_many(&mut self, first: u64, count: u64) -> u64 {
        let (mut found, mut index) = (0, first);
        for _ in 0..count {
            found += u64::from(self.read(index as usize));
            index = if index + 1 == first + KEYS { first } else { index + 1 };
        }
        found
    }

    /// What the edge does between a request's head and its answer's.
    #[inline(always)]
    fn read(&mut self, index: usize) -> bool {
        let Self { hasher, cache, stored, keys } = self;
        stored.clear();
        if StoredKey::encode(black_box(b"default"), black_box(&keys[index]), stored).is_err() {
            return false;
        }
        let hash = hasher.hash_untagged(stored);
        match cache.get(hash, stored, black_box(NOW_MS)) {
            Some(hit) => {
                black_box((hit.version(), hit.expire_ms(), hit.metadata(), hit.value().as_slice()));
                true
            }
            None => false,
        }
    }
}

fn key(number: u64) -> [u8; KEY_BYTES] {
    let mut key = *b"key-00000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}
