use super::super::arena::CHUNK_BYTES;
use super::super::segments::{SegmentId, Segments, State};
use super::super::{Cache, CacheError, CacheOptions, Insert, KeyHasher, Version};
use super::page::{BUCKETS_MAX, SLOTS_PER_BUCKET};
use super::slot::TAG_BITS;
use super::*;

const MIB: u64 = 1 << 20;
const NOW: u64 = 1_700_000_000_000;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn slot(&mut self, number: u64) -> Slot {
        Slot::new(tag_of(self.bits()), Location::from_units(1 + number), number % 4)
    }
}

/// A page in an arena of its own, and the memory for the next one.
struct Bench {
    arena: Arena,
    page: Page,
    slots: Vec<Slot>,
    growths: u32,
}

impl Bench {
    fn new() -> Self {
        let arena = Arena::reserve(CHUNK_BYTES, 16).unwrap();
        Self { arena, page: Page { at: 0, buckets: BUCKETS_MIN as u32 }, slots: Vec::new(), growths: 0 }
    }

    /// Puts a slot where the page has a place for it; else the page grows. `false` at the end of growth.
    fn put(&mut self, slot: Slot) -> bool {
        loop {
            let (page, tag) = (self.page, slot.tag());
            let most = page.displaced_max(self.slots.len() as u64);
            if let Some(at) = page.vacancy(&self.arena, tag).or_else(|| page.displace(&mut self.arena, tag, most)) {
                self.arena.store(at, slot.0);
                self.slots.push(slot);
                return true;
            }
            let Some(buckets) = (0..4).map(|tried| page.grown(tried)).find(|&buckets| self.is_laid_out(buckets)) else {
                return false;
            };
            assert_eq!(self.page.buckets, buckets);
            self.growths += 1;
        }
    }

    /// Lays the page out anew in the other half of the arena.
    fn is_laid_out(&mut self, buckets: u32) -> bool {
        let to = Page { at: CHUNK_BYTES / 2 - self.page.at, buckets };
        let done = buckets != self.page.buckets && self.page.lay_out(&mut self.arena, to);
        if done {
            self.page = to;
        }
        done
    }

    fn load(&self) -> f64 {
        self.slots.len() as f64 / self.page.slots() as f64
    }

    /// Every slot lies once, in one of its two buckets, and there is nothing else.
    fn assert_complete(&self) {
        let words = (0..self.page.slots()).map(|n| self.arena.load(self.page.at + n as usize * WORD_BYTES));
        let mut found: Vec<u64> = words.filter(|&word| word != 0).collect();
        let mut expected: Vec<u64> = self.slots.iter().map(|slot| slot.0).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
        for slot in &self.slots {
            let buckets = self.page.candidates(slot.tag());
            assert!(buckets.iter().any(|&bucket| self.arena.line(bucket).contains(&slot.0)), "{slot:?}");
        }
    }
}

#[test]
fn an_item_has_two_different_buckets_and_all_are_used_alike() {
    for buckets in [2, 3, 4, 7, 26, 100, 511, 512] {
        let page = Page { at: 0, buckets };
        let mut counts = vec![[0_u32; 2]; buckets as usize];
        for tag in 1..1 << TAG_BITS {
            let [home, other] = page.candidates(tag).map(|at| at / BUCKET_BYTES);
            assert_ne!(home, other);
            counts[home][0] += 1;
            counts[other][1] += 1;
        }
        let fair = f64::from(1 << TAG_BITS) / f64::from(buckets);
        for count in counts.into_iter().flatten() {
            assert!((f64::from(count) / fair - 1.0).abs() < 0.05, "{count} of {buckets} buckets, {fair} is fair");
        }
    }
}

#[test]
fn a_page_is_nearly_full_when_it_grows_and_loses_nothing() {
    for (seed, items) in [(1, 20), (2, 100), (3, 211), (4, 850), (5, 3_900)] {
        let mut bench = Bench::new();
        let mut random = Random(seed);
        let mut loads_before = Vec::new();
        for number in 0..items {
            let (growths, load) = (bench.growths, bench.load());
            assert!(bench.put(random.slot(number)), "{number} of {items}, {} buckets", bench.page.buckets);
            if bench.growths > growths {
                loads_before.push(load);
                bench.assert_complete();
            }
        }
        bench.assert_complete();
        // From the eighth growth on: pages of a few buckets are full by chance, or far from it.
        let late = &loads_before[loads_before.len().min(8)..];
        let mean = late.iter().sum::<f64>() / late.len().max(1) as f64;
        assert!(late.is_empty() || mean > 0.94, "{items} items: {mean} full before a growth");
        assert!(bench.load() > 0.82, "{items} items: {} full", bench.load());
    }
}

#[test]
fn a_page_takes_what_it_can_and_no_more() {
    let mut bench = Bench::new();
    let mut random = Random(7);
    let taken = (0..10_000).take_while(|&number| bench.put(random.slot(number))).count();
    assert_eq!(bench.page.buckets as usize, BUCKETS_MAX);
    assert!(taken * 100 > BUCKETS_MAX * SLOTS_PER_BUCKET * 96, "{taken}");
    bench.assert_complete();
    // Slots of one tag have two buckets, whatever the size.
    let mut bench = Bench::new();
    let alike = |number| Slot::new(77, Location::from_units(number), 0);
    assert_eq!((1..40).take_while(|&number| bench.put(alike(number))).count(), 16);
    bench.assert_complete();
}

#[test]
fn a_page_that_lost_items_is_laid_out_smaller_and_loses_nothing() {
    let mut bench = Bench::new();
    let mut random = Random(9);
    (0..2_000).for_each(|number| assert!(bench.put(random.slot(number))));
    assert_eq!(bench.page.shrunk(2_000), None);
    while let Some(slot) = bench.slots.pop() {
        let buckets = bench.page.candidates(slot.tag());
        let at = buckets.into_iter().flat_map(|bucket| (0..8).map(move |n| bucket + n * WORD_BYTES));
        let at = at.into_iter().find(|&at| bench.arena.load(at) == slot.0).expect("it is in one of its buckets");
        bench.arena.store(at, 0);
        if let Some(buckets) = bench.page.shrunk(bench.slots.len() as u64) {
            let before = bench.load();
            assert!(before < 0.83 && bench.is_laid_out(buckets), "{} items in {buckets}", bench.slots.len());
            bench.assert_complete();
            assert_eq!(bench.page.shrunk(bench.slots.len() as u64), None, "once is enough");
        }
    }
    assert_eq!(bench.page.buckets as usize, BUCKETS_MIN);
}

#[test]
fn a_root_says_where_its_page_is_and_how_many_items_it_has() {
    let page = Page { at: (1 << 40) - 64, buckets: BUCKETS_MAX as u32 };
    let root = Root::new(page, 4_095).with_one_more();
    assert_eq!((root.page(), root.items()), (page, 4_096));
    assert_eq!(root.with_one_less().items(), 4_095);
    let ends = [0, u64::MAX].map(|hash| place(hash, 1_000));
    assert_eq!(ends.map(|place| place.root), [0, 999]);
    assert_eq!(ends.map(|place| place.tag), [1, (1 << TAG_BITS) - 1]);
}

/// What is dead and alive, counted page by page.
fn assert_account(cache: &Cache) {
    let mut live = std::collections::HashMap::<SegmentId, u64>::new();
    let (mut items, mut live_bytes) = (0, 0);
    for root in 0..cache.index.roots as RootId {
        let word = root_in(&cache.arena, root);
        let page = word.page();
        let slots = (0..page.slots()).filter(|n| cache.arena.load(page.at + *n as usize * WORD_BYTES) != 0).count();
        assert_eq!(slots as u64, word.items(), "root {root}");
        *live.entry(cache.index.space.segment_of(page)).or_default() += page.bytes() as u64;
        items += word.items();
        live_bytes += page.bytes() as u64;
    }
    assert_eq!((items, live_bytes), (cache.index.items, cache.index.space.live_bytes()));
    let segments: &Segments = &cache.segments;
    let taken = (0..cache.geometry.segments_max() as SegmentId)
        .filter(|&id| matches!(segments.at(id).state, State::Index | State::Emptying));
    for id in taken {
        assert_eq!(u64::from(segments.at(id).live_bytes), live.remove(&id).unwrap_or_default(), "segment {id}");
    }
    assert!(live.is_empty(), "pages lie in segments of the index: {live:?}");
}

struct Rig {
    cache: Cache,
    hasher: KeyHasher,
    stored: u64,
    work_max: u64,
}

impl Rig {
    fn new(limit_bytes: u64) -> Self {
        let hasher = KeyHasher::new(5);
        let cache = Cache::new(&CacheOptions::new(limit_bytes, hasher)).unwrap();
        Self { cache, hasher, stored: 0, work_max: 0 }
    }

    fn put(&mut self, count: u64, value_bytes: usize) {
        let value = vec![7; value_bytes];
        for _ in 0..count {
            let (key, work) = (self.stored.to_le_bytes(), self.cache.stats().work_units);
            let insert = Insert::new(&value[..], Version::from_bits(self.stored), 0);
            self.cache.insert(self.hasher.hash(&key), &key, &insert, NOW).unwrap();
            self.work_max = self.work_max.max(self.cache.stats().work_units - work);
            self.stored += 1;
        }
    }

    fn load(&self) -> f64 {
        let stats = self.cache.stats();
        stats.items as f64 * 8.0 / stats.bytes_pages as f64
    }
}

#[test]
fn pages_are_nearly_full_at_any_count_of_items() {
    let mut rig = Rig::new(32 * MIB);
    for step in 0..60 {
        rig.put(5_000, 100);
        // With fewer than that, most pages have as few buckets as can be.
        let load_min = if rig.stored < 25_000 { 0.5 } else { 0.82 };
        assert!(rig.load() > load_min, "{} full at {} items", rig.load(), rig.cache.stats().items);
        if step % 10 == 0 {
            assert_account(&rig.cache);
        }
    }
    let stats = rig.cache.stats();
    assert!(stats.evicted_for_room > 50_000 && stats.evicted_for_slot < 10 && stats.stalls == 0, "{stats:?}");
    // The items of the usual insert: some of the drained, a page that grew, a page that moved.
    assert!(rig.work_max < 120, "{} units in one insert", rig.work_max);
}

/// Items become larger, then smaller again: memory goes from the index to the data and back.
#[test]
fn the_index_follows_the_size_of_the_items() {
    let mut rig = Rig::new(32 * MIB);
    let mut seen = Vec::new();
    for (value_bytes, count) in [(16, 1_500_000), (100_000, 1_000), (16, 1_500_000), (4_000, 20_000), (900_000, 100)] {
        rig.put(count, value_bytes);
        assert_account(&rig.cache);
        let stats = rig.cache.stats();
        seen.push(stats);
        let segment_bytes = 1 << 16;
        let least = stats.bytes_pages + (1 << 18) + 4_096 + segment_bytes;
        // A part of what is dead, and two segments that are not full.
        assert!(stats.bytes_index <= least + least / 6 + 3 * segment_bytes, "{value_bytes}: {stats:?}");
        assert_eq!(stats.stalls, 0, "{value_bytes}: {stats:?}");
    }
    let pages: Vec<u64> = seen.iter().map(|stats| stats.bytes_pages).collect();
    assert!(pages[1] < pages[0] / 20 && pages[4] < pages[0] / 20, "{pages:?}");
    assert!(pages[2] * 100 > pages[0] * 97, "{pages:?}");
    assert!(seen[1].bytes_live > 28 * MIB, "{:?}", seen[1]);
    let items: Vec<u64> = seen.iter().map(|stats| stats.items).collect();
    assert!(items[2] * 100 > items[0] * 97, "{items:?}");
    assert!(seen.iter().all(|stats| stats.evicted_for_slot < 100), "{seen:?}");
}

/// The index gives way to the largest value, and to the least limit.
#[test]
fn an_index_of_tiny_items_makes_room() {
    for limit_bytes in [2, 4, 20] {
        let mut rig = Rig::new(limit_bytes * MIB);
        rig.put(limit_bytes * MIB / 40, 0);
        rig.put(1, rig.cache.value_bytes_max());
        rig.put(limit_bytes * MIB / 40, 0);
        assert_account(&rig.cache);
        let refused = rig.cache.resize(0).unwrap_err();
        let CacheError::LimitTooSmall { minimum_bytes, .. } = refused else { panic!("{refused}") };
        rig.cache.resize(minimum_bytes).unwrap();
        let mut calls = 0;
        while rig.cache.resize_pending() {
            rig.cache.maintain(NOW, 100);
            calls += 1;
            assert!(calls < 200_000, "{:?}", rig.cache.stats());
        }
        assert_eq!(rig.cache.stats().bytes_committed, minimum_bytes);
        assert_account(&rig.cache);
        // And back, with items that use the memory.
        rig.cache.resize(limit_bytes * MIB).unwrap();
        rig.put(limit_bytes * MIB / 100, 100);
        while rig.cache.resize_pending() {
            rig.cache.maintain(NOW, 100);
        }
        rig.put(2 * limit_bytes * MIB / 100, 100);
        assert_account(&rig.cache);
        let stats = rig.cache.stats();
        assert!(stats.bytes_live * 100 > limit_bytes * MIB * 70 && stats.evicted_for_slot == 0, "{stats:?}");
    }
}

/// Removed items leave pages that are too large; maintenance finds them, a bit at a time, and then has nothing to do.
#[test]
fn maintenance_shrinks_the_index_of_an_emptied_cache() {
    let mut rig = Rig::new(16 * MIB);
    rig.put(200_000, 16);
    let full = rig.cache.stats();
    for id in 0..rig.stored {
        let key = id.to_le_bytes();
        rig.cache.remove(rig.hasher.hash(&key), &key, NOW);
    }
    let mut calls = 0;
    while rig.cache.maintain(NOW, 10) >= 10 {
        calls += 1;
        assert!(calls < 10_000);
    }
    assert_account(&rig.cache);
    let stats = rig.cache.stats();
    assert_eq!(stats.items, 0);
    assert_eq!(stats.bytes_pages, 256 * PAGE_BYTES_MIN as u64, "{full:?} {stats:?}");
    assert!(stats.bytes_index <= full.bytes_index / 4, "{full:?} {stats:?}");
}
