//! What the cache takes beside keys and values, all in: index, ghost, headers, padding, free and open segments.

use shardstore::cache::{Cache, CacheOptions, CacheStats, Insert};
use shardstore::key::KeyHasher;
use shardstore::version::Version;

const MIB: u64 = 1 << 20;
const NOW: u64 = 1_700_000_000_000;

struct Rig {
    cache: Cache,
    hasher: KeyHasher,
    stored: u64,
}

impl Rig {
    fn new(limit_bytes: u64) -> Self {
        let hasher = KeyHasher::new(17);
        Self { cache: Cache::new(&CacheOptions::new(limit_bytes, hasher)).unwrap(), hasher, stored: 0 }
    }

    fn fill(&mut self, count: u64, value: &[u8]) {
        for _ in 0..count {
            let mut key = [b'k'; 36];
            key[..8].copy_from_slice(&self.stored.to_le_bytes());
            let insert = Insert::new(value, Version::from_bits(self.stored), 0);
            self.cache.insert(self.hasher.hash(&key), &key, &insert, NOW).unwrap();
            self.stored += 1;
        }
    }
}

#[test]
fn probe_memory() {
    for mib in [16, 64, 126, 128, 256, 512, 1024] {
        let mut rig = Rig::new(mib * MIB);
        let full = mib * MIB / 300;
        for step in 1..=12 {
            rig.fill(full / 4, &[7; 224]);
            let s: CacheStats = rig.cache.stats();
            let used = (s.bytes_limit - s.bytes_free) as f64 / s.items as f64 - 260.0;
            let all = s.bytes_limit as f64 / s.items as f64 - 260.0;
            println!(
                "{mib} {step}: items {} used {used:.2} all {all:.2} index {:.2} load {:.3} pages/idx {:.3} free {} grown {} shrunk {} moved {} slot {}",
                s.items, s.bytes_index as f64 / s.items as f64, s.items as f64 * 8.0 / s.bytes_pages as f64,
                s.bytes_pages as f64 / s.bytes_index as f64, s.bytes_free / 65536,
                s.pages_grown, s.pages_shrunk, s.pages_moved, s.evicted_for_slot
            );
        }
    }
}
