//! A digest of who owns which slot, to tell whether two processes mean the same map by one epoch.
//!
//! ```text
//!  slot    0 ──── 127 | 128 ──── 255 | … | 16256 ──── 16383
//!  block   0          | 1            | … | 127                each: CRC-32C over its slots' owners (id and address)
//! ```
//!
//! **Not** proof against forgery: it finds files that differ, as they do by mistake.
//!
//! **Invariants**: the same file has the same digest in every process; where two differ, the blocks that do are known, and with the
//! owners of the first of them ([`BlockOwners`]) the first slot.
//!
//! **Source**: docs/wire.md, "HELLO".

use std::ops::RangeInclusive;

use crate::key::SLOT_COUNT;

/// Count of blocks.
const BLOCKS: usize = 128;

/// Slots of a block.
pub const SLOTS_PER_BLOCK: usize = SLOT_COUNT as usize / BLOCKS;

const _: () = assert!(SLOTS_PER_BLOCK * BLOCKS == SLOT_COUNT as usize);

const _: () = assert!(BLOCKS == u128::BITS as usize);

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

    /// The blocks that differ: bit `n` is block `n`, the slots from `n` times [`SLOTS_PER_BLOCK`] on.
    #[must_use]
    pub fn differences(&self, other: &Self) -> u128 {
        let differ = self.0.iter().zip(other.0).enumerate().filter(|(_, (ours, theirs))| *ours != theirs);
        differ.fold(0, |blocks, (block, _)| blocks | 1 << block)
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

/// What tells the owner of each slot of one block from others: what two processes whose digests differ show each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockOwners {
    first: u16,
    owners: [u16; SLOTS_PER_BLOCK],
}

impl BlockOwners {
    /// Bytes on the wire: the first slot, then the owners.
    pub const BYTES: usize = size_of::<u16>() * (1 + SLOTS_PER_BLOCK);

    /// Of the block that begins with slot `first`, given what [`MapDigest::of`] takes.
    ///
    /// # Panics
    ///
    /// When no block begins there.
    #[must_use]
    pub fn of(first: usize, owner: impl Fn(usize) -> u32) -> Self {
        assert!(
            first < SLOT_COUNT as usize && first.is_multiple_of(SLOTS_PER_BLOCK),
            "a block begins at its first slot"
        );
        let folded = |owner: u32| (owner ^ owner >> 16) as u16;
        Self { first: first as u16, owners: std::array::from_fn(|at| folded(owner(first + at))) }
    }

    /// The first slot that differs; `None` when none is seen to, or they are of different blocks.
    #[must_use]
    pub fn first_difference(&self, other: &Self) -> Option<usize> {
        let at = self.owners.iter().zip(other.owners).position(|(ours, theirs)| *ours != theirs)?;
        (self.first == other.first).then_some(usize::from(self.first) + at)
    }

    /// Writes them to `out`, which has [`BlockOwners::BYTES`] bytes.
    pub(super) fn write(&self, out: &mut [u8]) {
        let all = std::iter::once(self.first).chain(self.owners);
        for (bytes, value) in out.chunks_exact_mut(size_of::<u16>()).zip(all) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Reads them.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut all = bytes.chunks_exact(size_of::<u16>()).map(|two| u16::from_le_bytes([two[0], two[1]]));
        let first = all.next().unwrap_or_default();
        Self { first, owners: std::array::from_fn(|_| all.next().unwrap_or_default()) }
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
            assert_eq!(same.differences(&other), 1 << (changed / SLOTS_PER_BLOCK));
            assert_ne!(same.sum(), other.sum());
            let mut bytes = [0; MapDigest::BYTES];
            other.write(&mut bytes);
            assert_eq!(MapDigest::read(&bytes), other);
        }
    }

    #[test]
    fn the_owners_of_a_block_show_the_first_slot_that_differs() {
        let ours = BlockOwners::of(256, |slot| slot as u32);
        let theirs = BlockOwners::of(256, |slot| if slot < 300 { slot as u32 } else { 7 << 16 });
        assert_eq!((ours.first_difference(&ours), ours.first_difference(&theirs)), (None, Some(300)));
        assert_eq!(ours.first_difference(&BlockOwners::of(384, |_| 9)), None, "of another block");
        let mut bytes = [0; BlockOwners::BYTES];
        theirs.write(&mut bytes);
        assert_eq!(BlockOwners::read(&bytes), theirs);
    }
}
