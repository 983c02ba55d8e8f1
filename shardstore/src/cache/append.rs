//! Writing records: into the open segment of their stream, and across several when the value is large.
//!
//! **Not**: deciding what to reclaim; the index.
//!
//! **Invariants**: a segment is written front to back and never rewritten before it was free; whoever appends has made sure
//! of enough free segments before, so nothing is reclaimed while an item is half written.
//!
//! **Source**: docs/engine.md.

use super::item::{self, EXTENT_HEADER_BYTES, ItemHead, Location, Run, padded};
use super::segments::{Queue, Segment, SegmentId, State};
use super::ttl::{CLASSES_MAX, TtlClass, TtlGroup};
use super::{Cache, CacheError};

/// The smallest part of a value worth an extent of its own; a smaller rest of a segment is left unused.
pub(super) const EXTENT_BYTES_MIN: usize = 1024;

/// Bytes of a chained value that are copied at once, by way of the stack.
const BOUNCE_BYTES: usize = 4096;

/// A run of appends with an open segment of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// Items in one piece, of a class of times to live, into a queue.
    Whole(Queue, TtlClass),
    /// Items in chains, likewise. Their segments hold nothing else.
    Chained(Queue, TtlClass),
}

impl Stream {
    /// How many there are.
    pub(super) const COUNT: usize = 4 * CLASSES_MAX;

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Whole(Queue::Small, class) => class.index(),
            Self::Whole(Queue::Main, class) => CLASSES_MAX + class.index(),
            Self::Chained(Queue::Small, class) => 2 * CLASSES_MAX + class.index(),
            Self::Chained(Queue::Main, class) => 3 * CLASSES_MAX + class.index(),
        }
    }

    pub(super) const fn queue(self) -> Queue {
        match self {
            Self::Whole(queue, _) | Self::Chained(queue, _) => queue,
        }
    }
}

/// How an item will be laid out.
#[derive(Clone, Copy, Debug)]
pub(super) enum ItemLayout {
    /// In one piece of this many bytes.
    Inline(usize, Stream),
    /// In a chain: bytes in front of the value, bytes of the value.
    Chained { front: usize, value: usize, stream: Stream },
}

impl ItemLayout {
    /// About how many bytes the item takes; what the pace of reclaiming follows.
    pub(super) const fn record_bytes(&self) -> usize {
        match *self {
            Self::Inline(bytes, _) => bytes,
            Self::Chained { front, value, .. } => front + value,
        }
    }
}

impl Segment {
    /// Accounts for a record of `bytes` at the end.
    fn note_record(&mut self, bytes: usize, fixed: bool) {
        self.used += bytes as u32;
        self.live_bytes += bytes as u32;
        self.live_records += 1;
        self.live_fixed += u32::from(fixed);
    }

    /// Accounts for a record that died.
    pub(super) fn forget_record(&mut self, bytes: usize, fixed: bool) {
        self.live_bytes -= bytes as u32;
        self.live_records -= 1;
        self.live_fixed -= u32::from(fixed);
    }
}

impl Cache {
    /// How an item is laid out that goes to `queue`.
    pub(super) fn plan(&self, head: &ItemHead<'_>, queue: Queue, now_ms: u64) -> ItemLayout {
        let value = head.value_len as usize;
        let inline = padded(head.bytes(false) + value);
        let class = self.classes.of(head.expire_ms, now_ms);
        if inline <= self.geometry.inline_bytes_max() {
            ItemLayout::Inline(inline, Stream::Whole(queue, class))
        } else {
            ItemLayout::Chained { front: head.bytes(true), value, stream: Stream::Chained(queue, class) }
        }
    }

    /// Sees to the free segments that an item needs, by reclaiming if there are too few.
    pub(super) fn make_room(&mut self, plan: &ItemLayout, now_ms: u64) -> Result<(), CacheError> {
        let needed = match *plan {
            ItemLayout::Inline(bytes, stream) if self.room(stream) >= bytes => return Ok(()),
            ItemLayout::Inline(..) => 1,
            // One for the head when the open segment has no room for it; one because the first extent may be short.
            ItemLayout::Chained { value, .. } => value.div_ceil(self.geometry.extent_payload()) as u32 + 1,
        };
        self.reclaim_until(needed, now_ms)
    }

    /// Writes an item; [`Cache::make_room`] came first.
    pub(super) fn append(&mut self, plan: &ItemLayout, head: &ItemHead<'_>, value: &[&[u8]]) -> Location {
        match *plan {
            ItemLayout::Inline(bytes, stream) => self.append_inline((bytes, stream), head, value),
            ItemLayout::Chained { value: value_bytes, stream, .. } => {
                let source = ValueSource { from: From::Parts(value), offset: 0, left: value_bytes };
                self.append_chain(stream, head, source)
            }
        }
    }

    fn append_inline(&mut self, (bytes, stream): (usize, Stream), head: &ItemHead<'_>, value: &[&[u8]]) -> Location {
        self.open_for(stream, bytes);
        let location = self.claim(stream, bytes, false);
        let mut at = head.write(&mut self.arena, location, None);
        for part in value {
            self.arena.write(at, part);
            at += part.len();
        }
        self.note_expiry_at(location, head.expire_ms, bytes);
        location
    }

    fn append_chain(&mut self, stream: Stream, head: &ItemHead<'_>, mut rest: ValueSource<'_>) -> Location {
        let front = head.bytes(true);
        let fixed = self.is_fixed(rest.left);
        let least = front + rest.left.min(EXTENT_BYTES_MIN);
        self.open_for(stream, padded(least));
        let here = rest.left.min(self.room(stream) - front);
        let first = self.claim(stream, padded(front + here), fixed);
        let at = head.write(&mut self.arena, first, Some(item::link(here, Location::NONE)));
        self.write_from(&mut rest, at, here);
        self.note_expiry_at(first, head.expire_ms, padded(front + here));
        let mut previous = first;
        while rest.left > 0 {
            self.open_for(stream, padded(EXTENT_HEADER_BYTES + rest.left.min(EXTENT_BYTES_MIN)));
            let here = rest.left.min(self.room(stream) - EXTENT_HEADER_BYTES);
            let extent = self.claim(stream, padded(EXTENT_HEADER_BYTES + here), fixed);
            let at = item::write_extent(&mut self.arena, extent, first, here);
            self.write_from(&mut rest, at, here);
            // An extent expires with its head, so its segment must not look as if it had expired before.
            self.note_expiry_at(extent, head.expire_ms, padded(EXTENT_HEADER_BYTES + here));
            item::set_next(&mut self.arena, previous, previous == first, extent);
            previous = extent;
        }
        first
    }

    /// Copies a chained item to the open segment of a stream, and on to the next; `None` when there may be no room.
    pub(super) fn append_chain_copy(&mut self, item: &item::Item, stream: Stream) -> Option<Location> {
        let value_bytes = item.value_len as usize;
        let mut front = [0; item::KEY_AND_METADATA_BYTES_MAX];
        let head = item.head(&self.arena, &mut front);
        let beyond = (head.bytes(true) + value_bytes + EXTENT_HEADER_BYTES).saturating_sub(self.room(stream));
        let needed = if beyond == 0 { 0 } else { beyond.div_ceil(self.geometry.extent_payload()) as u32 };
        // One more is left over, or used: what is left of a segment may be too small for a part of the value, so that an item of
        // at most a segment begins one more than its bytes say.
        debug_assert!(!self.is_fixed(value_bytes), "larger items are not copied");
        if self.free() < needed + 1 {
            return None;
        }
        let source = ValueSource { from: From::Chain(item.run(&self.arena)), offset: 0, left: value_bytes };
        Some(self.append_chain(stream, &head, source))
    }

    /// Copies an inline item's record to the open segment of a stream; `None` when there is no room. The last free segment is
    /// left to what is new, so that storing does not wait.
    pub(super) fn append_copy(&mut self, item: &item::Item, bytes: usize, stream: Stream) -> Option<Location> {
        if self.room(stream) < bytes && (self.free() < 2 || !self.rotate(stream)) {
            return None;
        }
        let location = self.claim(stream, bytes, false);
        self.arena.copy(item.location.at(), location.at(), bytes);
        self.note_expiry_at(location, item.expire_ms(), bytes);
        Some(location)
    }

    /// Whether a value is so large that its item stays where it is: it is never copied.
    pub(super) fn is_fixed(&self, value_bytes: usize) -> bool {
        value_bytes > self.geometry.segment_bytes()
    }

    /// Bytes left in the open segment of a stream.
    pub(super) fn room(&self, stream: Stream) -> usize {
        self.open[stream.index()].map_or(0, |id| self.room_in(id))
    }

    /// Bytes left in a segment.
    pub(super) fn room_in(&self, id: SegmentId) -> usize {
        self.geometry.segment_bytes() - self.segments.at(id).used as usize
    }

    /// Seals the open segment of a stream and opens a free one; `false` when there is none, then the open one stays.
    pub(super) fn rotate(&mut self, stream: Stream) -> bool {
        let group = match stream {
            Stream::Whole(_, class) => self.classes.group(class),
            Stream::Chained(..) => TtlGroup::LARGE,
        };
        let Some(id) = self.segments.open_free(stream.queue(), group) else { return false };
        self.mark(id, self.latest_ms, stream.queue());
        if let Some(full) = self.open[stream.index()].replace(id) {
            self.seal(full);
        }
        true
    }

    /// Seals an open segment before it is full; its stream opens another with its next record.
    pub(super) fn close(&mut self, id: SegmentId) {
        let open = self.open.iter_mut().find(|open| **open == Some(id));
        *open.expect("an open segment is a stream's") = None;
        self.seal(id);
    }

    pub(super) fn seal(&mut self, id: SegmentId) {
        self.segments.set_state(id, State::Sealed);
        if self.segments.at(id).live_records == 0 {
            self.release(id);
        }
    }

    fn open_for(&mut self, stream: Stream, bytes: usize) {
        if self.room(stream) < bytes {
            assert!(self.rotate(stream), "room was made before the item was begun");
        }
    }

    /// Takes `bytes` of a stream's open segment, which has as many.
    fn claim(&mut self, stream: Stream, bytes: usize, fixed: bool) -> Location {
        let id = self.open[stream.index()].expect("a segment is open once there was room");
        self.claim_in(id, bytes, fixed)
    }

    /// Takes `bytes` of a segment, which has as many.
    pub(super) fn claim_in(&mut self, id: SegmentId, bytes: usize, fixed: bool) -> Location {
        let segment = self.segments.at_mut(id);
        let at = self.geometry.bytes_of(id) as usize + segment.used as usize;
        segment.note_record(bytes, fixed);
        assert!(segment.used as usize <= self.geometry.segment_bytes(), "a record ends within its segment");
        self.counters.bytes_live += bytes as u64;
        Location::of(at)
    }

    pub(super) fn note_expiry_at(&mut self, location: Location, expire_ms: u64, bytes: usize) {
        let id = self.arena.segment_of(location.at());
        self.segments.at_mut(id).note_expiry(expire_ms, bytes);
    }

    /// Writes the next `len` bytes of a source to byte offset `at`.
    fn write_from(&mut self, source: &mut ValueSource<'_>, mut at: usize, mut len: usize) {
        source.left -= len;
        while len > 0 {
            let written = match &mut source.from {
                From::Parts(parts) => {
                    let (part, others) = parts.split_first().expect("the parts are as long as the value");
                    let piece = &part[source.offset..];
                    let piece = &piece[..piece.len().min(len)];
                    self.arena.write(at, piece);
                    source.offset += piece.len();
                    if source.offset == part.len() {
                        (*parts, source.offset) = (others, 0);
                    }
                    piece.len()
                }
                From::Chain(run) => {
                    let mut bounce = [0; BOUNCE_BYTES];
                    let piece = &mut bounce[..(run.len - source.offset).min(len).min(BOUNCE_BYTES)];
                    piece.copy_from_slice(self.arena.bytes(run.at + source.offset, piece.len()));
                    self.arena.write(at, piece);
                    source.offset += piece.len();
                    if source.offset == run.len
                        && let Some(next) = run.following(&self.arena)
                    {
                        (*run, source.offset) = (next, 0);
                    }
                    piece.len()
                }
            };
            at += written;
            len -= written;
        }
    }
}

/// What is still to be written of a value.
struct ValueSource<'a> {
    from: From<'a>,
    /// Bytes of the first part that are written.
    offset: usize,
    /// Bytes of all parts still to be written.
    left: usize,
}

/// Where a value comes from.
enum From<'a> {
    /// From a caller, in parts.
    Parts(&'a [&'a [u8]]),
    /// From a chain of this cache.
    Chain(Run),
}
