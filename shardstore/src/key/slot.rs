//! Ids of the parts of the key space: the slot between nodes, the shard within a process.
//!
//! **Not**: who owns a slot (that is `placement::Topology`).
//!
//! **Invariants**: a [`SlotId`] is always below [`SLOT_COUNT`].
//!
//! **Source**: the Redis cluster specification for the count: large enough to spread over hundreds of nodes evenly, small
//! enough that a whole owner table is 32 KiB.

use std::fmt;

/// Bits of a slot number.
pub const SLOT_BITS: u32 = 14;

/// Number of slots the whole key space is cut into.
pub const SLOT_COUNT: u16 = 1 << SLOT_BITS;

const _: () = assert!(SLOT_COUNT == 16_384);

/// One of the 16384 fixed parts of the whole key space; the unit of ownership between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(u16);

impl SlotId {
    /// The first slot; also what frames without a key carry.
    pub const ZERO: Self = Self(0);

    /// The slot with this number, or `None` at [`SLOT_COUNT`] and above.
    #[inline]
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number < SLOT_COUNT { Some(Self(number)) } else { None }
    }

    /// The slot that the top [`SLOT_BITS`] bits of a hash name.
    #[inline]
    #[must_use]
    pub(crate) const fn of_hash(hash: u64) -> Self {
        Self((hash >> (u64::BITS - SLOT_BITS)) as u16)
    }

    /// The slot's number, below [`SLOT_COUNT`].
    #[inline]
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The slot's number as an index into a table of [`SLOT_COUNT`] entries.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Every slot, in ascending order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        (0..SLOT_COUNT).map(Self)
    }
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The part of a process's key space that one core owns: the core's position within the process, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

impl ShardId {
    /// The shard's number as an index into a table with an entry per core.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
