//! HTTP/1.1 as the generator speaks it: requests written from a template, answers read in whatever pieces they come.
//!
//! **Not** a general client: an answer says how long it is with Content-Length. No chunks, no other versions.
//!
//! **Invariants**: no byte of an answer is kept but those of a head that has come in part; an answer is reported once, with
//! its last byte.
//!
//! **Source**: RFC 9112 sections 4 and 6.3.

use super::clients::{self, ClientHead};
use super::{AnswerListener, Ask, Decimal, KeyTemplate, LoadTarget};
use crate::run::choice::{Operation, ReadKind};
use crate::run::values::Values;

/// A head beyond this is no answer to a request of ours.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The part of a value that is asked for by a range: it begins behind the value's first bytes, so that a server that sends the
/// wrong part is noticed.
pub(in crate::run) const RANGE: std::ops::Range<usize> = 8..108;

/// `RANGE` as HTTP writes it.
const RANGE_FIELD: &[u8] = b"Range: bytes=8-107\r\n\r\n";

/// Writes requests.
pub(in crate::run) struct Requests {
    key: KeyTemplate,
    /// From behind the key to the end of the fields that all requests of a client have, by client.
    heads: Vec<ClientHead>,
    /// A whole GET, if all keys and clients are one: the load that asks a server for most is the one that must cost the
    /// generator least.
    only_get: Option<Vec<u8>>,
}

impl Requests {
    /// Requests to this target, from so many clients.
    pub(super) fn new(target: &LoadTarget, key: KeyTemplate, clients: usize) -> Self {
        let mut requests = Self { key, heads: clients::heads(&target.authority, clients), only_get: None };
        if !target.has_key && clients == 0 {
            let mut whole = Vec::new();
            requests.write_head(&mut whole, b"GET ", &Ask::of(0));
            whole.extend_from_slice(b"\r\n");
            requests.only_get = Some(whole);
        }
        requests
    }

    /// Appends one request.
    #[inline]
    pub(super) fn write(&self, buffer: &mut Vec<u8>, ask: &Ask, values: &Values) {
        match (ask.operation, ask.read) {
            (Operation::Get, ReadKind::Whole) => {
                if let Some(whole) = &self.only_get {
                    return buffer.extend_from_slice(whole);
                }
                self.write_head(buffer, b"GET ", ask);
                buffer.extend_from_slice(b"\r\n");
            }
            (Operation::Get, ReadKind::Conditional) => {
                self.write_head(buffer, b"GET ", ask);
                let tag = ask.tag.as_bytes();
                buffer.extend_from_slice(b"If-None-Match: ");
                buffer.extend_from_slice(if tag.is_empty() { b"\"none\"" } else { tag });
                buffer.extend_from_slice(b"\r\n\r\n");
            }
            (Operation::Get, ReadKind::Head) => {
                self.write_head(buffer, b"HEAD ", ask);
                buffer.extend_from_slice(b"\r\n");
            }
            (Operation::Get, ReadKind::Range) => {
                self.write_head(buffer, b"GET ", ask);
                buffer.extend_from_slice(RANGE_FIELD);
            }
            (Operation::Put, _) => self.write_put(buffer, ask, values.of(ask.key)),
            (Operation::Delete, _) => {
                self.write_head(buffer, b"DELETE ", ask);
                buffer.extend_from_slice(b"\r\n");
            }
        }
    }

    #[inline]
    fn write_head(&self, buffer: &mut Vec<u8>, method: &[u8], ask: &Ask) {
        buffer.extend_from_slice(method);
        self.key.write(buffer, &self.key.number(ask.key));
        self.heads[usize::from(ask.client)].write(buffer, ask.ids);
    }

    fn write_put(&self, buffer: &mut Vec<u8>, ask: &Ask, value: &[u8]) {
        self.write_head(buffer, b"PUT ", ask);
        if ask.ttl_s > 0 {
            buffer.extend_from_slice(b"Cache-Control: max-age=");
            buffer.extend_from_slice(Decimal::of(ask.ttl_s.into()).as_bytes());
            buffer.extend_from_slice(b"\r\n");
        }
        buffer.extend_from_slice(b"Content-Length: ");
        buffer.extend_from_slice(Decimal::of(value.len() as u64).as_bytes());
        buffer.extend_from_slice(b"\r\n\r\n");
        buffer.extend_from_slice(value);
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
    pub(super) fn read(&mut self, mut bytes: &[u8], listener: &mut impl AnswerListener) -> Result<(), Malformed> {
        while !bytes.is_empty() {
            if self.coming.is_none() {
                let Some((head, used)) = self.head(bytes, listener)? else { return Ok(()) };
                bytes = &bytes[used..];
                if listener.is_head() {
                    listener.answer(0, head.status, head.body_bytes, true);
                    continue;
                }
                self.coming = Some((head, 0, true));
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
    fn head(&mut self, bytes: &[u8], listener: &mut impl AnswerListener) -> Result<Option<(Head, usize)>, Malformed> {
        if !self.partial.is_empty() {
            return self.rest_of_head(bytes, listener);
        }
        // What the same head tells is the same.
        if !self.known.is_empty() && bytes.starts_with(&self.known) {
            return Ok(Some((self.known_head, self.known.len())));
        }
        let Some((head, head_bytes)) = parse(bytes, listener)? else { return self.rest_of_head(bytes, listener) };
        self.known.clear();
        self.known.extend_from_slice(&bytes[..head_bytes]);
        self.known_head = head;
        Ok(Some((head, head_bytes)))
    }

    #[inline(never)]
    fn rest_of_head(
        &mut self,
        bytes: &[u8],
        listener: &mut impl AnswerListener,
    ) -> Result<Option<(Head, usize)>, Malformed> {
        let before = self.partial.len();
        self.partial.extend_from_slice(&bytes[..bytes.len().min(HEAD_BYTES_MAX)]);
        let Some((head, head_bytes)) = parse(&self.partial, listener)? else {
            return if self.partial.len() >= HEAD_BYTES_MAX { Err(Malformed::HeadTooLong) } else { Ok(None) };
        };
        self.partial.clear();
        Ok(Some((head, head_bytes - before)))
    }
}

/// The head at the start of `bytes` and its length, if its end is among them.
#[inline]
fn parse(bytes: &[u8], listener: &mut impl AnswerListener) -> Result<Option<(Head, usize)>, Malformed> {
    let Some(mut at) = memchr::memchr(b'\n', bytes).map(|end| end + 1) else { return Ok(None) };
    let status = parse_status(&bytes[..at]).ok_or(Malformed::StatusLine)?;
    let (mut length, mut tag) = (None, None);
    loop {
        let Some(end) = memchr::memchr(b'\n', &bytes[at..]) else { return Ok(None) };
        let line = bytes[at..at + end].trim_ascii_end();
        at += end + 1;
        match line.first() {
            None => break,
            Some(b'C' | b'c') => length = field(line, b"content-length:").or(length),
            Some(b'E' | b'e') => tag = field(line, b"etag:").or(tag),
            Some(_) => {}
        }
    }
    if let Some(tag) = tag {
        listener.tag(tag);
    }
    let has_no_body = matches!(status, 100..200 | 204 | 304);
    let body_bytes = if has_no_body { 0 } else { decimal(length.ok_or(Malformed::NoLength)?)? };
    Ok(Some((Head { status, body_bytes }, at)))
}

/// The value of a field's line, if the line begins with this name.
#[inline]
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let found = line.get(..name.len())?;
    found.eq_ignore_ascii_case(name).then(|| line[name.len()..].trim_ascii())
}

fn decimal(text: &[u8]) -> Result<usize, Malformed> {
    let number = std::str::from_utf8(text).ok().filter(|text| !text.starts_with('+'));
    number.and_then(|text| text.parse().ok()).ok_or(Malformed::BadLength)
}

fn parse_status(line: &[u8]) -> Option<u16> {
    let digits = line.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::Tag;
    use super::super::heard::{Heard, ask, template, values};
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
        let target = LoadTarget::parse("http://127.0.0.1:1/a{key}?b").expect("it is right");
        let values = values();
        let requests = Requests::new(&target, template(&target), 0);
        let mut written = Vec::new();
        let asked =
            [(Operation::Get, 0, 9), (Operation::Put, 120, 0), (Operation::Put, 120, 60), (Operation::Delete, 7, 0)];
        for (operation, key, ttl_s) in asked {
            requests.write(&mut written, &ask(operation, key, ttl_s), &values);
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
        let target = LoadTarget::parse("http://127.0.0.1:1/a?b").expect("it is right");
        let requests = Requests::new(&target, template(&target), 0);
        for (operation, method) in [(Operation::Get, "GET"), (Operation::Delete, "DELETE")] {
            let mut written = Vec::new();
            requests.write(&mut written, &ask(operation, 3, 0), &values());
            let expected = format!("{method} /a?b HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n");
            assert_eq!(String::from_utf8_lossy(&written), expected);
        }
    }

    #[test]
    fn a_get_asks_in_the_way_that_was_drawn() {
        let target = LoadTarget::parse("http://127.0.0.1:1/a{key}").expect("it is right");
        let requests = Requests::new(&target, template(&target), 0);
        let tag = Tag::new(b"\"7\"");
        for (read, tag, method, more) in [
            (ReadKind::Whole, tag, "GET", ""),
            (ReadKind::Conditional, tag, "GET", "If-None-Match: \"7\"\r\n"),
            (ReadKind::Conditional, Tag::default(), "GET", "If-None-Match: \"none\"\r\n"),
            (ReadKind::Head, tag, "HEAD", ""),
            (ReadKind::Range, tag, "GET", "Range: bytes=8-107\r\n"),
        ] {
            let mut written = Vec::new();
            requests.write(&mut written, &Ask { read, tag, ..Ask::of(5) }, &values());
            let expected = format!("{method} /a5 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n{more}\r\n");
            assert_eq!(String::from_utf8_lossy(&written), expected);
        }
        assert_eq!((RANGE.start, RANGE.end - 1), (8, 107), "as the field says");
    }

    /// An answer to HEAD tells a length, and no body follows it; entity tags are told before their answers.
    #[test]
    fn answers_to_head_have_no_body() {
        #[derive(Default)]
        struct Asked(Heard, Vec<u8>);
        impl AnswerListener for Asked {
            fn body(&mut self, at: usize, status: u16, offset: usize, bytes: &[u8]) -> bool {
                self.0.body(at, status, offset, bytes)
            }
            fn answer(&mut self, at: usize, status: u16, body_bytes: usize, is_right: bool) {
                self.0.answer(at, status, body_bytes, is_right);
            }
            fn is_head(&self) -> bool {
                self.0.answers.len() == 1
            }
            fn tag(&mut self, text: &[u8]) {
                self.1.extend_from_slice(text);
            }
        }
        let one = b"HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 5\r\n\r\n";
        let stream = [&one[..], b"hello", one, b"HTTP/1.1 304 Not Modified\r\netag: \"b\"\r\n\r\n"].concat();
        for step in 1..=stream.len() {
            let (mut answers, mut heard) = (Answers::default(), Asked::default());
            for piece in stream.chunks(step) {
                answers.read(piece, &mut heard).expect("it is HTTP");
            }
            let expected = [(0, 200, 5, true), (0, 200, 5, true), (0, 304, 0, true)];
            assert_eq!(heard.0.answers, expected, "in pieces of {step}");
            assert!(heard.1.starts_with(b"\"a\"") && heard.1.ends_with(b"\"b\""), "in pieces of {step}");
        }
    }
}
