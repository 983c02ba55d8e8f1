//! The memory of a shard under Miri, which has no memfd: a zeroed allocation.
//!
//! So all that is done with the memory is looked at: every offset, every word that two threads meet at, every loan.
//!
//! **Invariants**: as `mapped`, its twin.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::io;
use std::ptr::NonNull;

use super::CHUNK_BYTES;

/// An allocation.
#[derive(Debug)]
pub(super) struct Backing {
    pub(super) base: NonNull<u8>,
    pub(super) bytes: usize,
}

impl Backing {
    /// Allocates `bytes` zeros.
    ///
    /// # Errors
    ///
    /// There is no such memory.
    pub(super) fn reserve(bytes: usize) -> io::Result<Self> {
        let layout = layout(bytes);
        // SAFETY: an arena is never empty, so the layout has a size.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, bytes })
    }

    /// Nothing: there are no pages.
    pub(super) fn collapse(&self, bytes: usize) {
        assert!(bytes <= self.bytes, "what is asked for lies inside");
    }

    /// Nothing: all of it is there.
    ///
    /// # Errors
    ///
    /// None.
    pub(super) fn populate(&self, bytes: usize) -> io::Result<()> {
        assert!(bytes <= self.bytes, "what is asked for lies inside");
        Ok(())
    }

    /// Makes a chunk read as zeros. The caller lends nothing of it.
    pub(super) fn discard(&self, chunk: usize) {
        assert!((chunk + 1) * CHUNK_BYTES <= self.bytes, "a chunk lies inside");
        // SAFETY: in bounds by the check; nothing of it is lent, and no other thread reads what is not in the index.
        unsafe { self.base.as_ptr().add(chunk * CHUNK_BYTES).write_bytes(0, CHUNK_BYTES) };
    }

    /// All of it.
    #[cfg(test)]
    pub(super) fn resident_bytes(&self) -> u64 {
        self.bytes as u64
    }
}

impl Drop for Backing {
    fn drop(&mut self) {
        // SAFETY: allocated by `Backing::reserve` with this layout, and nobody else has it any more.
        unsafe { dealloc(self.base.as_ptr(), layout(self.bytes)) };
    }
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, CHUNK_BYTES).expect("an arena is no larger than an address space")
}
