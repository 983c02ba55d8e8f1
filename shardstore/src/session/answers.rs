//! What a caller reads: the node's HELLO, then answers.
//!
//! **Not**: whose answers they are; that is [`super::caller`]'s.
//!
//! **Invariants**: an answer is handed out once, whole; a value that came in chunks matches its checksum, one that came in
//! one frame is the caller's to check; kinds of frames that are not for a caller are passed over.
//!
//! **Source**: docs/wire.md, "HELLO", "Responses", "Large values".

use std::ops::ControlFlow;

use thiserror::Error;

use super::caller::CorrelationId;
use super::frame_reader::{FrameReader, HelloReadError, SpareBuffers};
use crate::wire::hello::Hello;
use crate::wire::reassembly::{Assembled, Progress, Reassembler, ReassemblyError};
use crate::wire::terms::{HelloError, SessionTerms, negotiate};
use crate::wire::{Frame, FrameError, Kind, Limits, Response};

/// Values in chunks that a node may have under way to a caller on one connection.
const CHUNKED_ANSWERS_MAX: usize = 64;

/// How many values of the longest kind may be under way at once, as far as their bytes go.
const LONGEST_VALUES_MAX: u64 = 4;

/// Why a connection does not get past its HELLOs.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// What came is no HELLO.
    #[error(transparent)]
    Read(#[from] HelloReadError),
    /// The two do not agree.
    #[error(transparent)]
    Disagreed(#[from] HelloError),
}

/// A connection whose HELLO has been written and whose peer's has not come.
#[derive(Debug)]
pub struct Handshake {
    ours: Hello,
    theirs: Option<Hello>,
    reader: FrameReader,
}

impl Handshake {
    /// Appends our HELLO to `out`.
    #[must_use]
    pub fn begin(ours: Hello, out: &mut Vec<u8>) -> Self {
        ours.encode(out);
        Self { ours, theirs: None, reader: FrameReader::default() }
    }

    /// Takes bytes of the peer; the terms once its HELLO is there.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`]; the connection has to end.
    pub fn receive(
        &mut self,
        received: &[u8],
        spares: &mut SpareBuffers,
    ) -> Result<Option<SessionTerms>, HandshakeError> {
        match self.reader.read_hello(received, spares)? {
            Some(theirs) => Ok(Some(negotiate(&self.ours, self.theirs.insert(theirs))?)),
            None => Ok(None),
        }
    }

    /// The peer's HELLO, once it has come, whether or not it agrees with ours.
    #[must_use]
    pub const fn theirs(&self) -> Option<&Hello> {
        self.theirs.as_ref()
    }

    /// What has come behind the peer's HELLO.
    #[must_use]
    pub fn into_reader(self) -> FrameReader {
        self.reader
    }
}

/// A whole answer.
#[derive(Debug)]
pub enum ReceivedAnswer<'a> {
    /// It came in one frame.
    Frame(&'a Frame<'a>),
    /// It came in chunks.
    Assembled(Assembled),
}

impl ReceivedAnswer<'_> {
    /// Understands it as a response; `None` when this release cannot read it, and its request has ended all the same.
    ///
    /// # Errors
    ///
    /// A fatal [`FrameError`], which is the node's fault; the connection has to end.
    #[inline]
    pub fn response(&self) -> Result<Option<Response<'_>>, FrameError> {
        let response = match self {
            Self::Frame(frame) => Response::parse(frame),
            Self::Assembled(assembled) => Response::parse(&assembled.frame()),
        };
        match response {
            Ok(response) => Ok(Some(response)),
            Err(error) if error.is_fatal() => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// The value; copied only if it lies in the receive buffer.
    #[must_use]
    pub fn into_value(self) -> Vec<u8> {
        match self {
            Self::Frame(frame) => frame.value.to_vec(),
            Self::Assembled(assembled) => assembled.into_value(),
        }
    }

    /// Whether the value is known to match its checksum.
    #[must_use]
    pub const fn is_checked(&self) -> bool {
        matches!(self, Self::Assembled(_))
    }
}

/// What has come of a node's answers.
#[derive(Debug)]
pub enum Incoming<'a> {
    /// All of one.
    Answer {
        /// Of the request that it answers.
        id: CorrelationId,
        /// Requests that it grants.
        credits: u16,
        /// What it says.
        answer: ReceivedAnswer<'a>,
    },
    /// A part of one.
    Part {
        /// Of the request that it answers.
        id: CorrelationId,
    },
}

/// Reads the answers on one connection.
#[derive(Debug)]
pub struct AnswerReader {
    reader: FrameReader,
    limits: Limits,
    reassembler: Reassembler,
}

impl AnswerReader {
    /// Reads what follows the HELLOs.
    #[must_use]
    pub fn new(reader: FrameReader, terms: &SessionTerms) -> Self {
        let bytes_max = u64::from(terms.value_bytes_max) * LONGEST_VALUES_MAX;
        let reassembler = Reassembler::new(terms.value_bytes_max, CHUNKED_ANSWERS_MAX, bytes_max);
        Self { reader, limits: terms.limits, reassembler }
    }

    /// Hands what `received` brings to `take`.
    ///
    /// # Errors
    ///
    /// [`ReassemblyError`], or what `take` fails with: the node is at fault and the connection has to end, whatever the
    /// error would be for a request.
    pub fn read(
        &mut self,
        received: &[u8],
        spares: &mut SpareBuffers,
        mut take: impl FnMut(Incoming<'_>) -> Result<(), FrameError>,
    ) -> Result<(), ReassemblyError> {
        let reassembler = &mut self.reassembler;
        self.reader.read(received, &self.limits, spares, |frame, _| {
            understand(frame, reassembler, &mut take)?;
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Bytes that the frame that is under way is known to lack.
    #[must_use]
    pub const fn missing_bytes(&self) -> usize {
        self.reader.missing_bytes()
    }
}

#[inline]
fn understand(
    frame: &Frame<'_>,
    reassembler: &mut Reassembler,
    take: &mut impl FnMut(Incoming<'_>) -> Result<(), FrameError>,
) -> Result<(), ReassemblyError> {
    if frame.header.kind != Kind::Response {
        return Ok(());
    }
    let id = CorrelationId(frame.header.request_id);
    let Some(chunk) = Reassembler::chunk_of(frame)? else {
        return Ok(take(Incoming::Answer { id, credits: frame.header.credits, answer: ReceivedAnswer::Frame(frame) })?);
    };
    match reassembler.accept(frame, chunk)? {
        Progress::Whole(assembled) => {
            let credits = assembled.frame().header.credits;
            take(Incoming::Answer { id, credits, answer: ReceivedAnswer::Assembled(assembled) })?;
        }
        Progress::Partial => take(Incoming::Part { id })?,
        Progress::Skipped => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
