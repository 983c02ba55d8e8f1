//! Reclaiming memory: evicting, compacting and expiring segments, a few records at a time.
//!
//! At most one segment is being drained. Every insert that finds fewer free segments than the reserve drains up to 16 times
//! the bytes it wrote, so that the reserve is refilled before the open segment is full, and no insert has to wait for a whole
//! segment; [`Cache::maintain`] does the same work when the core is idle.
//!
//! ```text
//!  choose:  a segment all of whose items have expired   → drop them
//!           a segment half of which has expired, while
//!           the rest has long to live; the sparsest of
//!           some, while room is short (dead)            → move the living, drop the expired
//!           else the first segment of a queue           → keep or evict its items as S3-FIFO says (policy)
//! ```
//!
//! **Not**: who is kept (that is `policy`).
//!
//! **Invariants**: a segment is released only when none of its records is alive; one that is pinned waits as Held; an item
//! larger than a segment is never moved, it dies whole when any of its segments is drained.
//!
//! **Source**: ADR 11; log-structured memory (Rumble, Kejriwal, Ousterhout, FAST 2014) for compaction.

use super::append::Stream;
use super::index::{LOOKS_PER_UNIT, Slot, SlotAt, Upkeep};
use super::item::{Item, Location, Record};
use super::segments::{Queue, SegmentId, State};
use super::ttl::TtlGroup;
use super::{Cache, CacheError, Reason, item};
use crate::key::KeyHash;

/// Bytes drained per byte written while the reserve is short: draining may keep up to seven eighths of what it drains
/// (`policy`), and up to an eighth of a segment is left unused, so a little more than 9 is needed; 16 refills the reserve
/// soon. Where little is kept, little has to be drained.
const PACE: usize = 16;

/// Entries of the segment table that one search looks at: 2 KiB of memory, read in order.
const SCAN_SEGMENTS: u32 = 32;

/// How often maintenance looks through the whole table for segments that have expired: they wait for this long at most, and a
/// core without work spends next to nothing on it.
const ROUND_MS: u64 = 250;

/// Bytes copied that count as much work as visiting one record.
const BYTES_PER_UNIT: usize = 256;

/// Segment table entries that count as much as one record.
const ENTRIES_PER_UNIT: u32 = 8;

/// Held segments looked at per call, so that many pinned segments cost no call much.
const REAP_SEGMENTS: u32 = 4;

/// What happens to the living in a segment that is drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// They are kept or evicted, as the queue's policy says.
    Judge,
    /// They move to the end of their queue.
    Move,
}

/// A living item of a segment that is drained.
#[derive(Clone, Copy, Debug)]
pub(super) struct Living {
    pub(super) slot: SlotAt,
    pub(super) item: Item,
    /// Bytes of the record that was met: the item's, or one extent's.
    pub(super) bytes: usize,
}

/// The segment that is being drained.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drain {
    segment: SegmentId,
    /// Bytes walked.
    walked: u32,
    fate: Fate,
}

impl Cache {
    /// Does up to about `budget_units` of the work that is due: resizing, evicting ahead of need, compacting, expiring.
    ///
    /// A unit is a record visited or 256 bytes copied, below a microsecond. Returns the units done: fewer than the budget
    /// when nothing is left to do. The last record may exceed the budget: by 130 units, by the copy of a large value that fits a
    /// segment, or by the extents of a larger one.
    pub fn maintain(&mut self, now_ms: u64, budget_units: u32) -> u32 {
        let start = self.counters.work_units;
        self.reap();
        self.latest_ms = now_ms;
        self.take_notes(budget_units as usize);
        loop {
            let done = (self.counters.work_units - start) as u32;
            if done >= budget_units || !self.maintain_once(now_ms) {
                return (self.counters.work_units - start) as u32;
            }
        }
    }

    fn maintain_once(&mut self, now_ms: u64) -> bool {
        if self.drain.is_some() {
            self.drain_once(now_ms).is_some()
        } else if self.tend_index(LOOKS_PER_UNIT, 1) == Upkeep::Done {
            true
        } else if self.resize_pending() {
            self.resize_once(now_ms)
        } else if self.free() < self.geometry.reserve() {
            self.drain_once(now_ms).is_some()
        } else if self.begins_round(now_ms) {
            self.drain = self.search(now_ms, self.free() < self.geometry.roomy());
            // A search that has found something has not looked at all of its part.
            if self.drain.is_none() {
                self.round_left = self.round_left.saturating_sub(SCAN_SEGMENTS);
            }
            true
        } else {
            false
        }
    }

    /// Whether a round over the table is under way, or due now.
    fn begins_round(&mut self, now_ms: u64) -> bool {
        if self.round_left == 0 && now_ms.saturating_sub(self.round_began_ms) >= ROUND_MS {
            self.round_began_ms = now_ms;
            self.round_left = self.geometry.target - self.geometry.front_segments;
        }
        self.round_left > 0
    }

    /// Reclaims whole segments until `needed` are free.
    ///
    /// The reserve makes this a no-op for small items; when it is not, the call is counted as a stall.
    pub(super) fn reclaim_until(&mut self, needed: u32, now_ms: u64) -> Result<(), CacheError> {
        if self.free() >= needed {
            return Ok(());
        }
        self.reap();
        self.counters.stalls += u64::from(needed == 1 && self.free() == 0);
        while self.free() < needed {
            if self.drain_once(now_ms).is_none() {
                return Err(CacheError::NoRoom);
            }
        }
        Ok(())
    }

    /// Reclaims in proportion to what an insert wrote, while the reserve is short.
    pub(super) fn pace(&mut self, written: usize, now_ms: u64) {
        let reserve = self.geometry.reserve();
        if self.free() >= reserve {
            return;
        }
        self.reap();
        let mut walked = 0;
        while walked < written * PACE && self.free() < reserve {
            match self.drain_once(now_ms) {
                Some(bytes) => walked += bytes,
                None => return,
            }
        }
    }

    /// Evicts the least used, and of these the oldest, of the items that fill both buckets of a hash.
    pub(super) fn evict_for_slot(&mut self, hash: KeyHash) {
        let age = |location: Location| self.segments.at(self.arena.segment_of(location.at())).sequence;
        let worth = |(_, slot): &(SlotAt, Slot)| (slot.frequency(), age(slot.location()), slot.location().at());
        let residents = self.index.residents(&self.arena, hash.index());
        let (at, slot) = residents.min_by_key(worth).expect("the buckets are full");
        let item = Item::load(&self.arena, slot.location());
        self.remove_item(at, &item, Reason::EvictedForSlot);
    }

    /// Puts a segment without living records where it can be used again, or waits for its pins.
    pub(super) fn release(&mut self, id: SegmentId) {
        debug_assert_eq!(self.segments.at(id).live_records, 0, "only a dead segment is released");
        let state = if self.arena.holds(id) > 0 {
            State::Held
        } else if id >= self.geometry.target {
            State::Absent
        } else {
            State::Free
        };
        self.segments.set_state(id, state);
    }

    /// Starts draining a segment, keeping of what is alive in it what the policy says.
    pub(super) fn evict_segment(&mut self, id: SegmentId) {
        debug_assert!(self.drain.is_none(), "one segment is drained at a time");
        self.drain = Some(self.start(id, Fate::Judge));
    }

    /// Count of free segments.
    pub(super) fn free(&self) -> u32 {
        self.segments.free()
    }

    /// Visits one record of the segment being drained, choosing one if there is none. Returns the bytes walked, `None` when
    /// there is nothing to reclaim.
    pub(super) fn drain_once(&mut self, now_ms: u64) -> Option<usize> {
        let Some(drain) = self.drain else {
            self.drain = self.choose(now_ms);
            return self.drain.map(|_| 0);
        };
        let segment = self.segments.at(drain.segment);
        if segment.live_records == 0 {
            self.drain = None;
            self.counters.segments_reclaimed += 1;
            self.release(drain.segment);
            return Some(0);
        }
        assert!(drain.walked < segment.used, "a living record lies before the end of its segment");
        let at = self.geometry.bytes_of(drain.segment) as usize + drain.walked as usize;
        let bytes = self.visit(Location::of(at), drain.fate, now_ms);
        self.drain = Some(Drain { walked: drain.walked + bytes as u32, ..drain });
        self.allowance.note_drained(bytes);
        self.counters.work_units += 1;
        Some(bytes)
    }

    /// Sees to one record: afterwards it is dead. Returns its bytes.
    fn visit(&mut self, location: Location, fate: Fate, now_ms: u64) -> usize {
        let (item, bytes) = match Record::load(&self.arena, location) {
            Record::Dead(bytes) => return bytes,
            Record::Item(item) => (item, item.record_bytes(&self.arena)),
            Record::Extent(extent) => (Item::load(&self.arena, extent.head), extent.record_bytes()),
        };
        let (slot, hash) = self.slot_of(&item);
        if item.is_expired(now_ms) {
            self.remove_item(slot, &item, Reason::Expired);
            return bytes;
        }
        let queue = self.segments.at(self.arena.segment_of(location.at())).queue;
        let living = Living { slot, item, bytes };
        let kept = match fate {
            Fate::Move if self.promote_early(&living, queue, now_ms) => true,
            Fate::Move if item.is_chained() => self.move_chain(&living, queue, now_ms),
            Fate::Move => self.move_item(&living, queue, now_ms),
            Fate::Judge => self.keep(&living, queue, now_ms),
        };
        if !kept {
            if queue == Queue::Small {
                self.ghost.remember(&mut self.arena, hash.index(), self.index.items());
            }
            self.remove_item(slot, &item, Reason::EvictedForRoom);
        }
        bytes
    }

    /// The slot that points to a living item, and the hash of its key.
    pub(super) fn slot_of(&self, item: &Item) -> (SlotAt, KeyHash) {
        let hash = self.hasher.hash(item.key(&self.arena));
        let mut probe = self.index.probe(&self.arena, hash.index());
        (probe.find(|(_, location)| *location == item.location).expect("a living item is in the index").0, hash)
    }

    /// Moves an item to the open segment of a queue; `false` when there is no room for it.
    pub(super) fn move_item(&mut self, living: &Living, queue: Queue, now_ms: u64) -> bool {
        let Living { slot, item, bytes } = *living;
        let stream = Stream::Whole(queue, self.classes.of(item.expire_ms(), now_ms));
        let Some(location) = self.append_copy(&item, bytes, stream) else { return false };
        self.index.relocate(&mut self.arena, slot, location);
        item::mark_dead(&mut self.arena, item.location);
        let id = self.arena.segment_of(item.location.at());
        self.segments.at_mut(id).forget_record(bytes, false);
        self.counters.bytes_live -= bytes as u64;
        self.counters.moved_items += 1;
        self.counters.moved_bytes += bytes as u64;
        self.counters.work_units += (bytes / BYTES_PER_UNIT) as u64;
        true
    }

    /// Moves a chained item to the end of a queue; `false` when there is no room for it.
    pub(super) fn move_chain(&mut self, living: &Living, queue: Queue, now_ms: u64) -> bool {
        let Living { slot, ref item, .. } = *living;
        let stream = Stream::Chained(queue, self.classes.of(item.expire_ms(), now_ms));
        let Some(location) = self.append_chain_copy(item, stream) else { return false };
        self.index.relocate(&mut self.arena, slot, location);
        self.bury_all(item);
        let bytes = item.value_len as usize;
        self.counters.moved_items += 1;
        self.counters.moved_bytes += bytes as u64;
        self.counters.work_units += (bytes / BYTES_PER_UNIT) as u64;
        true
    }

    /// The next segment to drain: see the module's list.
    fn choose(&mut self, now_ms: u64) -> Option<Drain> {
        if let Some(drain) = self.search(now_ms, true) {
            return Some(drain);
        }
        let id = self.next_victim()?;
        Some(self.start(id, Fate::Judge))
    }

    /// Looks through a part of the table for a segment that has expired, or half; or, if `sparse_too`, for the one that is least alive.
    fn search(&mut self, now_ms: u64, sparse_too: bool) -> Option<Drain> {
        self.counters.work_units += u64::from(SCAN_SEGMENTS / ENTRIES_PER_UNIT);
        let (first, end) = (self.geometry.front_segments, self.geometry.target);
        let mut sparsest: Option<(u32, SegmentId)> = None;
        for _ in 0..SCAN_SEGMENTS.min(end - first) {
            let id = if self.scan < end { self.scan } else { first };
            self.scan = id + 1;
            if let Some(fate) = self.fate_by_time(id, now_ms)
                && let Some(drain) = self.start_early(id, fate)
            {
                return Some(drain);
            }
            if let Some(eighths) = self.segments.at(id).sparseness()
                && sparsest.is_none_or(|(least, _)| eighths < least)
                && self.arena.holds(id) == 0
            {
                sparsest = Some((eighths, id));
            }
        }
        let (_, id) = sparsest.filter(|(_, id)| sparse_too && self.may_move(*id))?;
        Some(self.start(id, Fate::Move))
    }

    /// Whether there is room for what lives in a segment: moving leaves the last free one, and a large item may need two more.
    fn may_move(&self, id: SegmentId) -> bool {
        self.free() > if self.segments.at(id).group == Some(TtlGroup::LARGE) { 2 } else { 1 }
    }

    /// What is to be done with a segment because of what has expired in it.
    fn fate_by_time(&self, id: SegmentId, now_ms: u64) -> Option<Fate> {
        let segment = self.segments.at(id);
        if !matches!(segment.state, State::Open | State::Sealed) || self.arena.holds(id) > 0 {
            None
        } else if segment.has_expired(now_ms) {
            Some(Fate::Judge)
        } else {
            let is_half = segment.has_half_expired(now_ms, self.opened_ms(id));
            (is_half && self.may_move(id)).then_some(Fate::Move)
        }
    }

    /// Starts draining a segment that may still be open; `None` if it has nothing to drain, and is free.
    fn start_early(&mut self, id: SegmentId, fate: Fate) -> Option<Drain> {
        if self.segments.at(id).state == State::Open {
            self.close(id);
        }
        (self.segments.at(id).state == State::Sealed).then(|| self.start(id, fate))
    }

    fn start(&mut self, segment: SegmentId, fate: Fate) -> Drain {
        self.segments.set_state(segment, State::Draining);
        Drain { segment, walked: 0, fate }
    }

    /// Releases Held segments whose pins are gone; looks at a few.
    pub(super) fn reap(&mut self) {
        for _ in 0..REAP_SEGMENTS.min(self.segments.held()) {
            let Some(id) = self.segments.oldest_held() else { return };
            self.release(id);
        }
    }
}
