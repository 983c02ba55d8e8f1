//! Notes of hits: how other threads report to the owner of a cache which of its items they have read.
//!
//! A ring of hashes for each reader, which writes at one end while the owner takes from the other. A full ring drops what
//! comes: a note is worth less than a wait. The owner is not woken; it looks when it stores something, which is when it
//! matters who was used.
//!
//! **Not** exact: a note counts for an item that has the hash's tag, in the two buckets of the hash.
//!
//! **Invariants**: one reader thread per ring, one owner; a note is taken once or dropped.

use crate::sync::{AtomicU64, Ordering};

/// Notes of one reader that wait at most.
const NOTES_MAX: u64 = 256;

/// The notes of one reader.
#[derive(Debug)]
pub(super) struct Notes {
    ring: Box<[AtomicU64]>,
    /// Notes written so far; the reader's.
    written: Apart,
    /// Notes taken so far; the owner's.
    taken: Apart,
}

/// A counter on cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Apart(AtomicU64);

impl Default for Notes {
    fn default() -> Self {
        Self::new(NOTES_MAX)
    }
}

impl Notes {
    /// A ring of `len` notes, a power of two.
    #[must_use]
    pub(super) fn new(len: u64) -> Self {
        assert!(len.is_power_of_two(), "places follow from the low bits");
        let ring = (0..len).map(|_| AtomicU64::new(0)).collect();
        Self { ring, written: Apart(AtomicU64::new(0)), taken: Apart(AtomicU64::new(0)) }
    }

    /// Leaves a note. The reader only. False when it was dropped.
    #[inline]
    pub(super) fn leave(&self, hash: u64) -> bool {
        let written = self.written.0.load(Ordering::Relaxed);
        // Acquire: the owner has read what is written over.
        if written - self.taken.0.load(Ordering::Acquire) == self.ring.len() as u64 {
            return false;
        }
        self.place(written).store(hash, Ordering::Relaxed);
        self.written.0.store(written + 1, Ordering::Release);
        true
    }

    /// Takes the oldest note. The owner only.
    #[inline]
    pub(super) fn take(&self) -> Option<u64> {
        let taken = self.taken.0.load(Ordering::Relaxed);
        if taken == self.written.0.load(Ordering::Acquire) {
            return None;
        }
        let hash = self.place(taken).load(Ordering::Relaxed);
        self.taken.0.store(taken + 1, Ordering::Release);
        Some(hash)
    }

    fn place(&self, number: u64) -> &AtomicU64 {
        &self.ring[(number & (self.ring.len() as u64 - 1)) as usize]
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn notes_come_in_order_and_a_full_ring_drops() {
        let notes = Notes::new(4);
        for round in 0..10 {
            let left: Vec<bool> = (0..6).map(|n| notes.leave(round * 10 + n)).collect();
            assert_eq!(left, [true, true, true, true, false, false]);
            let taken: Vec<u64> = std::iter::from_fn(|| notes.take()).collect();
            assert_eq!(taken, [0, 1, 2, 3].map(|n| round * 10 + n));
        }
    }
}
