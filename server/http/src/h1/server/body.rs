//! Reading the body of a request.
//!
//! ```text
//!   next(input) ─▶ Data (look at data(input)) … ─▶ End: the next head begins here
//!                  │ More: all of the input was taken; call again with the bytes that come next
//! ```
//!
//! **Not** keeping it: its bytes are lent from the input.
//! **Invariants**: nothing behind the body is taken for a part of it, and nothing of it for the next head.
//! **Source**: RFC 9112 section 6 and 7; RFC 9110 section 10.1.1.

use super::super::CONTINUE;
use super::super::chunked::{ChunkedError, ChunkedPiece, Decoder};
use super::super::input::LentInput;
use crate::MessageLimits;
use crate::request::RequestBody;
use std::ops::{Deref, Range};

/// A body that is being read.
#[derive(Debug)]
pub struct BodyReader {
    rest: BodyRest,
    /// Bytes of it that have been read, its framing included.
    read_bytes: usize,
    /// Where in the input the data lies that was found last; all through its end is taken off with the next call.
    lent: Range<usize>,
}

#[derive(Debug)]
enum BodyRest {
    /// So many bytes are still to come.
    Length(usize),
    Chunked(Box<Decoder>),
    Ended,
}

/// What comes next of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyStep {
    /// Bytes of it, at least one: [`BodyReader::data`].
    Data,
    /// More bytes are needed; the input is empty.
    More,
    /// The body ended before what the input begins with.
    End,
}

impl BodyReader {
    /// A reader at the first byte after a head that says `body`.
    #[must_use]
    pub fn new(body: RequestBody, limits: &MessageLimits) -> Self {
        let rest = match body {
            RequestBody::None => BodyRest::Ended,
            // Bounded by the parser (`body_bytes_max`).
            RequestBody::Length(length) => BodyRest::Length(usize::try_from(length).unwrap_or(usize::MAX)),
            RequestBody::Chunked => BodyRest::Chunked(Box::new(Decoder::new(limits))),
        };
        Self { rest, read_bytes: 0, lent: 0..0 }
    }

    /// Whether all of it has been read, so that a head may follow.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self.rest, BodyRest::Ended)
    }

    /// Bytes that have been read, framing included.
    #[must_use]
    pub fn read_bytes(&self) -> usize {
        self.read_bytes
    }

    /// Bytes of data still to come; `None` when the client has not said how many.
    #[must_use]
    pub fn bytes_to_come(&self) -> Option<usize> {
        match &self.rest {
            BodyRest::Length(left) => Some(*left),
            BodyRest::Chunked(_) => None,
            BodyRest::Ended => Some(0),
        }
    }

    /// What invites a client to send a body that it announced with `Expect`: nothing, if it has begun to.
    #[must_use]
    pub fn invitation<B: Deref<Target = [u8]>>(&self, input: &LentInput<B>) -> &'static [u8] {
        if self.read_bytes == 0 && input.is_empty() { CONTINUE } else { b"" }
    }

    /// Reads on at the start of the input.
    ///
    /// # Errors
    ///
    /// The client's: chunks that are none. Respond with [`ChunkedError::problem`] and close the connection.
    pub fn next<B: Deref<Target = [u8]>>(&mut self, input: &mut LentInput<B>) -> Result<BodyStep, ChunkedError> {
        input.consume(std::mem::take(&mut self.lent).end);
        let bytes = input.bytes();
        let (step, taken) = match &mut self.rest {
            BodyRest::Ended | BodyRest::Length(0) => (BodyStep::End, 0),
            BodyRest::Length(_) if bytes.is_empty() => (BodyStep::More, 0),
            BodyRest::Length(left) => {
                let taken = bytes.len().min(*left);
                *left -= taken;
                self.lent = 0..taken;
                (BodyStep::Data, taken)
            }
            BodyRest::Chunked(decoder) => match decoder.decode(bytes)? {
                ChunkedPiece::Data(range) => {
                    self.lent = range.clone();
                    (BodyStep::Data, range.end)
                }
                ChunkedPiece::NeedMore => (BodyStep::More, bytes.len()),
                ChunkedPiece::End(end) => (BodyStep::End, end),
            },
        };
        self.read_bytes += taken;
        if step != BodyStep::Data {
            input.consume(taken);
        }
        if step == BodyStep::End {
            self.rest = BodyRest::Ended;
        }
        Ok(step)
    }

    /// The data found last, in the input in which it was found.
    #[must_use]
    pub fn data<'i, B: Deref<Target = [u8]>>(&self, input: &'i LentInput<B>) -> &'i [u8] {
        &input.bytes()[self.lent.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a body that comes in pieces of so many bytes; returns it and what of the input was left.
    fn read(body: RequestBody, wire: &[u8], piece_bytes: usize) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut reader = BodyReader::new(body, &MessageLimits::default());
        let (mut gathered, mut input) = (Vec::new(), LentInput::default());
        let mut pieces = wire.chunks(piece_bytes);
        loop {
            assert!(!reader.is_read(), "nothing was said of the end");
            match reader.next(&mut input).ok()? {
                BodyStep::Data => gathered.extend_from_slice(reader.data(&input)),
                BodyStep::More => {
                    assert!(input.is_empty(), "all of the input is taken before more is asked for");
                    input.push(pieces.next()?);
                    // Between two pieces a server waits, which moves what it has.
                    input.release();
                }
                BodyStep::End => {
                    assert!(reader.is_read());
                    let rest = [input.bytes(), &pieces.flatten().copied().collect::<Vec<_>>()].concat();
                    assert_eq!(reader.read_bytes(), wire.len() - rest.len());
                    return Some((gathered, rest));
                }
            }
        }
    }

    #[test]
    fn bodies_end_where_their_framing_says() {
        let cases = [
            (RequestBody::Length(5), "helloGET /", Some(("hello", "GET /"))),
            (RequestBody::Length(5), "hell", None),
            (RequestBody::Chunked, "5\r\nhello\r\n0\r\n\r\nGET /", Some(("hello", "GET /"))),
            (RequestBody::Chunked, "2\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\nG", Some(("hello", "G"))),
            (RequestBody::Chunked, "5\r\nhello\r\n", None),
            (RequestBody::Chunked, "x\r\nhello\r\n", None),
        ];
        for (body, wire, expected) in cases {
            for piece_bytes in 1..=wire.len() {
                let found = read(body, wire.as_bytes(), piece_bytes);
                let expected = expected.map(|(body, rest)| (body.as_bytes().to_vec(), rest.as_bytes().to_vec()));
                assert_eq!(found, expected, "{wire:?} in pieces of {piece_bytes}");
            }
        }
    }

    #[test]
    fn what_is_still_to_come_is_known_as_far_as_it_was_announced() {
        let reader = |body| BodyReader::new(body, &MessageLimits::default());
        assert!(reader(RequestBody::None).is_read());
        assert_eq!(reader(RequestBody::None).bytes_to_come(), Some(0));
        assert_eq!(reader(RequestBody::Chunked).bytes_to_come(), None);
        let (mut announced, mut input) = (reader(RequestBody::Length(5)), LentInput::default());
        assert_eq!(announced.bytes_to_come(), Some(5));
        input.push(&b"ab"[..]);
        assert_eq!(announced.next(&mut input), Ok(BodyStep::Data));
        assert_eq!((announced.bytes_to_come(), announced.data(&input)), (Some(3), &b"ab"[..]));
    }

    #[test]
    fn a_body_that_has_begun_is_not_invited() {
        let (mut reader, mut input) =
            (BodyReader::new(RequestBody::Length(2), &MessageLimits::default()), LentInput::default());
        assert_eq!(reader.invitation(&input), CONTINUE);
        input.push(&b"a"[..]);
        assert_eq!(reader.invitation(&input), b"");
        assert_eq!(reader.next(&mut input), Ok(BodyStep::Data));
        assert_eq!(reader.next(&mut input), Ok(BodyStep::More));
        assert_eq!(reader.invitation(&input), b"");
    }
}
