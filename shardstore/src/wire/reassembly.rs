//! Values larger than a frame: cut into chunks by the sender, put together by the receiver.
//!
//! ```text
//!  value  ├────────────┼────────────┼────────┤
//!  frames  MORE, CHUNK  MORE, CHUNK  CHUNK         same request id, ascending offsets, nothing left out
//!
//!            first chunk              chunk, MORE                last chunk, checksum holds
//!  ┌──────┐ ───────────▶ ┌─────────┐ ───────────▶ ┌─────────┐ ─────────────▶ whole frame
//!  │ none │              │ partial │              │ partial │
//!  └──────┘ ◀─────────── └─────────┘ ◀─────────── └─────────┘
//!            any error, or discard: what was collected is dropped
//! ```
//!
//! **Not**: interleaving of frames on the wire (that is the sender's queue), deadlines (the owner discards).
//!
//! **Invariants**: at most `values_max` values and `bytes_max` claimed bytes at once; memory grows with what has arrived,
//! never with what was claimed; what is handed out matches its checksum.
//!
//! **Source**: docs/wire.md, "Large values".

use thiserror::Error;

use super::code::Status;
use super::error::FrameError;
use super::ext::{Chunk, Ext};
use super::flags::Flags;
use super::frame::Frame;
use super::header::Header;

/// Most refused values whose rest is still due: above the default request credit, so only a peer that ignores its credit
/// gets there, and that ends the connection.
const REFUSED_MAX: usize = 1024;

/// One part of a value as the splitter plans it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValuePart {
    /// Where the part begins in the value.
    pub offset: u32,
    /// Length of the part in bytes.
    pub length: u32,
    /// Length of the whole value in bytes.
    pub total: u32,
}

impl ValuePart {
    /// A value that goes in one frame.
    #[inline]
    #[must_use]
    pub const fn whole(total: u32) -> Self {
        Self { offset: 0, length: total, total }
    }

    /// Whether more parts follow this one.
    #[inline]
    #[must_use]
    pub const fn has_more(&self) -> bool {
        self.offset + self.length < self.total
    }

    /// The detail that travels with the part; `None` when it is the whole value.
    #[inline]
    #[must_use]
    pub const fn chunk(&self) -> Option<Chunk> {
        if self.length == self.total { None } else { Some(Chunk { total: self.total, offset: self.offset }) }
    }

    /// The part's place in the value.
    #[inline]
    #[must_use]
    pub const fn range(&self) -> std::ops::Range<usize> {
        self.offset as usize..(self.offset + self.length) as usize
    }
}

/// The parts a value of `total` bytes is sent in, when a frame takes `part_bytes_max` bytes.
///
/// # Panics
///
/// When `part_bytes_max` is 0: HELLO negotiates at least 4 KiB.
pub fn split(total: u32, part_bytes_max: u32) -> impl Iterator<Item = ValuePart> {
    assert!(part_bytes_max > 0, "a frame takes at least FRAME_VALUE_BYTES_MIN");
    let count = total.div_ceil(part_bytes_max).max(1);
    (0..count).map(move |index| {
        let offset = index * part_bytes_max;
        ValuePart { offset, length: part_bytes_max.min(total - offset), total }
    })
}

/// Why a sequence of chunks is not accepted. The peer is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReassemblyError {
    /// The frame itself is malformed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A chunk does not continue the value it belongs to, or the first one does not begin it.
    #[error("a chunk at offset {offset} where {expected} was due")]
    OutOfOrder {
        /// Where the chunk begins.
        offset: u32,
        /// Where it had to begin.
        expected: u32,
    },
    /// A later chunk claims another total or checksum than the first, or MORE contradicts the total.
    #[error("a chunk contradicts the first chunk of its value")]
    Contradiction,
    /// The value is larger than what is negotiated.
    #[error("the value has {total} bytes; the negotiated limit is {limit}")]
    TooLarge {
        /// What the chunk claims.
        total: u32,
        /// What was negotiated.
        limit: u32,
    },
    /// Too many unfinished values, or too many bytes claimed by them.
    #[error("too many unfinished values on this connection")]
    Busy,
    /// The collected value does not match its checksum.
    #[error("the collected value does not match its checksum")]
    Corrupt,
}

impl ReassemblyError {
    /// The stable snake_case name for metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Frame(error) => error.name(),
            Self::OutOfOrder { .. } => "chunk_out_of_order",
            Self::Contradiction => "chunk_contradiction",
            Self::TooLarge { .. } => "chunk_too_large",
            Self::Busy => "chunk_busy",
            Self::Corrupt => "chunk_corrupt",
        }
    }

    /// The status to answer the request with, or `None` when the error ends the connection.
    ///
    /// After an answerable error the rest of the value's chunks still arrives; it comes out as [`Progress::Skipped`], so
    /// that a request is answered once.
    #[must_use]
    pub const fn answer(&self) -> Option<Status> {
        match self {
            Self::Frame(error) => error.answer(),
            Self::TooLarge { .. } => Some(Status::TooLarge),
            Self::Busy => Some(Status::Busy),
            Self::Corrupt => Some(Status::Corrupt),
            Self::OutOfOrder { .. } | Self::Contradiction => None,
        }
    }
}

/// A value that arrived in chunks, with the head of its first frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assembled {
    header: Header,
    /// Ext, then key.
    sections: Box<[u8]>,
    ext_bytes: usize,
    value: Vec<u8>,
}

impl Assembled {
    /// The frame as it would have been without chunks; `Request::parse` and `Response::parse` take it.
    #[must_use]
    pub fn frame(&self) -> Frame<'_> {
        let (ext, key) = self.sections.split_at(self.ext_bytes);
        Frame { header: self.header, ext, key, value: &self.value }
    }

    /// The value, without copying it.
    #[must_use]
    pub fn into_value(self) -> Vec<u8> {
        self.value
    }
}

/// What a chunk leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More chunks are due.
    Partial,
    /// The value is complete and matches its checksum.
    Whole(Assembled),
    /// The chunk belongs to a value that was refused or discarded; there is nothing to do or to answer.
    Skipped,
}

#[derive(Debug)]
struct Unfinished {
    total: u32,
    crc: u32,
    assembled: Assembled,
}

/// The unfinished values of one connection.
#[derive(Debug)]
pub struct Reassembler {
    value_bytes_max: u32,
    values_max: usize,
    bytes_max: u64,
    bytes_claimed: u64,
    unfinished: Vec<Unfinished>,
    /// Request ids whose remaining chunks are skipped.
    refused: Vec<u64>,
}

impl Reassembler {
    /// A reassembler for values of at most `value_bytes_max` bytes each, `values_max` of them at once, `bytes_max` bytes of
    /// them together.
    #[must_use]
    pub const fn new(value_bytes_max: u32, values_max: usize, bytes_max: u64) -> Self {
        Self { value_bytes_max, values_max, bytes_max, bytes_claimed: 0, unfinished: Vec::new(), refused: Vec::new() }
    }

    /// The chunk that a frame carries, or `None` when its value is whole.
    ///
    /// # Errors
    ///
    /// [`FrameError`] when the details are malformed, or MORE stands without a CHUNK.
    #[inline]
    pub fn chunk_of(frame: &Frame<'_>) -> Result<Option<Chunk>, FrameError> {
        let chunk = if frame.ext.is_empty() { None } else { Ext::parse(frame.ext)?.chunk };
        if chunk.is_none() && frame.header.flags.contains(Flags::MORE) {
            return Err(FrameError::BadPayload);
        }
        Ok(chunk)
    }

    /// Takes the chunk that `frame` carries in.
    ///
    /// # Errors
    ///
    /// [`ReassemblyError`]; what was collected of the value is dropped. The peer is at fault.
    pub fn accept(&mut self, frame: &Frame<'_>, chunk: Chunk) -> Result<Progress, ReassemblyError> {
        let is_last = !frame.header.flags.contains(Flags::MORE);
        if self.skip(frame.header.request_id, is_last) {
            return Ok(Progress::Skipped);
        }
        let index = match self.position(frame.header.request_id) {
            Some(index) => index,
            None => self.begin(frame, chunk).or_else(|error| self.refuse(frame, error))?,
        };
        match self.append(index, frame, chunk) {
            Ok(true) => self.finish(index).map(Progress::Whole),
            Ok(false) => Ok(Progress::Partial),
            Err(error) => {
                self.remove(index);
                Err(error)
            }
        }
    }

    /// Drops what was collected for a request, for example when its deadline has passed; its remaining chunks are skipped.
    pub fn discard(&mut self, request_id: u64) {
        if let Some(index) = self.position(request_id) {
            self.remove(index);
            self.refused.push(request_id);
        }
    }

    /// Number of unfinished values.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.unfinished.len()
    }

    /// Bytes that the unfinished values claim together.
    #[must_use]
    pub const fn bytes_claimed(&self) -> u64 {
        self.bytes_claimed
    }

    fn position(&self, request_id: u64) -> Option<usize> {
        self.unfinished.iter().position(|value| value.assembled.header.request_id == request_id)
    }

    /// Whether the request's chunks are skipped; its last one ends that.
    fn skip(&mut self, request_id: u64, is_last: bool) -> bool {
        let Some(index) = self.refused.iter().position(|&refused| refused == request_id) else {
            return false;
        };
        if is_last {
            self.refused.swap_remove(index);
        }
        true
    }

    /// Remembers that the rest of a refused value is to be skipped.
    fn refuse(&mut self, frame: &Frame<'_>, error: ReassemblyError) -> Result<usize, ReassemblyError> {
        if error.answer().is_some() && frame.header.flags.contains(Flags::MORE) {
            if self.refused.len() >= REFUSED_MAX {
                return Err(ReassemblyError::Contradiction);
            }
            self.refused.push(frame.header.request_id);
        }
        Err(error)
    }

    fn begin(&mut self, frame: &Frame<'_>, chunk: Chunk) -> Result<usize, ReassemblyError> {
        if chunk.offset != 0 {
            return Err(ReassemblyError::OutOfOrder { offset: chunk.offset, expected: 0 });
        }
        if chunk.total > self.value_bytes_max {
            return Err(ReassemblyError::TooLarge { total: chunk.total, limit: self.value_bytes_max });
        }
        let claimed = self.bytes_claimed + u64::from(chunk.total);
        if self.unfinished.len() >= self.values_max || claimed > self.bytes_max {
            return Err(ReassemblyError::Busy);
        }
        let mut header = frame.header;
        header.flags = header.flags.without(Flags::MORE);
        header.value_len = chunk.total;
        let assembled = Assembled {
            header,
            sections: [frame.ext, frame.key].concat().into_boxed_slice(),
            ext_bytes: frame.ext.len(),
            value: Vec::new(),
        };
        self.bytes_claimed = claimed;
        self.unfinished.push(Unfinished { total: chunk.total, crc: 0, assembled });
        Ok(self.unfinished.len() - 1)
    }

    /// Appends a chunk; true when it was the last.
    fn append(&mut self, index: usize, frame: &Frame<'_>, chunk: Chunk) -> Result<bool, ReassemblyError> {
        let value = &mut self.unfinished[index];
        let expected = value.assembled.value.len() as u32;
        if chunk.offset != expected {
            return Err(ReassemblyError::OutOfOrder { offset: chunk.offset, expected });
        }
        let end = u64::from(expected) + frame.value.len() as u64;
        let is_last = !frame.header.flags.contains(Flags::MORE);
        let agrees = chunk.total == value.total
            && frame.header.value_crc32c == value.assembled.header.value_crc32c
            && !frame.value.is_empty()
            && if is_last { end == u64::from(value.total) } else { end < u64::from(value.total) };
        if !agrees {
            return Err(ReassemblyError::Contradiction);
        }
        if expected > 0 {
            // Only the last chunk of a response grants credits; the frame that is handed out carries them.
            let credits = &mut value.assembled.header.credits;
            *credits = credits.saturating_add(frame.header.credits);
        }
        value.crc = super::checksum_append(value.crc, frame.value);
        value.assembled.value.extend_from_slice(frame.value);
        Ok(is_last)
    }

    fn finish(&mut self, index: usize) -> Result<Assembled, ReassemblyError> {
        let value = self.remove(index);
        debug_assert_eq!(value.assembled.value.len(), value.total as usize);
        if value.crc == value.assembled.header.value_crc32c {
            Ok(value.assembled)
        } else {
            Err(ReassemblyError::Corrupt)
        }
    }

    fn remove(&mut self, index: usize) -> Unfinished {
        let value = self.unfinished.swap_remove(index);
        self.bytes_claimed -= u64::from(value.total);
        value
    }
}
