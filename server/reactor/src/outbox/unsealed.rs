//! The outbox of a connection with a layer: what is behind that in flight is plaintext, taken from its front and put back as wire.
//!
//! **Not** sealing: the layer does that.
//!
//! **Invariants**: plaintext is taken only when nothing is in flight; of a chunk that is sealed in part nobody appends to the rest; what is
//! shared is released when its last byte is sealed.

use super::{Outbox, OutboxChunk, SendBuffers};
use crate::net::PlainSource;

/// Plaintext that is sealed for one send: 17 us of work with AES, so that one connection does not keep the others of its core waiting.
/// Sealed, it fits a spare buffer.
pub(crate) const SEAL_BYTES_MAX: usize = 64 * 1024 - 512;
const _: () = assert!(wire_room(SEAL_BYTES_MAX) <= super::SPARE_BYTES_MAX, "the wire of one send is kept");

/// Room for so much plaintext when it is sealed: with 32 bytes more for each record of 4 KiB or less.
pub(crate) const fn wire_room(plain: usize) -> usize {
    plain + 32 * (plain / 4096 + 1)
}

/// What a layer does to the queue.
impl Outbox {
    /// Whether something is in flight, or would be if the send had been started.
    pub(crate) fn is_loaded(&self) -> bool {
        self.flying > 0
    }

    /// Takes all that is queued into flight, also behind a send that is under way: it does not know of it, and ends with bytes left to
    /// send.
    pub(crate) fn load_all(&mut self) {
        self.flying = self.len() as u32;
        self.flying_bytes = self.bytes;
    }

    /// Bytes behind those in flight: the plaintext of a connection with a layer.
    pub(crate) fn bytes_behind(&self) -> usize {
        self.bytes - self.flying_bytes
    }

    /// What is to be sealed next.
    ///
    /// # Panics
    /// While something is in flight.
    pub(crate) fn unsealed<'a>(&'a mut self, buffers: &'a mut SendBuffers) -> Unsealed<'a> {
        assert!(self.flying == 0, "sealed before what is in flight has been sent");
        self.offset = std::mem::take(&mut self.sealed) as usize;
        Unsealed { outbox: self, buffers }
    }

    /// Takes `wire` into flight, behind what is in flight already and before what is not; a send that is under way does not know of it
    /// either.
    pub(crate) fn load_wire(&mut self, wire: Vec<u8>, buffers: &mut SendBuffers) {
        assert!(!wire.is_empty(), "no chunk is empty");
        buffers.note_queued(self.opened_by, &wire);
        self.bytes += wire.len();
        self.flying_bytes += wire.len();
        let wire = OutboxChunk::Owned(wire);
        if self.flying > 0 {
            self.rest.insert(self.flying as usize - 1, wire);
        } else if let Some(plain) = self.first.replace(wire) {
            self.rest.push_front(plain);
        }
        self.flying += 1;
    }

    /// Throws away what is not in flight.
    #[cold]
    pub(crate) fn drop_behind(&mut self, buffers: &mut SendBuffers) {
        while self.len() > self.flying as usize {
            if let Some(OutboxChunk::Owned(buffer)) = self.rest.pop_back().or_else(|| self.first.take()) {
                buffers.give_queued(self.opened_by, buffer);
            }
        }
        (self.bytes, self.sealed) = (self.flying_bytes, 0);
    }
}

/// The plaintext of an outbox while a layer seals it.
pub(crate) struct Unsealed<'a> {
    outbox: &'a mut Outbox,
    buffers: &'a mut SendBuffers,
}

impl PlainSource for Unsealed<'_> {
    fn front(&self) -> &[u8] {
        self.outbox.first.as_ref().map_or(&[], |first| &first.bytes()[self.outbox.offset..])
    }

    fn queued_bytes(&self) -> usize {
        self.outbox.bytes
    }

    fn consume(&mut self, count: usize) {
        let outbox = &mut *self.outbox;
        outbox.bytes -= count;
        outbox.offset += count;
        if outbox.first.as_ref().is_none_or(|first| outbox.offset < first.len()) {
            return;
        }
        outbox.offset = 0;
        // What is shared is released here: its bytes are in the wire.
        if let Some(OutboxChunk::Owned(buffer)) = outbox.move_up() {
            self.buffers.give_queued(outbox.opened_by, buffer);
        }
    }
}

impl Drop for Unsealed<'_> {
    fn drop(&mut self) {
        // From now on the offset is that of what is sent.
        let sealed = std::mem::take(&mut self.outbox.offset);
        self.outbox.sealed = u32::try_from(sealed).expect("a chunk has less than 4 GiB");
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::net::Plain;
    use crate::outbox::OpenedBy;
    use crate::random::Random;

    /// Under a layer: whatever is written, sealed in parts and said by the layer itself, every byte is sealed once, in order, before what is
    /// behind it; plaintext is never in flight. Here sealed bytes are those written with the high bit set, and 255 is the layer's word.
    #[test]
    fn seals_every_byte_once_in_order() {
        const WORD: u8 = 255;
        for seed in 0..300 {
            let mut random = Random::new(seed);
            let (mut outbox, mut buffers) = (Outbox::new(OpenedBy::Core), SendBuffers::new());
            let (mut written, mut sealed, mut sent): (Vec<u8>, usize, Vec<u8>) = Default::default();
            let (mut words, mut shared) = (0, Vec::new());
            for _ in 0..200 {
                let bytes: Vec<u8> = (0..random.below(50)).map(|_| (random.next_u64() % 100) as u8).collect();
                written.extend_from_slice(&bytes);
                if random.chance(300) {
                    let bytes = Rc::new(bytes);
                    shared.push((written.len(), Rc::downgrade(&bytes)));
                    outbox.push_shared(bytes);
                } else {
                    let mut tail = outbox.take_tail(&mut buffers);
                    tail.extend_from_slice(&bytes);
                    if !tail.is_empty() {
                        outbox.give_tail(tail, &mut buffers);
                    }
                }
                if !outbox.is_loaded() {
                    assert_eq!(outbox.bytes_behind(), written.len() - sealed);
                    let mut wire = Vec::with_capacity(8);
                    let bytes_max = random.below(120) as usize;
                    let mut unsealed = outbox.unsealed(&mut buffers);
                    let mut plain = Plain::new(&mut unsealed, bytes_max);
                    while !plain.chunk().is_empty() {
                        let count = random.between(1, plain.chunk().len() as u64) as usize;
                        wire.extend(plain.chunk()[..count].iter().map(|byte| byte | 128));
                        plain.consume(count);
                    }
                    assert_eq!(plain.remaining(), 0);
                    drop(unsealed);
                    sealed += wire.len();
                    if !wire.is_empty() {
                        outbox.load_wire(wire, &mut buffers);
                    }
                    for (end, bytes) in &shared {
                        assert!(*end > sealed || bytes.strong_count() == 0, "sealed and not released");
                    }
                }
                if random.chance(200) {
                    outbox.load_wire(vec![WORD], &mut buffers);
                    words += 1;
                }
                if random.chance(600) && outbox.is_loaded() {
                    let part = outbox.with_slices(|slices| slices.iter().flat_map(|s| s.to_vec()).collect::<Vec<u8>>());
                    let part = &part[..random.between(1, part.len() as u64) as usize];
                    sent.extend_from_slice(part);
                    match outbox.finish_only(part.len()) {
                        Some(buffer) => buffers.give_queued(OpenedBy::Core, buffer),
                        None => outbox.advance(part.len(), |chunk| take_back(chunk, &mut buffers)),
                    }
                }
                let in_flight = words + sealed - sent.len();
                assert_eq!(outbox.bytes(), in_flight + written.len() - sealed);
                assert_eq!(buffers.queued_bytes, [0, outbox.buffer_bytes()]);
            }
            assert!(sent.iter().all(|byte| *byte >= 128), "plaintext was sent");
            let opened: Vec<u8> = sent.iter().filter(|byte| **byte != WORD).map(|byte| byte & 127).collect();
            assert_eq!(opened, written[..opened.len()]);
            outbox.drop_behind(&mut buffers);
            assert_eq!((outbox.bytes_behind(), outbox.bytes()), (0, words + sealed - sent.len()));
            outbox.clear(|chunk, _| take_back(chunk, &mut buffers));
            assert_eq!(outbox.sealed, 0);
            assert_eq!(buffers.queued_bytes, [0, 0]);
        }
    }

    fn take_back(chunk: OutboxChunk, buffers: &mut SendBuffers) {
        if let OutboxChunk::Owned(buffer) = chunk {
            buffers.give_queued(OpenedBy::Core, buffer);
        }
    }
}
