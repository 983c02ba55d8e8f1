//! The mapped memory itself: what any thread may do with it.
//!
//! **Not** the owner's view, which lends slices (that is [`super::Mapping`]); not where it comes from (that is `mapped`); not what
//! lies in it.
//!
//! **Invariants**: what is written is words, written atomically.
//!
//! **Source**: the Rust reference on atomics and data races: reads that are not atomic may meet atomic reads, and atomic reads may
//! meet atomic writes.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(miri)]
use super::heap::Backing;
#[cfg(not(miri))]
use super::mapped::Backing;
use super::{LINE_WORDS, WORD_BYTES};

/// The memory of one shard.
#[derive(Debug)]
pub(in crate::cache) struct Memory {
    backing: Backing,
}

// SAFETY: the memory belongs to the process, not to a thread, and is given back once, by whoever drops the last handle.
unsafe impl Send for Memory {}
// SAFETY: through a shared reference, words are read and written atomically; whoever reads otherwise is the thread that
// alone writes (`Mapping`, which is not `Sync`).
unsafe impl Sync for Memory {}

impl Memory {
    /// Takes `bytes` bytes of address space, which read as zeros, without committing any memory.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub(super) fn reserve(bytes: usize) -> io::Result<Self> {
        Ok(Self { backing: Backing::reserve(bytes)? })
    }

    /// Where it begins: at a multiple of a chunk.
    pub(super) const fn base(&self) -> *mut u8 {
        self.backing.base.as_ptr()
    }

    pub(super) const fn backing(&self) -> &Backing {
        &self.backing
    }

    /// Length in bytes.
    pub(in crate::cache) const fn bytes(&self) -> usize {
        self.backing.bytes
    }

    #[inline]
    pub(super) fn check(&self, at: usize, len: usize) {
        assert!(len <= self.bytes() && at <= self.bytes() - len, "offset {at} + {len} lies outside the arena");
    }

    #[inline]
    fn word(&self, at: usize) -> &AtomicU64 {
        self.check(at, WORD_BYTES);
        assert!(at.is_multiple_of(WORD_BYTES), "words are aligned");
        // SAFETY: in bounds and aligned by the checks (the base is page-aligned), alive as long as `self`; all writes are
        // atomic (the module's invariant).
        unsafe { AtomicU64::from_ptr(self.base().add(at).cast()) }
    }

    /// Reads the word at byte offset `at`, in no order with other words.
    ///
    /// # Panics
    ///
    /// When `at` is not a multiple of 8 or lies outside the mapping.
    #[inline]
    pub(in crate::cache) fn load(&self, at: usize) -> u64 {
        self.word(at).load(Ordering::Relaxed)
    }

    /// Reads the cache line at byte offset `at`, each word by itself.
    ///
    /// # Panics
    ///
    /// As [`Memory::load`].
    #[inline]
    pub(in crate::cache) fn line(&self, at: usize) -> [u64; LINE_WORDS] {
        std::array::from_fn(|n| self.load(at + n * WORD_BYTES))
    }

    /// Writes the words from byte offset `at` on, each by itself; only the owner does.
    #[inline]
    pub(super) fn store_words<const N: usize>(&self, at: usize, words: [u64; N]) {
        self.check(at, N * WORD_BYTES);
        assert!(at.is_multiple_of(WORD_BYTES), "words are aligned");
        for (n, word) in words.into_iter().enumerate() {
            // SAFETY: in bounds and aligned by the checks (the base is page-aligned), alive as long as `self`; all writes are
            // atomic (the module's invariant).
            let place = unsafe { AtomicU64::from_ptr(self.base().add(at + n * WORD_BYTES).cast()) };
            place.store(word, Ordering::Relaxed);
        }
    }

    /// Writes the word at byte offset `at`; only the owner does.
    #[inline]
    pub(super) fn store(&self, at: usize, word: u64) {
        self.word(at).store(word, Ordering::Relaxed);
    }
}
