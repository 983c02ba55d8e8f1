//! A digest of who owns which slot, to tell whether two processes mean the same map by one epoch.
//!
//! ```text
//!  slot    0 ──── 127 | 128 ──── 255 | … | 16256 ──── 16383
//!  block   0          | 1            | … | 127                each: CRC-32C over its slots' owners (id and address)
//! ```
//!
//! **Not** proof against forgery: it finds files that differ, as they do by mistake.
//!
//! **Invariants**: the same file has the same digest in every process; where two differ, the first block that does is known.
//!
//! **Source**: docs/wire.md, "HELLO".

use std::ops::RangeInclusive;

use crate::key::SLOT_COUNT;

/// Count of blocks.
const BLOCKS: usize = 128;

/// Slots of a block.
pub const SLOTS_PER_BLOCK: usize = SLOT_COUNT as usize / BLOCKS;

const _: () = assert!(SLOTS_PER_BLOCK * BLOCKS == SLOT_COUNT as usize);

/// A checksum for each block of slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapDigest([u32; BLOCKS]);

impl MapDigest {
    /// Bytes on the wire.
    pub const BYTES: usize = BLOCKS * size_of::<u32>();

    /// Digests a map, given what tells the owner of a slot from others.
    #[must_use]
    pub fn of(owner: impl Fn(usize) -> u32) -> Self {
        Self(std::array::from_fn(|block| {
            let owners = (0..SLOTS_PER_BLOCK).flat_map(|slot| owner(block * SLOTS_PER_BLOCK + slot).to_le_bytes());
            super::checksum(&owners.collect::<Vec<u8>>())
        }))
    }

    /// A checksum of the whole.
    #[must_use]
    pub fn sum(&self) -> u32 {
        let mut bytes = [0; Self::BYTES];
        self.write(&mut bytes);
        super::checksum(&bytes)
    }

    /// The slots of the first block that differs; `None` when the maps are the same.
    #[must_use]
    pub fn first_difference(&self, other: &Self) -> Option<RangeInclusive<usize>> {
        let block = self.0.iter().zip(other.0).position(|(ours, theirs)| *ours != theirs)?;
        Some(block * SLOTS_PER_BLOCK..=(block + 1) * SLOTS_PER_BLOCK - 1)
    }

    /// Writes all blocks to `out`, which has [`MapDigest::BYTES`] bytes.
    pub(super) fn write(&self, out: &mut [u8]) {
        for (bytes, block) in out.chunks_exact_mut(size_of::<u32>()).zip(self.0) {
            bytes.copy_from_slice(&block.to_le_bytes());
        }
    }

    /// Reads all blocks.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut blocks = [0; BLOCKS];
        for (block, bytes) in blocks.iter_mut().zip(bytes.chunks_exact(size_of::<u32>())) {
            *block = u32::from_le_bytes(bytes.try_into().expect("chunks of four"));
        }
        Self(blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slot_with_another_owner_is_found_in_its_block() {
        let same = MapDigest::of(|slot| slot as u32 / 5000);
        assert_eq!(same.first_difference(&same), None);
        for changed in [0, 127, 128, 9000, 16383] {
            let other = MapDigest::of(|slot| if slot == changed { 77 } else { slot as u32 / 5000 });
            let first = changed / SLOTS_PER_BLOCK * SLOTS_PER_BLOCK;
            assert_eq!(same.first_difference(&other), Some(first..=first + SLOTS_PER_BLOCK - 1));
            assert_ne!(same.sum(), other.sum());
            let mut bytes = [0; MapDigest::BYTES];
            other.write(&mut bytes);
            assert_eq!(MapDigest::read(&bytes), other);
        }
    }
}
