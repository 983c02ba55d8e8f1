//! What the cache takes beside keys and values, all in: index, ghost, headers, padding, free and open segments, at keys of 36
//! and values of 224 bytes. What it prints (`--nocapture`) is in docs/engine.md.

use shardstore::cache::{Cache, CacheOptions, CacheStats, Insert};
use shardstore::key::KeyHasher;
use shardstore::version::Version;

const MIB: u64 = 1 << 20;
const NOW: u64 = 1_700_000_000_000;
const KEY_BYTES: usize = 36;
const VALUE_BYTES: usize = 224;

/// Bytes an item may take beside its key and value: docs/engine.md.
const GATE_BYTES: f64 = 44.0;

struct Rig {
    cache: Cache,
    hasher: KeyHasher,
    stored: u64,
}

impl Rig {
    fn new(limit_bytes: u64) -> Self {
        let hasher = KeyHasher::new(17);
        let cache = Cache::new(&CacheOptions::new(limit_bytes, hasher)).expect("a valid size");
        Self { cache, hasher, stored: 0 }
    }

    fn store(&mut self, count: u64) {
        for _ in 0..count {
            let mut key = [b'k'; KEY_BYTES];
            key[..8].copy_from_slice(&self.stored.to_le_bytes());
            let insert = Insert::new(&[7; VALUE_BYTES], Version::from_bits(self.stored), 0);
            self.cache.insert(self.hasher.hash(&key), &key, &insert, NOW).expect("nothing is pinned");
            self.stored += 1;
        }
    }
}

/// Of so many bytes, what an item takes beside its key and value.
fn beside(bytes: u64, stats: &CacheStats) -> f64 {
    bytes as f64 / stats.items as f64 - (KEY_BYTES + VALUE_BYTES) as f64
}

/// From a quarter full on, at any count of items, also when it is full and they change.
#[test]
fn an_item_takes_little_beside_its_key_and_value() {
    for mib in [64, 128, 256] {
        let mut rig = Rig::new(mib * MIB);
        let full = mib * MIB / 304;
        rig.store(full / 4);
        let mut most = 0_f64;
        for step in 0..150 {
            rig.store(full / 50);
            let stats = rig.cache.stats();
            // While the cache is not full, what is free does not count, and the ghost counts as if it were full.
            let is_full = stats.evicted_for_room > 0;
            let ghost_bytes = stats.bytes_limit / 128;
            let ghost_share = ghost_bytes as f64 / full as f64;
            let bytes = match is_full {
                true => beside(stats.bytes_limit, &stats),
                false => beside(stats.bytes_limit - stats.bytes_free - ghost_bytes, &stats) + ghost_share,
            };
            assert!(stats.evicted_for_slot == 0 && stats.stalls == 0, "{stats:?}");
            most = most.max(bytes);
            let load = stats.items as f64 * 8.0 / stats.bytes_pages as f64;
            if step % 10 == 9 {
                println!(
                    "{mib} MiB, {} items: {bytes:.1} bytes beside key and value, index {load:.3} full",
                    stats.items
                );
            }
            assert!(load > 0.82, "{load} full at {} items of {mib} MiB", stats.items);
        }
        println!("{mib} MiB: at most {most:.2}");
        assert!(most <= GATE_BYTES, "{mib} MiB: {most} bytes an item");
    }
}
