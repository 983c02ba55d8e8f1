//! The receiving side of a server's connection: bytes in, request heads out.
//!
//! ```text
//!   push(bytes) ─▶ input ─▶ next(serve) ─▶ serve(head), its bytes are taken off ─▶ next …
//!                             │ None: push more, by head_began() + the head's time, or when idle by the idle time
//!                             │ RequestError: answer it and close
//! ```
//!
//! **Not** I/O or a clock: instants come in as arguments, and the caller compares them. Not bodies either: they are read
//! from [`RequestReader::input`].
//! **Invariants**: a head that comes in part has begun when its first bytes were looked at; an idle connection owns no
//! memory; a head is read in memory that all connections share, unless it comes in part.
//! **Source**: RFC 9112 section 2.1 and 9.3.

use super::Parsed;
use super::input::LentInput;
use super::request::{FieldMemo, RequestError, Resume, parse_remembering};
use crate::MessageLimits;
use crate::request::RequestHead;
use std::ops::Deref;

/// Memory in which heads are read that come whole. One for all connections of a core, where it stays at hand.
#[derive(Debug, Default)]
pub struct RequestScratch {
    whole: Resume,
    memo: FieldMemo,
}

/// Reads the requests of one connection. `B` is what a receive lends, `T` an instant.
#[derive(Debug)]
pub struct RequestReader<B, T> {
    input: LentInput<B>,
    /// What is known of a head that has come in part.
    partial: Option<Box<Resume>>,
    head_began: Option<T>,
}

impl<B, T> Default for RequestReader<B, T> {
    fn default() -> Self {
        Self { input: LentInput::default(), partial: None, head_began: None }
    }
}

impl<B: Deref<Target = [u8]>, T: Copy> RequestReader<B, T> {
    /// The bytes received and not used. Between two heads these are the bytes of a body.
    #[inline]
    pub fn input(&mut self) -> &mut LentInput<B> {
        debug_assert!(self.partial.is_none(), "bytes of a head that was begun are not anybody else's");
        &mut self.input
    }

    /// Adds bytes that were received.
    #[inline]
    pub fn push(&mut self, bytes: B) {
        self.input.push(bytes);
    }

    /// Gives lent buffers back. Before every wait.
    #[inline]
    pub fn release(&mut self) {
        self.input.release();
    }

    /// When the head under way began; `None` between two requests.
    #[inline]
    #[must_use]
    pub fn head_began(&self) -> Option<T> {
        self.head_began
    }

    /// Reads the next head, has it served, and takes its bytes off; `None` if it has not come whole. `now` is asked when a
    /// head begins that has come in part.
    ///
    /// # Errors
    ///
    /// The peer's fault. Answer [`RequestError::problem`] and close the connection.
    #[inline]
    pub fn next<R>(
        &mut self,
        limits: &MessageLimits,
        scratch: &mut RequestScratch,
        now: impl FnOnce() -> T,
        serve: impl FnOnce(&RequestHead<'_>) -> R,
    ) -> Result<Option<R>, RequestError> {
        if self.input.is_empty() {
            return Ok(None);
        }
        let RequestScratch { whole, memo } = scratch;
        let resume = self.partial.as_deref_mut().unwrap_or(whole);
        let (served, head_bytes) = match parse_remembering(self.input.bytes(), limits, resume, memo)? {
            Parsed::Complete(head) => (serve(&head), head.head_bytes()),
            Parsed::Partial => {
                self.partial.get_or_insert_with(|| Box::new(std::mem::take(whole)));
                self.head_began.get_or_insert_with(now);
                return Ok(None);
            }
        };
        self.partial = None;
        self.head_began = None;
        self.input.consume(head_bytes);
        Ok(Some(served))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Method;

    const STREAM: &[u8] =
        b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nPUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyz\
        \r\nHEAD /c HTTP/1.1\r\nHost: h\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n";

    /// However the stream is cut, the same requests are served, and the body is there between two of them.
    #[test]
    fn requests_are_served_in_any_pieces() {
        for step in 1..=STREAM.len() {
            let (mut reader, mut scratch) = (RequestReader::default(), RequestScratch::default());
            let (mut seen, mut body_left) = (Vec::new(), 0);
            for piece in STREAM.chunks(step) {
                reader.push(piece);
                reader.release();
                loop {
                    if body_left > 0 {
                        let taken = reader.input().bytes().len().min(body_left);
                        seen.push(String::from_utf8(reader.input().bytes()[..taken].to_vec()).unwrap());
                        reader.input().consume(taken);
                        body_left -= taken;
                    }
                    let next = reader.next(
                        &MessageLimits::default(),
                        &mut scratch,
                        || (),
                        |head| {
                            body_left = if head.method() == Method::Put { 3 } else { 0 };
                            String::from_utf8(head.target_text().to_vec()).unwrap()
                        },
                    );
                    match next.unwrap() {
                        Some(target) => seen.push(target),
                        None => break,
                    }
                }
            }
            assert_eq!(seen.concat(), "/a/bxyz/c/a", "in pieces of {step}");
            assert!(reader.input().is_empty() && reader.head_began().is_none());
        }
    }

    #[test]
    fn a_head_begins_with_its_first_bytes_and_ends_with_its_last() {
        let (mut reader, mut scratch) = (RequestReader::default(), RequestScratch::default());
        let mut next = |reader: &mut RequestReader<&'static [u8], u32>, now: u32| {
            reader.next(&MessageLimits::default(), &mut scratch, || now, |_| ()).map(|served| served.is_some())
        };
        assert_eq!((next(&mut reader, 1), reader.head_began()), (Ok(false), None), "idle");
        reader.push(b"GET / HTTP/1.1\r\n");
        assert_eq!((next(&mut reader, 2), reader.head_began()), (Ok(false), Some(2)));
        reader.push(b"Host: h\r\n");
        assert_eq!((next(&mut reader, 3), reader.head_began()), (Ok(false), Some(2)), "it began before");
        reader.push(b"\r\nG");
        assert_eq!((next(&mut reader, 4), reader.head_began()), (Ok(true), None));
        assert_eq!((next(&mut reader, 5), reader.head_began()), (Ok(false), Some(5)), "another head");
        reader.push(b"\0");
        assert_eq!(next(&mut reader, 6), Err(RequestError::Method));
    }

    /// Two connections whose heads come in turns do not disturb each other, nor one whose heads come whole.
    #[test]
    fn connections_share_a_scratch() {
        let mut scratch = RequestScratch::default();
        let mut readers: [RequestReader<&[u8], ()>; 3] = Default::default();
        let mut next = |reader: &mut RequestReader<&'static [u8], ()>, piece: &'static [u8]| {
            reader.push(piece);
            reader.next(&MessageLimits::default(), &mut scratch, || (), |head| head.target_text().to_vec()).unwrap()
        };
        let [one, two, whole] = &mut readers;
        assert_eq!(next(one, b"GET /one HTTP/1.1\r\nHo"), None);
        assert_eq!(next(two, b"GET /two HTT"), None);
        assert_eq!(next(whole, b"GET /whole HTTP/1.1\r\nHost: h\r\n\r\n").as_deref(), Some(&b"/whole"[..]));
        assert_eq!(next(one, b"st: h\r\n\r\n").as_deref(), Some(&b"/one"[..]));
        assert_eq!(next(two, b"P/1.1\r\nHost: h\r\n\r\n").as_deref(), Some(&b"/two"[..]));
    }
}
