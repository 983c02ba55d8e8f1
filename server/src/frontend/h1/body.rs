//! The framing of a request's body.
//!
//! **Not** receiving it, and **not** keeping it: bytes in, ranges out.
//!
//! **Invariants**: nothing behind the body is taken for a part of it.
//!
//! **Source**: RFC 9112 section 6 and 7.

use std::ops::Range;

use corelane_http::MessageLimits;
use corelane_http::h1::chunked::{ChunkedError, ChunkedPiece, Decoder};
use corelane_http::request::RequestBody;

/// Bytes still to come from which on they are received in bulk.
const BULK_BYTES_MIN: usize = 128 * 1024;

/// A body that is being read.
pub(super) struct BodyReader {
    framing: BodyRest,
    /// Bytes of it that have been read, its framing included.
    read_bytes: usize,
}

enum BodyRest {
    /// So many bytes are still to come.
    Length(usize),
    Chunked(Box<Decoder>),
    Ended,
}

/// What the input begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BodyStep {
    /// These bytes of the body; all through their end has been read.
    Data(Range<usize>),
    /// Nothing that could be handed on; so many bytes have been read.
    More(usize),
    /// The body ended before this.
    End(usize),
}

impl BodyReader {
    pub(super) fn new(body: RequestBody, limits: &MessageLimits) -> Self {
        let framing = match body {
            RequestBody::None => BodyRest::Ended,
            // Bounded by the parser (`body_bytes`).
            RequestBody::Length(length) => BodyRest::Length(usize::try_from(length).unwrap_or(usize::MAX)),
            RequestBody::Chunked => BodyRest::Chunked(Box::new(Decoder::new(limits))),
        };
        BodyReader { framing, read_bytes: 0 }
    }

    /// Whether all of it has been read.
    pub(super) fn is_read(&self) -> bool {
        matches!(self.framing, BodyRest::Ended)
    }

    pub(super) fn read_bytes(&self) -> usize {
        self.read_bytes
    }

    /// Whether much is still to come, as far as that is known.
    pub(super) fn is_bulk(&self) -> bool {
        match &self.framing {
            BodyRest::Length(left) => *left >= BULK_BYTES_MIN,
            // What has come is a fair guess.
            BodyRest::Chunked(_) => self.read_bytes >= BULK_BYTES_MIN,
            BodyRest::Ended => false,
        }
    }

    /// Reads on at the start of the input. What has been read must not be in the next input.
    ///
    /// # Errors
    /// The client's: chunks that are none.
    pub(super) fn next(&mut self, input: &[u8]) -> Result<BodyStep, ChunkedError> {
        let next = match &mut self.framing {
            BodyRest::Ended | BodyRest::Length(0) => BodyStep::End(0),
            BodyRest::Length(_) if input.is_empty() => BodyStep::More(0),
            BodyRest::Length(left) => {
                let taken = input.len().min(*left);
                *left -= taken;
                BodyStep::Data(0..taken)
            }
            BodyRest::Chunked(decoder) => match decoder.decode(input)? {
                ChunkedPiece::Data(range) => BodyStep::Data(range),
                ChunkedPiece::NeedMore => BodyStep::More(input.len()),
                ChunkedPiece::End(end) => BodyStep::End(end),
            },
        };
        self.read_bytes += match &next {
            BodyStep::Data(range) => range.end,
            BodyStep::More(count) => *count,
            BodyStep::End(count) => {
                self.framing = BodyRest::Ended;
                *count
            }
        };
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a body that comes in pieces of so many bytes; returns it and what of the input was left.
    fn read(body: RequestBody, wire: &[u8], piece_bytes: usize) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut reader = BodyReader::new(body, &MessageLimits::default());
        let (mut gathered, mut input) = (Vec::new(), Vec::new());
        let mut pieces = wire.chunks(piece_bytes);
        loop {
            assert!(!reader.is_read(), "nothing was said of the end");
            let read_bytes = match reader.next(&input).ok()? {
                BodyStep::Data(range) => {
                    gathered.extend_from_slice(&input[range.clone()]);
                    range.end
                }
                BodyStep::More(count) => {
                    input.drain(..count);
                    input.extend_from_slice(pieces.next()?);
                    continue;
                }
                BodyStep::End(count) => count,
            };
            input.drain(..read_bytes);
            if reader.is_read() {
                input.extend(pieces.flatten());
                assert_eq!(reader.read_bytes(), wire.len() - input.len());
                return Some((gathered, input));
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
    fn bulk_is_what_is_still_to_come() {
        let reader = |body| BodyReader::new(body, &MessageLimits::default());
        assert!(!reader(RequestBody::None).is_bulk() && reader(RequestBody::None).is_read());
        let mut announced = reader(RequestBody::Length(BULK_BYTES_MIN as u64 + 1));
        assert!(announced.is_bulk());
        announced.next(b"ab").unwrap();
        assert!(!announced.is_bulk());
        let mut chunked = reader(RequestBody::Chunked);
        assert!(!chunked.is_bulk());
        let mut chunk = format!("{BULK_BYTES_MIN:x}\r\n").into_bytes();
        let start = chunk.len();
        chunk.resize(start + BULK_BYTES_MIN, b'x');
        assert_eq!(chunked.next(&chunk), Ok(BodyStep::Data(start..chunk.len())));
        assert!(chunked.is_bulk());
    }
}
