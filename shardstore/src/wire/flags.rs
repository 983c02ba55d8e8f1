//! The bit fields of the header: flags and class.
//!
//! ```text
//!  flags   31                        16 15                          0
//!         ├────────────────────────────┼─────────────────────────────┤
//!         │ must be understood         │ may be ignored              │
//!         └────────────────────────────┴─────────────────────────────┘
//!  class   7 6        5           4       3 2       1 0
//!         ├──────┬───────────┬───────┬─────────┬──────────┤
//!         │ zero │ forwarded │ hedge │ attempt │ priority │
//!         └──────┴───────────┴───────┴─────────┴──────────┘
//! ```
//!
//! **Not**: which flags make sense with which operation.
//!
//! **Invariants**: bits 6 and 7 of a class are zero.
//!
//! **Source**: docs/wire.md.

use std::ops::{BitAnd, BitOr, BitOrAssign};

/// The 32 flags of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u32);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// An ext section follows the header.
    pub const EXT: Self = Self(1 << 0);
    /// Answer only if the outcome is not the expected one: not on a GET's miss, not on a SET's success.
    pub const QUIET: Self = Self(1 << 1);
    /// Doing it twice is the same as once; it may be retried and hedged.
    pub const IDEMPOTENT: Self = Self(1 << 2);
    /// `value_crc32c` covers the value; required whenever there is one.
    pub const VALUE_CRC: Self = Self(1 << 3);
    /// Request: a replica may answer.
    pub const REPLICA_OK: Self = Self(1 << 4);
    /// Request: a value past its expiry may be returned.
    pub const STALE_OK: Self = Self(1 << 5);
    /// Response: the sender's epoch is older than `slot_epoch`; it should refresh its map.
    pub const MAP_HINT: Self = Self(1 << 6);
    /// The value is a batch of entries.
    pub const BATCH: Self = Self(1 << 16);
    /// The value is a chunk and more chunks follow under the same request id.
    pub const MORE: Self = Self(1 << 17);
    /// The value is compressed; needs a negotiated feature, which version 1 does not have.
    pub const COMPRESSED: Self = Self(1 << 18);
    /// The answer to a miss carries a lease to fill; needs a negotiated feature, which version 1 does not have.
    pub const FILL_LEASE: Self = Self(1 << 19);

    /// The flags that a receiver must understand or answer UNSUPPORTED.
    pub const MUST_UNDERSTAND: Self = Self(0xffff_0000);
    /// The must-understand flags that version 1 understands without any feature.
    pub const UNDERSTOOD: Self = Self(Self::BATCH.0 | Self::MORE.0);

    /// The flags with these bits; unknown ones are kept.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits on the wire.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `other`'s flags are set.
    #[inline]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags and `other`'s.
    #[inline]
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These flags without `other`'s.
    #[inline]
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The must-understand flags among these that a receiver who understands `understood` does not.
    #[inline]
    #[must_use]
    pub const fn not_understood(self, understood: Self) -> Self {
        Self(self.0 & Self::MUST_UNDERSTAND.0 & !understood.0)
    }

    /// Whether no flag is set.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for Flags {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// How urgent a request is; lower ones are shed first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Priority {
    /// A client waits for it.
    #[default]
    Interactive = 0,
    /// A client may wait for it soon: a refresh ahead of expiry.
    Prefetch = 1,
    /// Nobody waits: bulk loading.
    Batch = 2,
    /// The system's own: never shed for load.
    System = 3,
}

/// The scheduling class of a frame: priority, attempt, hedge, forwarded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SchedulingClass(u8);

impl SchedulingClass {
    /// First attempt, interactive, neither hedged nor forwarded.
    pub const DEFAULT: Self = Self(0);
    /// Bits that are zero in every valid class.
    const RESERVED: u8 = 0b1100_0000;
    const HEDGE: u8 = 1 << 4;
    const FORWARDED: u8 = 1 << 5;
    /// Largest attempt number the two bits hold; later attempts stay at it.
    pub const ATTEMPT_MAX: u8 = 3;

    /// The class with these bits, or `None` when a reserved bit is set.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits & Self::RESERVED == 0 { Some(Self(bits)) } else { None }
    }

    /// The bits on the wire.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// This class with another priority.
    #[must_use]
    pub const fn with_priority(self, priority: Priority) -> Self {
        Self(self.0 & !0b11 | priority as u8)
    }

    /// This class with another attempt number, from 0; held at [`SchedulingClass::ATTEMPT_MAX`].
    #[must_use]
    pub const fn with_attempt(self, attempt: u8) -> Self {
        let attempt = if attempt > Self::ATTEMPT_MAX { Self::ATTEMPT_MAX } else { attempt };
        Self(self.0 & !0b1100 | attempt << 2)
    }

    /// This class marked as a hedge: a second copy sent because the first is late.
    #[must_use]
    pub const fn hedged(self) -> Self {
        Self(self.0 | Self::HEDGE)
    }

    /// This class marked as forwarded by another node; it is not forwarded again.
    #[must_use]
    pub const fn forwarded(self) -> Self {
        Self(self.0 | Self::FORWARDED)
    }

    /// How urgent the frame is.
    #[must_use]
    pub const fn priority(self) -> Priority {
        match self.0 & 0b11 {
            0 => Priority::Interactive,
            1 => Priority::Prefetch,
            2 => Priority::Batch,
            _ => Priority::System,
        }
    }

    /// The attempt number, from 0 to [`SchedulingClass::ATTEMPT_MAX`].
    #[must_use]
    pub const fn attempt(self) -> u8 {
        self.0 >> 2 & 0b11
    }
}
