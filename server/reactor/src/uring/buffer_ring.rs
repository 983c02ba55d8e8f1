//! A ring of receive buffers that the kernel picks from, and our bookkeeping of who has which.
//!
//! ```text
//!  entries (shared with the kernel)      memory
//!  [ addr len bid | addr len bid | ... ] [ buffer 0 | buffer 1 | ... ]
//!    ^head (kernel)        ^tail (us)
//! ```
//!
//! First in, first out: the whole ring is its cache footprint, hence small (see `BUFFERS`).
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

/// Buffers of the ring. With `BUFFER_BYTES` this is half of a common 1 MiB or 2 MiB L2, and more than one enter can
/// report for most loads.
pub(crate) const BUFFERS: u16 = 512;
/// Large enough for nearly every request head, and for 16 pipelined ones.
pub(crate) const BUFFER_BYTES: usize = 2048;
const _: () = assert!(BUFFERS.is_power_of_two(), "the kernel masks the index");
const _: () = assert!(BUFFERS as usize * BUFFER_BYTES <= 1 << 20, "the ring stays in the L2 cache");

/// Receives that starved are armed again when this many buffers are back.
const REARM_BUFFERS_MIN: u16 = BUFFERS / 8;

pub(crate) struct BufferRing {
    entries: NonNull<BufRingEntry>,
    memory: NonNull<u8>,
    map_bytes: usize,
    tail: Cell<u16>,
    lent: Cell<u16>,
}

const ENTRIES_BYTES: usize = BUFFERS as usize * std::mem::size_of::<BufRingEntry>();

impl BufferRing {
    /// A ring with all its buffers in it, not yet registered.
    ///
    /// # Errors
    /// The operator's: no memory.
    pub(crate) fn new() -> io::Result<Self> {
        let map_bytes = ENTRIES_BYTES.next_multiple_of(4096) + BUFFERS as usize * BUFFER_BYTES;
        // SAFETY: a private anonymous mapping at an address of the kernel's choice touches no memory of ours.
        let map = unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
            libc::mmap(std::ptr::null_mut(), map_bytes, protection, flags, -1, 0)
        };
        if map == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let entries = NonNull::new(map).expect("mmap never maps address zero unasked").cast::<BufRingEntry>();
        // SAFETY: the offset is inside the mapping, which is larger by all the buffers.
        let memory = unsafe { entries.cast::<u8>().add(ENTRIES_BYTES.next_multiple_of(4096)) };
        let ring = BufferRing { entries, memory, map_bytes, tail: Cell::new(0), lent: Cell::new(BUFFERS) };
        for buffer in 0..BUFFERS {
            ring.give_back(buffer);
        }
        Ok(ring)
    }

    /// The address to register.
    pub(crate) fn address(&self) -> u64 {
        self.entries.as_ptr() as u64
    }

    /// Notes that the kernel has handed out a buffer.
    pub(crate) fn note_lent(&self) {
        let lent = self.lent.get() + 1;
        assert!(lent <= BUFFERS, "the kernel handed out more buffers than there are");
        self.lent.set(lent);
    }

    pub(crate) fn can_rearm(&self) -> bool {
        BUFFERS - self.lent.get() >= REARM_BUFFERS_MIN
    }

    /// The memory of a buffer that is lent.
    pub(crate) fn bytes(&self, buffer: u16) -> &[u8] {
        let offset = usize::from(buffer) * BUFFER_BYTES;
        // SAFETY: the buffer lies inside the mapping, which lives as long as `self`; it is lent, so that the kernel
        // does not write to it, and `&[u8]` of a lent buffer ends before `give_back` (its one owner gives it back
        // when it is dropped).
        unsafe { std::slice::from_raw_parts(self.memory.add(offset).as_ptr(), BUFFER_BYTES) }
    }

    /// Puts a buffer back where the kernel can pick it.
    pub(crate) fn give_back(&self, buffer: u16) {
        assert!(self.lent.get() > 0 && buffer < BUFFERS, "buffer {buffer} is not lent");
        self.lent.set(self.lent.get() - 1);
        let tail = self.tail.get();
        let offset = usize::from(buffer) * BUFFER_BYTES;
        // SAFETY: the masked index is inside the entries; the entry at `tail` is ours to write until the new tail is
        // published, since the kernel reads only up to the tail. `tail` of the ring overlays the first entry's
        // reserved field and is only ever accessed as the atomic it is to the kernel.
        unsafe {
            let entry = self.entries.add(usize::from(tail & (BUFFERS - 1))).as_mut();
            entry.set_addr(self.memory.add(offset).as_ptr() as u64);
            entry.set_len(BUFFER_BYTES as u32);
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
        unsafe { libc::munmap(self.entries.as_ptr().cast(), self.map_bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lent_buffer_comes_back_to_the_tail() {
        let ring = BufferRing::new().unwrap();
        assert_eq!((ring.lent.get(), ring.tail.get()), (0, BUFFERS));
        assert!(ring.can_rearm());
        for _ in 0..BUFFERS {
            ring.note_lent();
        }
        assert!(!ring.can_rearm());
        for buffer in (0..BUFFERS).rev().take(usize::from(REARM_BUFFERS_MIN)) {
            ring.give_back(buffer);
        }
        assert!(ring.can_rearm());
        // SAFETY: index 0 is inside the entries.
        let first = unsafe { ring.entries.as_ref() };
        assert_eq!(first.bid(), BUFFERS - 1, "the entry after the last is the first again");
        assert_eq!(ring.bytes(3).len(), BUFFER_BYTES);
    }

    #[test]
    #[should_panic(expected = "is not lent")]
    fn giving_back_twice_is_caught() {
        let ring = BufferRing::new().unwrap();
        ring.note_lent();
        ring.give_back(0);
        ring.give_back(0);
    }
}
