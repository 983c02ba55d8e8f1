//! No call of the cache allocates once it was made: shown by a counting allocator.

use allocation_counter::measure;
use shardstore::cache::{Cache, CacheOptions, Insert};
use shardstore::key::KeyHasher;
use shardstore::version::Version;

#[test]
fn the_counter_counts() {
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(1_u64)))).count_total, 1);
}

#[test]
fn no_call_allocates() {
    let hasher = KeyHasher::new(1);
    let mut cache = Cache::new(&CacheOptions::new(4 << 20, hasher)).expect("a valid size");
    let large = vec![7; 100_000];
    let mut pinned = Vec::with_capacity(1);
    let mut hits = 0;
    let allocations = measure(|| {
        for round in 0..100_000_u64 {
            let key = (round % 30_000).to_le_bytes();
            let hash = hasher.hash(&key);
            let value = if round % 500 == 0 { &large[..] } else { &large[..200] };
            let expire_ms = if round % 3 == 0 { 0 } else { round + 5_000 };
            let insert = Insert { expire_ms, ..Insert::new(value, Version::from_bits(round), 0) };
            cache.insert(hash, &key, &insert, round).expect("the values fit");
            if let Some(hit) = cache.get(hash, &key, round) {
                hits += 1;
                pinned.clear();
                pinned.extend(hit.pin());
            }
            if round % 5 == 0 {
                cache.touch(hash, &key, round + 50, round);
            }
            let _ = cache.peek(hash, &key, round);
            if round % 7 == 0 {
                cache.remove(hash, &key, round);
            }
            cache.maintain(round, 3);
        }
    });
    let stats = cache.stats();
    let steady = hits > 90_000 && stats.evicted_for_room > 5_000 && stats.expired > 10_000 && stats.moved_items > 0;
    assert!(steady, "a steady state was reached: {stats:?}");
    assert_eq!(allocations.count_total, 0);
}
