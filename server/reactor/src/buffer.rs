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
    memory: BufferMemory,
    place: BufferSpan,
}

/// Boxed where it is rare, since what is received moves by value from the ring to its task: three words in all, whole
/// words only. (Parts of words that are written one by one cannot be read together without waiting for the cache.)
enum BufferMemory {
    Pooled(Rc<BufferRing>),
    Owned(Box<OwnedBytes>),
}

/// Bytes of our own, and the pool that counts them, if they were copied out of one.
struct OwnedBytes {
    bytes: Vec<u8>,
    copied_from: Option<Rc<BufferRing>>,
}

impl OwnedBytes {
    fn copy(bytes: &[u8], ring: &Rc<BufferRing>) -> Self {
        let bytes = bytes.to_vec();
        ring.note_copied(bytes.capacity());
        OwnedBytes { bytes, copied_from: Some(Rc::clone(ring)) }
    }

    fn extend(&mut self, more: &[u8]) {
        let before = self.bytes.capacity();
        self.bytes.extend_from_slice(more);
        if let Some(ring) = &self.copied_from {
            ring.note_copied(self.bytes.capacity() - before);
        }
    }
}

impl Drop for OwnedBytes {
    fn drop(&mut self) {
        if let Some(ring) = &self.copied_from {
            ring.note_copy_gone(self.bytes.capacity());
        }
    }
}

const _: () = assert!(size_of::<Option<Received>>() == 24, "three words");

/// Which buffer of the pool (16 bits, 0 when there is no pool), and where in the memory the unread bytes end and start
/// (24 bits each).
#[derive(Clone, Copy)]
struct BufferSpan(u64);

const OFFSET_BITS: u32 = 24;
const OFFSET_MAX: usize = (1 << OFFSET_BITS) - 1;

impl BufferSpan {
    #[inline]
    fn whole(buffer: u16, len: usize) -> BufferSpan {
        assert!(len <= OFFSET_MAX, "{len} bytes are more than a socket hands over at once");
        BufferSpan(u64::from(buffer) << (2 * OFFSET_BITS) | (len as u64) << OFFSET_BITS)
    }

    #[inline]
    fn buffer(self) -> u16 {
        (self.0 >> (2 * OFFSET_BITS)) as u16
    }

    #[inline]
    fn end(self) -> usize {
        (self.0 >> OFFSET_BITS) as usize & OFFSET_MAX
    }

    #[inline]
    fn start(self) -> usize {
        self.0 as usize & OFFSET_MAX
    }
}

impl Received {
    /// Takes over `buffer` of `ring`, which the kernel has filled with `len` bytes.
    #[inline]
    pub(crate) fn pooled(ring: Rc<BufferRing>, buffer: u16, len: u32) -> Self {
        Received { memory: BufferMemory::Pooled(ring), place: BufferSpan::whole(buffer, len as usize) }
    }

    /// Wraps bytes that are in no pool.
    ///
    /// # Panics
    /// When they are more than 16 MiB: one receive is bounded by the kernel, and an inbox by us, far below.
    pub fn owned(bytes: Vec<u8>) -> Self {
        let place = BufferSpan::whole(0, bytes.len());
        Received { memory: BufferMemory::Owned(Box::new(OwnedBytes { bytes, copied_from: None })), place }
    }

    /// How many bytes have not been consumed: the length of the slice, without making it.
    #[inline]
    pub(crate) fn unread(&self) -> usize {
        self.place.end() - self.place.start()
    }

    /// Whether so few buffers are left in the pool that this one may not be kept waiting in an inbox.
    pub(crate) fn is_scarce(&self) -> bool {
        match &self.memory {
            BufferMemory::Pooled(ring) => ring.is_scarce(),
            BufferMemory::Owned(_) => false,
        }
    }

    /// Whether so much was copied out of the pool and waits that a connection may not let more of it wait.
    pub(crate) fn is_crowded(&self) -> bool {
        match &self.memory {
            BufferMemory::Pooled(ring) => ring.is_crowded(),
            BufferMemory::Owned(_) => false,
        }
    }

    /// Drops the first `count` bytes.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.unread(), "consumed {count} of {} bytes", self.unread());
        // At most up to the end, so that it does not carry into it.
        self.place.0 += count as u64;
    }

    /// The bytes that have not been consumed, to be changed in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let unread = self.place.start()..self.place.end();
        match &mut self.memory {
            // SAFETY: the buffer is lent to this value alone, which is borrowed for as long as the slice; the kernel does not write
            // to it before it is given back.
            BufferMemory::Pooled(ring) => unsafe { &mut ring.memory_of(self.place.buffer()).as_mut()[unread] },
            BufferMemory::Owned(owned) => &mut owned.bytes[unread],
        }
    }

    /// Drops all but the first `count` of the bytes that have not been consumed.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn truncate(&mut self, count: usize) {
        assert!(count <= self.unread(), "kept {count} of {} bytes", self.unread());
        let dropped = self.unread() - count;
        self.place.0 -= (dropped as u64) << OFFSET_BITS;
    }

    /// The same bytes out of the pool.
    pub(crate) fn into_owned(self) -> Received {
        let owned = match &self.memory {
            BufferMemory::Pooled(ring) => OwnedBytes::copy(&self, ring),
            BufferMemory::Owned(_) => return self,
        };
        let place = BufferSpan::whole(0, owned.bytes.len());
        Received { memory: BufferMemory::Owned(Box::new(owned)), place }
    }

    /// Appends to bytes of our own, as long as they stay within what one large receive brings; false when they do not.
    pub(crate) fn append(&mut self, more: &[u8]) -> bool {
        const OWNED_BYTES_MAX: usize = 64 * 1024;
        match &mut self.memory {
            BufferMemory::Owned(owned)
                if owned.bytes.len() == self.place.end() && owned.bytes.len() + more.len() <= OWNED_BYTES_MAX =>
            {
                owned.extend(more);
                self.place = BufferSpan(self.place.0 + ((more.len() as u64) << OFFSET_BITS));
                true
            }
            _ => false,
        }
    }

    pub(crate) fn is_pooled(&self) -> bool {
        matches!(self.memory, BufferMemory::Pooled(_))
    }
}

impl Deref for Received {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let bytes = match &self.memory {
            BufferMemory::Pooled(ring) => ring.bytes(self.place.buffer()),
            BufferMemory::Owned(owned) => &owned.bytes,
        };
        &bytes[self.place.start()..self.place.end()]
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if let BufferMemory::Pooled(ring) = &self.memory {
            ring.give_back(self.place.buffer());
        }
    }
}

impl std::fmt::Debug for Received {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Received({} bytes, pooled: {})", self.len(), self.is_pooled())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_between_what_is_consumed_and_what_is_cut() {
        let mut received = Received::owned(b"header text trailer".to_vec());
        received.consume(7);
        received.truncate(4);
        received.bytes_mut()[0] = b'n';
        assert_eq!(&*received, b"next");
        assert_eq!(received.unread(), 4);
        assert!(!received.append(b"more"), "bytes that were cut would come back");
    }
}
