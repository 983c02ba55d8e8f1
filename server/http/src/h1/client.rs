//! The receiving side of a client's connection: bytes in, responses out, in whatever pieces they come.
//!
//! ```text
//!   next(input) ─▶ Head (interim: another Head follows) ─▶ Data … ─▶ End ─▶ Head …
//!        │ None: all of the input was taken; call again with the bytes that come next
//! ```
//!
//! **Not** I/O, and not which request a response answers: responses come in the order of the requests.
//! **Invariants**: the events do not depend on how the bytes were split, but for where data is; bytes of a body are lent
//! and never kept; of heads, the last one is kept, and one that has come in part: within the bound on a head.
//! **Source**: RFC 9112 section 6.3 and 9.2; RFC 9110 section 15.2.

#[cfg(test)]
mod tests;

use super::body::{BodyReader, Piece};
use super::chunked::ChunkedError;
use super::response::{self, Head, Parsed, ResponseError};
use crate::{Limits, Method};
use thiserror::Error;

/// Why a response could not be read. The server's fault; the connection is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReadError {
    /// The head is refused.
    #[error(transparent)]
    Head(#[from] ResponseError),
    /// The chunks of the body are refused.
    #[error(transparent)]
    Body(#[from] ChunkedError),
}

/// What comes next of the responses on a connection.
#[derive(Debug)]
pub enum Event<'a> {
    /// A head. If it is interim, the next event is a head again.
    Head(Head<'a>),
    /// Bytes of the body, at least one.
    Data(&'a [u8]),
    /// The response is whole.
    End,
}

/// What the end of a connection means for the responses on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// No response was under way.
    Between,
    /// The response under way is whole with it.
    Whole,
    /// The response under way is cut off.
    CutOff,
}

/// Reads the responses of one connection.
#[derive(Debug)]
pub struct ResponseReader {
    limits: Limits,
    /// The last head, with what it says: most responses begin with the same bytes as the one before.
    known: Vec<u8>,
    known_head: Option<KnownHead>,
    /// A head that has come in part.
    partial: Vec<u8>,
    /// The body under way.
    body: Option<BodyReader>,
    /// The last head was interim: another is to come.
    was_interim: bool,
}

/// What the head says whose bytes are kept.
#[derive(Debug, Clone, Copy)]
struct KnownHead {
    /// The request's method, which decides whether there is a body.
    method: Method,
    meaning: response::Meaning,
}

impl ResponseReader {
    /// A reader at the first byte of a connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, known: Vec::new(), known_head: None, partial: Vec::new(), body: None, was_interim: false }
    }

    /// Takes the next event off `input`; `None` when all of it was taken. `method` is that of the request whose response is
    /// under way, or comes next.
    ///
    /// # Errors
    ///
    /// The server's fault.
    #[inline]
    pub fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
        method: Method,
    ) -> Result<Option<Event<'a>>, ReadError> {
        let Some(body) = &mut self.body else {
            return self.next_head(input, method);
        };
        Ok(match body.read(input)? {
            Piece::Data(data) => Some(Event::Data(data)),
            Piece::NeedMore => None,
            Piece::End => {
                self.body = None;
                Some(Event::End)
            }
        })
    }

    /// What it means that the connection has ended where the bytes given so far end.
    #[must_use]
    pub fn close(&self) -> Closed {
        match self.body {
            Some(BodyReader::UntilClose | BodyReader::Length(0)) => Closed::Whole,
            Some(_) => Closed::CutOff,
            None if self.partial.is_empty() && !self.was_interim => Closed::Between,
            None => Closed::CutOff,
        }
    }

    #[inline]
    fn next_head<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
        method: Method,
    ) -> Result<Option<Event<'a>>, ReadError> {
        let meaning = match self.known_head {
            Some(known) if known.method == method && self.partial.is_empty() && input.starts_with(&self.known) => {
                *input = &input[self.known.len()..];
                known.meaning
            }
            _ => match self.new_head(input, method)? {
                Some(meaning) => meaning,
                None => return Ok(None),
            },
        };
        self.was_interim = meaning.is_interim();
        if !self.was_interim {
            self.body = Some(BodyReader::of_response(meaning.body(), &self.limits));
        }
        Ok(Some(Event::Head(Head::new(&self.known, meaning))))
    }

    /// Reads a head that differs from the last one, and keeps it.
    #[inline(never)]
    fn new_head(&mut self, input: &mut &[u8], method: Method) -> Result<Option<response::Meaning>, ReadError> {
        let before = self.partial.len();
        if before == 0 {
            // It has come whole, nearly always.
            if let Parsed::Complete(head) = response::parse(input, &self.limits, method)? {
                let (bytes, rest) = input.split_at(head.head_bytes());
                *input = rest;
                self.known.clear();
                self.known.extend_from_slice(bytes);
                return Ok(Some(self.remember(head.meaning(), method)));
            }
        }
        let room = self.limits.head_bytes_max as usize - before;
        self.partial.extend_from_slice(&input[..input.len().min(room)]);
        // The end may lie across the pieces: three bytes of it in the last one. To look for it first keeps the work linear
        // however slowly the head comes.
        let from = before.saturating_sub(3);
        if memchr::memmem::find(&self.partial[from..], b"\r\n\r\n").is_none() {
            if input.len() >= room {
                return Err(ResponseError::HeadTooLarge.into());
            }
            response::check_start(&self.partial)?;
            *input = &[];
            return Ok(None);
        }
        let Parsed::Complete(head) = response::parse(&self.partial, &self.limits, method)? else {
            return Err(ResponseError::HeadTooLarge.into());
        };
        let (meaning, head_bytes) = (head.meaning(), head.head_bytes());
        *input = &input[head_bytes - before..];
        self.partial.truncate(head_bytes);
        std::mem::swap(&mut self.known, &mut self.partial);
        self.partial.clear();
        Ok(Some(self.remember(meaning, method)))
    }

    fn remember(&mut self, meaning: response::Meaning, method: Method) -> response::Meaning {
        self.known_head = Some(KnownHead { method, meaning });
        meaning
    }
}
