//! HTTP/1.1 as the generator speaks it: requests written from a template, answers read in whatever pieces they come.
//!
//! **Not** a general client: an answer that ends with its connection is refused.
//!
//! **Invariants**: no byte of an answer is kept but those of its head; an answer is reported once, with its last byte.
//!
//! **Source**: RFC 9112 sections 4 and 6.3.

use corelane_http::h1::client::{ReadError, ResponseEvent, ResponseReader};
use corelane_http::h1::response::{ReceivedHead, ResponseBody};
use corelane_http::{MessageLimits, Method};

use super::clients::{self, ClientHead};
use super::{AnswerListener, Ask, Decimal, KeyTemplate, LoadTarget};
use crate::run::choice::{Operation, ReadKind};
use crate::run::values::Values;

/// The part of a value that is asked for by a range: it begins behind the value's first bytes, so that a server that sends the
/// wrong part is noticed.
pub(in crate::run) const RANGE: std::ops::Range<usize> = 8..108;

/// `RANGE` as HTTP writes it.
const RANGE_FIELD: &[u8] = b"Range: bytes=8-107\r\n\r\n";

/// Writes requests.
pub(in crate::run) struct HttpRequests {
    key: KeyTemplate,
    /// From behind the key to the end of the fields that all requests of a client have, by client.
    heads: Vec<ClientHead>,
    /// A whole GET, if all keys and clients are one: the load that asks a server for most is the one that must cost the
    /// generator least.
    only_get: Option<Vec<u8>>,
}

impl HttpRequests {
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
pub(in crate::run) enum MalformedHttp {
    #[error(transparent)]
    Response(#[from] ReadError),
    #[error("an answer says neither its length nor that it comes in chunks (it would cost a connection each)")]
    NoLength,
}

/// Reads answers from one connection.
pub(in crate::run) struct HttpResponses {
    reader: ResponseReader,
    coming: Coming,
}

/// The answer that is coming.
#[derive(Default)]
struct Coming {
    status: u16,
    /// Of its body, what has come; of one to a HEAD, what it tells.
    body_bytes: usize,
    is_wrong: bool,
}

impl Default for HttpResponses {
    fn default() -> Self {
        let limits = MessageLimits { body_bytes_max: u64::MAX, ..MessageLimits::default() };
        Self { reader: ResponseReader::new(limits), coming: Coming::default() }
    }
}

impl HttpResponses {
    /// Reads what has come; `listener` hears of every answer that is complete with it.
    ///
    /// # Errors
    /// The server's; the connection is of no use afterwards.
    #[inline]
    pub(super) fn read(&mut self, mut bytes: &[u8], listener: &mut impl AnswerListener) -> Result<(), MalformedHttp> {
        let coming = &mut self.coming;
        loop {
            let method = if listener.is_head() { Method::Head } else { Method::Get };
            if let Some((head, body)) = self.reader.next_alike(&mut bytes, method) {
                Coming::of(&head, method, listener).end(body, listener);
                if bytes.is_empty() {
                    return Ok(());
                }
                continue;
            }
            match self.reader.next(&mut bytes, method)? {
                Some(ResponseEvent::Head(head)) if head.body() == ResponseBody::UntilClose => {
                    return Err(MalformedHttp::NoLength);
                }
                Some(ResponseEvent::Head(head)) => *coming = Coming::of(&head, method, listener),
                Some(ResponseEvent::Data(part)) => coming.body(part, listener),
                Some(ResponseEvent::End(part)) => coming.end(part, listener),
                None => return Ok(()),
            }
        }
    }
}

impl Coming {
    #[inline]
    fn of(head: &ReceivedHead<'_>, method: Method, listener: &mut impl AnswerListener) -> Self {
        if let Some(tag) = head.etag() {
            listener.tag(tag);
        }
        let told = if method == Method::Head { head.content_length() } else { None };
        Self { status: head.status(), body_bytes: told.unwrap_or(0) as usize, is_wrong: false }
    }

    #[inline]
    fn body(&mut self, part: &[u8], listener: &mut impl AnswerListener) {
        self.is_wrong |= !listener.body(0, self.status, self.body_bytes, part);
        self.body_bytes += part.len();
    }

    #[inline]
    fn end(&mut self, part: &[u8], listener: &mut impl AnswerListener) {
        if !part.is_empty() {
            self.body(part, listener);
        }
        listener.answer(0, self.status, self.body_bytes, !self.is_wrong);
    }
}

#[cfg(test)]
mod tests {
    use corelane_http::h1::FramingError;
    use corelane_http::h1::chunked::ChunkedError;
    use corelane_http::h1::response::ResponseError;

    use super::super::Tag;
    use super::super::heard::{Heard, ask, template, values};
    use super::*;

    const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 204 No Content\r\n\r\n\
        HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nworldHTTP/1.1 404 Not Found\r\ncontent-length:3\r\n\r\nno!\
        HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n\
        HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";

    /// However the stream is cut into pieces, the same answers are heard.
    #[test]
    fn answers_are_heard_whole_in_any_pieces() {
        let expected = [
            (0, 200, 5, true),
            (0, 204, 0, true),
            (0, 200, 5, true),
            (0, 404, 3, false),
            (0, 200, 0, true),
            (0, 200, 4, true),
        ];
        for step in 1..=STREAM.len() {
            let (mut answers, mut heard) = (HttpResponses::default(), Heard::default());
            for piece in STREAM.chunks(step) {
                answers.read(piece, &mut heard).expect("it is HTTP");
            }
            assert_eq!(heard.answers, expected, "in pieces of {step}");
            assert_eq!(heard.bodies, b"helloworldno!abcd", "in pieces of {step}");
        }
    }

    #[test]
    fn what_is_no_answer_is_named() {
        let long = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'a'; 16 * 1024]].concat();
        let head = |error: ResponseError| MalformedHttp::Response(error.into());
        let cases: [(&[u8], MalformedHttp); 5] = [
            (b"HTTP/2.0 200 OK\r\n\r\n", head(ResponseError::StatusLine)),
            (b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n", MalformedHttp::NoLength),
            (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", head(FramingError::ContentLength.into())),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx",
                MalformedHttp::Response(ChunkedError::Size.into()),
            ),
            (&long, head(ResponseError::HeadTooLarge)),
        ];
        for (bytes, expected) in cases {
            assert_eq!(HttpResponses::default().read(bytes, &mut Heard::default()), Err(expected));
        }
    }

    #[test]
    fn requests_are_written_as_the_target_says() {
        let target = LoadTarget::parse("http://127.0.0.1:1/a{key}?b").expect("it is right");
        let values = values();
        let requests = HttpRequests::new(&target, template(&target), 0);
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
        let requests = HttpRequests::new(&target, template(&target), 0);
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
        let requests = HttpRequests::new(&target, template(&target), 0);
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
            let (mut answers, mut heard) = (HttpResponses::default(), Asked::default());
            for piece in stream.chunks(step) {
                answers.read(piece, &mut heard).expect("it is HTTP");
            }
            let expected = [(0, 200, 5, true), (0, 200, 5, true), (0, 304, 0, true)];
            assert_eq!(heard.0.answers, expected, "in pieces of {step}");
            assert!(heard.1.starts_with(b"\"a\"") && heard.1.ends_with(b"\"b\""), "in pieces of {step}");
        }
    }
}
