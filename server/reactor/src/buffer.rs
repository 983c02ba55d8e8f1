//! Received bytes: a buffer lent by the ring's pool, or one of our own.
//!
//! **Not** for keeping: a pooled buffer is out of the pool until it is dropped. Copy what is kept.
//!
//! **Invariants**: dropping a pooled buffer gives it back to its pool at once.

use std::ops::Deref;
use std::rc::Rc;

use crate::uring::BufferRing;

/// Bytes that a connection has received. Dereferences to the part that has not been consumed.
pub struct Received {
    memory: Memory,
    start: u32,
    end: u32,
}

/// Boxed where it is rare, since what is received moves by value from the ring to its task: three words in all.
enum Memory {
    Pooled {
        ring: Rc<BufferRing>,
        buffer: u16,
    },
    #[expect(clippy::box_collection, reason = "a pointer is a word, a vector three")]
    Owned(Box<Vec<u8>>),
}

const _: () = assert!(size_of::<Option<Received>>() == 24, "three words");

impl Received {
    /// Takes over `buffer` of `ring`, which the kernel has filled with `len` bytes.
    #[inline]
    pub(crate) fn pooled(ring: Rc<BufferRing>, buffer: u16, len: u32) -> Self {
        Received { memory: Memory::Pooled { ring, buffer }, start: 0, end: len }
    }

    /// Wraps bytes that are in no pool.
    pub fn owned(bytes: Vec<u8>) -> Self {
        let end = u32::try_from(bytes.len()).expect("one receive is bounded by the kernel far below 4 GiB");
        Received { memory: Memory::Owned(Box::new(bytes)), start: 0, end }
    }

    /// How many bytes have not been consumed: the length of the slice, without making it.
    pub(crate) fn unread(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether so few buffers are left in the pool that this one may not be kept waiting in an inbox.
    pub(crate) fn is_scarce(&self) -> bool {
        match &self.memory {
            Memory::Pooled { ring, .. } => ring.is_scarce(),
            Memory::Owned(_) => false,
        }
    }

    /// Drops the first `count` bytes.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.unread(), "consumed {count} of {} bytes", self.unread());
        self.start += count as u32;
    }

    /// The same bytes out of the pool.
    pub(crate) fn into_owned(self) -> Received {
        if self.is_pooled() { Received::owned(self.to_vec()) } else { self }
    }

    /// Appends to bytes of our own, as long as they stay within what one large receive brings; false when they do not.
    pub(crate) fn append(&mut self, more: &[u8]) -> bool {
        const OWNED_BYTES_MAX: usize = 64 * 1024;
        match &mut self.memory {
            Memory::Owned(bytes) if bytes.len() + more.len() <= OWNED_BYTES_MAX => {
                bytes.extend_from_slice(more);
                self.end += more.len() as u32;
                true
            }
            _ => false,
        }
    }

    pub(crate) fn is_pooled(&self) -> bool {
        matches!(self.memory, Memory::Pooled { .. })
    }
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let bytes = match &self.memory {
            Memory::Pooled { ring, buffer } => ring.bytes(*buffer),
            Memory::Owned(bytes) => bytes,
        };
        &bytes[self.start as usize..self.end as usize]
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if let Memory::Pooled { ring, buffer } = &self.memory {
            ring.give_back(*buffer);
        }
    }
}

impl std::fmt::Debug for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Received({} bytes, pooled: {})", self.len(), self.is_pooled())
    }
}
