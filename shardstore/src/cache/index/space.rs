//! The memory of pages: segments of the shard that are filled with pages, one behind the other, and emptied again.
//!
//! ```text
//!  a segment:  ├ page ┼ dead page ┼ page ┼ page ┼ dead page ┤ unused ┤
//!
//!  Free ──taken──▶ Index ──chosen: much of it is dead──▶ Emptying ──its last page has left──▶ Free
//!                    └───────────────── its last page has left ─────────────────────────────────▲
//! ```
//!
//! A page that is laid out anew leaves a dead one behind. While more than about a tenth of the index is dead, those segments
//! of some that have been looked at that have the most dead space are emptied: the sweep over the roots moves their pages
//! (`upkeep`). The rest of the segment behind the roots and the ghost is used for pages too, and is never given away.
//!
//! **Not**: what a page holds; which root it belongs to.
//!
//! **Invariants**: a page lies in one segment; `live_bytes` of a segment are its pages that are in use, `live_records` their
//! count; pages are appended to the open segment only, which is not emptied.

use super::super::segments::{SegmentId, Segments, State};
use super::page::Page;

/// Dead space is let be below this part of the pages in use; below the second one while much memory is free, as when the cache
/// fills and pages grow all the time: then it costs nothing, and much of it comes together without being moved.
const DEAD_PARTS: [u64; 2] = [12, 4];

/// Much is free when it is as many times the pages in use.
const MUCH_FREE: u64 = 2;

/// Segments that one choice looks at.
const CHOICE_SEGMENTS: u32 = 16;

/// A segment with less dead and unused space than this part of it is not worth emptying.
const WORTH_PART: u32 = 16;

/// Of so many segments of pages, one more may be emptied at a time: then a sweep over the roots, whose length follows the
/// size of the shard, frees memory in proportion.
const SEGMENTS_PER_EMPTYING: u32 = 32;

/// The account of the pages' memory.
#[derive(Debug)]
pub(in crate::cache) struct Space {
    segment_shift: u32,
    /// The segment that begins with the last of the ghost, and how many bytes that is.
    shared: Option<(SegmentId, u32)>,
    /// Whether no page lies there.
    shared_is_free: bool,
    /// Where pages are appended.
    open: Option<SegmentId>,
    /// Segments taken, without the shared one.
    segments: u32,
    /// Segments that are being emptied.
    emptying: u32,
    /// Bytes of pages in use.
    live_bytes: u64,
    /// Bytes of dead pages, those in segments that are being emptied left out.
    dead_bytes: u64,
}

impl Space {
    /// The memory behind `front_bytes` bytes of the arena, which are something else.
    pub(in crate::cache) const fn new(front_bytes: usize, segment_shift: u32) -> Self {
        let floor = front_bytes & ((1 << segment_shift) - 1);
        let shared = if floor == 0 { None } else { Some(((front_bytes >> segment_shift) as SegmentId, floor as u32)) };
        Self {
            segment_shift,
            shared,
            shared_is_free: shared.is_some(),
            open: None,
            segments: 0,
            emptying: 0,
            live_bytes: 0,
            dead_bytes: 0,
        }
    }

    /// Bytes of pages in use.
    pub(in crate::cache) const fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// Segments taken.
    pub(super) const fn segments(&self) -> u32 {
        self.segments
    }

    /// Whether a segment is being emptied.
    pub(super) const fn is_emptying(&self) -> bool {
        self.emptying > 0
    }

    const fn segment_bytes(&self) -> u32 {
        1 << self.segment_shift
    }

    pub(super) const fn segment_of(&self, page: Page) -> SegmentId {
        (page.at >> self.segment_shift) as SegmentId
    }

    /// Where pages begin in a segment.
    fn floor(&self, id: SegmentId) -> u32 {
        self.shared.filter(|(shared, _)| *shared == id).map_or(0, |(_, floor)| floor)
    }

    /// Memory for a page of so many buckets; `None` when that takes a free segment, and no more than `spare` are free.
    pub(super) fn take(&mut self, segments: &mut Segments, buckets: u32, spare: u32) -> Option<Page> {
        let bytes = Page { at: 0, buckets }.bytes() as u32;
        let id = match self.open {
            Some(id) if segments.at(id).used + bytes <= self.segment_bytes() => id,
            _ => self.open_another(segments, bytes, spare)?,
        };
        let segment = segments.at_mut(id);
        let at = ((id as usize) << self.segment_shift) + segment.used as usize;
        segment.used += bytes;
        segment.live_bytes += bytes;
        segment.live_records += 1;
        self.live_bytes += u64::from(bytes);
        Some(Page { at, buckets })
    }

    fn open_another(&mut self, segments: &mut Segments, bytes: u32, spare: u32) -> Option<SegmentId> {
        let id = match self.shared {
            Some((id, floor)) if self.shared_is_free && floor + bytes <= self.segment_bytes() => {
                self.shared_is_free = false;
                segments.at_mut(id).used = floor;
                id
            }
            _ if segments.free() > spare => {
                self.segments += 1;
                segments.take_for_index().expect("some are free")
            }
            _ => return None,
        };
        self.open = Some(id);
        Some(id)
    }

    /// Gives back the page that was taken last.
    pub(super) fn give_back(&mut self, segments: &mut Segments, page: Page) {
        let segment = segments.at_mut(self.segment_of(page));
        let bytes = page.bytes() as u32;
        segment.used -= bytes;
        segment.live_bytes -= bytes;
        segment.live_records -= 1;
        self.live_bytes -= u64::from(bytes);
    }

    /// Takes note that a page is dead. Returns its segment if that has no other, and is to be released.
    pub(super) fn mark_dead(&mut self, segments: &mut Segments, page: Page) -> Option<SegmentId> {
        let (id, bytes) = (self.segment_of(page), page.bytes() as u32);
        let floor = self.floor(id);
        let segment = segments.at_mut(id);
        segment.live_bytes -= bytes;
        segment.live_records -= 1;
        let (used, is_empty, is_emptying) = (segment.used, segment.live_records == 0, segment.state == State::Emptying);
        self.live_bytes -= u64::from(bytes);
        if !is_emptying {
            self.dead_bytes += u64::from(bytes);
        }
        if !is_empty {
            return None;
        }
        match is_emptying {
            true => self.emptying -= 1,
            false => self.dead_bytes -= u64::from(used - floor),
        }
        if self.open == Some(id) {
            segment.used = floor;
            return None;
        }
        if floor > 0 {
            segments.set_state(id, State::Index);
            self.shared_is_free = true;
            return None;
        }
        self.segments -= 1;
        Some(id)
    }

    /// Whether so much is dead that a segment should be emptied.
    #[inline]
    pub(super) fn is_wasteful(&self, segments: &Segments) -> bool {
        let free_bytes = u64::from(segments.free()) << self.segment_shift;
        let part = DEAD_PARTS[usize::from(free_bytes > self.live_bytes * MUCH_FREE)];
        let bearable = (self.live_bytes / part).max(u64::from(self.segment_bytes()));
        self.dead_bytes > bearable && self.emptying <= self.segments / SEGMENTS_PER_EMPTYING
    }

    /// Chooses a segment to be emptied, if one of the next is worth it.
    pub(super) fn choose(&mut self, segments: &mut Segments) {
        let mut best = None;
        for _ in 0..CHOICE_SEGMENTS.min(segments.of_index()) {
            let Some(id) = segments.next_of_index() else { break };
            let waste = self.segment_bytes() - self.floor(id) - segments.at(id).live_bytes;
            if self.open != Some(id) && segments.at(id).live_records > 0 && best.is_none_or(|(most, _)| waste > most) {
                best = Some((waste, id));
            }
        }
        if let Some((waste, id)) = best
            && waste >= self.segment_bytes() / WORTH_PART
        {
            let is_empty = self.empty(segments, id);
            debug_assert!(!is_empty, "it has pages");
        }
    }

    /// Begins to empty a segment. Whether it is empty already, and is to be released.
    pub(super) fn empty(&mut self, segments: &mut Segments, id: SegmentId) -> bool {
        let segment = segments.at(id);
        debug_assert!(
            segment.state == State::Index
                && !self.shared.is_some_and(|(shared, _)| shared == id && segment.live_records == 0)
        );
        if self.open == Some(id) {
            self.open = None;
        }
        if segment.live_records == 0 {
            self.segments -= 1;
            return true;
        }
        self.dead_bytes -= u64::from(segment.used - self.floor(id) - segment.live_bytes);
        self.emptying += 1;
        segments.set_state(id, State::Emptying);
        false
    }
}
