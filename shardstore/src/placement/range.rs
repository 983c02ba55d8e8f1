//! A range of slots.
//!
//! **Not**: an owner.
//!
//! **Invariants**: never empty: `first` is not above `last`.
//!
//! **Source**: the topology file's `slots = "0-5460"`.

use std::fmt;

use crate::key::SlotId;

/// The slots from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotRange {
    first: SlotId,
    last: SlotId,
}

impl SlotRange {
    /// The range from `first` to `last`, both included; `None` when `first` is above `last`.
    #[must_use]
    pub fn new(first: SlotId, last: SlotId) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    /// Reads `"0-5460"` or `"7"`; `None` when it is neither, or out of order or range.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let slot = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse().ok().and_then(SlotId::new))?
        };
        match text.split_once('-') {
            Some((first, last)) => Self::new(slot(first.trim_end())?, slot(last.trim_start())?),
            None => slot(text).and_then(|only| Self::new(only, only)),
        }
    }

    /// The first slot.
    #[must_use]
    pub const fn first(self) -> SlotId {
        self.first
    }

    /// The last slot, included.
    #[must_use]
    pub const fn last(self) -> SlotId {
        self.last
    }

    /// The slots as indices into a table of all slots.
    #[must_use]
    pub const fn indices(self) -> std::ops::RangeInclusive<usize> {
        self.first.index()..=self.last.index()
    }

    /// The slots, ascending.
    pub fn slots(self) -> impl Iterator<Item = SlotId> {
        (self.first.number()..=self.last.number()).filter_map(SlotId::new)
    }
}

impl fmt::Display for SlotRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}
