//! Where the memory of a shard comes from: a memfd that is mapped once.
//!
//! **Not** what may be done with it (that is `memory`). Its twin under Miri, which knows no memfd, is `heap`.
//!
//! **Invariants**: `base` is valid for reads and writes of `bytes` bytes until the value is dropped.
//!
//! **Source**: memfd_create(2), mmap(2), fallocate(2), madvise(2) with MADV_COLLAPSE and MADV_POPULATE_WRITE; Linux >= 6.1.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};

use super::CHUNK_BYTES;

/// A memfd that is mapped.
#[derive(Debug)]
pub(super) struct Backing {
    pub(super) base: NonNull<u8>,
    pub(super) bytes: usize,
    descriptor: OwnedFd,
}

impl Backing {
    /// Maps `bytes` bytes of address space, which read as zeros, without committing any memory.
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

    /// Asks for huge pages under the first `bytes` bytes, whatever `shmem_enabled` says. A refusal costs speed only.
    pub(super) fn collapse(&self, bytes: usize) {
        assert!(bytes <= self.bytes, "what is asked for lies inside");
        // SAFETY: the range is mapped (the module's invariant), and the request changes which pages hold the content, not the
        // content.
        unsafe { libc::madvise(self.base.as_ptr().cast(), bytes, libc::MADV_COLLAPSE) };
    }

    /// Commits the first `bytes` bytes.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub(super) fn populate(&self, bytes: usize) -> io::Result<()> {
        assert!(bytes <= self.bytes, "what is asked for lies inside");
        // SAFETY: the range is mapped (the module's invariant); the request changes no content.
        let status = unsafe { libc::madvise(self.base.as_ptr().cast(), bytes, libc::MADV_POPULATE_WRITE) };
        if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Gives a chunk back to the kernel; it reads as zeros from then on. The caller lends nothing of it.
    pub(super) fn discard(&self, chunk: usize) {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        let (at, length) = ((chunk * CHUNK_BYTES) as libc::off_t, CHUNK_BYTES as libc::off_t);
        // SAFETY: the descriptor is ours; what the call does to memory that is lent is the caller's promise.
        let status = unsafe { libc::fallocate(self.descriptor.as_raw_fd(), mode, at, length) };
        // A refusal (no known cause on a memfd) leaves the chunk resident; it is still never read before it is written.
        debug_assert_eq!(status, 0, "punching a hole in a memfd");
    }

    /// Memory the kernel has committed, in bytes.
    #[cfg(test)]
    pub(super) fn resident_bytes(&self) -> u64 {
        let mut status = std::mem::MaybeUninit::<libc::stat>::uninit();
        // SAFETY: fstat fills the whole structure when it returns 0, which is asserted before it is read.
        let status = unsafe {
            assert_eq!(libc::fstat(self.descriptor.as_raw_fd(), status.as_mut_ptr()), 0, "our own descriptor");
            status.assume_init()
        };
        // The kernel counts in blocks of 512 bytes.
        status.st_blocks as u64 * 512
    }
}

impl Drop for Backing {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `Backing::reserve` with this length, and nobody else has it any more.
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
