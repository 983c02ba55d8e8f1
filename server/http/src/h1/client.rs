//! The receiving side of a client's connection: bytes in, responses out, in whatever pieces they come.
//!
//! ```text
//!   next(input) ─▶ Head (interim: another Head follows) ─▶ Data … ─▶ End (with the last bytes) ─▶ Head …
//!        │ None: all of the input was taken; call again with the bytes that come next
//! ```
//!
//! **Not** I/O, and not which request a response answers: responses come in the order of the requests.
//! **Invariants**: the events do not depend on how the bytes were split, but for where data is; bytes of a body are lent
//! and never kept; of heads, the last one is kept, and one that has come in part: within the bound on a head.
//! **Source**: RFC 9112 section 6.3 and 9.2; RFC 9110 section 15.2.

#[cfg(test)]
mod tests;

use super::Parsed;
use super::chunked::{ChunkedError, ChunkedPiece, Decoder};
use super::line::{self, SectionLine};
use super::response::{self, ReceivedHead, ResponseBody, ResponseError};
use crate::{MessageLimits, Method};
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
pub enum ResponseEvent<'a> {
    /// A head. If it is interim, the next event is a head again.
    Head(ReceivedHead<'a>),
    /// Bytes of the body, at least one; more of it, or at least its end, is to come.
    Data(&'a [u8]),
    /// The response is whole with these bytes of its body, which may be none.
    End(&'a [u8]),
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
    limits: MessageLimits,
    expected: Expected,
    /// The last head: most responses begin with the same bytes as the one before.
    known: Vec<u8>,
    /// The method of the request that the last head answered, since it decides whether there is a body. `None`: there is no
    /// last head, or another has come in part.
    known_method: Option<Method>,
    /// What the last head says, and what comes after it.
    meaning: response::Meaning,
    after_known: Expected,
    /// A head that has come in part.
    partial: Vec<u8>,
    /// Of the body under way if it comes in chunks; else at the start of one.
    decoder: Decoder,
}

/// What comes next on the connection.
#[derive(Debug, Clone, Copy)]
enum Expected {
    Head {
        after_interim: bool,
    },
    /// So many bytes, which end the response.
    Bytes(u64),
    Chunks,
    UntilClose,
}

impl Expected {
    fn after(meaning: &response::Meaning) -> Self {
        match meaning.body() {
            _ if meaning.is_interim() => Self::Head { after_interim: true },
            ResponseBody::None => Self::Bytes(0),
            ResponseBody::Length(bytes) => Self::Bytes(bytes),
            ResponseBody::Chunked => Self::Chunks,
            ResponseBody::UntilClose => Self::UntilClose,
        }
    }
}

impl ResponseReader {
    /// A reader at the first byte of a connection.
    #[must_use]
    pub fn new(limits: MessageLimits) -> Self {
        let expected = Expected::Head { after_interim: false };
        let decoder = Decoder::new(&limits);
        Self {
            limits,
            expected,
            known: Vec::new(),
            known_method: None,
            meaning: response::Meaning::default(),
            after_known: expected,
            partial: Vec::new(),
            decoder,
        }
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
    ) -> Result<Option<ResponseEvent<'a>>, ReadError> {
        let left = match self.expected {
            Expected::Head { .. } => return self.next_head(input, method),
            Expected::Bytes(left) => left,
            Expected::Chunks => return self.next_of_chunks(input),
            Expected::UntilClose => {
                let data = std::mem::take(input);
                return Ok((!data.is_empty()).then_some(ResponseEvent::Data(data)));
            }
        };
        let taken = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        let (data, rest) = input.split_at(taken);
        *input = rest;
        if taken as u64 == left {
            self.expected = Expected::Head { after_interim: false };
            return Ok(Some(ResponseEvent::End(data)));
        }
        self.expected = Expected::Bytes(left - taken as u64);
        Ok((taken > 0).then_some(ResponseEvent::Data(data)))
    }

    /// The next response, if its head is the last one again and all of its body is in `input`: that head, and the body.
    ///
    /// Most are such where responses come in one piece each; nothing is noted for them. `None` says nothing of the input:
    /// ask [`Self::next`].
    #[inline]
    pub fn next_alike<'i>(&mut self, input: &mut &'i [u8], method: Method) -> Option<(ReceivedHead<'_>, &'i [u8])> {
        let (Expected::Head { .. }, Expected::Bytes(body_bytes)) = (self.expected, self.after_known) else {
            return None;
        };
        if self.known_method != Some(method) || !input.starts_with(&self.known) {
            return None;
        }
        let (body, next) = input[self.known.len()..].split_at_checked(usize::try_from(body_bytes).ok()?)?;
        *input = next;
        Some((ReceivedHead::new(&self.known, self.meaning), body))
    }

    /// What it means that the connection has ended where the bytes given so far end.
    #[must_use]
    pub fn close(&self) -> Closed {
        match self.expected {
            Expected::UntilClose | Expected::Bytes(0) => Closed::Whole,
            Expected::Head { after_interim: false } if self.partial.is_empty() => Closed::Between,
            _ => Closed::CutOff,
        }
    }

    fn next_of_chunks<'i>(&mut self, input: &mut &'i [u8]) -> Result<Option<ResponseEvent<'i>>, ReadError> {
        let (event, taken) = match self.decoder.decode(input)? {
            ChunkedPiece::Data(range) => (Some(ResponseEvent::Data(&input[range.clone()])), range.end),
            ChunkedPiece::NeedMore => (None, input.len()),
            ChunkedPiece::End(end) => {
                self.expected = Expected::Head { after_interim: false };
                self.decoder = Decoder::new(&self.limits);
                (Some(ResponseEvent::End(&[])), end)
            }
        };
        *input = &input[taken..];
        Ok(event)
    }

    #[inline]
    fn next_head<'a>(&'a mut self, input: &mut &[u8], method: Method) -> Result<Option<ResponseEvent<'a>>, ReadError> {
        if self.known_method == Some(method) && input.starts_with(&self.known) {
            *input = &input[self.known.len()..];
        } else if input.is_empty() || !self.new_head(input, method)? {
            return Ok(None);
        }
        self.expected = self.after_known;
        Ok(Some(ResponseEvent::Head(ReceivedHead::new(&self.known, self.meaning))))
    }

    /// Reads a head that differs from the last one, and keeps it. `false` if it goes on beyond the input.
    #[inline(never)]
    fn new_head(&mut self, input: &mut &[u8], method: Method) -> Result<bool, ReadError> {
        let before = self.partial.len();
        if before == 0 {
            if let Some(meaning) = self.nearly_known(input, method) {
                *input = &input[self.known.len()..];
                return Ok(self.remember(meaning, method));
            }
            // It has come whole, nearly always.
            if let Parsed::Complete(head) = response::parse(input, &self.limits, method)? {
                let (bytes, rest) = input.split_at(head.head_bytes());
                *input = rest;
                self.known.clear();
                self.known.extend_from_slice(bytes);
                return Ok(self.remember(head.meaning(), method));
            }
        }
        self.known_method = None;
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
            return Ok(false);
        }
        let Parsed::Complete(head) = response::parse(&self.partial, &self.limits, method)? else {
            return Err(ResponseError::HeadTooLarge.into());
        };
        let (meaning, head_bytes) = (head.meaning(), head.head_bytes());
        *input = &input[head_bytes - before..];
        self.partial.truncate(head_bytes);
        std::mem::swap(&mut self.known, &mut self.partial);
        self.partial.clear();
        Ok(self.remember(meaning, method))
    }

    /// Reads a head that is the last one but for one line, as most are: another tag, another date. All other lines have been
    /// checked as lines of the last head.
    fn nearly_known(&mut self, input: &[u8], method: Method) -> Option<response::Meaning> {
        if self.known_method != Some(method) {
            return None;
        }
        let start = memchr::memrchr(b'\n', &self.known[..first_difference(&self.known, input)?])? + 1;
        if !self.meaning.is_in_fields(start) {
            return None;
        }
        let Ok(SectionLine::Field { name: old_name, next: old_end, .. }) = line::read(&self.known, start) else {
            return None;
        };
        let Ok(SectionLine::Field { name, value, next: new_end }) = line::read(input, start) else { return None };
        let rest = &self.known[old_end..];
        if new_end + rest.len() > self.limits.head_bytes_max as usize || !input[new_end..].starts_with(rest) {
            return None;
        }
        let ends = (old_end, new_end);
        let meaning = self.meaning.with_line(old_name.of(&self.known), name.of(input), value, ends)?;
        if old_end == new_end {
            self.known[start..old_end].copy_from_slice(&input[start..new_end]);
        } else {
            self.known.splice(start..old_end, input[start..new_end].iter().copied());
        }
        Some(meaning)
    }

    /// Takes `known` for a head of this meaning. Says that there is one: `true`.
    fn remember(&mut self, meaning: response::Meaning, method: Method) -> bool {
        (self.known_method, self.meaning, self.after_known) = (Some(method), meaning, Expected::after(&meaning));
        true
    }
}

/// Index of the first byte in which two differ, if it is in both.
fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    const WORD_BYTES: usize = 8;
    let (words, others) = (one.chunks_exact(WORD_BYTES), other.chunks_exact(WORD_BYTES));
    let same = words.zip(others).take_while(|(word, other)| word == other).count() * WORD_BYTES;
    one[same..].iter().zip(&other[same..]).position(|(byte, other)| byte != other).map(|at| same + at)
}
