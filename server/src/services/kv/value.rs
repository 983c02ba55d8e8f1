//! Sending a value of this core's shard: small ones are copied behind their head, large ones are sent from the shard's own
//! memory.
//!
//! **Not** holding more than it must: a pin lasts until the kernel is done with the bytes.
//!
//! **Invariants**: a range of a value is exactly those bytes, wherever the value's pieces begin and end.

use std::ops::Range;
use std::rc::Rc;

use reactor::SharedBytes;
use shardstore::cache::{Hit, Pinned, Value};

use crate::exchange::Reply;

/// Values up to this size are copied: one more slice in a send costs about as much as copying this much.
pub(crate) const COPY_BYTES_MAX: usize = 16 * 1024;

/// The part of a value that is to be sent, if it is not copied.
type Chunks = Vec<SharedBytes>;

/// Copies `part` of the value into the response.
#[inline(always)]
pub(super) fn copy<R: Reply>(value: &Value<'_>, part: &Range<usize>, reply: &mut R) {
    match value.as_slice() {
        Some(whole) => reply.copy(&whole[part.clone()]),
        None => copy_pieces(*value, part, |piece| reply.copy(piece)),
    }
}

#[cold]
fn copy_pieces(value: Value<'_>, part: &Range<usize>, mut copy: impl FnMut(&[u8])) {
    let mut at = 0;
    for piece in value.pieces() {
        if let Some(overlap) = overlap(at, piece.len(), part) {
            copy(&piece[overlap]);
        }
        at += piece.len();
    }
}

/// Pins the value and lends `part` of it to be sent in place; `None` when too much is pinned already: then it is read part by
/// part.
// By value: a hit whose address is taken would live in memory, on the path of every request.
pub(super) fn lend(hit: Hit<'_>, part: &Range<usize>) -> Option<Chunks> {
    let pinned = Rc::new(hit.pin()?);
    let mut chunks: Chunks = Vec::new();
    let mut at = 0;
    for (index, piece) in hit.value().pieces().enumerate() {
        if let Some(range) = overlap(at, piece.len(), part) {
            chunks.push(Rc::new(PinnedPart { pinned: Rc::clone(&pinned), index, range }));
        }
        at += piece.len();
    }
    debug_assert!(part.end <= at, "a part lies within its value");
    Some(chunks)
}

/// The part of a piece (its place in the value, its length) that belongs to `part`.
fn overlap(at: usize, len: usize, part: &Range<usize>) -> Option<Range<usize>> {
    let (start, end) = (part.start.max(at), part.end.min(at + len));
    (start < end).then(|| start - at..end - at)
}

struct PinnedPart {
    pinned: Rc<Pinned>,
    index: usize,
    range: Range<usize>,
}

impl AsRef<[u8]> for PinnedPart {
    fn as_ref(&self) -> &[u8] {
        let piece = self.pinned.value().pieces().nth(self.index).expect("a pinned value keeps its pieces");
        &piece[self.range.clone()]
    }
}

#[cfg(test)]
mod tests {
    use shardstore::cache::CacheOptions;
    use shardstore::key::KeyHasher;
    use shardstore::shard::{ClockReadings, NewValue, Shard};

    use super::*;

    #[test]
    fn overlaps_are_exact() {
        let cases = [
            ((0, 10), 0..10, Some(0..10)),
            ((0, 10), 3..5, Some(3..5)),
            ((10, 10), 3..15, Some(0..5)),
            ((10, 10), 15..99, Some(5..10)),
            ((10, 10), 0..10, None),
            ((10, 10), 20..30, None),
            ((10, 0), 0..30, None),
        ];
        for ((at, len), part, expected) in cases {
            assert_eq!(overlap(at, len, &part), expected, "{len} bytes at {at}, {part:?}");
        }
    }

    /// A shard lets a small part of it be pinned; what is beyond is not lent.
    #[test]
    fn what_cannot_be_pinned_is_not_lent() {
        const VALUES: u8 = 40;
        let hasher = KeyHasher::new(1);
        let mut shard = Shard::new(&CacheOptions::new(8 << 20, hasher), 0).unwrap();
        let value = |number: u8| -> Vec<u8> { (0..60_000_u32).map(|at| (at % 251) as u8 ^ number).collect() };
        let key = |number: u8| [0, b'k', number];
        let now = ClockReadings { steady_ms: 1, wall_ms: 1 };
        for number in 0..VALUES {
            shard.set(hasher.hash(&key(number)), &key(number), &NewValue::new(&value(number)[..]), now);
        }
        let mut held = Vec::new();
        for number in 0..VALUES {
            let hit = shard.get(hasher.hash(&key(number)), &key(number), 1).expect("there is room for all");
            let Some(chunks) = lend(hit, &(10..50_010)) else { break };
            let bytes: Vec<u8> = chunks.iter().flat_map(|chunk| (**chunk).as_ref().to_vec()).collect();
            assert!(bytes == value(number)[10..50_010], "value {number}");
            held.push(chunks);
        }
        let lent = held.len();
        assert!((1..usize::from(VALUES)).contains(&lent), "{lent} values lent");
        held.clear();
        let hit = shard.get(hasher.hash(&key(VALUES - 1)), &key(VALUES - 1), 1).expect("there is room for all");
        assert!(lend(hit, &(0..60_000)).is_some(), "what was lent has come back");
    }
}
