//! The framing of a request's body.
//!
//! **Not** receiving it, and **not** keeping it: bytes in, ranges out.
//!
//! **Invariants**: nothing behind the body is taken for a part of it.
//!
//! **Source**: RFC 9112 section 6 and 7.

use std::ops::Range;

use corelane_http::Limits;
use corelane_http::h1::chunked::{ChunkedError, Decoder, Found};
use corelane_http::request::Body;

/// Bytes still to come from which on they are received in bulk.
const BULK_BYTES_MIN: usize = 128 * 1024;

/// A body that is being read.
pub(super) struct BodyReader {
    framing: Framing,
    /// Bytes of it that have been read, its framing included.
    read_bytes: usize,
}

enum Framing {
    /// So many bytes are still to come.
    Length(usize),
    Chunked(Box<Decoder>),
    Ended,
}

/// What the input begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// These bytes of the body; all through their end has been read.
    Data(Range<usize>),
    /// Nothing that could be handed on; so many bytes have been read.
    More(usize),
    /// The body ended before this.
    End(usize),
}

impl BodyReader {
    pub(super) fn new(body: Body, limits: &Limits) -> Self {
        let framing = match body {
            Body::None => Framing::Ended,
            // Bounded by the parser (`body_bytes`).
            Body::Length(length) => Framing::Length(usize::try_from(length).unwrap_or(usize::MAX)),
            Body::Chunked => Framing::Chunked(Box::new(Decoder::new(limits))),
        };
        BodyReader { framing, read_bytes: 0 }
    }

    /// Whether all of it has been read.
    pub(super) fn is_read(&self) -> bool {
        matches!(self.framing, Framing::Ended)
    }

    pub(super) fn read_bytes(&self) -> usize {
        self.read_bytes
    }

    /// Whether much is still to come, as far as that is known.
    pub(super) fn is_bulk(&self) -> bool {
        match &self.framing {
            Framing::Length(left) => *left >= BULK_BYTES_MIN,
            // What has come is a fair guess.
            Framing::Chunked(_) => self.read_bytes >= BULK_BYTES_MIN,
            Framing::Ended => false,
        }
    }

    /// Reads on at the start of the input. What has been read must not be in the next input.
    ///
    /// # Errors
    /// The client's: chunks that are none.
    pub(super) fn next(&mut self, input: &[u8]) -> Result<Next, ChunkedError> {
        let next = match &mut self.framing {
            Framing::Ended | Framing::Length(0) => Next::End(0),
            Framing::Length(_) if input.is_empty() => Next::More(0),
            Framing::Length(left) => {
                let taken = input.len().min(*left);
                *left -= taken;
                Next::Data(0..taken)
            }
            Framing::Chunked(decoder) => match decoder.decode(input)? {
                Found::Data(range) => Next::Data(range),
                Found::NeedMore => Next::More(input.len()),
                Found::End(end) => Next::End(end),
            },
        };
        self.read_bytes += match &next {
            Next::Data(range) => range.end,
            Next::More(count) => *count,
            Next::End(count) => {
                self.framing = Framing::Ended;
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
    fn read(body: Body, wire: &[u8], piece_bytes: usize) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut reader = BodyReader::new(body, &Limits::default());
        let (mut gathered, mut input) = (Vec::new(), Vec::new());
        let mut pieces = wire.chunks(piece_bytes);
        loop {
            assert!(!reader.is_read(), "nothing was said of the end");
            let read_bytes = match reader.next(&input).ok()? {
                Next::Data(range) => {
                    gathered.extend_from_slice(&input[range.clone()]);
                    range.end
                }
                Next::More(count) => {
                    input.drain(..count);
                    input.extend_from_slice(pieces.next()?);
                    continue;
                }
                Next::End(count) => count,
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
            (Body::Length(5), "helloGET /", Some(("hello", "GET /"))),
            (Body::Length(5), "hell", None),
            (Body::Chunked, "5\r\nhello\r\n0\r\n\r\nGET /", Some(("hello", "GET /"))),
            (Body::Chunked, "2\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\nG", Some(("hello", "G"))),
            (Body::Chunked, "5\r\nhello\r\n", None),
            (Body::Chunked, "x\r\nhello\r\n", None),
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
        let reader = |body| BodyReader::new(body, &Limits::default());
        assert!(!reader(Body::None).is_bulk() && reader(Body::None).is_read());
        let mut announced = reader(Body::Length(BULK_BYTES_MIN as u64 + 1));
        assert!(announced.is_bulk());
        announced.next(b"ab").unwrap();
        assert!(!announced.is_bulk());
        let mut chunked = reader(Body::Chunked);
        assert!(!chunked.is_bulk());
        let mut chunk = format!("{BULK_BYTES_MIN:x}\r\n").into_bytes();
        let start = chunk.len();
        chunk.resize(start + BULK_BYTES_MIN, b'x');
        assert_eq!(chunked.next(&chunk), Ok(Next::Data(start..chunk.len())));
        assert!(chunked.is_bulk());
    }
}
