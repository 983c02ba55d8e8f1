//! The cache engine: one shard's items under one hard memory limit.
//!
//! One writer, no locks, offsets instead of pointers. Items are appended to the open segment, found through a hash index
//! whose pages lie in segments too, as many as the items need, and reclaimed a segment at a time as S3-FIFO says, a few
//! records per call.
//!
//! ```text
//!  Cache ─┬─ index     hash → root → page → location  index/         pages that grow, shrink and move
//!         ├─ segments  states, queues, live counts    segments.rs
//!         ├─ append    open segments, chains          append.rs      item.rs: records, bit by bit; staged.rs: slice by slice
//!         ├─ reclaim   evict, compact, expire, slices reclaim.rs     dead.rs, resize.rs: grow, shrink
//!         ├─ policy    S3-FIFO: who stays, who goes   policy.rs      ghost.rs: who came back
//!         │            who expires together           ttl.rs
//!         ├─ disown    items of slots that have left  disown.rs
//!         ├─ hit       lookups' answers, pins         hit.rs
//!         ├─ reader    other threads' reads in place  reader.rs      versions.rs, notes.rs
//!         └─ arena     memfd, chunks, words           arena.rs       (the only `unsafe`)
//! ```
//!
//! **Not**: clocks (every call takes `now_ms`, milliseconds of a steady clock that nobody sets), I/O, threads, hashing policy, conditions and versions of
//! writes (that is `shard`).
//!
//! **Invariants**: index and data together never exceed the limit, but while a shrink is still being carried out; a value is
//! never served at or after its expiry instant; a pinned value never changes; the work of a call is bounded by the bytes
//! it was given, that of [`Cache::maintain`] by its budget; no call allocates after [`Cache::new`].
//!
//! **Source**: docs/engine.md; Yang, Yue, Rashmi, "Segcache", NSDI 2021.

mod append;
#[expect(unsafe_code, reason = "the one place where mapped memory becomes words and slices")]
mod arena;
mod dead;
mod disown;
mod ghost;
mod hit;
mod index;
mod insert;
mod item;
mod notes;
mod options;
mod policy;
mod reader;
mod reclaim;
mod resize;
mod segments;
mod staged;
mod stats;
#[cfg(test)]
mod tests;
mod ttl;
mod versions;

pub use disown::PageSweep;
pub use hit::{Hit, Pieces, Pinned, Value};
pub use insert::{Insert, Inserted, ValueParts};
pub use item::{EXPIRE_MS_MAX, FLAGS_MAX, METADATA_BYTES_MAX};
pub use options::{CacheError, CacheOptions, Commit, LIMIT_BYTES_MIN, VALUE_BYTES_MAX, check_limit, check_reservation};
pub use reader::{Busy, Found, Inspection, Read, Reader, SharedCache};
pub use staged::{SLICE_BYTES_MAX, StagedItem};
pub use stats::CacheStats;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::key::{KeyHash, KeyHasher};
use crate::version::Version;
use append::Stream;
use arena::Arena;
use ghost::Ghost;
use index::{Index, SlotAt, Space};
use item::Item;
use notes::Notes;
use options::Geometry;
use policy::Allowance;
use reader::Common;
use reclaim::Drain;
use segments::{Queue, SegmentId, Segments, State};
use stats::Counters;
use ttl::Classes;

/// How many look-ups [`Cache::prefetch`] is asked for at once: the number that was measured (docs/adr/0010). Their buckets and items
/// are some 7 KiB, which a first cache holds.
pub const LOOKAHEAD: usize = 16;

/// Items whose look-ups a core's second cache holds (512 KiB and more): a few lines each. Asking for them ahead costs more than it saves.
const CACHED_ITEMS_MAX: u64 = 2048;

/// Why an item left the cache; each reason has its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Replaced,
    Removed,
    /// Its slot went to another node.
    Disowned,
    Expired,
    /// Its segment was needed.
    EvictedForRoom,
    /// Both of its buckets were full, and their page could not grow.
    EvictedForSlot,
}

/// The cache of one core. Neither `Send` nor `Sync`: its core makes it, and only that core calls it.
#[derive(Debug)]
pub struct Cache {
    arena: Arena,
    index: Index,
    segments: Segments,
    geometry: Geometry,
    hasher: KeyHasher,
    ghost: Ghost,
    classes: Classes,
    /// The segment that each stream appends to.
    open: [Option<SegmentId>; Stream::COUNT],
    /// The segment being reclaimed, and how far.
    drain: Option<Drain>,
    allowance: Allowance,
    /// Where the next search for a sparse or expired segment starts.
    scan: SegmentId,
    /// Segments that maintenance has not looked at in its round, and when that began.
    round_left: u32,
    round_began_ms: u64,
    shared: SharedCache,
    /// The reader whose notes were taken last.
    next_reader: usize,
    /// The latest instant a caller has named, for the age of segments.
    latest_ms: u64,
    counters: Counters,
}

impl Cache {
    /// Reserves the address space and makes an empty cache. The memory of the index's roots and of the ghost is committed at
    /// once, the rest as [`CacheOptions::commit`] says.
    ///
    /// # Errors
    ///
    /// [`CacheError::LimitTooSmall`] and [`CacheError::LimitAboveCeiling`] are the operator's; [`CacheError::Map`] is what
    /// the kernel refused.
    pub fn new(options: &CacheOptions) -> Result<Self, CacheError> {
        let geometry = Geometry::of(options)?;
        let arena = Arena::reserve(geometry.ceiling_bytes(), geometry.segment_shift).map_err(CacheError::Map)?;
        let mut segments = Segments::new(geometry.segments_max());
        for id in 0..geometry.front_segments {
            let is_whole = geometry.bytes_of(id + 1) as usize <= geometry.front_bytes();
            segments.set_state(id, if is_whole { State::Front } else { State::Index });
        }
        // Pushed from the top, taken from the tail: the front of the arena is used first.
        for id in (geometry.front_segments..geometry.target).rev() {
            segments.set_state(id, State::Free);
        }
        let index = Index::new(geometry.roots, Space::new(geometry.front_bytes(), geometry.segment_shift));
        let common = Common {
            memory: Arc::clone(arena.memory()),
            versions: Arc::clone(index.versions()),
            roots: index.roots(),
            notes: (0..options.readers).map(|_| Notes::default()).collect(),
            marks: (0..geometry.segments_max()).map(|_| AtomicU64::new(0)).collect(),
            segment_shift: geometry.segment_shift,
        };
        let mut cache = Self {
            shared: SharedCache { common: Arc::new(common) },
            next_reader: 0,
            round_left: 0,
            round_began_ms: 0,
            latest_ms: 0,
            arena,
            index,
            segments,
            classes: Classes::for_segments(geometry.data_segments()),
            ghost: Ghost::new(geometry.roots_bytes(), geometry.ghost_bytes),
            allowance: Allowance::new(geometry.segment_bytes()),
            scan: geometry.front_segments,
            geometry,
            hasher: options.hasher,
            open: [None; Stream::COUNT],
            drain: None,
            counters: Counters::default(),
        };
        cache.limit_pins();
        let front_chunks = cache.geometry.front_bytes().div_ceil(arena::CHUNK_BYTES);
        match options.commit {
            Commit::AsNeeded => cache.arena.commit(front_chunks),
            Commit::AtStart => {
                let chunks = cache.geometry.bytes_of(cache.geometry.target) as usize / arena::CHUNK_BYTES;
                cache.arena.commit(chunks);
                cache.arena.populate(chunks).map_err(CacheError::Map)?;
            }
        }
        cache.make_pages();
        Ok(cache)
    }

    /// Looks a key up and counts the use. An expired item is removed on the way and not served.
    ///
    /// `hash` is the cluster's [`KeyHasher`] over `key`; `now_ms` is in steady milliseconds.
    // Always: a hit is six words, and handing them over through memory costs more than looking them up.
    #[inline(always)]
    pub fn get(&mut self, hash: KeyHash, key: &[u8], now_ms: u64) -> Option<Hit<'_>> {
        let Some((slot, item)) = self.find(hash, key) else {
            self.counters.misses += 1;
            return None;
        };
        if item.is_expired(now_ms) {
            self.bury_expired(slot, item);
            return None;
        }
        Index::bump(&mut self.arena, slot);
        self.counters.hits += 1;
        Some(Hit::new(self.arena.mapping(), item))
    }

    /// Asks for the memory of look-ups that are about to come, so that they wait for it together and not one after the other. Of no
    /// effect but on time. Ask for [`LOOKAHEAD`] at once.
    #[inline]
    pub fn prefetch(&self, hashes: &[KeyHash]) {
        hashes.iter().for_each(|hash| self.index.prefetch_buckets(&self.arena, hash.index()));
        // By now the buckets of the first ones have come, and lead to their items.
        hashes.iter().for_each(|hash| self.index.prefetch_items(&self.arena, hash.index()));
    }

    /// Whether look-ups are waited for in memory, so that [`Self::prefetch`] saves more than working their hashes out twice costs.
    /// Constant time.
    #[inline]
    #[must_use]
    pub const fn pays_prefetch(&self) -> bool {
        self.index.items() > CACHED_ITEMS_MAX
    }

    /// A handle with which other threads read this cache in place.
    #[must_use]
    pub fn share(&self) -> SharedCache {
        self.shared.clone()
    }

    /// Tells people who look at keys of a segment's queue and of its opening, which is now for one that is opened.
    fn mark(&self, id: SegmentId, opened_ms: u64, queue: Queue) {
        self.shared.common.marks[id as usize]
            .store(opened_ms << 1 | u64::from(queue == Queue::Main), Ordering::Relaxed);
    }

    /// When a segment was opened, or came into the main queue.
    fn opened_ms(&self, id: SegmentId) -> u64 {
        // The lowest bit is the queue.
        self.shared.common.marks[id as usize].load(Ordering::Relaxed) >> 1
    }

    /// Counts uses that one reader has noted, at most `notes_max`; the next reader's with the next call. With many readers
    /// it would cost more to look at all of them than what they have to say is worth to one insert.
    pub(super) fn take_notes(&mut self, notes_max: usize) {
        let readers = self.shared.common.notes.len();
        if readers == 0 {
            return;
        }
        self.next_reader = (self.next_reader + 1) % readers;
        for _ in 0..notes_max {
            let Some(hash) = self.shared.common.notes[self.next_reader].take() else { return };
            self.count_noted(hash);
        }
    }

    fn count_noted(&mut self, hash: u64) {
        if let Some((slot, _)) = self.index.probe(&self.arena, hash).next() {
            Index::bump(&mut self.arena, slot);
            self.counters.noted_hits += 1;
        }
    }

    /// Looks a key up without counting anything and without removing an expired item, which is not served either.
    #[inline]
    #[must_use]
    pub fn peek(&self, hash: KeyHash, key: &[u8], now_ms: u64) -> Option<Hit<'_>> {
        let (_, item) = self.find(hash, key)?;
        (!item.is_expired(now_ms)).then(|| Hit::new(self.arena.mapping(), item))
    }

    /// Removes a key; returns the version that was removed, `None` when there was none or it had expired.
    pub fn remove(&mut self, hash: KeyHash, key: &[u8], now_ms: u64) -> Option<Version> {
        let (slot, item) = self.find(hash, key)?;
        let expired = item.is_expired(now_ms);
        self.remove_item(slot, &item, if expired { Reason::Expired } else { Reason::Removed });
        (!expired).then_some(item.version)
    }

    /// Gives an item a new expiry instant (steady milliseconds, 0 for never; cut to [`EXPIRE_MS_MAX`]); its version stays.
    ///
    /// Returns that version, `None` when the key is absent or has expired. An instant that has passed makes the item expire.
    pub fn touch(&mut self, hash: KeyHash, key: &[u8], expire_ms: u64, now_ms: u64) -> Option<Version> {
        let (slot, item) = self.find(hash, key)?;
        if item.is_expired(now_ms) {
            self.remove_item(slot, &item, Reason::Expired);
            return None;
        }
        let before_ms = item.expire_ms();
        item.set_expire_ms(&mut self.arena, expire_ms);
        let mut next = item.run(&self.arena).following(&self.arena);
        let bytes = item.record_bytes(&self.arena);
        self.segment_of(item.location).change_expiry(before_ms, expire_ms, bytes);
        while let Some(run) = next {
            let location = item::Extent::location_of(&run);
            let bytes = item::Extent::load(&self.arena, location).record_bytes();
            self.segment_of(location).change_expiry(before_ms, expire_ms, bytes);
            next = run.following(&self.arena);
        }
        Some(item.version)
    }

    /// The largest value this shard takes, in bytes: [`VALUE_BYTES_MAX`], or three quarters of a small shard.
    #[must_use]
    pub fn value_bytes_max(&self) -> usize {
        self.geometry.value_bytes_max()
    }

    /// The counters and gauges of this moment. Constant time.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        CacheStats::of(self)
    }

    /// Takes out an expired item that was looked up. By value: an item whose address is taken would live in memory.
    #[cold]
    fn bury_expired(&mut self, slot: SlotAt, item: Item) {
        self.remove_item(slot, &item, Reason::Expired);
        self.counters.misses += 1;
    }

    #[inline(always)]
    fn find(&self, hash: KeyHash, key: &[u8]) -> Option<(SlotAt, Item)> {
        for (slot, location) in self.index.probe(&self.arena, hash.index()) {
            if let Some(item) = Item::load_if(&self.arena, location, key) {
                return Some((slot, item));
            }
        }
        None
    }

    /// Takes an item out of the index and marks all its records dead. A sealed segment that dies with it is free at once.
    fn remove_item(&mut self, slot: SlotAt, item: &Item, reason: Reason) {
        self.index.clear(&mut self.arena, slot);
        self.index.note_removed(item.value_len as usize);
        self.counters.count(reason);
        self.bury_all(item);
    }

    /// Marks all records of an item dead.
    fn bury_all(&mut self, item: &Item) {
        let bytes = item.record_bytes(&self.arena);
        let mut next = item.run(&self.arena).following(&self.arena);
        let fixed = self.is_fixed(item.value_len as usize);
        self.mark_dead(item.location, bytes, fixed);
        while let Some(run) = next {
            let location = item::Extent::location_of(&run);
            next = run.following(&self.arena);
            self.counters.work_units += 1;
            self.mark_dead(location, item::Extent::load(&self.arena, location).record_bytes(), fixed);
        }
    }

    fn segment_of(&mut self, location: item::Location) -> &mut segments::Segment {
        self.segments.at_mut(self.arena.segment_of(location.at()))
    }

    /// Marks one record dead in its segment's account.
    fn mark_dead(&mut self, location: item::Location, bytes: usize, fixed: bool) {
        item::mark_dead(&mut self.arena, location);
        let id = self.arena.segment_of(location.at());
        let segment = self.segments.at_mut(id);
        segment.forget_record(bytes, fixed);
        self.counters.bytes_live -= bytes as u64;
        if segment.live_records == 0 && segment.state == State::Sealed {
            self.release(id);
        }
    }
}
