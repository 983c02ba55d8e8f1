//! Who stays and who goes: S3-FIFO, by bytes, at the granularity of segments.
//!
//! ```text
//!  new ─────────▶ small queue (a tenth) ── used twice ──▶ main queue ◀── came back: in the ghost
//!                      │ less                               │ ▲ used since: moved to its end, one use less
//!                      ▼                                    ▼ │
//!                  evicted, remembered by the ghost       evicted
//! ```
//!
//! An item that is written again stays in its queue, or goes to the main one if it has been used twice already.
//!
//! Items are copied when they are kept, up to the size of a segment. Segments of larger ones are kept or evicted as a whole,
//! by the most used of these, and never copied.
//!
//! **Not**: walking segments, moving records (that is `reclaim`).
//!
//! **Invariants**: of what is drained no more is kept, in the long run, than `KEPT_EIGHTHS` say, however often it is used: so
//! reclaiming keeps up with writing; every turn of the main queue takes a use from what it keeps.
//!
//! **Source**: Yang, Zhang, Qiu, Yue, Rashmi, "FIFO queues are all you need for cache eviction", SOSP 2023; the segments are
//! Segcache's (NSDI 2021).

use super::Cache;
use super::index::{Index, SlotAt};
use super::item::{Item, Location, Record};
use super::reclaim::Living;
use super::segments::{Queue, SegmentId, State};
use crate::key::KeyHash;

/// Share of the small queue in the data segments, in percent.
const SMALL_PERCENT: u32 = 10;

/// Uses in the small queue that bring an item into the main one.
const PROMOTED_AT: u64 = 2;

/// Eighths of what is drained that may be kept, in the long run.
const KEPT_EIGHTHS: usize = 7;

/// Segments that may be kept in a row when little was kept before: at the pace of reclaiming, half a segment is written
/// meanwhile.
const ALLOWANCE_SEGMENTS_MAX: usize = 8;

/// Bytes that may be kept of what is drained, so that draining always frees memory in the end.
#[derive(Debug)]
pub(super) struct Allowance {
    bytes: usize,
    bytes_max: usize,
}

impl Allowance {
    pub(super) const fn new(segment_bytes: usize) -> Self {
        let bytes_max = ALLOWANCE_SEGMENTS_MAX * segment_bytes;
        Self { bytes: bytes_max, bytes_max }
    }

    pub(super) fn note_drained(&mut self, bytes: usize) {
        self.bytes = (self.bytes + bytes * KEPT_EIGHTHS / 8).min(self.bytes_max);
    }

    fn take(&mut self, bytes: usize) -> bool {
        let affordable = self.bytes >= bytes;
        if affordable {
            self.bytes -= bytes;
        }
        affordable
    }
}

/// Where a new item goes, and how often it counts as used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Admission {
    pub(super) queue: Queue,
    pub(super) frequency: u64,
}

impl Cache {
    /// Where an item of this hash goes that takes the place of `before`.
    pub(super) fn admission(&mut self, hash: KeyHash, before: Option<&(SlotAt, Item)>) -> Admission {
        if let Some((slot, item)) = before {
            let queue = self.segments.at(self.arena.segment_of(item.location.at())).queue;
            let frequency = Index::frequency(&self.arena, *slot);
            return match frequency_kept(queue, frequency) {
                Some(left) if queue == Queue::Small => Admission { queue: Queue::Main, frequency: left },
                _ => Admission { queue, frequency },
            };
        }
        if self.ghost.take(&mut self.arena, hash.index(), self.index.items()) {
            self.counters.ghost_hits += 1;
            return Admission { queue: Queue::Main, frequency: 0 };
        }
        Admission { queue: Queue::Small, frequency: 0 }
    }

    /// Keeps an item of a segment that is drained, if the policy says so; `false` when it is to be evicted.
    pub(super) fn keep(&mut self, living: &Living, queue: Queue, now_ms: u64) -> bool {
        let frequency = Index::frequency(&self.arena, living.slot);
        let Some(left) = frequency_kept(queue, frequency) else { return false };
        let Living { slot, item, bytes } = *living;
        let value_bytes = item.value_len as usize;
        let moved = match item.is_chained() {
            false => self.allowance.take(bytes) && self.move_item(living, Queue::Main, now_ms),
            true if self.is_fixed(value_bytes) => false,
            true => self.allowance.take(value_bytes) && self.move_chain(living, Queue::Main, now_ms),
        };
        if !moved {
            return false;
        }
        Index::set_frequency(&mut self.arena, slot, left);
        self.counters.promoted_items += u64::from(queue == Queue::Small);
        true
    }

    /// Keeps an item of the small queue that is moved before its turn, and has earned its place in the main one already.
    pub(super) fn promote_early(&mut self, living: &Living, queue: Queue, now_ms: u64) -> bool {
        queue == Queue::Small && self.keep(living, queue, now_ms)
    }

    /// The next segment to drain for room: the first of the small queue while that has more than its share, else of the
    /// main one. Segments of large items that are kept are passed over, unless all are, and those that are pinned.
    pub(super) fn next_victim(&mut self) -> Option<SegmentId> {
        self.next_in_line(true).or_else(|| self.next_in_line(false))
    }

    fn next_in_line(&mut self, may_keep: bool) -> Option<SegmentId> {
        // What is pinned or kept goes to the end of its queue, so every segment is looked at once at most.
        let sealed = self.segments.sealed(Queue::Small) + self.segments.sealed(Queue::Main);
        for _ in 0..sealed {
            let id = self.first_in_line()?;
            if self.arena.holds(id) > 0 {
                self.segments.set_state(id, State::Sealed);
            } else if !may_keep || !self.keep_segment(id) {
                return Some(id);
            }
        }
        None
    }

    fn first_in_line(&self) -> Option<SegmentId> {
        let (small, main) = (Queue::Small, Queue::Main);
        let open = self.open.iter().flatten().filter(|id| self.segments.at(**id).queue == small);
        let small_segments = self.segments.sealed(small) + open.count() as u32;
        let small_is_over = small_segments * 100 > self.geometry.data_segments() * SMALL_PERCENT;
        let (first, second) = if small_is_over { (small, main) } else { (main, small) };
        self.segments.oldest_sealed(first).or_else(|| self.segments.oldest_sealed(second))
    }

    /// Keeps a segment of large items as it is, at the end of the main queue, if one of them is worth it.
    fn keep_segment(&mut self, id: SegmentId) -> bool {
        let segment = *self.segments.at(id);
        if segment.live_fixed == 0 {
            return false;
        }
        let hot = self.any_in_segment(id, |cache, record| cache.is_hot(id, record));
        self.allowance.note_drained(segment.used as usize);
        if !hot || !self.allowance.take(segment.live_bytes as usize) {
            return false;
        }
        self.any_in_segment(id, |cache, record| {
            if let Record::Item(item) = record
                && cache.is_fixed(item.value_len as usize)
            {
                let (slot, _) = cache.slot_of(item);
                let frequency = Index::frequency(&cache.arena, slot);
                let left = frequency_kept(segment.queue, frequency).unwrap_or(0);
                Index::set_frequency(&mut cache.arena, slot, left);
                cache.counters.promoted_items += u64::from(segment.queue == Queue::Small);
            }
            false
        });
        self.segments.promote(id);
        self.mark(id, self.latest_ms, Queue::Main);
        true
    }

    /// Whether a record of a segment is reason to keep it: an item that has been used, or a part of one that was kept.
    fn is_hot(&self, id: SegmentId, record: &Record) -> bool {
        let segment = self.segments.at(id);
        match record {
            Record::Dead(_) => false,
            Record::Item(item) if !self.is_fixed(item.value_len as usize) => false,
            Record::Item(item) => {
                let (slot, _) = self.slot_of(item);
                frequency_kept(segment.queue, Index::frequency(&self.arena, slot)).is_some()
            }
            Record::Extent(extent) if !self.is_fixed(Item::load(&self.arena, extent.head).value_len as usize) => false,
            // The head's segment comes first; if it was kept, it is behind this one now.
            Record::Extent(extent) => {
                let head = self.segments.at(self.arena.segment_of(extent.head.at()));
                head.sequence > segment.sequence
            }
        }
    }

    /// Whether `look` says yes to a record of a segment; the records after that are not looked at.
    fn any_in_segment(&mut self, id: SegmentId, mut look: impl FnMut(&mut Self, &Record) -> bool) -> bool {
        let start = self.geometry.bytes_of(id) as usize;
        let end = start + self.segments.at(id).used as usize;
        let mut at = start;
        while at < end {
            let record = Record::load(&self.arena, Location::of(at));
            at += match &record {
                Record::Dead(bytes) => *bytes,
                Record::Item(item) => item.record_bytes(&self.arena),
                Record::Extent(extent) => extent.record_bytes(),
            };
            self.counters.work_units += 1;
            if look(self, &record) {
                return true;
            }
        }
        false
    }
}

/// What is left of an item's uses when it is kept; `None` when it is evicted.
const fn frequency_kept(queue: Queue, frequency: u64) -> Option<u64> {
    match queue {
        Queue::Small if frequency >= PROMOTED_AT => Some(0),
        Queue::Main if frequency > 0 => Some(frequency - 1),
        _ => None,
    }
}
