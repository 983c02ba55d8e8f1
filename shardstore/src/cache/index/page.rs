//! A page: the hash table of one root, of any number of buckets.
//!
//! ```text
//!  bucket 0        bucket 1                    bucket n-1         n = 2 to 512, a cache line of 8 slots each
//!  ├─ 8 slots ─┼─ 8 slots ─┼─ …           ┼─ 8 slots ─┤
//!
//!  home  = tag × n >> 20                       both follow from the tag alone, so that a slot can be put into a page of
//!  other = (tag × odd) × (n - 1) >> 20,        another size, or into its other bucket, without a look at its key
//!          the home left out
//! ```
//!
//! A slot goes to its home bucket, else to the other one, else one of the 16 slots that are there goes to its own other
//! bucket, or one of the 128 slots there to its own. That fails only when nearly all slots are in use, and then the page is
//! laid out anew with more buckets.
//!
//! **Not**: memory for pages (that is `space`), versions (the caller has begun a change, or nobody knows the page yet).
//!
//! **Invariants**: a slot lies in one of the two buckets of its tag.
//!
//! **Source**: Pagh, Rodler, "Cuckoo hashing", J. Algorithms 2004; Fan, Andersen, Kaminsky, "MemC3", NSDI 2013 (the other
//! bucket follows from the tag); Lemire, "Fast random integer generation in an interval" (multiply-shift).

use super::super::arena::{Arena, LINE_WORDS, Mapping, WORD_BYTES};
use super::slot::{Slot, TAG_BITS, matches};

pub(super) const SLOTS_PER_BUCKET: usize = LINE_WORDS;
pub(super) const BUCKET_BYTES: usize = LINE_WORDS * WORD_BYTES;

/// Fewest buckets of a page: an item has two.
pub(super) const BUCKETS_MIN: usize = 2;

/// Most buckets of a page: 32 KiB, which take about 15 us to be laid out anew. At 64 KiB of memory for a root, they are
/// enough for items of 20 bytes; in a shard that has grown to four times its size, for items of 80.
pub(super) const BUCKETS_MAX: usize = 512;

/// Slots that are moved to make room for one: two, for which at most 16 + 128 buckets are looked at.
const DISPLACED_MAX: u32 = 2;

/// From here on a page is so full that it rather grows than that many buckets are looked at.
const FULL_PERCENT: u64 = 94;

/// A page grows by this part of its buckets: then it is some 88 % full, having been 95 %.
const GROWTH_PART: u32 = 12;

/// A page that is less full than this shrinks: some way below what it is after a growth, so that it does not swing. The count
/// of items of a page of 200 varies by 7 % (one standard deviation) when the cache is full and the items change.
const SPARSE_PERCENT: u64 = 82;

/// How full a page is after it has shrunk.
const SHRUNK_PERCENT: u64 = 92;

/// Odd, and the golden ratio of the tags' range: neighbouring tags, which share a home, have other buckets far apart.
const SPREAD: u64 = 0x9_e377;

const _: () = assert!(BUCKET_BYTES == 64, "a bucket is one cache line");
const _: () = assert!(SPREAD % 2 == 1 && SPREAD < 1 << TAG_BITS);

/// Where a page lies, and how large it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cache) struct Page {
    /// Byte offset in the arena.
    pub(super) at: usize,
    /// Count of buckets.
    pub(super) buckets: u32,
}

impl Page {
    pub(super) const fn bytes(self) -> usize {
        self.buckets as usize * BUCKET_BYTES
    }

    pub(super) const fn slots(self) -> u64 {
        self.buckets as u64 * SLOTS_PER_BUCKET as u64
    }

    /// The two buckets of a tag, home first, as byte offsets in the arena.
    #[inline(always)]
    pub(in crate::cache) const fn candidates(self, tag: u64) -> [usize; 2] {
        let buckets = self.buckets as u64;
        let home = (tag * buckets) >> TAG_BITS;
        let spread = tag.wrapping_mul(SPREAD) & ((1 << TAG_BITS) - 1);
        let other = (spread * (buckets - 1)) >> TAG_BITS;
        let other = other + (other >= home) as u64;
        [self.at + home as usize * BUCKET_BYTES, self.at + other as usize * BUCKET_BYTES]
    }

    /// An empty slot for a tag, in its home bucket if there is one.
    #[inline]
    pub(super) fn vacancy(self, arena: &Mapping, tag: u64) -> Option<usize> {
        self.candidates(tag).into_iter().find_map(|bucket| vacancy_in(arena, bucket))
    }

    /// Makes an empty slot for a tag whose buckets are full, by moving one of their slots to its other bucket; where all these
    /// are full too, one slot from there to its own other one first.
    ///
    /// At most `displaced_max` slots are moved.
    #[cold]
    pub(super) fn displace(self, arena: &mut Arena, tag: u64, displaced_max: u32) -> Option<usize> {
        let buckets = self.candidates(tag);
        (0..displaced_max).find_map(|before| buckets.into_iter().find_map(|bucket| self.clear(arena, bucket, before)))
    }

    /// Makes an empty slot in a bucket that is full, after `before` others have been moved.
    fn clear(self, arena: &mut Arena, bucket: usize, before: u32) -> Option<usize> {
        for (n, slot) in arena.line(bucket).into_iter().enumerate() {
            let [home, other] = self.candidates(Slot(slot).tag());
            let elsewhere = if bucket == home { other } else { home };
            // What is moved first does not come here, as there is no room here.
            let vacancy = match before {
                0 => vacancy_in(arena, elsewhere),
                _ => self.clear(arena, elsewhere, before - 1),
            };
            if let Some(vacancy) = vacancy {
                let at = bucket + n * WORD_BYTES;
                arena.store(vacancy, slot);
                arena.store(at, 0);
                return Some(at);
            }
        }
        None
    }

    /// Puts all slots of this page into `to`, whose memory is new and of any content. `false` when they do not fit.
    pub(super) fn lay_out(self, arena: &mut Arena, to: Self) -> bool {
        arena.clear_lines(to.at, to.buckets as usize);
        // First as many as can be go to their homes; those for which there was no room are marked, a bit each.
        let mut filled = [0_u8; BUCKETS_MAX];
        let mut left = [0_u8; BUCKETS_MAX];
        for (bucket, left) in left.iter_mut().enumerate().take(self.buckets as usize) {
            for (n, slot) in arena.line(self.at + bucket * BUCKET_BYTES).into_iter().enumerate() {
                if slot == 0 {
                    continue;
                }
                let [home, _] = to.candidates(Slot(slot).tag());
                let count = &mut filled[(home - to.at) / BUCKET_BYTES];
                if usize::from(*count) < SLOTS_PER_BUCKET {
                    arena.store(home + usize::from(*count) * WORD_BYTES, slot);
                    *count += 1;
                } else {
                    *left |= 1 << n;
                }
            }
        }
        left.iter().enumerate().filter(|(_, left)| **left != 0).all(|(bucket, left)| {
            let line = arena.line(self.at + bucket * BUCKET_BYTES);
            let mut slots = (0..SLOTS_PER_BUCKET).filter(|n| left >> n & 1 != 0).map(|n| line[n]);
            slots.all(|slot| to.put(arena, Slot(slot)))
        })
    }

    fn put(self, arena: &mut Arena, slot: Slot) -> bool {
        let vacancy = self.vacancy(arena, slot.tag());
        let Some(at) = vacancy.or_else(|| self.displace(arena, slot.tag(), DISPLACED_MAX)) else { return false };
        arena.store(at, slot.0);
        true
    }

    /// How many slots may be moved to make room for one more than `items`.
    #[inline]
    pub(super) const fn displaced_max(self, items: u64) -> u32 {
        let may_grow = self.buckets < BUCKETS_MAX as u32;
        if may_grow && items * 100 >= self.slots() * FULL_PERCENT { 1 } else { DISPLACED_MAX }
    }

    /// The buckets of a page that has become too small, or more with each time it is tried; as many as now when it is as large as
    /// can be.
    pub(super) fn grown(self, tried: u32) -> u32 {
        let more = (self.buckets / GROWTH_PART).max(1) << tried;
        (self.buckets + more).min(BUCKETS_MAX as u32)
    }

    /// The buckets that a page of so many items should have if it has far too many; `None` when it has not.
    #[inline]
    pub(super) fn shrunk(self, items: u64) -> Option<u32> {
        if items * 100 >= self.slots() * SPARSE_PERCENT {
            return None;
        }
        let buckets = (items * 100).div_ceil(SHRUNK_PERCENT * SLOTS_PER_BUCKET as u64).max(BUCKETS_MIN as u64) as u32;
        (buckets < self.buckets).then_some(buckets)
    }
}

/// An empty slot of a bucket.
#[inline]
fn vacancy_in(arena: &Mapping, bucket: usize) -> Option<usize> {
    let empty = matches(&arena.line(bucket), 0);
    (empty != 0).then(|| bucket + empty.trailing_zeros() as usize * WORD_BYTES)
}
