//! The table of segments: what state each is in, how much of it is written and alive.
//!
//! ```text
//!            grow                take              seal               last live record gone
//!  Absent ─────────▶ Free ─────────────▶ Open ─────────▶ Sealed ─────────────────────┐
//!    ▲                ▲                                    │ chosen                   │
//!    │ shrink         │                                    ▼                          │
//!    └────────────────┼──────────────────────────────── Draining ──▶ (release) ◀──────┘
//!                     └── pins gone ── Held ◀── pinned ────────────────┘
//!  Open or Free ──▶ Filling, with one large value that is being written ──▶ Sealed, Open or (release): `staged.rs`
//!  Front: the segments at the front of the arena, of roots and ghost; never in another state.
//!  Free ──▶ Index, with pages of the index ──▶ Emptying ──▶ (release): `index/space.rs`
//! ```
//!
//! Every state that forms a queue (Free, Held, Filling, Index, and Sealed twice: the small queue and the main one) has its own doubly linked
//! list through the table, so that any segment leaves any queue in constant time.
//!
//! **Not**: records, the index, decisions which segment to reclaim (that is `reclaim`).
//!
//! **Invariants**: a segment is in the list of its state and in no other; `live_records` counts the records of the segment
//! that are not dead; the Sealed lists are in the order in which segments came into them.
//!
//! **Source**: Yang, Yue, Rashmi, "Segcache", NSDI 2021 (segment-granular eviction).

use super::ttl::TtlGroup;

/// The number of a segment, from the start of the arena.
pub(super) type SegmentId = u32;

/// No segment: the end of a list.
const NONE: SegmentId = SegmentId::MAX;

/// Which of the two queues of S3-FIFO the items of a segment are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// New items; most leave it unread.
    Small,
    /// Items that were read there, or came back soon after.
    Main,
}

/// A segment's place in its life; see the module's picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Absent,
    Front,
    Index,
    Emptying,
    Free,
    Open,
    Filling,
    Sealed,
    Draining,
    Held,
}

impl State {
    /// Which list segments in this state and queue are chained in.
    const fn list(self, queue: Queue) -> Option<usize> {
        match (self, queue) {
            (Self::Free, _) => Some(FREE),
            (Self::Held, _) => Some(HELD),
            (Self::Sealed, Queue::Small) => Some(SMALL),
            (Self::Sealed, Queue::Main) => Some(MAIN),
            (Self::Index, _) => Some(INDEX),
            (Self::Filling, _) => Some(FILLING),
            (Self::Absent | Self::Front | Self::Emptying | Self::Open | Self::Draining, _) => None,
        }
    }
}

const FREE: usize = 0;
const HELD: usize = 1;
const SMALL: usize = 2;
const MAIN: usize = 3;
const INDEX: usize = 4;
const FILLING: usize = 5;

/// What is known of one segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) state: State,
    pub(super) queue: Queue,
    /// Which items it was opened for; `None` unless they are items.
    pub(super) group: Option<TtlGroup>,
    prev: SegmentId,
    next: SegmentId,
    /// Bytes written, from the segment's start; a multiple of 8.
    pub(super) used: u32,
    /// Bytes of records that are not dead; of pages that are in use.
    pub(super) live_bytes: u32,
    /// Records that are not dead: items and extents; pages that are in use.
    pub(super) live_records: u32,
    /// How many of the live records belong to items larger than a segment; those are not moved.
    pub(super) live_fixed: u32,
    /// Every live item of the segment has expired at this instant (unix ms); `u64::MAX` when one never does.
    pub(super) expire_ms_max: u64,
    /// Sum over all records of their bytes times the instant at which they expire (unix ms); saturated when one never does.
    pub(super) expire_weight: u64,
    /// Order of opening, or of coming into the main queue; the smaller, the older.
    pub(super) sequence: u64,
}

impl Segment {
    const ABSENT: Self = Self {
        state: State::Absent,
        queue: Queue::Small,
        group: None,
        prev: NONE,
        next: NONE,
        used: 0,
        live_bytes: 0,
        live_records: 0,
        live_fixed: 0,
        expire_ms_max: 0,
        expire_weight: 0,
        sequence: 0,
    };
}

#[derive(Clone, Copy, Debug)]
struct List {
    head: SegmentId,
    tail: SegmentId,
    count: u32,
}

/// The table; its length is fixed by the most memory the shard may ever have.
#[derive(Debug)]
pub(super) struct Segments {
    table: Box<[Segment]>,
    lists: [List; 6],
    sequence: u64,
    /// Segments that hold items of each group.
    groups: [u32; TtlGroup::COUNT],
}

impl Segments {
    /// A table of `count` segments, all absent.
    pub(super) fn new(count: usize) -> Self {
        let empty = List { head: NONE, tail: NONE, count: 0 };
        Self {
            table: vec![Segment::ABSENT; count].into_boxed_slice(),
            lists: [empty; 6],
            sequence: 0,
            groups: [0; TtlGroup::COUNT],
        }
    }

    /// What is known of a segment.
    #[inline]
    pub(super) fn at(&self, id: SegmentId) -> &Segment {
        &self.table[id as usize]
    }

    /// A segment's account, to be changed; its state changes by [`Segments::set_state`] only.
    #[inline]
    pub(super) fn at_mut(&mut self, id: SegmentId) -> &mut Segment {
        &mut self.table[id as usize]
    }

    /// How many segments are free.
    #[inline]
    pub(super) fn free(&self) -> u32 {
        self.lists[FREE].count
    }

    /// How many segments wait for their pins.
    pub(super) fn held(&self) -> u32 {
        self.lists[HELD].count
    }

    /// How many segments values are being copied into.
    pub(super) fn filling(&self) -> u32 {
        self.lists[FILLING].count
    }

    /// How many segments of a queue are sealed.
    pub(super) fn sealed(&self, queue: Queue) -> u32 {
        self.lists[State::Sealed.list(queue).expect("sealed segments are queued")].count
    }

    /// The segment that has waited longest for its pins.
    pub(super) fn oldest_held(&self) -> Option<SegmentId> {
        self.head(HELD)
    }

    /// The sealed segment that is first in a queue.
    pub(super) fn oldest_sealed(&self, queue: Queue) -> Option<SegmentId> {
        self.head(State::Sealed.list(queue).expect("sealed segments are queued"))
    }

    fn head(&self, list: usize) -> Option<SegmentId> {
        let head = self.lists[list].head;
        (head != NONE).then_some(head)
    }

    /// How many segments hold items of each group; those that wait for their pins left out.
    pub(super) fn groups(&self) -> &[u32; TtlGroup::COUNT] {
        &self.groups
    }

    /// Takes the free segment that was used last (its memory is the likeliest to be resident) and opens it for a group of items of a
    /// queue.
    pub(super) fn open_free(&mut self, queue: Queue, group: TtlGroup) -> Option<SegmentId> {
        let tail = self.lists[FREE].tail;
        if tail == NONE {
            return None;
        }
        self.set_state(tail, State::Open);
        let sequence = self.next_sequence();
        *self.at_mut(tail) = Segment { state: State::Open, queue, group: Some(group), sequence, ..Segment::ABSENT };
        self.groups[group.index()] += 1;
        Some(tail)
    }

    /// Takes a free segment for pages of the index.
    pub(super) fn take_for_index(&mut self) -> Option<SegmentId> {
        let tail = self.lists[FREE].tail;
        if tail == NONE {
            return None;
        }
        self.set_state(tail, State::Absent);
        *self.at_mut(tail) = Segment::ABSENT;
        self.set_state(tail, State::Index);
        Some(tail)
    }

    /// How many segments have pages, those left out that are being emptied.
    pub(super) fn of_index(&self) -> u32 {
        self.lists[INDEX].count
    }

    /// The next segment with pages; they come in turn.
    pub(super) fn next_of_index(&mut self) -> Option<SegmentId> {
        let head = self.head(INDEX)?;
        self.set_state(head, State::Index);
        Some(head)
    }

    /// Puts a sealed segment at the end of the main queue.
    pub(super) fn promote(&mut self, id: SegmentId) {
        debug_assert_eq!(self.at(id).state, State::Sealed, "only what is sealed is queued");
        self.set_state(id, State::Draining);
        let sequence = self.next_sequence();
        let segment = self.at_mut(id);
        (segment.queue, segment.sequence) = (Queue::Main, sequence);
        self.set_state(id, State::Sealed);
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Moves a segment to the end of the list of `state`, out of the list it was in.
    pub(super) fn set_state(&mut self, id: SegmentId, state: State) {
        let Segment { state: before, queue, .. } = *self.at(id);
        if let Some(list) = before.list(queue) {
            self.unlink(list, id);
        }
        self.at_mut(id).state = state;
        if matches!(state, State::Free | State::Absent | State::Held)
            && let Some(group) = self.at_mut(id).group.take()
        {
            self.groups[group.index()] -= 1;
        }
        if let Some(list) = state.list(queue) {
            self.push(list, id);
        }
    }

    fn push(&mut self, list: usize, id: SegmentId) {
        let tail = self.lists[list].tail;
        let segment = &mut self.table[id as usize];
        segment.prev = tail;
        segment.next = NONE;
        match tail {
            NONE => self.lists[list].head = id,
            tail => self.table[tail as usize].next = id,
        }
        self.lists[list].tail = id;
        self.lists[list].count += 1;
    }

    fn unlink(&mut self, list: usize, id: SegmentId) {
        let Segment { prev, next, .. } = self.table[id as usize];
        match prev {
            NONE => self.lists[list].head = next,
            prev => self.table[prev as usize].next = next,
        }
        match next {
            NONE => self.lists[list].tail = prev,
            next => self.table[next as usize].prev = prev,
        }
        self.lists[list].count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_leave_a_list_from_any_place() {
        for leaver in 0..4 {
            let mut segments = Segments::new(4);
            (0..4).for_each(|id| segments.set_state(id, State::Sealed));
            segments.set_state(leaver, State::Draining);
            let rest: Vec<_> = std::iter::from_fn(|| {
                let id = segments.oldest_sealed(Queue::Small)?;
                segments.set_state(id, State::Held);
                Some(id)
            })
            .collect();
            let expected: Vec<_> = (0..4).filter(|&id| id != leaver).collect();
            assert_eq!(rest, expected);
            assert_eq!(segments.held(), 3);
            assert_eq!(segments.sealed(Queue::Small), 0);
        }
    }

    #[test]
    fn a_promoted_segment_is_the_last_of_the_main_queue() {
        let mut segments = Segments::new(3);
        (0..3).for_each(|id| segments.set_state(id, State::Sealed));
        [1, 0, 1].into_iter().for_each(|id| segments.promote(id));
        assert_eq!((segments.sealed(Queue::Small), segments.sealed(Queue::Main)), (1, 2));
        assert_eq!((segments.oldest_sealed(Queue::Small), segments.oldest_sealed(Queue::Main)), (Some(2), Some(0)));
    }

    #[test]
    fn the_last_freed_segment_is_opened_first_and_empty() {
        let mut segments = Segments::new(3);
        (0..3).for_each(|id| segments.set_state(id, State::Free));
        segments.at_mut(2).used = 64;
        assert_eq!(segments.open_free(Queue::Small, TtlGroup::LARGE), Some(2));
        assert_eq!(segments.at(2).used, 0);
        assert_eq!(segments.open_free(Queue::Main, TtlGroup::LARGE), Some(1));
        assert!(segments.at(1).sequence > segments.at(2).sequence);
    }

    #[test]
    fn segments_are_counted_by_what_they_hold_while_they_do() {
        let mut segments = Segments::new(3);
        (0..3).for_each(|id| segments.set_state(id, State::Free));
        let opened: Vec<_> = (0..3).filter_map(|_| segments.open_free(Queue::Small, TtlGroup::LARGE)).collect();
        let count = |segments: &Segments| segments.groups()[TtlGroup::LARGE.index()];
        assert_eq!((opened.len(), count(&segments)), (3, 3));
        segments.set_state(0, State::Sealed);
        segments.promote(0);
        segments.set_state(1, State::Held);
        segments.set_state(2, State::Free);
        assert_eq!(count(&segments), 1, "the promoted one");
        segments.set_state(1, State::Free);
        assert_eq!(segments.groups().iter().sum::<u32>(), 1);
    }
}
