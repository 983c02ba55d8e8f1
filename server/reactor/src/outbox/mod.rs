//! What a connection has yet to send: bytes written by its task, and shared chunks that are sent without a copy.
//!
//! **Not** a transport: it only says which memory is next.
//!
//! ```text
//!    first | rest ...
//!   [ being sent | written meanwhile ]
//!   `- flying --'                  ^-- the tail, open for appending unless it is being sent
//! ```
//!
//! Under a layer (`net::protected`) what flies is wire, sealed from the front of the rest, which is plaintext ([`unsealed`]).
//!
//! **Invariants**: `bytes` is the sum of the chunks' unsent bytes, `flying_bytes` that of the first `flying` chunks;
//! no chunk is empty; `rest` is empty when there is no first chunk; a chunk that is being sent is neither changed nor
//! taken before all of it is sent or the queue is cleared; an idle outbox owns no heap buffer (it gives them to the
//! core's spares).

use std::collections::VecDeque;
use std::io::IoSlice;
use std::rc::Rc;

mod unsealed;

pub(crate) use unsealed::{SEAL_BYTES_MAX, wire_room};

/// Memory that is sent in place and released when the kernel is done with it: a pinned value, say.
pub type SharedBytes = Rc<dyn AsRef<[u8]>>;

/// Slices handed to the kernel in one send. The kernel's own limit is 1024 (`IOV_MAX`); more than a few dozen gain
/// nothing.
pub(crate) const SLICES_MAX: usize = 32;

/// Spare send buffers a core keeps, and the largest it keeps: 64 clients that are answered in one pass reuse theirs.
pub(crate) const SPARES_MAX: usize = 256;
const SPARE_BYTES_MAX: usize = 64 * 1024;
/// What a new one has room for: most answers. With what the allocator puts before it (16 bytes), 21 cache lines, an odd
/// number for the reason that receive buffers are one: the answers of a pass, all at the start of their buffers, else lie
/// in the same few sets of the cache.
const SPARE_BYTES: usize = 21 * 64 - 16;

pub(crate) enum OutboxChunk {
    Owned(Vec<u8>),
    Shared(SharedBytes),
}

impl OutboxChunk {
    pub(crate) fn len(&self) -> usize {
        self.bytes().len()
    }

    fn bytes(&self) -> &[u8] {
        match self {
            OutboxChunk::Owned(bytes) => bytes,
            OutboxChunk::Shared(shared) => (**shared).as_ref(),
        }
    }

    /// Its memory if it is a buffer of the core's; what is shared is its owner's.
    pub(crate) fn buffer_bytes(&self) -> usize {
        match self {
            OutboxChunk::Owned(buffer) => buffer.capacity(),
            OutboxChunk::Shared(_) => 0,
        }
    }
}

/// The send buffers of a core: those that are empty, ready to be written to, and the memory of those that are queued.
pub(crate) struct SendBuffers {
    spare: Vec<Vec<u8>>,
    /// Memory of the buffers that are queued or held for the kernel, on all connections that either side has opened.
    queued_bytes: [usize; 2],
}

/// Who has begun a connection. Their send buffers are counted apart: peers that do not read are not all of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OpenedBy {
    /// It was accepted.
    Peer,
    /// It was connected.
    Core,
}

impl SendBuffers {
    pub(crate) fn new() -> Self {
        SendBuffers { spare: Vec::with_capacity(SPARES_MAX), queued_bytes: [0; 2] }
    }

    /// Memory of the buffers that are queued on connections that this side has opened: their room, not their content.
    #[inline]
    pub(crate) fn queued_bytes(&self, opened_by: OpenedBy) -> usize {
        self.queued_bytes[opened_by as usize]
    }

    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(|| Vec::with_capacity(SPARE_BYTES))
    }

    /// Notes that a buffer is queued. Nothing is written to it from now on, so that its room stays what it is.
    #[inline]
    pub(crate) fn note_queued(&mut self, opened_by: OpenedBy, buffer: &Vec<u8>) {
        self.queued_bytes[opened_by as usize] += buffer.capacity();
    }

    /// Notes that a buffer is queued no more.
    #[inline]
    pub(crate) fn note_unqueued(&mut self, opened_by: OpenedBy, buffer: &Vec<u8>) {
        self.queued_bytes[opened_by as usize] -= buffer.capacity();
    }

    /// Takes back a buffer that was queued.
    #[inline]
    pub(crate) fn give_queued(&mut self, opened_by: OpenedBy, buffer: Vec<u8>) {
        self.note_unqueued(opened_by, &buffer);
        self.give(buffer);
    }

    /// Takes back a buffer that was not queued.
    #[inline]
    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < SPARES_MAX && (1..=SPARE_BYTES_MAX).contains(&buffer.capacity()) {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

/// A queue of chunks with the number of bytes in it.
pub(crate) struct Outbox {
    opened_by: OpenedBy,
    /// Nearly always the only one: an answer that is sent in one piece never reaches the queue.
    first: Option<OutboxChunk>,
    rest: VecDeque<OutboxChunk>,
    /// Bytes of the first chunk that have been sent.
    offset: usize,
    bytes: usize,
    flying: u32,
    /// Bytes of the first chunk behind those in flight that have been sealed.
    sealed: u32,
    flying_bytes: usize,
}

impl Outbox {
    pub(crate) fn new(opened_by: OpenedBy) -> Self {
        Outbox {
            opened_by,
            first: None,
            rest: VecDeque::new(),
            offset: 0,
            bytes: 0,
            flying: 0,
            sealed: 0,
            flying_bytes: 0,
        }
    }

    /// Of the connection whose queue it is.
    #[inline]
    pub(crate) fn opened_by(&self) -> OpenedBy {
        self.opened_by
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Memory of the buffers in it: their room, not their content.
    pub(crate) fn buffer_bytes(&self) -> usize {
        self.first.iter().chain(&self.rest).map(OutboxChunk::buffer_bytes).sum()
    }

    /// Takes the buffer that is to be appended to; [`Outbox::give_tail`] puts it back.
    #[inline]
    pub(crate) fn take_tail(&mut self, buffers: &mut SendBuffers) -> Vec<u8> {
        if self.first.is_none() { buffers.take() } else { self.take_last(buffers) }
    }

    #[inline(never)]
    fn take_last(&mut self, buffers: &mut SendBuffers) -> Vec<u8> {
        // Neither what is being sent nor what is sealed in part.
        let closed = self.flying as usize + usize::from(self.sealed > 0);
        let last = if self.len() == closed { None } else { self.rest.pop_back().or_else(|| self.first.take()) };
        match last {
            Some(OutboxChunk::Owned(buffer)) => {
                self.bytes -= buffer.len();
                buffers.note_unqueued(self.opened_by, &buffer);
                buffer
            }
            Some(shared) => {
                self.append(shared);
                buffers.take()
            }
            None => buffers.take(),
        }
    }

    fn append(&mut self, chunk: OutboxChunk) {
        match self.first {
            None => self.first = Some(chunk),
            Some(_) => self.rest.push_back(chunk),
        }
    }

    #[inline]
    pub(crate) fn give_tail(&mut self, buffer: Vec<u8>, buffers: &mut SendBuffers) {
        assert!(!buffer.is_empty(), "no chunk is empty");
        buffers.note_queued(self.opened_by, &buffer);
        self.bytes += buffer.len();
        self.append(OutboxChunk::Owned(buffer));
    }

    pub(crate) fn push_shared(&mut self, shared: SharedBytes) {
        let len = (*shared).as_ref().len();
        if len > 0 {
            self.bytes += len;
            self.append(OutboxChunk::Shared(shared));
        }
    }

    /// Takes all that is queued into flight when nothing is in flight. True when there is something to send.
    pub(crate) fn load(&mut self) -> bool {
        if self.flying == 0 {
            self.flying = self.len() as u32;
            self.flying_bytes = self.bytes;
        }
        self.flying > 0
    }

    /// The memory in flight that is next to be sent, if it is one piece; [`Outbox::with_slices`] does for many, too.
    #[inline]
    pub(crate) fn only_slice(&self) -> Option<&[u8]> {
        match &self.first {
            Some(only) if self.flying == 1 => Some(&only.bytes()[self.offset..]),
            _ => None,
        }
    }

    /// Calls `send` with the memory in flight that is next to be sent.
    #[inline(never)]
    pub(crate) fn with_slices<R>(&self, send: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(self.first.iter().chain(&self.rest).take(self.flying as usize)) {
            let sent = if count == 0 { self.offset } else { 0 };
            *slice = IoSlice::new(&chunk.bytes()[sent..]);
            count += 1;
        }
        send(&slices[..count])
    }

    /// The usual end of a send: one chunk of our own was queued, and all of it is gone. Any other changes nothing, and is
    /// for [`Outbox::advance`].
    #[inline]
    pub(crate) fn finish_only(&mut self, sent: usize) -> Option<Vec<u8>> {
        if self.flying != 1 || self.flying_bytes != sent || !self.rest.is_empty() {
            return None;
        }
        let Some(OutboxChunk::Owned(buffer)) = &mut self.first else { return None };
        let buffer = std::mem::take(buffer);
        self.first = None;
        (self.offset, self.bytes, self.flying, self.flying_bytes) = (0, 0, 0, 0);
        Some(buffer)
    }

    /// Takes the first chunk, and moves the next to its place.
    #[inline(never)]
    fn move_up(&mut self) -> Option<OutboxChunk> {
        std::mem::replace(&mut self.first, self.rest.pop_front())
    }

    /// Notes that `sent` bytes of those in flight are gone; `done` gets every chunk that is finished.
    #[inline(never)]
    pub(crate) fn advance(&mut self, sent: usize, mut done: impl FnMut(OutboxChunk)) {
        assert!(sent <= self.flying_bytes, "{sent} bytes sent of {} in flight", self.flying_bytes);
        self.bytes -= sent;
        self.flying_bytes -= sent;
        let mut left = sent;
        while left > 0 {
            let first = self.first.as_ref().map_or(0, OutboxChunk::len) - self.offset;
            if left < first {
                self.offset += left;
                return;
            }
            left -= first;
            self.offset = 0;
            self.flying -= 1;
            done(self.move_up().expect("bytes were in flight, so that a chunk is there"));
        }
    }

    /// Throws everything away; `done` gets every chunk, and whether it was in flight.
    pub(crate) fn clear(&mut self, mut done: impl FnMut(OutboxChunk, bool)) {
        for (position, chunk) in self.first.take().into_iter().chain(self.rest.drain(..)).enumerate() {
            done(chunk, position < self.flying as usize);
        }
        (self.bytes, self.offset, self.flying, self.sealed, self.flying_bytes) = (0, 0, 0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Whatever the mix of chunks and however short the sends, the bytes come out once and in order.
    #[test]
    fn sends_every_byte_once_in_order() {
        for seed in 0..300 {
            let mut random = Random::new(seed);
            let (mut outbox, mut buffers) = (Outbox::new(OpenedBy::Peer), SendBuffers::new());
            let (mut written, mut sent): (Vec<u8>, Vec<u8>) = Default::default();
            for _ in 0..100 {
                let bytes: Vec<u8> = (0..random.below(50)).map(|_| random.next_u64() as u8).collect();
                written.extend_from_slice(&bytes);
                if random.chance(300) {
                    outbox.push_shared(Rc::new(bytes));
                } else {
                    let mut tail = outbox.take_tail(&mut buffers);
                    tail.extend_from_slice(&bytes);
                    if !tail.is_empty() {
                        outbox.give_tail(tail, &mut buffers);
                    }
                }
                // Writes go on while earlier ones are in flight: what is being sent must stay as it was.
                if random.chance(400) && outbox.load() {
                    let part = outbox.with_slices(|slices| slices.iter().flat_map(|s| s.to_vec()).collect::<Vec<u8>>());
                    let part = &part[..random.between(1, part.len() as u64) as usize];
                    sent.extend_from_slice(part);
                    match outbox.finish_only(part.len()) {
                        Some(buffer) => buffers.give_queued(OpenedBy::Peer, buffer),
                        None => outbox.advance(part.len(), |chunk| give_back(chunk, &mut buffers)),
                    }
                }
            }
            assert_eq!(sent, written[..sent.len()]);
            assert_eq!(outbox.bytes(), written.len() - sent.len());
            assert_eq!(buffers.queued_bytes, [outbox.buffer_bytes(), 0]);
            outbox.clear(|chunk, _| give_back(chunk, &mut buffers));
            assert_eq!(buffers.queued_bytes, [0, 0]);
        }
    }

    fn give_back(chunk: OutboxChunk, buffers: &mut SendBuffers) {
        if let OutboxChunk::Owned(buffer) = chunk {
            buffers.give_queued(OpenedBy::Peer, buffer);
        }
    }

    #[test]
    fn spares_are_bounded() {
        let mut buffers = SendBuffers::new();
        for _ in 0..2 * SPARES_MAX {
            buffers.give(Vec::with_capacity(16));
        }
        assert_eq!(buffers.spare.len(), SPARES_MAX);
        buffers.spare.clear();
        buffers.give(Vec::with_capacity(SPARE_BYTES_MAX + 1));
        assert!(buffers.spare.is_empty(), "a large buffer goes back to the allocator");
    }
}
