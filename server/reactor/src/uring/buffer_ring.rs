//! A ring of receive buffers that the kernel picks from, and our bookkeeping of who has which.
//!
//! ```text
//!  entries (shared with the kernel)      memory
//!  [ addr len bid | addr len bid | ... ] [ buffer 0 | buffer 1 | ... ]
//!    ^head (kernel)        ^tail (us)
//! ```
//!
//! First in, first out: the whole ring is its cache footprint, hence the small one for ordinary requests ([`SMALL`]);
//! a second one of large buffers serves bodies and other bulk ([`BULK`]).
//!
//! **Not** shared between threads.
//!
//! **Invariants**: a buffer is with the kernel (between head and tail) or lent to a [`crate::buffer::Received`], never
//! both; `lent` counts the latter.
//!
//! **Source**: io_uring_register(2), `IORING_REGISTER_PBUF_RING`.

use std::cell::Cell;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

/// How many buffers a ring has, and of what size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BufferRingSize {
    pub(crate) buffers: u16,
    pub(crate) buffer_bytes: u32,
}

const CACHE_LINE_BYTES: u32 = 64;

/// A buffer is large enough for nearly every request head, and for 16 pipelined ones; all of them are half of a common
/// 1 MiB or 2 MiB L2, and more than one enter reports under most loads. It is an odd number of cache lines long: with
/// 2 KiB the heads of all requests were in the same two of 64 sets of a first-level cache, and pushed each other out of it.
pub(crate) const SMALL: BufferRingSize = BufferRingSize { buffers: 512, buffer_bytes: 31 * CACHE_LINE_BYTES };
/// As much as a socket hands over at once; 4 MiB that are touched only when they are used.
pub(crate) const BULK: BufferRingSize = BufferRingSize { buffers: 64, buffer_bytes: 64 * 1024 };
const _: () = assert!(SMALL.buffers.is_power_of_two() && BULK.buffers.is_power_of_two(), "the kernel masks the index");
const _: () = assert!(SMALL.buffers as u32 * SMALL.buffer_bytes <= 1 << 20, "the ring stays in the L2 cache");

impl BufferRingSize {
    fn entries_bytes(self) -> usize {
        (usize::from(self.buffers) * std::mem::size_of::<BufRingEntry>()).next_multiple_of(PAGE_BYTES)
    }

    fn map_bytes(self) -> usize {
        self.entries_bytes() + usize::from(self.buffers) * self.buffer_bytes as usize
    }

    /// Receives that starved are armed again when this many buffers are back.
    fn rearm_buffers_min(self) -> u16 {
        self.buffers / 8
    }
}

/// The kernel wants the entries at the start of a page.
const PAGE_BYTES: usize = 4096;

pub(crate) struct BufferRing {
    entries: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    shape: BufferRingSize,
    /// With more than these lent, nothing is armed again, and no buffer may wait.
    rearm_lent_max: u16,
    wait_lent_max: u16,
    tail: Cell<u16>,
    lent: Cell<u16>,
    /// Memory of the copies that were made of its buffers and wait to be read.
    copied_bytes: Cell<usize>,
}

/// Memory of copies of a ring's buffers above which a connection with unread bytes receives no more, however few they are.
/// With fewer, each may have as much as its inbox takes.
pub(crate) const COPIED_BYTES_MAX: usize = 32 << 20;

impl BufferRing {
    /// A ring with all its buffers in it, not yet registered.
    ///
    /// # Errors
    /// The operator's: no memory.
    pub(crate) fn new(shape: BufferRingSize) -> io::Result<Self> {
        // SAFETY: a private anonymous mapping at an address of the kernel's choice touches no memory of ours.
        let map = unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            libc::mmap(std::ptr::null_mut(), shape.map_bytes(), protection, flags, -1, 0)
        };
        if map == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let entries = NonNull::new(map).expect("mmap never maps address zero unasked").cast::<BufRingEntry>();
        // SAFETY: the offset is inside the mapping, which is larger by all the buffers.
        let memory = unsafe { entries.cast::<u8>().add(shape.entries_bytes()) };
        let ring = BufferRing {
            entries,
            memory,
            shape,
            rearm_lent_max: shape.buffers - shape.rearm_buffers_min(),
            wait_lent_max: shape.buffers / 2,
            tail: Cell::new(0),
            lent: Cell::new(shape.buffers),
            copied_bytes: Cell::new(0),
        };
        for buffer in 0..shape.buffers {
            ring.give_back(buffer);
        }
        Ok(ring)
    }

    /// The address to register.
    pub(crate) fn address(&self) -> u64 {
        self.entries.as_ptr() as u64
    }

    pub(crate) fn buffers(&self) -> u16 {
        self.shape.buffers
    }

    fn offset(&self, buffer: u16) -> usize {
        usize::from(buffer) * self.shape.buffer_bytes as usize
    }

    /// Notes that the kernel has handed out a buffer.
    pub(crate) fn note_lent(&self) {
        let lent = self.lent.get() + 1;
        assert!(lent <= self.shape.buffers, "the kernel handed out more buffers than there are");
        self.lent.set(lent);
    }

    /// Whether more than half of the buffers are lent: then none may wait in an inbox, so that slow readers cannot take
    /// them all from everybody else.
    pub(crate) fn is_scarce(&self) -> bool {
        self.lent.get() > self.wait_lent_max
    }

    /// Whether so much was copied that no connection may leave more of it unread.
    pub(crate) fn is_crowded(&self) -> bool {
        self.copied_bytes.get() > COPIED_BYTES_MAX
    }

    /// Notes that so much memory holds copies of buffers.
    pub(crate) fn note_copied(&self, bytes: usize) {
        self.copied_bytes.set(self.copied_bytes.get() + bytes);
    }

    /// Notes that so much does no more.
    pub(crate) fn note_copy_gone(&self, bytes: usize) {
        self.copied_bytes.set(self.copied_bytes.get() - bytes);
    }

    pub(crate) fn can_rearm(&self) -> bool {
        self.lent.get() <= self.rearm_lent_max
    }

    /// The memory of a buffer that is lent.
    pub(crate) fn bytes(&self, buffer: u16) -> &[u8] {
        let offset = self.offset(buffer);
        // SAFETY: the buffer lies inside the mapping, which lives as long as `self`; it is lent, so that the kernel
        // does not write to it, and `&[u8]` of a lent buffer ends before `give_back` (its one owner gives it back
        // when it is dropped).
        unsafe { std::slice::from_raw_parts(self.memory.add(offset).as_ptr(), self.shape.buffer_bytes as usize) }
    }

    /// The memory of a buffer, for the one who has it.
    pub(crate) fn memory_of(&self, buffer: u16) -> NonNull<[u8]> {
        // SAFETY: the buffer lies inside the mapping.
        let start = unsafe { self.memory.add(self.offset(buffer)) };
        NonNull::slice_from_raw_parts(start, self.shape.buffer_bytes as usize)
    }

    /// Puts a buffer back where the kernel can pick it.
    pub(crate) fn give_back(&self, buffer: u16) {
        assert!(self.lent.get() > 0 && buffer < self.shape.buffers, "buffer {buffer} is not lent");
        self.lent.set(self.lent.get() - 1);
        let tail = self.tail.get();
        let offset = self.offset(buffer);
        // SAFETY: the masked index is inside the entries; the entry at `tail` is ours to write until the new tail is
        // published, since the kernel reads only up to the tail. `tail` of the ring overlays the first entry's
        // reserved field and is only ever accessed as the atomic it is to the kernel.
        unsafe {
            let entry = self.entries.add(usize::from(tail & (self.shape.buffers - 1))).as_mut();
            entry.set_addr(self.memory.add(offset).as_ptr() as u64);
            entry.set_len(self.shape.buffer_bytes);
            entry.set_bid(buffer);
            let published = BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>();
            (*published).store(tail.wrapping_add(1), Ordering::Release);
        }
        self.tail.set(tail.wrapping_add(1));
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length, and nobody has a reference into it any more: lent
        // buffers hold an `Rc` of this ring, and the driver has cancelled all receives before it lets go of it.
        unsafe { libc::munmap(self.entries.as_ptr().cast(), self.shape.map_bytes()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lent_buffer_comes_back_to_the_tail() {
        for shape in [SMALL, BULK] {
            let ring = BufferRing::new(shape).unwrap();
            assert_eq!((ring.lent.get(), ring.tail.get()), (0, shape.buffers));
            assert!(ring.can_rearm());
            for _ in 0..shape.buffers {
                ring.note_lent();
            }
            assert!(!ring.can_rearm());
            for buffer in (0..shape.buffers).rev().take(usize::from(shape.rearm_buffers_min())) {
                ring.give_back(buffer);
            }
            assert!(ring.can_rearm());
            // SAFETY: index 0 is inside the entries.
            let first = unsafe { ring.entries.as_ref() };
            assert_eq!(first.bid(), shape.buffers - 1, "the entry after the last is the first again");
            assert_eq!(ring.bytes(3).len(), shape.buffer_bytes as usize);
        }
    }

    /// What is with the kernel and what is lent are always all buffers, each once: against a set.
    #[test]
    fn no_buffer_is_lost_or_lent_twice() {
        let ring = BufferRing::new(BULK).unwrap();
        let mut random = crate::random::Random::new(11);
        let mut with_kernel: std::collections::VecDeque<u16> = (0..BULK.buffers).collect();
        let mut lent = Vec::new();
        for _ in 0..if cfg!(miri) { 500 } else { 20_000 } {
            if random.chance(500) && !with_kernel.is_empty() {
                ring.note_lent();
                lent.extend(with_kernel.pop_front());
            } else if !lent.is_empty() {
                let pick = random.below(lent.len() as u64) as usize;
                let buffer = lent.swap_remove(pick);
                ring.give_back(buffer);
                with_kernel.push_back(buffer);
            }
            let head = ring.tail.get().wrapping_sub(with_kernel.len() as u16);
            for (position, buffer) in with_kernel.iter().enumerate() {
                let index = head.wrapping_add(position as u16) & (BULK.buffers - 1);
                // SAFETY: the masked index is inside the entries.
                let entry = unsafe { ring.entries.add(usize::from(index)).as_ref() };
                assert_eq!(entry.bid(), *buffer, "the kernel would hand out another buffer than it may");
            }
            assert_eq!(usize::from(ring.lent.get()), lent.len());
        }
    }

    #[test]
    #[should_panic(expected = "is not lent")]
    fn giving_back_twice_is_caught() {
        let ring = BufferRing::new(SMALL).unwrap();
        ring.note_lent();
        ring.give_back(0);
        ring.give_back(0);
    }
}
