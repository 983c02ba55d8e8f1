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
//! bucket. That fails only when nearly all slots are in use, and then the page is laid out anew with more buckets.
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

/// A page grows by this part of its buckets: between growths it is 0.84 to 0.95 full.
const GROWTH_PART: u32 = 8;

/// A page that is less full than this shrinks: some way below what it is after a growth, so that it does not swing.
const SPARSE_PERCENT: u64 = 78;

/// How full a page is after it has shrunk.
const SHRUNK_PERCENT: u64 = 88;

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

    /// Makes an empty slot for a tag whose buckets are full, by moving one of their slots to its other bucket.
    #[cold]
    pub(super) fn displace(self, arena: &mut Arena, tag: u64) -> Option<usize> {
        for bucket in self.candidates(tag) {
            for (n, slot) in arena.line(bucket).into_iter().enumerate() {
                let [home, other] = self.candidates(Slot(slot).tag());
                let elsewhere = if bucket == home { other } else { home };
                if let Some(vacancy) = vacancy_in(arena, elsewhere) {
                    let at = bucket + n * WORD_BYTES;
                    arena.store(vacancy, slot);
                    arena.store(at, 0);
                    return Some(at);
                }
            }
        }
        None
    }

    /// Puts all slots of this page into `to`, whose memory is new and of any content. `false` when they do not fit.
    pub(super) fn lay_out(self, arena: &mut Arena, to: Self) -> bool {
        (0..to.bytes()).step_by(WORD_BYTES).for_each(|offset| arena.store(to.at + offset, 0));
        // First as many as can be go to their homes; those for which there was no room are marked, a bit each.
        let mut filled = [0_u8; BUCKETS_MAX];
        let mut left = [0_u8; BUCKETS_MAX];
        for bucket in 0..self.buckets as usize {
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
                    left[bucket] |= 1 << n;
                }
            }
        }
        (0..self.buckets as usize).all(|bucket| {
            let line = arena.line(self.at + bucket * BUCKET_BYTES);
            let mut slots = (0..SLOTS_PER_BUCKET).filter(|n| left[bucket] >> n & 1 != 0).map(|n| line[n]);
            slots.all(|slot| to.put(arena, Slot(slot)))
        })
    }

    fn put(self, arena: &mut Arena, slot: Slot) -> bool {
        let vacancy = self.vacancy(arena, slot.tag());
        let Some(at) = vacancy.or_else(|| self.displace(arena, slot.tag())) else { return false };
        arena.store(at, slot.0);
        true
    }

    /// The buckets of a page that has become too small; as many as now when it is as large as can be.
    pub(super) fn grown(self) -> u32 {
        (self.buckets + (self.buckets / GROWTH_PART).max(1)).min(BUCKETS_MAX as u32)
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
