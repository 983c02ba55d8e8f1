//! A slot of the index: one word that leads to an item.
//!
//! ```text
//!   63                44 43  42 41  40 39                                   0
//!  ├────────────────────┼──────┼──────┼──────────────────────────────────────┤
//!  │ tag 20             │freq 2│flag 2│ location 40, in 8-byte units         │
//!  └────────────────────┴──────┴──────┴──────────────────────────────────────┘
//!   0 = empty, so a tag is never 0. flag is 0 for now.
//! ```
//!
//! The tag is the low 20 bits of the index hash. It says all there is to know of where the slot may lie in its page, so that
//! pages are laid out anew without a look at keys. The root is chosen by the high 32 bits, so tags of a page are evenly spread.
//!
//! **Not**: where a slot lies (that is `page`).
//!
//! **Invariants**: no slot in use has tag 0.

use super::super::arena::LINE_WORDS;
use super::super::item::Location;

/// Bits of a tag.
pub(super) const TAG_BITS: u32 = 20;
const TAG_SHIFT: u32 = 64 - TAG_BITS;
const FREQUENCY_SHIFT: u32 = Location::BITS + 2;
/// Most uses that a slot counts.
pub(super) const FREQUENCY_MAX: u64 = 3;
const LOCATION_MASK: u64 = (1 << Location::BITS) - 1;

const _: () = assert!(Location::BITS + 2 + 2 + TAG_BITS == 64, "a slot is one word");
const _: () = assert!(FREQUENCY_SHIFT + 2 == TAG_SHIFT);

/// A slot, as it lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cache) struct Slot(pub(super) u64);

impl Slot {
    /// A slot of an item that was used `frequency` times, 0 to 3.
    #[inline]
    pub(in crate::cache) const fn new(tag: u64, location: Location, frequency: u64) -> Self {
        debug_assert!(tag != 0 && tag < 1 << TAG_BITS && frequency <= FREQUENCY_MAX);
        Self(tag << TAG_SHIFT | frequency << FREQUENCY_SHIFT | location.units())
    }

    #[inline]
    pub(in crate::cache) const fn from_word(word: u64) -> Self {
        Self(word)
    }

    #[inline]
    pub(in crate::cache) const fn tag(self) -> u64 {
        self.0 >> TAG_SHIFT
    }

    /// Uses since the item came into its queue, 0 to 3.
    #[inline]
    pub(in crate::cache) const fn frequency(self) -> u64 {
        self.0 >> FREQUENCY_SHIFT & FREQUENCY_MAX
    }

    #[inline]
    pub(in crate::cache) const fn location(self) -> Location {
        Location::from_units(self.0 & LOCATION_MASK)
    }

    #[inline]
    pub(super) const fn with_location(self, location: Location) -> Self {
        Self(self.0 & !LOCATION_MASK | location.units())
    }

    #[inline]
    pub(super) const fn with_frequency(self, frequency: u64) -> Self {
        debug_assert!(frequency <= FREQUENCY_MAX);
        Self(self.0 & !(FREQUENCY_MAX << FREQUENCY_SHIFT) | frequency << FREQUENCY_SHIFT)
    }
}

/// The tag of an index hash; never 0.
#[inline]
pub(super) const fn tag_of(hash: u64) -> u64 {
    let tag = hash & ((1 << TAG_BITS) - 1);
    if tag == 0 { 1 } else { tag }
}

/// One bit for each slot of a bucket that has this tag; of tag 0, one for each that is empty.
#[inline(always)]
pub(super) fn matches(line: &[u64; LINE_WORDS], tag: u64) -> u32 {
    line.iter().enumerate().fold(0, |bits, (n, &slot)| bits | u32::from(slot >> TAG_SHIFT == tag) << n)
}

/// The same of two buckets; the bits of the second one follow those of the first.
///
/// Written so that the compiler compares lanes of vectors: of both buckets in what one takes slot by slot.
#[inline(always)]
pub(super) fn matches_in_two(lines: &[[u64; LINE_WORDS]; 2], tag: u64) -> u32 {
    let bits: [u16; 2 * LINE_WORDS] = std::array::from_fn(|n| {
        let upper = (lines[n / LINE_WORDS][n % LINE_WORDS] >> 32) as u32;
        if u64::from(upper >> (TAG_SHIFT - 32)) == tag { 1 << n } else { 0 }
    });
    u32::from(bits.into_iter().fold(0, |all, bit| all | bit))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever two buckets hold, the same slots are found together as one by one.
    #[test]
    fn slots_with_a_tag_are_found_in_both_buckets() {
        let words = [0, 1, 1 << TAG_SHIFT, (1 << TAG_SHIFT) - 1, 5 << TAG_SHIFT | 7, u64::MAX, 0x8000_0000_0000_0000];
        for seed in 0..10_000_usize {
            let line = |step: usize| std::array::from_fn(|n| words[(seed * 31 + n * (seed % step + 1)) % words.len()]);
            let lines = [line(11), line(13)];
            for tag in [0, 1, 5, (1 << TAG_BITS) - 1, 1 << (TAG_BITS - 1)] {
                let expected = matches(&lines[0], tag) | matches(&lines[1], tag) << LINE_WORDS;
                assert_eq!(matches_in_two(&lines, tag), expected, "{lines:x?}, tag {tag}");
            }
        }
    }
}
