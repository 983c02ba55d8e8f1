//! HTTP/1.1 as the generator speaks it: requests written from a template, answers read in whatever pieces they come.
//!
//! **Not** a general client: an answer says how long it is with Content-Length. No chunks, no other versions.
//!
//! **Invariants**: no byte of an answer is kept but those of a head that has come in part; an answer is reported once, with
//! its last byte.
//!
//! **Source**: RFC 9112 sections 4 and 6.3.

use super::{Ask, Decimal, KeyTemplate, Listener, Target};
use crate::run::choice::Operation;
use crate::run::values::Values;

/// A head beyond this is no answer to a request of ours.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Writes requests.
pub(in crate::run) struct Requests {
    /// The methods, by operation.
    methods: [&'static [u8]; 3],
    key: KeyTemplate,
    /// From behind the key to the end of the head, without the fields of a PUT.
    end: Vec<u8>,
    /// A whole GET, if all keys are one: the load that asks a server for most is the one that must cost the generator least.
    only_get: Option<Vec<u8>>,
}

impl Requests {
    /// Requests to this target.
    pub(super) fn new(target: &Target) -> Self {
        let (key, end) = (KeyTemplate::new(target), format!(" HTTP/1.1\r\nHost: {}\r\n", target.authority));
        let only_get = (!target.has_key).then(|| {
            let mut whole = b"GET ".to_vec();
            key.write(&mut whole, &key.number(0));
            [&whole, end.as_bytes(), b"\r\n"].concat()
        });
        Self { methods: [b"GET ", b"PUT ", b"DELETE "], key, end: end.into_bytes(), only_get }
    }

    /// Appends one request.
    #[inline]
    pub(super) fn write(&self, buffer: &mut Vec<u8>, ask: Ask, values: &Values) {
        if let (Some(whole), Operation::Get) = (&self.only_get, ask.operation) {
            return buffer.extend_from_slice(whole);
        }
        buffer.extend_from_slice(self.methods[ask.operation as usize]);
        self.key.write(buffer, &self.key.number(ask.key));
        buffer.extend_from_slice(&self.end);
        if ask.operation == Operation::Put {
            if ask.ttl_s > 0 {
                buffer.extend_from_slice(b"Cache-Control: max-age=");
                buffer.extend_from_slice(Decimal::of(ask.ttl_s.into()).as_bytes());
                buffer.extend_from_slice(b"\r\n");
            }
            let value = values.of(ask.key);
            buffer.extend_from_slice(b"Content-Length: ");
            buffer.extend_from_slice(Decimal::of(value.len() as u64).as_bytes());
            buffer.extend_from_slice(b"\r\n\r\n");
            buffer.extend_from_slice(value);
        } else {
            buffer.extend_from_slice(b"\r\n");
        }
    }
}

/// What is wrong with bytes that should be an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::run) enum Malformed {
    #[error("an answer does not begin with HTTP/1.1 and a status")]
    StatusLine,
    #[error("an answer has no Content-Length (chunked answers are not read)")]
    NoLength,
    #[error("the Content-Length of an answer is no number")]
    BadLength,
    #[error("the head of an answer is longer than 16 KiB")]
    HeadTooLong,
}

/// What an answer's head says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Head {
    status: u16,
    body_bytes: usize,
}

/// Reads answers from one connection.
#[derive(Default)]
pub(in crate::run) struct Answers {
    /// The last head, bytes and meaning: most answers begin with the same ones.
    known: Vec<u8>,
    known_head: Head,
    /// A head that has come in part.
    partial: Vec<u8>,
    /// The answer whose body is coming, how much of it has come, and whether that was right.
    coming: Option<(Head, usize, bool)>,
}

impl Answers {
    /// Reads what has come; `listener` hears of every answer that is complete with it.
    ///
    /// # Errors
    /// The server's; the connection is of no use afterwards.
    #[inline]
    pub(super) fn read(&mut self, mut bytes: &[u8], listener: &mut impl Listener) -> Result<(), Malformed> {
        while !bytes.is_empty() {
            if self.coming.is_none() {
                let Some((head, used)) = self.head(bytes)? else { return Ok(()) };
                self.coming = Some((head, 0, true));
                bytes = &bytes[used..];
            }
            let (head, come, is_right) = self.coming.as_mut().expect("set above");
            let part = &bytes[..bytes.len().min(head.body_bytes - *come)];
            if !part.is_empty() {
                *is_right &= listener.body(0, head.status, *come, part);
                *come += part.len();
                bytes = &bytes[part.len()..];
            }
            if *come == head.body_bytes {
                let (head, is_right) = (*head, *is_right);
                self.coming = None;
                listener.answer(0, head.status, head.body_bytes, is_right);
            }
        }
        Ok(())
    }

    /// The head at the start of `bytes`, and how many of them it took; `None` when it goes on beyond them.
    #[inline]
    fn head(&mut self, bytes: &[u8]) -> Result<Option<(Head, usize)>, Malformed> {
        if self.partial.is_empty() && !self.known.is_empty() && bytes.starts_with(&self.known) {
            return Ok(Some((self.known_head, self.known.len())));
        }
        self.new_head(bytes)
    }

    #[inline(never)]
    fn new_head(&mut self, bytes: &[u8]) -> Result<Option<(Head, usize)>, Malformed> {
        let before = self.partial.len();
        // The end may lie across the pieces: three bytes of it in the last one.
        self.partial.extend_from_slice(&bytes[..bytes.len().min(HEAD_BYTES_MAX)]);
        let from = before.saturating_sub(3);
        let Some(end) = memchr::memmem::find(&self.partial[from..], b"\r\n\r\n") else {
            return if self.partial.len() >= HEAD_BYTES_MAX { Err(Malformed::HeadTooLong) } else { Ok(None) };
        };
        let head_bytes = from + end + 4;
        self.partial.truncate(head_bytes);
        std::mem::swap(&mut self.partial, &mut self.known);
        self.partial.clear();
        self.known_head = parse(&self.known).inspect_err(|_| self.known.clear())?;
        Ok(Some((self.known_head, head_bytes - before)))
    }
}

fn parse(head: &[u8]) -> Result<Head, Malformed> {
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let status = lines.next().and_then(parse_status).ok_or(Malformed::StatusLine)?;
    let mut length = None;
    for line in lines {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        if line[..colon].eq_ignore_ascii_case(b"content-length") {
            let text = std::str::from_utf8(&line[colon + 1..]).map_err(|_| Malformed::BadLength)?;
            length = Some(text.trim().parse().map_err(|_| Malformed::BadLength)?);
        }
    }
    let has_no_body = matches!(status, 100..200 | 204 | 304);
    let body_bytes = if has_no_body { 0 } else { length.ok_or(Malformed::NoLength)? };
    Ok(Head { status, body_bytes })
}

fn parse_status(line: &[u8]) -> Option<u16> {
    let digits = line.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::heard::{Heard, ask, values};
    use super::*;

    const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 204 No Content\r\n\r\n\
        HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nworldHTTP/1.1 404 Not Found\r\ncontent-length:3\r\n\r\nno!\
        HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    /// However the stream is cut into pieces, the same answers are heard.
    #[test]
    fn answers_are_heard_whole_in_any_pieces() {
        let expected = [(0, 200, 5, true), (0, 204, 0, true), (0, 200, 5, true), (0, 404, 3, false), (0, 200, 0, true)];
        for step in 1..=STREAM.len() {
            let (mut answers, mut heard) = (Answers::default(), Heard::default());
            for piece in STREAM.chunks(step) {
                answers.read(piece, &mut heard).expect("it is HTTP");
            }
            assert_eq!(heard.answers, expected, "in pieces of {step}");
            assert_eq!(heard.bodies, b"helloworldno!", "in pieces of {step}");
        }
    }

    #[test]
    fn what_is_no_answer_is_named() {
        let long = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'a'; HEAD_BYTES_MAX]].concat();
        let cases: [(&[u8], Malformed); 4] = [
            (b"HTTP/1.0 200 OK\r\n\r\n", Malformed::StatusLine),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Malformed::NoLength),
            (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Malformed::BadLength),
            (&long, Malformed::HeadTooLong),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Answers::default().read(bytes, &mut Heard::default()), Err(expected));
        }
    }

    #[test]
    fn requests_are_written_as_the_target_says() {
        let target = Target::parse("http://127.0.0.1:1/a{key}?b").expect("it is right");
        let values = values();
        let requests = Requests::new(&target);
        let mut written = Vec::new();
        let asked =
            [(Operation::Get, 0, 9), (Operation::Put, 120, 0), (Operation::Put, 120, 60), (Operation::Delete, 7, 0)];
        for (operation, key, ttl_s) in asked {
            requests.write(&mut written, ask(operation, key, ttl_s), &values);
        }
        let value = String::from_utf8_lossy(values.of(120));
        let host = "HTTP/1.1\r\nHost: 127.0.0.1:1\r\n";
        let put = format!("Content-Length: 5\r\n\r\n{value}");
        let expected = format!(
            "GET /a0?b {host}\r\nPUT /a120?b {host}{put}PUT /a120?b {host}Cache-Control: max-age=60\r\n{put}\
             DELETE /a7?b {host}\r\n"
        );
        assert_eq!(String::from_utf8_lossy(&written), expected);
    }

    #[test]
    fn a_target_without_keys_is_asked_alike() {
        let requests = Requests::new(&Target::parse("http://127.0.0.1:1/a?b").expect("it is right"));
        for (operation, method) in [(Operation::Get, "GET"), (Operation::Delete, "DELETE")] {
            let mut written = Vec::new();
            requests.write(&mut written, ask(operation, 3, 0), &values());
            let expected = format!("{method} /a?b HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n");
            assert_eq!(String::from_utf8_lossy(&written), expected);
        }
    }
}
