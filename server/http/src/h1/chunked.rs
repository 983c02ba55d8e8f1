//! Decoder of chunked bodies: bytes in, ranges of data out.
//!
//! **Not**: holding bytes; a caller copies or sends the ranges, and counts what it keeps.
//! **Invariants**: the data found does not depend on how the bytes were split; data never exceeds the body bound, nor
//! extensions and trailers theirs, so that a decoder's work per data byte is bounded; nothing is found after an error.
//! **Source**: RFC 9112 section 7.1; RFC 9110 section 6.5 (trailers, which are checked and dropped).
//!
//! ```text
//!   Size ──digits──▶ Size ──CR──▶ SizeLf ──LF, n > 0──▶ Data ──n bytes──▶ DataCr ──CR──▶ DataLf ──LF──▶ Size
//!    │ BWS, ";"        ▲ CR          │ LF, n = 0
//!    ▼                 │             ▼
//!   Extension states ──┘          LineStart ──name──▶ Name ──":"──▶ Value ──CR──▶ ValueLf ──LF──▶ LineStart
//!                                    │ CR
//!                                    ▼
//!                                  EndLf ──LF──▶ Done
//! ```

mod extension;

#[cfg(test)]
mod tests;

use crate::MessageLimits;
use crate::Status;
use crate::class;
use crate::problem::{Limit, Problem};
use crate::target::hex;
use extension::Extension;
use std::ops::Range;
use thiserror::Error;

/// Why a chunked body was refused. The peer's fault; answer it if no response was begun, then close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", self.detail())]
pub enum ChunkedError {
    /// A chunk's size is missing, not hexadecimal, or does not fit 64 bits.
    Size,
    /// A chunk's extension is malformed, or its line does not end with CR LF.
    Extension,
    /// The extensions of the body are together larger than the bound.
    ExtensionsTooLarge,
    /// A chunk's data is not followed by CR LF.
    DataEnd,
    /// The body is larger than the bound.
    BodyTooLarge,
    /// A trailer field is malformed.
    Trailer,
    /// The trailer section is larger than the bound, or has too many fields.
    TrailersTooLarge,
}

impl ChunkedError {
    /// The status to answer with.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::BodyTooLarge => Status::ContentTooLarge,
            Self::TrailersTooLarge => Status::HeadTooLarge,
            _ => Status::BadRequest,
        }
    }

    /// A short name that never changes.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Size => "chunk-size",
            Self::Extension => "chunk-extension",
            Self::ExtensionsTooLarge => "chunk-extensions-too-large",
            Self::DataEnd => "chunk-end",
            Self::BodyTooLarge => "body-too-large",
            Self::Trailer => "trailer",
            Self::TrailersTooLarge => "trailers-too-large",
        }
    }

    /// The sentence for the response's `detail`.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Self::Size => "a chunk's size is not a hexadecimal number of at most 16 digits",
            Self::Extension => "a chunk's extension or the end of its line is malformed",
            Self::ExtensionsTooLarge => "the chunk extensions are too large",
            Self::DataEnd => "a chunk's data is not followed by a carriage return and a line feed",
            Self::BodyTooLarge => "the request body is too large",
            Self::Trailer => "a trailer field is malformed",
            Self::TrailersTooLarge => "the trailer section is too large",
        }
    }

    /// The bound that was exceeded, if one was.
    #[must_use]
    pub fn limit(self, limits: &MessageLimits) -> Option<Limit> {
        match self {
            Self::BodyTooLarge => Some(Limit::bytes(limits.body_bytes_max)),
            Self::TrailersTooLarge => Some(Limit::bytes(limits.trailer_bytes_max.into())),
            Self::ExtensionsTooLarge => Some(Limit::bytes(limits.chunk_extension_bytes_max.into())),
            _ => None,
        }
    }

    /// The problem to answer with, for a body that was read within these limits; the connection closes after it.
    #[must_use]
    pub fn problem(self, limits: &MessageLimits) -> Problem<'static> {
        Problem { status: self.status(), slug: self.slug(), detail: self.detail(), limit: self.limit(limits) }
    }
}

/// What was found in the bytes given to [`Decoder::decode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChunkedPiece {
    /// Data of the body at this place of the input, never empty. Go on from its end.
    Data(Range<usize>),
    /// Nothing more in this input; all of it was taken.
    NeedMore,
    /// The body is whole. What begins at this index of the input is the next message.
    End(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In a chunk's size, after so many digits.
    Size(u8),
    Extension(Extension),
    SizeLf,
    Data,
    DataCr,
    DataLf,
    LineStart,
    Name,
    Value,
    ValueLf,
    EndLf,
    Done,
    Failed(ChunkedError),
}

/// Most digits of a 64-bit size. Leading zeros count: no client needs them, and parsers have overflowed on them.
const SIZE_DIGITS_MAX: u8 = 16;

/// Decoder of one chunked body.
#[derive(Debug, Clone)]
pub struct Decoder {
    state: State,
    /// Size of the chunk while it is read, then what is left of it.
    chunk_bytes: u64,
    /// What the body may still grow by.
    body_bytes_left: u64,
    extension_bytes_left: u32,
    trailer_bytes_left: u32,
    trailer_fields_left: u16,
}

impl Decoder {
    /// A decoder at the first byte after the head.
    #[must_use]
    pub fn new(limits: &MessageLimits) -> Self {
        Self {
            state: State::Size(0),
            chunk_bytes: 0,
            body_bytes_left: limits.body_bytes_max,
            extension_bytes_left: limits.chunk_extension_bytes_max,
            trailer_bytes_left: limits.trailer_bytes_max,
            trailer_fields_left: limits.field_count_max,
        }
    }

    /// Finds the next piece of data in `input`, which must begin where the last call stopped.
    ///
    /// # Errors
    ///
    /// The peer's fault. Every later call gives the same error.
    pub fn decode(&mut self, input: &[u8]) -> Result<ChunkedPiece, ChunkedError> {
        let mut at = 0;
        loop {
            match self.state {
                State::Done => return Ok(ChunkedPiece::End(at)),
                State::Failed(error) => return Err(error),
                _ if at == input.len() => return Ok(ChunkedPiece::NeedMore),
                State::Data => return Ok(ChunkedPiece::Data(self.take_data(at, input.len()))),
                _ => {}
            }
            match self.step(input[at]) {
                Ok(state) => self.state = state,
                Err(error) => self.state = State::Failed(error),
            }
            at += 1;
        }
    }

    fn take_data(&mut self, at: usize, input_bytes: usize) -> Range<usize> {
        let available = input_bytes - at;
        let taken = usize::try_from(self.chunk_bytes).map_or(available, |left| left.min(available));
        self.chunk_bytes -= taken as u64;
        if self.chunk_bytes == 0 {
            self.state = State::DataCr;
        }
        at..at + taken
    }

    /// Takes one byte of anything but data.
    fn step(&mut self, byte: u8) -> Result<State, ChunkedError> {
        match (self.state, byte) {
            (State::Size(digits), _) => self.step_size(digits, byte),
            (State::Extension(extension), _) => {
                self.extension_bytes_left =
                    self.extension_bytes_left.checked_sub(1).ok_or(ChunkedError::ExtensionsTooLarge)?;
                let next = extension.step(byte).ok_or(ChunkedError::Extension)?;
                Ok(next.map_or(State::SizeLf, State::Extension))
            }
            (State::SizeLf, b'\n') => self.begin_chunk(),
            (State::SizeLf, _) => Err(ChunkedError::Extension),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size(0)),
            (State::DataCr | State::DataLf, _) => Err(ChunkedError::DataEnd),
            _ => self.step_trailer(byte),
        }
    }

    fn step_size(&mut self, digits: u8, byte: u8) -> Result<State, ChunkedError> {
        if let Some(digit) = hex(byte) {
            if digits == SIZE_DIGITS_MAX {
                return Err(ChunkedError::Size);
            }
            self.chunk_bytes = self.chunk_bytes << 4 | u64::from(digit);
            return Ok(State::Size(digits + 1));
        }
        match byte {
            _ if digits == 0 => Err(ChunkedError::Size),
            b'\r' => Ok(State::SizeLf),
            _ => Extension::begin(byte).map(State::Extension).ok_or(ChunkedError::Size),
        }
    }

    fn begin_chunk(&mut self) -> Result<State, ChunkedError> {
        if self.chunk_bytes == 0 {
            return Ok(State::LineStart);
        }
        self.body_bytes_left = self.body_bytes_left.checked_sub(self.chunk_bytes).ok_or(ChunkedError::BodyTooLarge)?;
        Ok(State::Data)
    }

    fn step_trailer(&mut self, byte: u8) -> Result<State, ChunkedError> {
        if self.state != State::EndLf {
            self.trailer_bytes_left = self.trailer_bytes_left.checked_sub(1).ok_or(ChunkedError::TrailersTooLarge)?;
        }
        match (self.state, byte) {
            (State::LineStart, b'\r') => Ok(State::EndLf),
            (State::LineStart, _) if class::is(byte, class::TOKEN) => {
                self.trailer_fields_left =
                    self.trailer_fields_left.checked_sub(1).ok_or(ChunkedError::TrailersTooLarge)?;
                Ok(State::Name)
            }
            (State::Name, b':') => Ok(State::Value),
            (State::Name, _) if class::is(byte, class::TOKEN) => Ok(State::Name),
            (State::Value, b'\r') => Ok(State::ValueLf),
            (State::Value, _) if class::is(byte, class::VALUE) => Ok(State::Value),
            (State::ValueLf, b'\n') => Ok(State::LineStart),
            (State::EndLf, b'\n') => Ok(State::Done),
            _ => Err(ChunkedError::Trailer),
        }
    }
}
