//! The mapped memory itself: what any thread may do with it.
//!
//! **Not** the owner's view, which lends slices (that is [`super::Mapping`]); not what lies in it.
//!
//! **Invariants**: `base` is valid for reads and writes of `bytes` bytes until the value is dropped; what is written is words,
//! written atomically.
//!
//! **Source**: memfd_create(2), mmap(2); the Rust reference on atomics and data races: reads that are not atomic may meet
//! atomic reads, and atomic reads may meet atomic writes.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{CHUNK_BYTES, LINE_WORDS, WORD_BYTES};

/// A memfd that is mapped.
#[derive(Debug)]
pub(in crate::cache) struct Memory {
    base: NonNull<u8>,
    bytes: usize,
    descriptor: OwnedFd,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is unmapped once, by whoever drops the last handle.
unsafe impl Send for Memory {}
// SAFETY: through a shared reference, words are read and written atomically; whoever reads otherwise is the thread that
// alone writes (`Mapping`, which is not `Sync`).
unsafe impl Sync for Memory {}

impl Memory {
    /// Maps `bytes` bytes of address space without committing any memory.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub(super) fn reserve(bytes: usize) -> io::Result<Self> {
        // SAFETY: the name is a NUL-terminated literal; the flags are valid.
        let descriptor = unsafe { libc::memfd_create(c"corelane-shard".as_ptr(), libc::MFD_CLOEXEC) };
        if descriptor < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: memfd_create just returned this descriptor, and nothing else owns it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        // SAFETY: the descriptor is ours; the length fits its type, as no address space is larger.
        if unsafe { libc::ftruncate(descriptor.as_raw_fd(), bytes as libc::off_t) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let base = map(&descriptor, bytes)?;
        Ok(Self { base, bytes, descriptor })
    }

    pub(super) const fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }

    /// Length in bytes.
    pub(in crate::cache) const fn bytes(&self) -> usize {
        self.bytes
    }

    #[inline]
    pub(super) fn check(&self, at: usize, len: usize) {
        assert!(len <= self.bytes && at <= self.bytes - len, "offset {at} + {len} lies outside the arena");
    }

    #[inline]
    fn word(&self, at: usize) -> &AtomicU64 {
        self.check(at, WORD_BYTES);
        assert!(at.is_multiple_of(WORD_BYTES), "words are aligned");
        // SAFETY: in bounds and aligned by the checks (the base is page-aligned), alive as long as `self`; all writes are
        // atomic (the module's invariant).
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(at).cast()) }
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
            let place = unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(at + n * WORD_BYTES).cast()) };
            place.store(word, Ordering::Relaxed);
        }
    }

    /// Writes the word at byte offset `at`; only the owner does.
    #[inline]
    pub(super) fn store(&self, at: usize, word: u64) {
        self.word(at).store(word, Ordering::Relaxed);
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `Memory::reserve` with this length, and the last handle is going.
        let status = unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
        debug_assert_eq!(status, 0, "unmapping a range that was mapped cannot fail");
    }
}

/// Maps the memfd at a multiple of [`CHUNK_BYTES`], so that a chunk can be one huge page, and leaves it out of core dumps
/// (it holds users' data).
fn map(memory: &OwnedFd, bytes: usize) -> io::Result<NonNull<u8>> {
    // A chunk more than needed, of which the aligned part is then mapped over and the rest given back.
    let reserved = bytes + CHUNK_BYTES;
    let private = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address the kernel chooses; it replaces nothing.
    let start = unsafe { libc::mmap(ptr::null_mut(), reserved, libc::PROT_NONE, private, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let front = start.addr().next_multiple_of(CHUNK_BYTES) - start.addr();
    let base = start.wrapping_byte_add(front);
    let (protection, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_NORESERVE);
    // SAFETY: `front` is less than a chunk, so the fixed range and the two rests lie in what was just reserved, which nothing
    // else knows of. The advice changes no content; a refusal costs speed or a larger dump only.
    let mapped = unsafe {
        let mapped = libc::mmap(base, bytes, protection, shared | libc::MAP_FIXED, memory.as_raw_fd(), 0);
        let error = io::Error::last_os_error();
        if mapped == libc::MAP_FAILED {
            libc::munmap(start, reserved);
            return Err(error);
        }
        if front > 0 {
            libc::munmap(start, front);
        }
        libc::munmap(base.wrapping_byte_add(bytes), CHUNK_BYTES - front);
        libc::madvise(mapped, bytes, libc::MADV_HUGEPAGE);
        libc::madvise(mapped, bytes, libc::MADV_DONTDUMP);
        mapped
    };
    Ok(NonNull::new(mapped.cast()).expect("a mapping that succeeded is not at address 0"))
}
