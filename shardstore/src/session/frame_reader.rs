//! Whole frames out of received pieces: read in place where a frame lies in one buffer, copied only while it does not.
//!
//! ```text
//!  received   the caller's buffer        │ frame │ frame │ fra
//!  held       owned, while it is needed                    fra│me   (topped up from the next buffer, never beyond the frame)
//! ```
//!
//! **Not**: what frames mean.
//!
//! **Invariants**: the frames do not depend on how the bytes were split; `held` precedes the next buffer in the stream; a
//! reader without bytes owns no buffer; memory grows with what has arrived, never with what was announced.
//!
//! **Source**: docs/wire.md, "Frame".

use std::ops::ControlFlow;

use thiserror::Error;

use crate::wire::FrameError;
use crate::wire::frame::{self, Decoded, DecodedHead, Frame, FrameHead, Limits};
use crate::wire::header::HEADER_BYTES;
use crate::wire::hello::{Hello, HelloFormatError};

/// Largest buffer that is kept as a spare.
const SPARE_BYTES_MAX: usize = 64 * 1024;

/// Spare buffers of a core: one for each connection whose frame is cut by the end of a buffer in one pass.
const SPARES_MAX: usize = 64;

/// Where a header carries the cluster's tag.
const TAG_AT: usize = 60;

const _: () = assert!(TAG_AT + size_of::<u32>() == HEADER_BYTES);

/// Empty buffers for frames that are cut, shared by the connections of a core.
#[derive(Debug, Default)]
pub struct SpareBuffers(Vec<Vec<u8>>);

impl SpareBuffers {
    fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
        if self.0.len() < SPARES_MAX && (1..=SPARE_BYTES_MAX).contains(&buffer.capacity()) {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

/// Why the first bytes of a connection are not a HELLO. The peer is at fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HelloReadError {
    /// They are not a frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// They are a frame, but not a HELLO, or its value is malformed.
    #[error(transparent)]
    Format(#[from] HelloFormatError),
}

/// The bytes of one connection that have arrived and are not part of a frame that was taken.
#[derive(Debug, Default)]
pub struct FrameReader {
    held: Vec<u8>,
    /// Bytes of `held` that are consumed.
    start: usize,
    /// Length that the rest of `held` must reach before decoding it again can succeed; 0 when it was not decoded yet.
    need: usize,
}

impl FrameReader {
    /// A reader that begins with bytes that came earlier.
    #[must_use]
    pub const fn with_rest(rest: Vec<u8>) -> Self {
        Self { held: rest, start: 0, need: 0 }
    }

    /// Hands every whole frame of what is held and of `received` to `take`, with the bytes from the frame's start on that
    /// lie in one piece with it. `take` ends the reading with [`ControlFlow::Break`]. What is left is copied, so that the
    /// caller has its buffer back.
    ///
    /// # Errors
    ///
    /// A fatal [`FrameError`], which is the peer's fault, or what `take` fails with. The connection has to end.
    #[inline]
    pub fn read<E: From<FrameError>>(
        &mut self,
        received: &[u8],
        limits: &Limits,
        spares: &mut SpareBuffers,
        mut take: impl FnMut(&Frame<'_>, &[u8]) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut rest = received;
        while !self.held.is_empty() {
            if !self.top_up(&mut rest) {
                return Ok(());
            }
            match frame::decode(&self.held[self.start..], limits)? {
                Decoded::Frame(frame) => {
                    let bytes = frame.wire_bytes();
                    let flow = take(&frame, &self.held[self.start..])?;
                    self.consume_held(bytes, spares);
                    if flow.is_break() {
                        self.hold(rest, spares);
                        return Ok(());
                    }
                }
                Decoded::Partial { need } => self.need = need,
            }
        }
        while !rest.is_empty() {
            match frame::decode(rest, limits)? {
                Decoded::Frame(frame) => {
                    let flow = take(&frame, rest)?;
                    rest = &rest[frame.wire_bytes()..];
                    if flow.is_break() {
                        break;
                    }
                }
                Decoded::Partial { need } => {
                    self.need = need;
                    break;
                }
            }
        }
        self.hold(rest, spares);
        Ok(())
    }

    /// Hands the head at the front to `take`; `None`, with all of `received` held, when it is not all there. The bytes of
    /// the frame's value are the first of `received` then: they are the caller's to take off.
    ///
    /// For a reader of heads alone: what [`FrameReader::read`] or [`FrameReader::read_hello`] have left may hold more than one.
    ///
    /// # Errors
    ///
    /// As [`FrameReader::read`].
    #[inline]
    pub fn read_head<T, E: From<FrameError>>(
        &mut self,
        received: &mut &[u8],
        limits: &Limits,
        spares: &mut SpareBuffers,
        take: impl FnOnce(&FrameHead<'_>) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        if !self.held.is_empty() {
            return self.read_held_head(received, limits, spares, take);
        }
        if received.is_empty() {
            return Ok(None);
        }
        match frame::decode_head(received, limits)? {
            DecodedHead::Head(head) => {
                *received = &received[head.wire_bytes()..];
                take(&head).map(Some)
            }
            DecodedHead::Partial { need } => {
                self.need = need;
                self.hold(received, spares);
                *received = &[];
                Ok(None)
            }
        }
    }

    #[inline(never)]
    fn read_held_head<T, E: From<FrameError>>(
        &mut self,
        received: &mut &[u8],
        limits: &Limits,
        spares: &mut SpareBuffers,
        take: impl FnOnce(&FrameHead<'_>) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        while self.top_up(received) {
            match frame::decode_head(&self.held[self.start..], limits)? {
                DecodedHead::Head(head) => {
                    let bytes = head.wire_bytes();
                    let taken = take(&head)?;
                    self.consume_held(bytes, spares);
                    debug_assert!(self.held.is_empty(), "never more is held than one head");
                    return Ok(Some(taken));
                }
                DecodedHead::Partial { need } => self.need = need,
            }
        }
        Ok(None)
    }

    /// Takes the HELLO off that a connection begins with, whatever cluster it is of, so that a disagreement can be named;
    /// `None` while it is not all there. What follows it is held.
    ///
    /// # Errors
    ///
    /// [`HelloReadError`]; the connection has to end.
    pub fn read_hello(&mut self, received: &[u8], spares: &mut SpareBuffers) -> Result<Option<Hello>, HelloReadError> {
        // A HELLO is small: bringing its pieces together costs nothing that matters.
        self.hold(received, spares);
        let front = &self.held[self.start..];
        if front.is_empty() {
            return Ok(None);
        }
        let tag = front.get(TAG_AT..HEADER_BYTES).and_then(|tag| tag.try_into().ok());
        match frame::decode(front, &Hello::limits(tag.map_or(0, u32::from_le_bytes)))? {
            Decoded::Frame(frame) => {
                let (hello, bytes) = (Hello::parse(&frame)?, frame.wire_bytes());
                self.consume_held(bytes, spares);
                Ok(Some(hello))
            }
            Decoded::Partial { .. } => Ok(None),
        }
    }

    /// Copies bytes that came and are not looked at yet.
    pub fn hold(&mut self, received: &[u8], spares: &mut SpareBuffers) {
        if received.is_empty() {
            return;
        }
        if self.held.is_empty() {
            self.held = spares.take();
        }
        self.compact();
        self.held.extend_from_slice(received);
    }

    /// Whether no byte is held, not even of a partial frame.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Bytes that are held, those included that are consumed and not yet moved over.
    #[inline]
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.held.len()
    }

    /// Whether bytes are held that were not decoded yet.
    #[inline]
    #[must_use]
    pub const fn has_backlog(&self) -> bool {
        !self.held.is_empty() && self.missing_bytes() == 0
    }

    /// Bytes that the frame at the front is known to lack.
    #[inline]
    #[must_use]
    pub const fn missing_bytes(&self) -> usize {
        self.need.saturating_sub(self.held.len() - self.start)
    }

    /// The bytes that are not consumed, out of the reader.
    #[must_use]
    pub fn into_rest(mut self) -> Vec<u8> {
        self.compact();
        self.held
    }

    fn compact(&mut self) {
        if self.start > 0 {
            self.held.drain(..self.start);
            self.start = 0;
        }
    }

    /// Moves bytes until `held` has what the frame at the front needs; false when there are not enough.
    fn top_up(&mut self, received: &mut &[u8]) -> bool {
        let missing = self.missing_bytes();
        if missing == 0 {
            return true;
        }
        let (piece, rest) = received.split_at(missing.min(received.len()));
        if !piece.is_empty() {
            self.compact();
            self.held.extend_from_slice(piece);
            *received = rest;
        }
        piece.len() == missing
    }

    /// Takes a frame of `count` bytes off what is held.
    fn consume_held(&mut self, count: usize, spares: &mut SpareBuffers) {
        self.start += count;
        self.need = 0;
        if self.start == self.held.len() {
            self.start = 0;
            spares.give(std::mem::take(&mut self.held));
        }
    }
}

#[cfg(test)]
mod tests;
