mod dead_space;

use super::item::{Item, Location};
use super::options::Commit;
use super::*;

const MIB: u64 = 1 << 20;
const NOW: u64 = 1_700_000_000_000;

/// A cache with keys that are numbers and values of one byte repeated.
struct Rig {
    cache: Cache,
    hasher: KeyHasher,
    now_ms: u64,
}

impl Rig {
    fn new(limit_bytes: u64) -> Self {
        let hasher = KeyHasher::new(11);
        let cache = Cache::new(&CacheOptions::new(limit_bytes, hasher)).unwrap();
        Self { cache, hasher, now_ms: NOW }
    }

    fn key(&self, id: u32) -> (KeyHash, [u8; 4]) {
        (self.hasher.hash(&id.to_le_bytes()), id.to_le_bytes())
    }

    fn try_put(&mut self, id: u32, bytes: usize, expire_ms: u64) -> Result<Inserted, CacheError> {
        let (hash, key) = self.key(id);
        let value = vec![id as u8; bytes];
        let insert = Insert { expire_ms, ..Insert::new(&value[..], Version::from_bits(u64::from(id)), 0) };
        self.cache.insert(hash, &key, &insert, self.now_ms)
    }

    fn put(&mut self, id: u32, bytes: usize, expire_ms: u64) {
        self.try_put(id, bytes, expire_ms).unwrap();
    }

    fn has(&self, id: u32) -> bool {
        let (hash, key) = self.key(id);
        self.cache.peek(hash, &key, self.now_ms).is_some()
    }

    fn pin(&mut self, id: u32) -> Option<Pinned> {
        let (hash, key) = self.key(id);
        self.cache.get(hash, &key, self.now_ms).expect("the key was just stored").pin()
    }

    fn maintain(&mut self) {
        for _ in 0..1_000 {
            self.cache.maintain(self.now_ms, 10_000);
        }
    }
}

#[test]
fn look_ups_are_asked_for_ahead_once_they_wait_for_memory() {
    let mut rig = Rig::new(16 * MIB);
    (0..CACHED_ITEMS_MAX as u32).for_each(|id| rig.put(id, 16, 0));
    assert!(!rig.cache.pays_prefetch(), "these fit the caches");
    rig.put(u32::MAX, 16, 0);
    assert!(rig.cache.pays_prefetch());
}

#[test]
fn a_record_lies_as_drawn() {
    let mut rig = Rig::new(2 * MIB);
    let hash = rig.hasher.hash(b"key");
    let insert = Insert {
        metadata: b"md",
        expire_ms: 0x123_4567_89ab,
        flags: 0xa,
        ..Insert::new(b"value", Version::from_bits(0x1122_3344_5566_7788), 0xc3c3_c3c3)
    };
    rig.now_ms = 1;
    rig.cache.insert(hash, b"key", &insert, rig.now_ms).unwrap();
    let at = rig.cache.geometry.bytes_of(rig.cache.geometry.front_segments) as usize;
    let mut expected = Vec::new();
    // flags: METADATA (bit 3) and the caller's 0xa.
    expected.extend((0x123_4567_89ab_u64 << 21 | 3 << 8 | 0xa8).to_le_bytes());
    expected.extend(5_u32.to_le_bytes());
    expected.extend(0xc3c3_c3c3_u32.to_le_bytes());
    expected.extend(0x1122_3344_5566_7788_u64.to_le_bytes());
    expected.extend(b"key\x02mdvalue");
    assert_eq!(rig.cache.arena.bytes(at, expected.len()), expected);
    assert_eq!(Item::load(&rig.cache.arena, Location::of(at)).record_bytes(&rig.cache.arena), 40);
}

#[test]
fn nothing_is_served_from_its_expiry_instant_on() {
    // (expiry instant, now, served)
    let table = [
        (0, NOW, true),
        (0, EXPIRE_MS_MAX, true),
        (NOW + 500, NOW + 499, true),
        (NOW + 500, NOW + 500, false),
        (NOW + 1, NOW, true),
        (NOW + 1, NOW + 1, false),
        (NOW, NOW, false),
        (EXPIRE_MS_MAX + 1, EXPIRE_MS_MAX - 1, true),
        (EXPIRE_MS_MAX + 1, EXPIRE_MS_MAX, false),
        (u64::MAX, EXPIRE_MS_MAX - 1, true),
        (u64::MAX, EXPIRE_MS_MAX, false),
    ];
    for (expire_ms, now_ms, served) in table {
        let mut rig = Rig::new(2 * MIB);
        let (hash, key) = rig.key(1);
        rig.put(1, 10, expire_ms);
        assert_eq!(rig.cache.peek(hash, &key, now_ms).is_some(), served, "peek: {expire_ms} {now_ms}");
        assert_eq!(rig.cache.get(hash, &key, now_ms).is_some(), served, "get: {expire_ms} {now_ms}");
        assert_eq!(rig.cache.stats().expired, u64::from(!served));
        rig.put(1, 10, 0);
        assert!(rig.cache.touch(hash, &key, expire_ms, NOW - 1).is_some());
        assert_eq!(rig.cache.get(hash, &key, now_ms).is_some(), served, "touched: {expire_ms} {now_ms}");
    }
}

#[test]
fn a_use_is_counted_by_get_and_not_by_peek() {
    let mut rig = Rig::new(2 * MIB);
    rig.put(1, 10, 0);
    let (hash, key) = rig.key(1);
    for uses in [1, 2, 3, 3] {
        let _ = rig.cache.peek(hash, &key, NOW);
        assert!(rig.cache.get(hash, &key, NOW).is_some());
        let (slot, _) = rig.cache.find(hash, &key).unwrap();
        assert_eq!(Index::frequency(&rig.cache.arena, slot), uses);
    }
    assert_eq!((rig.cache.stats().hits, rig.cache.stats().misses), (4, 0));
}

#[test]
fn what_is_out_of_range_is_refused_and_changes_nothing() {
    let mut rig = Rig::new(2 * MIB);
    rig.put(1, 10, 0);
    let most = rig.cache.value_bytes_max();
    assert!(most > MIB as usize, "a shard of 2 MiB takes values over 1 MiB");
    assert!(matches!(rig.try_put(1, most + 1, 0), Err(CacheError::ValueTooLarge { .. })));
    let long = vec![0; crate::key::STORED_KEY_BYTES_MAX + 1];
    let insert = Insert::new(b"", Version::default(), 0);
    let refused = rig.cache.insert(rig.hasher.hash(&long), &long, &insert, NOW);
    assert!(matches!(refused, Err(CacheError::KeyTooLong(_))));
    let (hash, key) = rig.key(1);
    let insert = Insert { metadata: &[0; METADATA_BYTES_MAX + 1], ..insert };
    assert!(matches!(rig.cache.insert(hash, &key, &insert, NOW), Err(CacheError::MetadataTooLong(256))));
    assert!(rig.has(1));
    assert_eq!(rig.cache.stats().inserts, 1);
    let long = &long[1..];
    let hit_len = |rig: &mut Rig, bytes| {
        let value = vec![1; bytes];
        let insert = Insert { metadata: &[9; METADATA_BYTES_MAX], ..Insert::new(&value[..], Version::default(), 0) };
        rig.cache.insert(rig.hasher.hash(long), long, &insert, NOW).unwrap();
        rig.cache.peek(rig.hasher.hash(long), long, NOW).map(|hit| (hit.value().len(), hit.metadata().len()))
    };
    for bytes in [0, 1, 3_000, 8_000, 70_000, most] {
        assert_eq!(hit_len(&mut rig, bytes), Some((bytes, METADATA_BYTES_MAX)), "the largest that is allowed");
    }
}

#[test]
fn a_limit_out_of_range_is_refused() {
    let hasher = KeyHasher::new(1);
    let small = Cache::new(&CacheOptions::new(2 * MIB - 1, hasher));
    assert!(matches!(small, Err(CacheError::LimitTooSmall { .. })));
    let above = Cache::new(&CacheOptions {
        limit_bytes: 4 * MIB,
        ceiling_bytes: 2 * MIB,
        hasher,
        readers: 0,
        commit: Commit::AsNeeded,
    });
    assert!(matches!(above, Err(CacheError::LimitAboveCeiling { .. })));
    let beyond = Cache::new(&CacheOptions::new(u64::MAX, hasher));
    assert!(matches!(beyond, Err(CacheError::LimitAboveCeiling { ceiling_bytes, .. }) if ceiling_bytes == 1 << 40));
    let mut rig = Rig::new(64 * MIB);
    // 520 KiB of ghost and roots stay, and an index without items takes 128 KiB, beside 24 data segments.
    let table = [(2 * MIB, false), (4 * MIB - 1, false), (4 * MIB, true), (256 * MIB, true), (258 * MIB, false)];
    for (limit_bytes, allowed) in table {
        assert_eq!(rig.cache.resize(limit_bytes).is_ok(), allowed, "{limit_bytes}");
    }
}

#[test]
fn the_oldest_are_evicted_first() {
    let mut rig = Rig::new(2 * MIB);
    (0..4_000).for_each(|id| rig.put(id, 1_000, 0));
    let survivors = (0..4_000).filter(|&id| rig.has(id)).count() as u32;
    assert!((4_000 - survivors..4_000).all(|id| rig.has(id)), "{survivors} survivors are the newest");
    assert!(survivors > 1_600, "at least 80 % of 2 MiB hold values: {survivors}");
}

/// Keys that all have one root, whose page cannot grow for ever.
#[test]
fn full_buckets_lose_their_oldest() {
    let mut rig = Rig::new(2 * MIB);
    let of_one_root = |rig: &Rig, id: u32| index::place(rig.key(id).0.index(), 32).root == 7;
    let ids: Vec<u32> = (0..200_000).filter(|&id| of_one_root(&rig, id)).collect();
    for (n, &id) in ids.iter().enumerate() {
        rig.put(id, 1, 0);
        let newest = &ids[n.saturating_sub(20)..=n];
        assert!(newest.iter().all(|&newer| rig.has(newer)), "{id} displaced one that is newer than most");
    }
    let stats = rig.cache.stats();
    assert!(ids.len() > 5_000 && (3_900..=4_096).contains(&stats.items), "{} keys, {stats:?}", ids.len());
    assert_eq!((stats.evicted_for_slot, stats.evicted_for_room), (ids.len() as u64 - stats.items, 0));
}

#[test]
fn a_key_written_over_and_over_evicts_no_other() {
    // So small that all items are of one class.
    let mut rig = Rig::new(4 * MIB);
    // One in twenty records of a segment stays alive at first; then these move, time and again.
    for n in 0..60_000 {
        match n % 20 {
            0 if n < 30_000 => rig.put(n / 20, 1_000, 0),
            _ => rig.put(9_999, 1_000, NOW + 1),
        }
    }
    // What has moved beside records that expire must not go with them.
    rig.now_ms = NOW + 1;
    rig.maintain();
    assert!((0..1_500).all(|id| rig.has(id)));
    let stats = rig.cache.stats();
    assert_eq!(stats.evicted_for_room + stats.evicted_for_slot, 0);
    assert!(stats.moved_items > 0, "the living moved out of segments that were mostly dead");
}

#[test]
fn a_pinned_value_outlives_eviction_and_the_cache() {
    for bytes in [100, 50_000] {
        let mut rig = Rig::new(4 * MIB);
        rig.put(1, bytes, 0);
        let pinned = rig.pin(1).expect("nothing else is pinned");
        (2..20_000).for_each(|id| rig.put(id, 1_000, 0));
        let (hash, key) = rig.key(1);
        assert!(rig.has(1), "a pinned segment is passed over while others can be had");
        rig.cache.remove(hash, &key, NOW);
        (2..20_000).for_each(|id| rig.put(id, 1_000, 0));
        assert!(rig.cache.stats().bytes_pinned > 0 && rig.cache.stats().stalls == 0);
        drop(rig);
        let whole: Vec<u8> = pinned.value().pieces().flatten().copied().collect();
        assert_eq!(whole, vec![1; bytes]);
    }
}

#[test]
fn pins_are_bounded_and_given_back() {
    let mut rig = Rig::new(8 * MIB);
    // 127 data segments, less one or two of the index: 6 may be pinned. Each of these values has a segment of its own, or two.
    let mut pins = Vec::new();
    for id in 0..100 {
        rig.put(id, 60_000, 0);
        pins.extend(rig.pin(id));
    }
    let stats = rig.cache.stats();
    assert_eq!(stats.bytes_pinned, 6 << 16);
    assert!(stats.pins_refused > 0);
    (0..100).for_each(|id| {
        let (hash, key) = rig.key(id);
        rig.cache.remove(hash, &key, NOW);
    });
    assert!(rig.cache.stats().bytes_held >= 5 << 16, "dead, but not to be used: {:?}", rig.cache.stats());
    pins.clear();
    rig.maintain();
    let stats = rig.cache.stats();
    assert_eq!((stats.bytes_pinned, stats.bytes_held, stats.bytes_live), (0, 0, 0));
    rig.put(1, 10, 0);
    assert!(rig.pin(1).is_some());
}

#[test]
fn expired_items_go_without_being_read() {
    let mut rig = Rig::new(4 * MIB);
    (0..2_000).for_each(|id| rig.put(id, 1_000, NOW + 1_000));
    rig.now_ms = NOW + 999;
    rig.maintain();
    assert_eq!(rig.cache.stats().items, 2_000);
    // Maintenance has just looked at all segments; its next round is due a quarter of a second later.
    rig.now_ms = NOW + 999 + 250;
    rig.maintain();
    let stats = rig.cache.stats();
    assert_eq!((stats.items, stats.expired, stats.bytes_live), (0, 2_000, 0));
}

#[test]
fn a_touch_prolongs_every_part_of_a_large_value() {
    let mut rig = Rig::new(4 * MIB);
    rig.put(1, 500_000, NOW + 1_000);
    rig.put(2, 500_000, 0);
    let (hash, key) = rig.key(1);
    assert!(rig.cache.touch(hash, &key, 0, NOW).is_some());
    rig.now_ms = NOW + 2_000;
    rig.maintain();
    assert!(rig.has(1) && rig.has(2));
}

#[test]
fn memory_stays_within_the_limit_at_any_size() {
    let mut rig = Rig::new(4 * MIB);
    for limit_bytes in [4 * MIB, 16 * MIB, 6 * MIB, 2 * MIB, 8 * MIB] {
        rig.cache.resize(limit_bytes).unwrap();
        rig.maintain();
        assert!(!rig.cache.resize_pending());
        for (round, bytes) in [10, 1_000, 60_000, 900_000].into_iter().enumerate() {
            let count = (3 * limit_bytes as usize / (bytes + 100)) as u32;
            (0..count).for_each(|id| rig.put(id << 2 | round as u32, bytes, 0));
            assert!(rig.cache.arena.resident_bytes() <= limit_bytes, "the kernel's count, at {bytes} bytes a value");
        }
        assert!(rig.cache.arena.resident_bytes() > limit_bytes / 2, "the memory is used");
        assert_eq!(rig.cache.stats().bytes_committed, limit_bytes);
    }
}

#[test]
fn a_shrink_waits_for_pins_and_a_full_shard_says_so() {
    let mut rig = Rig::new(100 * MIB);
    // 78 segments may be pinned; the front of the arena is used first, so these fill the front.
    let pins: Vec<_> = (0..1_000)
        .map_while(|id| {
            rig.put(id, 60_000, 0);
            rig.pin(id)
        })
        .collect();
    rig.cache.resize(4 * MIB).unwrap();
    rig.maintain();
    assert!(rig.cache.resize_pending(), "the pins reach over 4 MiB");
    let refused = (0..10_000).any(|id| matches!(rig.try_put(id, 1_000, 0), Err(CacheError::NoRoom)));
    assert!(refused, "48 segments, all pinned");
    drop(pins);
    rig.maintain();
    assert!(!rig.cache.resize_pending());
    assert_eq!(rig.cache.stats().bytes_committed, 4 * MIB);
    assert!(rig.cache.arena.resident_bytes() <= 4 * MIB);
    rig.put(1, 1_000, 0);
    assert!(rig.has(1));
}

/// Reads keys that were stored; a miss stores them anew.
fn read_or_store(rig: &mut Rig, id: u32, bytes: usize) -> bool {
    let (hash, key) = rig.key(id);
    let hit = rig.cache.get(hash, &key, rig.now_ms).is_some();
    if !hit {
        rig.put(id, bytes, 0);
    }
    hit
}

#[test]
fn what_is_read_twice_outlives_a_scan() {
    for bytes in [1_000, 50_000, 150_000] {
        let mut rig = Rig::new(16 * MIB);
        let hot = 4_000_000 / bytes as u32;
        (0..3 * hot).for_each(|n| assert_eq!(read_or_store(&mut rig, n % hot, bytes), n >= hot));
        // Eight times the cache, each key once; the hot ones are read now and then.
        let scan = 8 * 16 * MIB as u32 / bytes as u32;
        let mut hits = 0;
        for n in 0..scan {
            rig.put(1_000_000 + n, bytes, 0);
            hits += u32::from(read_or_store(&mut rig, n % hot, bytes));
        }
        assert!(hits * 100 > scan * 99, "{hits} of {scan} reads of the hot {hot} keys of {bytes} bytes");
        let stats = rig.cache.stats();
        // A few are lost while whole segments are kept in a row, and come back.
        assert!(stats.promoted_items * 10 >= u64::from(hot) * 8 && stats.stalls == 0, "{stats:?}");
        assert_eq!(stats.moved_bytes > 0, bytes < 65_536, "large values are kept where they are");
    }
}

#[test]
fn what_comes_back_soon_goes_to_the_main_queue() {
    for bytes in [1_000, 50_000] {
        let mut rig = Rig::new(16 * MIB);
        let fitting = 14 * MIB as u32 / bytes as u32;
        (0..2 * fitting).for_each(|id| rig.put(id, bytes, 0));
        let id = (0..2 * fitting).rfind(|&id| !rig.has(id)).expect("half of them are gone");
        assert!(!read_or_store(&mut rig, id, bytes));
        // A few of the others were taken for one of those evicted before.
        assert!((1..20).contains(&rig.cache.stats().ghost_hits));
        // As many as the whole cache holds go through the small queue.
        (0..fitting).for_each(|n| rig.put(1_000_000 + n, bytes, 0));
        assert!(rig.has(id), "it is in the main queue ({bytes} bytes)");
    }
}

/// Even when everything is used all the time, storing goes on, a few records of work at a time.
#[test]
fn a_cache_full_of_hot_items_takes_new_ones() {
    for bytes in [500, 50_000] {
        let mut rig = Rig::new(16 * MIB);
        let fitting = 14 * MIB as u32 / bytes as u32;
        let mut newest_lost = 0;
        for n in 0..6 * fitting {
            for age in 0..3 {
                read_or_store(&mut rig, n.saturating_sub(age * fitting / 8), bytes);
            }
            newest_lost += u32::from(!rig.has(n));
        }
        let stats = rig.cache.stats();
        assert_eq!((newest_lost, stats.stalls), (0, 0), "{stats:?}");
        assert!(stats.bytes_live > 9 * MIB, "{stats:?}");
    }
}

/// Nothing is pinned, so there is room, even if every segment has something that is worth keeping.
#[test]
fn a_cache_full_of_hot_large_items_takes_large_ones() {
    let mut rig = Rig::new(4 * MIB);
    for n in 0..2_000 {
        // One that needs several segments at once, after all were found hot.
        for id in 0..12 {
            for _ in 0..3 {
                read_or_store(&mut rig, id, 250_000);
            }
        }
        rig.put(1_000 + n, 900_000, 0);
    }
    assert_eq!(
        rig.cache.stats().inserts - rig.cache.stats().replaced,
        rig.cache.stats().items + rig.cache.stats().evicted_for_room
    );
}

/// A naive S3-FIFO of objects of equal size.
#[derive(Default)]
struct Model {
    frequency: std::collections::HashMap<u32, u8>,
    small: std::collections::VecDeque<u32>,
    main: std::collections::VecDeque<u32>,
    ghost: std::collections::VecDeque<u32>,
}

impl Model {
    fn read_or_store(&mut self, id: u32, capacity: usize) -> bool {
        if let Some(frequency) = self.frequency.get_mut(&id) {
            *frequency = (*frequency + 1).min(3);
            return true;
        }
        while self.small.len() + self.main.len() >= capacity {
            self.evict(capacity);
        }
        match self.ghost.iter().position(|&known| known == id) {
            Some(at) => {
                self.ghost.remove(at);
                self.main.push_back(id);
            }
            None => self.small.push_back(id),
        }
        self.frequency.insert(id, 0);
        false
    }

    fn evict(&mut self, capacity: usize) {
        if self.small.len() * 10 >= capacity || self.main.is_empty() {
            let id = self.small.pop_front().expect("one of the two is not empty");
            if self.frequency[&id] >= 2 {
                self.frequency.insert(id, 0);
                return self.main.push_back(id);
            }
            self.frequency.remove(&id);
            self.ghost.push_back(id);
            if self.ghost.len() > capacity * 9 / 10 {
                self.ghost.pop_front();
            }
        } else {
            let id = self.main.pop_front().expect("not empty");
            match self.frequency[&id] {
                0 => drop(self.frequency.remove(&id)),
                uses => {
                    self.frequency.insert(id, uses - 1);
                    self.main.push_back(id);
                }
            }
        }
    }
}

#[test]
fn the_miss_ratio_is_that_of_s3_fifo_by_objects() {
    let mut rig = Rig::new(16 * MIB);
    let bytes = 1_600;
    let (mut random, mut model) = (9_u64, Model::default());
    let capacity = 9_900;
    let (mut missed, mut missed_by_model, requests) = (0, 0, 400_000);
    for n in 0..requests {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // About Zipf: the logarithm is spread evenly. One in four is a scan.
        let spread = (random >> 33) as f64 / f64::from(1 << 31);
        let id = if random >> 20 & 3 == 0 { 1_000_000 + n } else { (spread * 120_000_f64.ln()).exp() as u32 };
        missed += u32::from(!read_or_store(&mut rig, id, bytes));
        missed_by_model += u32::from(!model.read_or_store(id, capacity));
        if n % 16 == 0 {
            rig.cache.maintain(rig.now_ms, 16);
        }
    }
    let items = rig.cache.stats().items as i64;
    assert!((items - capacity as i64).abs() < 200, "the model holds as many: {items}");
    let difference = (f64::from(missed) - f64::from(missed_by_model)) / f64::from(requests);
    assert!(difference.abs() < 0.005, "{difference}: {missed} and {missed_by_model} of {requests}");
}

#[test]
fn memory_is_committed_when_it_is_said_to_be() {
    let hasher = KeyHasher::new(1);
    for (commit, is_there) in [(Commit::AsNeeded, false), (Commit::AtStart, true)] {
        let cache = Cache::new(&CacheOptions { commit, ..CacheOptions::new(16 * MIB, hasher) }).unwrap();
        assert_eq!(cache.arena.resident_bytes() >= 16 * MIB, is_there, "{commit:?}");
        assert!(cache.arena.resident_bytes() <= 16 * MIB, "{commit:?}: no more than the limit");
    }
}

#[test]
fn memory_is_told_by_time_to_live_and_queues_by_age() {
    let mut rig = Rig::new(64 * MIB);
    let bytes_of = |rig: &Rig, name: &str| {
        let group = CacheStats::GROUPS.iter().position(|group| *group == name).unwrap();
        rig.cache.stats().bytes_by_group[group]
    };
    for id in 0..1000 {
        rig.put(id, 1000, 0);
        rig.put(1000 + id, 1000, NOW + 60_000);
    }
    rig.put(5000, 1 << 20, 0);
    let sum: u64 = rig.cache.stats().bytes_by_group.iter().sum();
    let (never, large) = (bytes_of(&rig, "never"), bytes_of(&rig, "large"));
    assert!(never >= 1_000_000 && large >= MIB, "{never}, {large}");
    assert!(sum >= never + large + 1_000_000, "those that live for a minute are told as well: {sum}");
    rig.now_ms = NOW + 5_000;
    rig.put(6000, 10, 0);
    assert_eq!((rig.cache.stats().oldest_small_ms, rig.cache.stats().oldest_main_ms), (5_000, 0));
}
