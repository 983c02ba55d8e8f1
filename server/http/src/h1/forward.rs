//! Encoder of messages that an intermediary passes on: a request to an origin, and the head of its response to the client.
//!
//! ```text
//!  RequestHead  ─ EndToEnd ─▶ method, normal target, Host, one framing, fields, own fields ─▶ origin
//!  ReceivedHead ─ EndToEnd ─▶ status, one framing, fields, own fields                      ─▶ client
//! ```
//!
//! **Not** bodies, but for the framing of their chunks.
//!
//! **Invariants**: nothing is relayed as it came: every line is written anew from what was parsed, so that the next reader sees what this one
//! saw; a message has exactly one framing.
//!
//! **Source**: RFC 9112 section 3, 6 and 7.1; RFC 9110 section 7.6, 6.6.1 (`Date`).

#[cfg(test)]
mod tests;

use crate::Status;
use crate::date::HttpDate;
use crate::field::FieldLine;
use crate::request::{HttpVersion, RequestBody};
use crate::response::ConnectionOption;
use crate::semantics::forward::EndToEnd;

/// A request as it goes to an origin.
#[derive(Debug, Clone)]
pub struct OriginRequest<'a> {
    /// The method as sent.
    pub method: &'a [u8],
    /// The target, in origin form and normal.
    pub target: &'a [u8],
    /// `Host`.
    pub host: &'a [u8],
    /// How its body is delimited.
    pub body: RequestBody,
    /// Fields of the client's request.
    pub fields: EndToEnd<'a>,
    /// Fields of our own, behind the client's.
    pub added: &'a [FieldLine<'a>],
}

impl OriginRequest<'_> {
    /// Appends the head to `out`. Of the client's fields those are left out that `is_left_out` names, and `Host` and `Expect`.
    pub fn encode(&self, is_left_out: impl Fn(&[u8]) -> bool, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method);
        out.push(b' ');
        out.extend_from_slice(self.target);
        out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
        out.extend_from_slice(self.host);
        out.extend_from_slice(b"\r\n");
        match self.body {
            // A method that usually has a body says that it has none (RFC 9110 section 8.6).
            RequestBody::None if matches!(self.method, b"POST" | b"PUT" | b"PATCH") => push_length(out, 0),
            RequestBody::None => {}
            RequestBody::Length(bytes) => push_length(out, bytes),
            RequestBody::Chunked => out.extend_from_slice(CHUNKED),
        }
        for (name, value) in self.fields.clone() {
            let is_own = name.eq_ignore_ascii_case(b"host") || name.eq_ignore_ascii_case(b"expect");
            if !is_own && !is_left_out(name) {
                push_field(out, name, value);
            }
        }
        push_own(out, self.added);
        out.extend_from_slice(b"\r\n");
    }
}

/// How the body of a response that is passed on is delimited for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedBody {
    /// There is none. The length is what `GET` would have, where the origin said it.
    None {
        /// What `Content-Length` says.
        length: Option<u64>,
    },
    /// So many bytes.
    Length(u64),
    /// As many as come, in chunks.
    Chunked,
    /// As many as come until the connection ends.
    UntilClose,
}

impl ForwardedBody {
    /// For a body of a length that is not known beforehand, to a client of this version.
    #[must_use]
    pub fn open_for(version: HttpVersion) -> Self {
        match version {
            HttpVersion::Http11 => Self::Chunked,
            HttpVersion::Http10 => Self::UntilClose,
        }
    }
}

/// The head of a response as it goes to a client.
#[derive(Debug, Clone)]
pub struct ForwardedHead<'a> {
    /// The status; 1xx for one on the way.
    pub status: Status,
    /// What becomes of the client's connection.
    pub connection: ConnectionOption,
    /// How its body is delimited.
    pub body: ForwardedBody,
    /// Fields of the origin's response.
    pub fields: EndToEnd<'a>,
    /// Fields of our own, behind the origin's.
    pub added: &'a [FieldLine<'a>],
}

impl ForwardedHead<'_> {
    /// Appends the head to `out`. `now` is its date, where the origin gave none. Of the origin's fields those are left out that
    /// `is_left_out` names.
    pub fn encode(&self, now: HttpDate, is_left_out: impl Fn(&[u8]) -> bool, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(itoa::Buffer::new().format(self.status.code()).as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.status.reason().as_bytes());
        out.extend_from_slice(b"\r\n");
        let mut is_dated = self.status.is_interim();
        for (name, value) in self.fields.clone().filter(|(name, _)| !is_left_out(name)) {
            is_dated |= name.eq_ignore_ascii_case(b"date");
            push_field(out, name, value);
        }
        if !is_dated {
            push_field(out, b"Date", now.as_bytes());
        }
        push_own(out, self.added);
        if !self.status.is_interim() {
            self.push_framing(out);
        }
        out.extend_from_slice(b"\r\n");
    }

    fn push_framing(&self, out: &mut Vec<u8>) {
        match self.body {
            ForwardedBody::None { length: None } if self.status.has_body() => {}
            ForwardedBody::None { length: Some(bytes) } | ForwardedBody::Length(bytes) if self.status.has_length() => {
                push_length(out, bytes);
            }
            ForwardedBody::Chunked => out.extend_from_slice(CHUNKED),
            ForwardedBody::None { .. } | ForwardedBody::Length(_) | ForwardedBody::UntilClose => {}
        }
        let connection: &[u8] = match (self.connection, self.body) {
            (ConnectionOption::Close, _) | (_, ForwardedBody::UntilClose) => b"Connection: close\r\n",
            (ConnectionOption::KeepAlive, _) => b"Connection: keep-alive\r\n",
            (ConnectionOption::Open, _) => b"",
        };
        out.extend_from_slice(connection);
    }
}

const CHUNKED: &[u8] = b"Transfer-Encoding: chunked\r\n";

/// The chunk that ends a body, without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Appends bytes of a body as a chunk; they must not be none, which would end it.
pub fn push_chunk(out: &mut Vec<u8>, data: &[u8]) {
    assert!(!data.is_empty(), "a chunk of no bytes ends the body");
    // A u64 in hexadecimal has 16 digits at most.
    let mut digits = [0_u8; 16];
    let mut rest = data.len();
    let mut at = digits.len();
    while rest > 0 {
        at -= 1;
        digits[at] = b"0123456789abcdef"[rest & 0xf];
        rest >>= 4;
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

fn push_length(out: &mut Vec<u8>, bytes: u64) {
    push_field(out, b"Content-Length", itoa::Buffer::new().format(bytes).as_bytes());
}

fn push_own(out: &mut Vec<u8>, fields: &[FieldLine<'_>]) {
    for field in fields {
        push_field(out, field.name(), field.value().as_bytes());
    }
}

fn push_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
