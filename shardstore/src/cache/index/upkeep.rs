//! Upkeep of the index: pages grow when they must, shrink when they may, and leave segments that are being emptied.
//!
//! ```text
//!  insert: no place ──▶ grow: an eighth more buckets, laid out anew at the end of the open segment
//!  sweep:  root ▶ root ▶ root ▶ …   page far from full? ──▶ shrink       in a segment that is being emptied? ──▶ move
//! ```
//!
//! The sweep goes round and round over the roots, a few with each insert and each slice of maintenance, as long as something
//! is due: items were removed, or a segment is being emptied.
//!
//! **Not**: the layout of a page, the choice of segments.
//!
//! **Invariants**: readers find the old page or the new one, whole; the old one's memory is not written before the root's
//! version has changed.

use super::super::Cache;
use super::super::segments::{SegmentId, State};
use super::page::{BUCKET_BYTES, BUCKETS_MIN, Page};
use super::root::{Root, RootId, root_at, root_of};
use super::{Index, root_in};

/// Sizes that are tried when a page is to grow: the first nearly always does.
const SIZES_MAX: u32 = 3;

/// Free segments that growing leaves: the last one is for items. Shrinking and moving free memory soon.
const SPARE_SEGMENTS: u32 = 1;

/// Roots looked at per insert while something is due, and one more for so many bytes written.
const LOOKS_PER_INSERT: u32 = 16;
const BYTES_PER_LOOK: usize = 1024;

/// Pages moved or laid out smaller per insert: one, and one more for so many bytes written.
const BYTES_PER_PAGE: usize = 16 << 10;

/// Roots that are due per item removed: one, and one more for so many bytes of it. Pages are then looked at some ten times
/// while their items change once.
const REMOVED_BYTES_PER_ROOT: usize = 4096;

/// Roots looked at that count as much work as one record, and as one step of maintenance.
pub(in crate::cache) const LOOKS_PER_UNIT: u32 = 8;

/// Bytes of pages that count as much work as one record.
const PAGE_BYTES_PER_UNIT: usize = 256;

/// Where the sweep is.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    next: RootId,
    /// Roots to be looked at because items were removed.
    due: u32,
}

/// What came of a bit of upkeep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cache) enum Upkeep {
    /// Nothing is due.
    Idle,
    Done,
    /// A page could not be laid out anew: no segment is free.
    NoMemory,
}

/// What came of a look at a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Fine,
    Renewed,
    NoMemory,
}

impl Index {
    /// Takes note that an item of so many bytes was removed.
    #[inline]
    pub(in crate::cache) fn note_removed(&mut self, bytes: usize) {
        let due = u64::from(self.sweep.due) + 1 + (bytes / REMOVED_BYTES_PER_ROOT) as u64;
        self.sweep.due = due.min(self.roots) as u32;
    }

    #[inline]
    fn is_upkeep_due(&self) -> bool {
        self.sweep.due > 0 || self.space.is_emptying()
    }

    fn next_root(&mut self) -> RootId {
        let root = self.sweep.next;
        self.sweep.next = if u64::from(root) + 1 < self.roots { root + 1 } else { 0 };
        self.sweep.due = self.sweep.due.saturating_sub(1);
        root
    }
}

impl Cache {
    /// Gives each root its first page. The roots' memory reads as zeros.
    pub(in crate::cache) fn make_pages(&mut self) {
        for root in 0..self.index.roots as RootId {
            let page = self.index.space.take(&mut self.segments, BUCKETS_MIN as u32, SPARE_SEGMENTS);
            let page = page.expect("the smallest limit has room for the smallest pages");
            self.arena.store(root_at(root), Root::new(page, 0).0);
        }
        self.note_index_segments();
    }

    /// Lays the page of a hash out anew with more buckets. `false` when it is as large as can be, or no memory is free.
    #[cold]
    pub(in crate::cache) fn grow_page(&mut self, hash: u64) -> bool {
        let root = root_of(hash, self.index.roots);
        let old = root_in(&self.arena, root).page();
        for tried in 0..SIZES_MAX {
            let buckets = old.grown(tried);
            if buckets == old.buckets {
                return false;
            }
            let Some(page) = self.page_for(buckets) else { return false };
            if old.lay_out(&mut self.arena, page) {
                self.replace_page(root, old, page);
                self.counters.pages_grown += 1;
                return true;
            }
            self.index.space.give_back(&mut self.segments, page);
        }
        false
    }

    /// Does the upkeep that an insert of so many bytes owes.
    #[inline]
    pub(in crate::cache) fn pace_upkeep(&mut self, written: usize) {
        if self.index.is_upkeep_due() || self.index.space.is_wasteful(&self.segments) {
            let looks = LOOKS_PER_INSERT + (written / BYTES_PER_LOOK) as u32;
            self.tend_index(looks, 1 + (written / BYTES_PER_PAGE) as u32);
        }
    }

    /// Looks at the next `looks_max` roots, until nothing is due; renews at most `pages_max` pages.
    pub(in crate::cache) fn tend_index(&mut self, looks_max: u32, pages_max: u32) -> Upkeep {
        if self.index.space.is_wasteful(&self.segments) {
            self.index.space.choose(&mut self.segments);
        }
        let (mut looks, mut pages) = (0, 0);
        let mut outcome = Upkeep::Idle;
        while looks < looks_max && pages < pages_max && self.index.is_upkeep_due() {
            looks += 1;
            outcome = Upkeep::Done;
            match self.look() {
                Look::Fine => {}
                Look::Renewed => pages += 1,
                Look::NoMemory => {
                    outcome = Upkeep::NoMemory;
                    break;
                }
            }
        }
        self.counters.work_units += u64::from(looks.div_ceil(LOOKS_PER_UNIT));
        outcome
    }

    /// Begins to empty a segment of pages, which lies where the shard is to end.
    pub(in crate::cache) fn empty_index_segment(&mut self, id: SegmentId) {
        if self.index.space.empty(&mut self.segments, id) {
            self.release(id);
            self.note_index_segments();
        }
    }

    /// Looks at the next root.
    fn look(&mut self) -> Look {
        let root = self.index.next_root();
        let word = root_in(&self.arena, root);
        let old = word.page();
        let smaller = old.shrunk(word.items());
        let leaves = self.segments.at(self.index.space.segment_of(old)).state == State::Emptying;
        if smaller.is_none() && !leaves {
            return Look::Fine;
        }
        if let Some(buckets) = smaller {
            let Some(page) = self.page_for(buckets) else { return Look::NoMemory };
            if old.lay_out(&mut self.arena, page) {
                self.replace_page(root, old, page);
                self.counters.pages_shrunk += 1;
                return Look::Renewed;
            }
            self.index.space.give_back(&mut self.segments, page);
        }
        if leaves {
            let Some(page) = self.page_for(old.buckets) else { return Look::NoMemory };
            self.arena.copy(old.at, page.at, old.bytes());
            self.replace_page(root, old, page);
            self.counters.pages_moved += 1;
        }
        Look::Renewed
    }

    fn page_for(&mut self, buckets: u32) -> Option<Page> {
        let page = self.index.space.take(&mut self.segments, buckets, SPARE_SEGMENTS)?;
        self.note_index_segments();
        self.counters.work_units += (page.bytes() / PAGE_BYTES_PER_UNIT) as u64;
        Some(page)
    }

    fn replace_page(&mut self, root: RootId, old: Page, new: Page) {
        self.index.publish(&mut self.arena, root, new);
        if let Some(id) = self.index.space.mark_dead(&mut self.segments, old) {
            self.release(id);
        }
        self.note_index_segments();
    }

    /// Brings the sizes that follow from the index's up to date.
    fn note_index_segments(&mut self) {
        let segments = self.index.space.segments();
        if segments != self.geometry.page_segments {
            self.geometry.page_segments = segments;
            self.limit_pins();
        }
    }
}

const _: () = assert!(BUCKET_BYTES <= PAGE_BYTES_PER_UNIT);
