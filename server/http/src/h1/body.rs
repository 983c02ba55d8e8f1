//! The body of one message, read from the bytes after its head.
//!
//! **Not**: holding bytes; pieces are lent from the input.
//! **Invariants**: no byte behind the body is taken; after its end nothing is.
//! **Source**: RFC 9112 section 6.3 and 7.1.

use super::chunked::{ChunkedError, Decoder, Found};
use super::response;
use crate::Limits;

/// A body under way.
#[derive(Debug, Clone)]
pub enum BodyReader {
    /// So many bytes are to come.
    Length(u64),
    /// Chunks.
    Chunked(Decoder),
    /// All bytes until the connection ends.
    UntilClose,
}

/// What was found of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Bytes of it, at least one.
    Data(&'a [u8]),
    /// All of the input was taken, and more is to come.
    NeedMore,
    /// The body is whole. What is left of the input belongs to the next message.
    End,
}

impl BodyReader {
    /// The body of a response.
    #[inline]
    #[must_use]
    pub fn of_response(body: response::Body, limits: &Limits) -> Self {
        match body {
            response::Body::None => Self::Length(0),
            response::Body::Length(bytes) => Self::Length(bytes),
            response::Body::Chunked => Self::Chunked(Decoder::new(limits)),
            response::Body::UntilClose => Self::UntilClose,
        }
    }

    /// Takes the next piece off `input`.
    ///
    /// # Errors
    ///
    /// The peer's fault: the chunks are malformed, or too large together.
    #[inline]
    pub fn read<'a>(&mut self, input: &mut &'a [u8]) -> Result<Piece<'a>, ChunkedError> {
        let taken = match self {
            Self::Length(0) => return Ok(Piece::End),
            Self::Length(left) => {
                let taken = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= taken as u64;
                taken
            }
            Self::UntilClose => input.len(),
            Self::Chunked(decoder) => return read_chunk(decoder, input),
        };
        let (data, rest) = input.split_at(taken);
        *input = rest;
        Ok(if data.is_empty() { Piece::NeedMore } else { Piece::Data(data) })
    }
}

fn read_chunk<'a>(decoder: &mut Decoder, input: &mut &'a [u8]) -> Result<Piece<'a>, ChunkedError> {
    let found = decoder.decode(input)?;
    let (piece, taken) = match found {
        Found::Data(range) => (Piece::Data(&input[range.clone()]), range.end),
        Found::NeedMore => (Piece::NeedMore, input.len()),
        Found::End(end) => (Piece::End, end),
    };
    *input = &input[taken..];
    Ok(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut body: BodyReader, mut input: &[u8]) -> (Vec<u8>, bool, usize) {
        let mut data = Vec::new();
        loop {
            match body.read(&mut input).unwrap() {
                Piece::Data(piece) => data.extend_from_slice(piece),
                Piece::NeedMore => return (data, false, input.len()),
                Piece::End => return (data, true, input.len()),
            }
        }
    }

    #[test]
    fn no_byte_behind_a_body_is_taken() {
        let limits = Limits::default();
        let of = |body| BodyReader::of_response(body, &limits);
        for (body, input, want) in [
            (response::Body::None, "next", ("", true, 4)),
            (response::Body::Length(3), "abcnext", ("abc", true, 4)),
            (response::Body::Length(3), "ab", ("ab", false, 0)),
            (response::Body::Length(3), "", ("", false, 0)),
            (response::Body::Chunked, "2\r\nab\r\n1\r\nc\r\n0\r\n\r\nnext", ("abc", true, 4)),
            (response::Body::Chunked, "2\r\nab", ("ab", false, 0)),
            (response::Body::UntilClose, "all", ("all", false, 0)),
        ] {
            let (data, ended, left) = read(of(body), input.as_bytes());
            assert_eq!((std::str::from_utf8(&data).unwrap(), ended, left), want, "{body:?} {input:?}");
        }
    }

    #[test]
    fn nothing_is_taken_after_the_end() {
        for (mut body, mut input) in [
            (BodyReader::Length(1), &b"ab"[..]),
            (BodyReader::Chunked(Decoder::new(&Limits::default())), b"1\r\na\r\n0\r\n\r\nb"),
        ] {
            assert_eq!(body.read(&mut input), Ok(Piece::Data(b"a")));
            for _ in 0..3 {
                assert_eq!(body.read(&mut input), Ok(Piece::End));
                assert_eq!(input, b"b");
            }
        }
    }
}
