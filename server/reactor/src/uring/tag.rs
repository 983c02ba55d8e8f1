//! The 64 bits that come back with every completion: which operation of whom it was.
//!
//! ```text
//!  63      60 59                    36 35                                32 31                               0
//! +----------+------------------------+------------------------------------+----------------------------------+
//! | kind (4) | index in the slab (24) | (4, zero)                          | generation (32)                  |
//! +----------+------------------------+------------------------------------+----------------------------------+
//! ```
//!
//! **Invariants**: a tag names one operation kind of one occupant of one slot; a completion that comes late finds the
//! generation changed.

use crate::id::SlabKey;

const INDEX_BITS: u32 = 24;
const INDEX_SHIFT: u32 = 36;
const KIND_SHIFT: u32 = 60;
const _: () = assert!(INDEX_SHIFT + INDEX_BITS == KIND_SHIFT, "the index ends where the kind begins");
const _: () = assert!(1 << INDEX_BITS >= 1 << 20, "every connection of a core has an index");

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Nobody waits for it: cancels, closes, shutdowns.
    Ignored = 0,
    Accept = 1,
    Connect = 2,
    Receive = 3,
    Send = 4,
    /// Another core rang.
    Wake = 5,
    Signal = 6,
    /// A receive into the large buffers.
    ReceiveBulk = 7,
    /// The standing alarm.
    Alarm = 8,
}

const KINDS: [Kind; 9] = [
    Kind::Ignored,
    Kind::Accept,
    Kind::Connect,
    Kind::Receive,
    Kind::Send,
    Kind::Wake,
    Kind::Signal,
    Kind::ReceiveBulk,
    Kind::Alarm,
];

pub(crate) const NO_KEY: SlabKey = SlabKey { index: 0, generation: 0 };

pub(crate) fn pack(kind: Kind, key: SlabKey) -> u64 {
    assert!(key.index < 1 << INDEX_BITS, "slab index {} does not fit its {INDEX_BITS} bits", key.index);
    (kind as u64) << KIND_SHIFT | u64::from(key.index) << INDEX_SHIFT | u64::from(key.generation)
}

pub(crate) fn unpack(tag: u64) -> (Kind, SlabKey) {
    let kind = KINDS.get((tag >> KIND_SHIFT) as usize).copied().unwrap_or(Kind::Ignored);
    let index = (tag >> INDEX_SHIFT) as u32 & ((1 << INDEX_BITS) - 1);
    (kind, SlabKey { index, generation: tag as u32 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_as_it_went() {
        for kind in KINDS {
            for key in
                [NO_KEY, SlabKey { index: (1 << 20) - 1, generation: u32::MAX }, SlabKey { index: 5, generation: 9 }]
            {
                assert_eq!(unpack(pack(kind, key)), (kind, key));
            }
        }
    }

    #[test]
    fn kinds_are_numbered_as_listed() {
        for (number, kind) in KINDS.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
    }
}
