//! The model, and one run of the cache beside it.

use std::collections::HashMap;
use std::sync::OnceLock;

use shardstore::cache::{
    Cache, CacheError, CacheOptions, CacheStats, Hit, Insert, Pinned, SLICE_BYTES_MAX, StagedItem, Value, ValueParts,
};
use shardstore::key::{KeyHash, KeyHasher};
use shardstore::version::Version;

use crate::random::Random;

/// What a run does; see the cases in `main.rs`.
pub(crate) struct Mix {
    pub(crate) name: &'static str,
    pub(crate) limit_bytes: u64,
    pub(crate) keys: usize,
    /// Values have one of these sizes, or up to 10 % less.
    pub(crate) value_bytes: &'static [usize],
    /// Sizes that come in turn with those, if there are any; how many steps each of the two lasts.
    pub(crate) later_bytes: &'static [usize],
    pub(crate) turn_steps: [u64; 2],
    pub(crate) ttl_ms: &'static [u64],
    /// Nine of ten writes go to a hundred keys.
    pub(crate) skewed: bool,
    pub(crate) pins: bool,
    pub(crate) resizes: bool,
    /// Half of the large values come slice by slice.
    pub(crate) stages: bool,
}

impl Mix {
    pub(crate) const BASE: Self = Self {
        name: "",
        limit_bytes: 0,
        keys: 0,
        value_bytes: &[],
        later_bytes: &[],
        turn_steps: [0; 2],
        ttl_ms: &[0, 0, 30_000],
        skewed: false,
        pins: false,
        resizes: false,
        stages: false,
    };
}

/// What the model knows of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    version: Version,
    expire_ms: u64,
    content: Content,
    metadata_len: usize,
    flags: u8,
}

impl Entry {
    fn is_alive(&self, now_ms: u64) -> bool {
        self.expire_ms == 0 || now_ms < self.expire_ms
    }
}

/// A value: a part of the pool of random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Content {
    offset: usize,
    len: usize,
}

/// A quarter more than the largest value; Miri takes a while for each byte, and has small values.
const POOL_BYTES: usize = if cfg!(miri) { 160 << 10 } else { 20 << 20 };

impl Content {
    fn bytes(self) -> &'static [u8] {
        static POOL: OnceLock<Vec<u8>> = OnceLock::new();
        let pool = POOL.get_or_init(|| {
            let mut random = Random::new(7);
            (0..POOL_BYTES / 8).flat_map(|_| random.bits().to_le_bytes()).collect()
        });
        &pool[self.offset..self.offset + self.len]
    }

    fn assert_is(self, value: &Value<'_>) {
        assert_eq!(value.len(), self.len);
        let mut rest = self.bytes();
        for piece in value.pieces() {
            let (here, after) = rest.split_at(piece.len());
            assert!(here == piece, "a value's bytes are those that were stored");
            rest = after;
        }
        assert!(rest.is_empty(), "a value has all its pieces");
    }
}

/// Values that are on their way at a time.
const STAGED_MAX: usize = 2;

/// A cache, its model, and the virtual time of both.
pub(crate) struct Run<'m> {
    mix: &'m Mix,
    random: Random,
    cache: Cache,
    model: HashMap<u32, Entry>,
    pinned: Vec<(Pinned, Content)>,
    /// What is being copied, and the entry that it will be.
    staged: Vec<(u32, Entry, StagedItem)>,
    hasher: KeyHasher,
    now_ms: u64,
    versions: u64,
    limit_bytes: u64,
    /// The sizes of this turn, and the steps until they change.
    sizes: &'static [usize],
    turn_left: u64,
    turns: u64,
    /// Living entries of the model that the cache did not have.
    vanished: u64,
    label: String,
}

impl<'m> Run<'m> {
    pub(crate) fn new(mix: &'m Mix, seed: u64) -> Self {
        let hasher = KeyHasher::new(seed);
        let cache = Cache::new(&CacheOptions::new(mix.limit_bytes, hasher)).expect("the sizes of the mix are valid");
        Self {
            mix,
            random: Random::new(seed),
            cache,
            model: HashMap::new(),
            pinned: Vec::new(),
            staged: Vec::new(),
            hasher,
            now_ms: 1_700_000_000_000,
            versions: 0,
            limit_bytes: mix.limit_bytes,
            sizes: mix.value_bytes,
            turn_left: if mix.later_bytes.is_empty() { u64::MAX } else { mix.turn_steps[0] },
            turns: 0,
            vanished: 0,
            label: format!("mix {} seed {seed}", mix.name),
        }
    }

    pub(crate) fn step(&mut self) {
        match self.random.below(100) {
            0..=39 => self.insert(),
            40..=79 => self.lookup(),
            80..=84 => self.remove(),
            85..=89 => self.touch(),
            90..=94 => self.now_ms += self.random.pick(&[0, 1, 1, 10, 200]),
            95 => self.maintain(),
            96 if self.mix.stages => (0..self.random.below(60)).for_each(|_| self.stage_on()),
            96 => self.maintain(),
            97 if self.mix.pins => self.pin(),
            98 if self.mix.pins => self.unpin(),
            99 if self.mix.resizes => self.resize(),
            _ => self.lookup(),
        }
        self.assert_bounds();
        self.turn_left -= 1;
        if self.turn_left == 0 {
            self.turn();
        }
    }

    /// Items of other sizes come from now on. The index has the size that those of the last turn need, and no more.
    fn turn(&mut self) {
        let stats = self.cache.stats();
        let fixed_bytes = self.mix.limit_bytes / 100 + 4 * self.segment_bytes();
        let index_bytes_max = stats.bytes_pages * 9 / 8 + fixed_bytes;
        assert!(stats.bytes_index <= index_bytes_max, "{}: {stats:?}", self.label);
        let least_pages_bytes = self.mix.limit_bytes / 512;
        let pages_bytes_max = stats.items * 8 * 3 / 2 + 2 * least_pages_bytes;
        assert!(stats.bytes_pages <= pages_bytes_max, "{}: {stats:?}", self.label);
        self.turns += 1;
        let later = self.turns % 2 == 1;
        self.sizes = if later { self.mix.later_bytes } else { self.mix.value_bytes };
        self.turn_left = self.mix.turn_steps[usize::from(later)];
    }

    /// Checks every key, then that nothing stays pinned; returns how many items were evicted.
    pub(crate) fn finish(mut self) -> CacheStats {
        while !self.pinned.is_empty() {
            self.unpin();
        }
        while !self.staged.is_empty() {
            self.stage_on();
        }
        // Each call looks at a few of the segments that had pins, so it takes some.
        for _ in 0..1_000 {
            self.cache.maintain(self.now_ms, 1_000);
        }
        let stats = self.cache.stats();
        assert_eq!((stats.bytes_pinned, stats.bytes_held, stats.bytes_filling), (0, 0, 0), "{}", self.label);
        assert!(!self.cache.resize_pending(), "{}: a resize ends once nothing is pinned", self.label);
        let mut found = 0;
        for id in 0..self.mix.keys as u32 {
            found += u64::from(self.check_key(id, false));
        }
        let expired = self.model.values().filter(|entry| !entry.is_alive(self.now_ms)).count() as u64;
        assert!((found..=found + expired).contains(&stats.items), "{}: {found} {expired} {stats:?}", self.label);
        let gone = stats.replaced + stats.removed + stats.expired + stats.evicted_for_room + stats.evicted_for_slot;
        assert_eq!(stats.items, stats.inserts - gone, "{}", self.label);
        stats
    }

    fn key(&self, id: u32) -> (KeyHash, Vec<u8>) {
        // Lengths from 4 to 67 bytes; the id makes them distinct.
        let mut key = id.to_le_bytes().to_vec();
        key.resize(4 + id as usize % 64, b'k');
        (self.hasher.hash(&key), key)
    }

    fn any_id(&mut self) -> u32 {
        self.random.below(self.mix.keys) as u32
    }

    fn alive(&self, id: u32) -> Option<&Entry> {
        self.model.get(&id).filter(|entry| entry.is_alive(self.now_ms))
    }

    /// The model's answer, when the cache has no such key: it was evicted, and the counters must have room for that.
    fn vanish(&mut self, id: u32) {
        if self.alive(id).is_some() {
            self.vanished += 1;
            let stats = self.cache.stats();
            let evicted = stats.evicted_for_room + stats.evicted_for_slot;
            assert!(self.vanished <= evicted, "{}: key {id} was lost, not evicted", self.label);
            self.model.remove(&id);
        }
    }

    /// What the cache said of a version against what the model has.
    fn assert_version(&mut self, id: u32, said: Option<Version>) {
        match said {
            Some(version) => {
                let known = self.alive(id).map(|entry| entry.version);
                assert_eq!(Some(version), known, "{}: key {id}", self.label);
            }
            None => self.vanish(id),
        }
    }

    fn insert(&mut self) {
        let id = if self.mix.skewed && self.random.chance(90) { self.random.below(100) as u32 } else { self.any_id() };
        let (hash, key) = self.key(id);
        let most = self.random.pick(self.sizes);
        let len = most - self.random.below(most / 10 + 1);
        let content = Content { offset: self.random.below(POOL_BYTES - len), len };
        let ttl_ms = self.random.pick(self.mix.ttl_ms);
        self.versions += 1;
        let entry = Entry {
            version: Version::from_bits(self.versions),
            expire_ms: if ttl_ms == 0 { 0 } else { self.now_ms + ttl_ms },
            content,
            metadata_len: self.random.pick(&[0, 0, 10, 255]),
            flags: self.random.below(16) as u8,
        };
        let (left, right) = content.bytes().split_at(self.random.below(len + 1));
        let parts = [left, &[], right];
        let before = self.cache.stats();
        if self.mix.stages && len > 32 << 10 && self.random.chance(50) {
            return self.stage(id, entry);
        }
        let insert = Insert {
            value: if self.random.chance(50) { ValueParts::One(content.bytes()) } else { ValueParts::Many(&parts) },
            metadata: Content { offset: 0, len: entry.metadata_len }.bytes(),
            version: entry.version,
            expire_ms: entry.expire_ms,
            value_crc32c: self.versions as u32,
            flags: entry.flags,
        };
        match self.cache.insert(hash, &key, &insert, self.now_ms) {
            Ok(inserted) => {
                self.assert_version(id, inserted.replaced);
                self.model.insert(id, entry);
            }
            Err(CacheError::ValueTooLarge { value_bytes_max, .. }) => assert!(len > value_bytes_max, "{}", self.label),
            Err(CacheError::NoRoom) => self.assert_scarce(),
            Err(error) => panic!("{}: {error}", self.label),
        }
        let after = self.cache.stats();
        let work = after.work_units - before.work_units;
        // One that had to wait has drained a whole segment.
        let waited = (after.stalls - before.stalls) * self.segment_bytes() / 32;
        let bound = self.work_bound(24 + key.len() + 256 + len) + waited;
        assert!(work <= bound, "{}: {work} units for {len} bytes, the bound is {bound}", self.label);
    }

    fn assert_scarce(&self) {
        let is_scarce = self.mix.pins || !self.staged.is_empty();
        assert!(is_scarce, "{}: only pins and values on their way make room scarce", self.label);
    }

    /// Begins to store a value slice by slice, two at a time.
    fn stage(&mut self, id: u32, entry: Entry) {
        if self.staged.len() == STAGED_MAX {
            return self.stage_on();
        }
        let (hash, key) = self.key(id);
        // What is said of it now is other than what it is linked with.
        let insert = Insert { version: Version::default(), value_crc32c: 0, ..insert_of(&entry) };
        match self.cache.stage(hash, &key, &insert, self.now_ms) {
            Ok(item) => self.staged.push((id, entry, item)),
            Err(CacheError::ValueTooLarge { value_bytes_max, .. }) => {
                assert!(entry.content.len > value_bytes_max, "{}", self.label);
            }
            Err(error) => panic!("{}: {error}", self.label),
        }
    }

    /// Copies a slice of one of the values that are on their way; links it when it is whole. Now and then one is abandoned.
    fn stage_on(&mut self) {
        if self.staged.is_empty() {
            return;
        }
        let (id, mut entry, mut item) = self.staged.swap_remove(self.random.below(self.staged.len()));
        if self.random.below(200) == 0 {
            return self.cache.abandon_staged(item);
        }
        let before = self.cache.stats();
        let rest = &entry.content.bytes()[item.copied_bytes()..];
        let rest = &rest[..rest.len() - self.random.pick(&[0, 0, rest.len() / 2, rest.len() - 1])];
        let copied = match self.cache.stage_slice(&mut item, rest, self.now_ms) {
            Ok(copied) => copied,
            Err(CacheError::NoRoom) => {
                // Itself, too, may be what makes it scarce.
                assert!(self.mix.pins || !self.staged.is_empty() || self.mix.resizes, "{}", self.label);
                return self.cache.abandon_staged(item);
            }
            Err(error) => panic!("{}: {error}", self.label),
        };
        self.assert_slice(&before, copied);
        if !item.is_whole() {
            return self.staged.push((id, entry, item));
        }
        self.versions += 1;
        entry.version = Version::from_bits(self.versions);
        let (_, key) = self.key(id);
        let inserted = self.cache.link_staged(item, &key, &insert_of(&entry), self.now_ms);
        self.assert_version(id, inserted.replaced);
        self.model.insert(id, entry);
    }

    fn assert_slice(&self, before: &CacheStats, copied: usize) {
        let after = self.cache.stats();
        assert!(copied <= SLICE_BYTES_MAX, "{}: {copied} bytes in one slice", self.label);
        assert_eq!(after.staged_bytes - before.staged_bytes, copied as u64, "{}", self.label);
        // As `maintain`, and the upkeep of the index that so many bytes owe.
        let upkeep = copied as u64 / 8192 + (copied as u64 / 16384 + 1) * 128;
        let bound = 128 + 130 + (self.value_bytes_max() >> 16) as u64 + self.segment_bytes() / 256 + upkeep;
        let work = after.work_units - before.work_units;
        assert!(work <= bound, "{}: {work} units for a slice of {copied} bytes, the bound is {bound}", self.label);
    }

    /// Work an insert of so many bytes may do: four times the bytes are walked, in records of at least 32 bytes and copies at
    /// 256 bytes a unit; the last record may be an eighth of a segment or the head of the largest value; a chained item drains
    /// the whole segments it needs, and one more; each search of the segment table counts 4; the rest is for a page of the index
    /// that grows and one that moves.
    fn work_bound(&self, bytes: usize) -> u64 {
        let (segment_bytes, value_max) = (self.segment_bytes() as usize, self.value_bytes_max());
        let paced = 4 * bytes / 32 + 4 * bytes / 256 + segment_bytes / 8 / 256 + value_max / segment_bytes + 64;
        let chained = if bytes > segment_bytes / 8 { (bytes + 2 * segment_bytes) / 32 * 2 } else { 0 };
        (paced + chained) as u64
    }

    fn segment_bytes(&self) -> u64 {
        if self.mix.limit_bytes < 128 << 20 { 64 << 10 } else { 256 << 10 }
    }

    fn value_bytes_max(&self) -> usize {
        *self.mix.value_bytes.iter().chain(self.mix.later_bytes).max().expect("a mix has sizes")
    }

    fn lookup(&mut self) {
        let id = self.any_id();
        let counted = self.random.chance(50);
        self.check_key(id, counted);
    }

    fn check_key(&mut self, id: u32, counted: bool) -> bool {
        let (hash, key) = self.key(id);
        let entry = self.alive(id).copied();
        let hit =
            if counted { self.cache.get(hash, &key, self.now_ms) } else { self.cache.peek(hash, &key, self.now_ms) };
        let Some(hit) = hit else {
            self.vanish(id);
            return false;
        };
        let entry = entry.unwrap_or_else(|| panic!("{}: key {id} should be absent, {hit:?}", self.label));
        assert_eq!(hit.version(), entry.version, "{}: key {id}", self.label);
        assert_hit(&hit, &entry);
        true
    }

    fn remove(&mut self) {
        let id = self.any_id();
        let (hash, key) = self.key(id);
        let removed = self.cache.remove(hash, &key, self.now_ms);
        self.assert_version(id, removed);
        if removed.is_some() {
            self.model.remove(&id);
        }
    }

    fn touch(&mut self) {
        let id = self.any_id();
        let (hash, key) = self.key(id);
        let ttl_ms = self.random.pick(self.mix.ttl_ms);
        let expire_ms = if ttl_ms == 0 { 0 } else { self.now_ms + ttl_ms };
        let touched = self.cache.touch(hash, &key, expire_ms, self.now_ms);
        self.assert_version(id, touched);
        if touched.is_some() {
            self.model.entry(id).and_modify(|entry| entry.expire_ms = expire_ms);
        }
    }

    fn maintain(&mut self) {
        let budget = self.random.pick(&[1, 10, 100]);
        let done = self.cache.maintain(self.now_ms, budget);
        let value_max = self.value_bytes_max();
        // The last record may be a large value that is copied: at most a segment, which is larger in a larger shard.
        let segment_bytes = if self.mix.limit_bytes < 128 << 20 { 64 << 10 } else { 256 << 10 };
        let overshoot = 130 + (value_max >> 16) as u32 + segment_bytes / 256;
        assert!(done <= budget + overshoot, "{}: {done} units in a slice of {budget}", self.label);
    }

    fn pin(&mut self) {
        let id = self.any_id();
        let (hash, key) = self.key(id);
        let Some(entry) = self.alive(id).copied() else { return };
        if let Some(pinned) = self.cache.peek(hash, &key, self.now_ms).and_then(|hit| hit.pin()) {
            self.pinned.push((pinned, entry.content));
        }
    }

    fn unpin(&mut self) {
        if !self.pinned.is_empty() {
            let (pinned, content) = self.pinned.swap_remove(self.random.below(self.pinned.len()));
            content.assert_is(&pinned.value());
        }
    }

    fn resize(&mut self) {
        let chunks = 1 + self.random.below(4 * (self.mix.limit_bytes >> 21) as usize) as u64;
        match self.cache.resize(chunks << 21) {
            Ok(()) => self.limit_bytes = chunks << 21,
            Err(CacheError::LimitTooSmall { minimum_bytes, .. }) => assert!(chunks << 21 < minimum_bytes),
            Err(error) => panic!("{}: {error}", self.label),
        }
    }

    fn assert_bounds(&self) {
        let stats = self.cache.stats();
        if self.cache.resize_pending() {
            assert!(stats.bytes_committed <= 4 * self.mix.limit_bytes, "{}: {stats:?}", self.label);
        } else {
            assert_eq!(stats.bytes_committed, self.limit_bytes, "{}", self.label);
        }
        assert!(stats.bytes_live + stats.bytes_free + stats.bytes_index <= stats.bytes_committed, "{}", self.label);
        let data_bytes = stats.bytes_limit - stats.bytes_index;
        // A shrink keeps the pins it finds.
        assert!(self.mix.resizes || stats.bytes_pinned * 20 <= data_bytes, "{}: {stats:?}", self.label);
        // A shrink takes the free segments of the chunk that goes.
        let may_stall = self.mix.pins || self.mix.resizes;
        assert!(may_stall || stats.stalls == 0, "{}: an insert waited for a segment", self.label);
    }
}

/// A value as it is stored in one piece.
fn insert_of(entry: &Entry) -> Insert<'static> {
    Insert {
        value: ValueParts::One(entry.content.bytes()),
        metadata: Content { offset: 0, len: entry.metadata_len }.bytes(),
        version: entry.version,
        expire_ms: entry.expire_ms,
        value_crc32c: entry.version.bits() as u32,
        flags: entry.flags,
    }
}

fn assert_hit(hit: &Hit<'_>, entry: &Entry) {
    assert_eq!(hit.expire_ms(), entry.expire_ms);
    assert_eq!(hit.flags(), entry.flags);
    assert_eq!(u64::from(hit.value_crc32c()), entry.version.bits());
    assert_eq!(hit.metadata(), Content { offset: 0, len: entry.metadata_len }.bytes());
    entry.content.assert_is(&hit.value());
}
