//! Encoder of response heads.
//!
//! **Not**: bodies; deciding whether one is sent for a request (the caller asks [`ResponseHead::sends_body`]).
//! **Invariants**: what is appended is one well-formed head, whatever the values; it allocates only if the vector has
//! to grow; 204 has no `Content-Length`, and neither 204 nor 304 has a body.
//! **Source**: RFC 9110 section 6.6.1, 7.8, 8.3, 8.6, 8.8.3, 10.2, 14.3, 14.4; RFC 9112 section 4, 6.3, 9.6.

#[cfg(test)]
mod tests;

use crate::cache_status::CacheStatus;
use crate::date::HttpDate;
use crate::field::FieldValue;
use crate::range::ContentRange;
use crate::request::Version;
use crate::{Method, Status};

/// The interim answer to `Expect: 100-continue`, whole.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Room that holds nearly every head; reserved at once so that a vector grows once at most.
const HEAD_BYTES_TYPICAL: usize = 512;

/// What an answer says about its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Connection {
    /// Nothing: an HTTP/1.1 connection stays open.
    #[default]
    Open,
    /// `keep-alive`: an HTTP/1.0 connection stays open, because the client asked for it.
    KeepAlive,
    /// `close`: this is the last answer.
    Close,
}

impl Connection {
    /// What to say to a client of this version about a connection that stays open.
    #[inline]
    #[must_use]
    pub fn open_for(version: Version) -> Self {
        match version {
            Version::Http11 => Self::Open,
            Version::Http10 => Self::KeepAlive,
        }
    }
}

/// What a response head says. Build it with the update syntax from [`ResponseHead::new`].
#[derive(Debug, Clone)]
pub struct ResponseHead<'a> {
    /// The status.
    pub status: Status,
    /// What becomes of the connection.
    pub connection: Connection,
    /// Bytes of the body, or for `HEAD` of the body that `GET` would have. Not sent with 204; not needed with 304.
    pub content_length: Option<u64>,
    /// `Content-Type`.
    pub content_type: Option<FieldValue<'a>>,
    /// The version that `ETag` names.
    pub etag: Option<u64>,
    /// `Cache-Control: max-age`, in seconds.
    pub max_age_s: Option<u32>,
    /// `Cache-Status`.
    pub cache_status: Option<CacheStatus>,
    /// `Accept-Ranges: bytes`.
    pub accept_ranges: bool,
    /// `Content-Range`.
    pub content_range: Option<ContentRange>,
    /// `Allow`, which every 405 has.
    pub allow: Option<FieldValue<'a>>,
    /// `Retry-After`, in seconds.
    pub retry_after_s: Option<u32>,
}

impl ResponseHead<'_> {
    /// A head with a status and nothing else.
    #[inline]
    #[must_use]
    pub fn new(status: Status) -> Self {
        Self {
            status,
            connection: Connection::Open,
            content_length: None,
            content_type: None,
            etag: None,
            max_age_s: None,
            cache_status: None,
            accept_ranges: false,
            content_range: None,
            allow: None,
            retry_after_s: None,
        }
    }

    /// Whether this answer to `method` is followed by the bytes that `content_length` counts.
    #[inline]
    #[must_use]
    pub fn sends_body(&self, method: Method) -> bool {
        method != Method::Head && self.status.has_body() && self.content_length.is_some_and(|bytes| bytes > 0)
    }

    /// Appends the head to `out`.
    // Always: where most fields are known to be absent, all of their code goes.
    #[inline(always)]
    pub fn encode(&self, date: &HttpDate, out: &mut Vec<u8>) {
        out.reserve(HEAD_BYTES_TYPICAL);
        match (self.status, self.content_length) {
            (Status::Ok, Some(bytes)) => push_number(out, date.ok_start(), bytes),
            _ => self.push_start(date, out),
        }
        if let Some(version) = self.etag {
            push_number(out, b"\r\nETag: \"", version);
            out.push(b'"');
        }
        if let Some(content_type) = self.content_type {
            push_value(out, b"\r\nContent-Type: ", content_type);
        }
        if let Some(seconds) = self.max_age_s {
            push_number(out, b"\r\nCache-Control: max-age=", u64::from(seconds));
        }
        if self.accept_ranges {
            out.extend_from_slice(b"\r\nAccept-Ranges: bytes");
        }
        if let Some(cache_status) = self.cache_status {
            cache_status.push_line(out);
        }
        self.push_connection(out);
        if self.content_range.is_some() || self.allow.is_some() || self.retry_after_s.is_some() {
            self.push_rare(out);
        }
        out.extend_from_slice(b"\r\n\r\n");
    }

    /// Appends everything up to the length.
    fn push_start(&self, date: &HttpDate, out: &mut Vec<u8>) {
        out.extend_from_slice(self.status.head_start());
        out.extend_from_slice(date.as_bytes());
        if let Some(bytes) = self.content_length.filter(|_| self.status != Status::NoContent) {
            push_number(out, b"\r\nContent-Length: ", bytes);
        }
    }

    #[inline]
    fn push_connection(&self, out: &mut Vec<u8>) {
        match (self.connection, self.status) {
            // RFC 9110 section 7.8: a 426 must say what to upgrade to, and name the field in Connection.
            (Connection::Close, Status::UpgradeRequired) => {
                out.extend_from_slice(b"\r\nUpgrade: HTTP/1.1\r\nConnection: upgrade, close");
            }
            (_, Status::UpgradeRequired) => out.extend_from_slice(b"\r\nUpgrade: HTTP/1.1\r\nConnection: upgrade"),
            (Connection::Open, _) => {}
            (Connection::KeepAlive, _) => out.extend_from_slice(b"\r\nConnection: keep-alive"),
            (Connection::Close, _) => out.extend_from_slice(b"\r\nConnection: close"),
        }
    }

    fn push_rare(&self, out: &mut Vec<u8>) {
        match &self.content_range {
            Some(ContentRange::Part { part, value_bytes }) => {
                debug_assert!(part.start < part.end && part.end <= *value_bytes, "a part is inside its value");
                push_number(out, b"\r\nContent-Range: bytes ", part.start);
                push_number(out, b"-", part.end.saturating_sub(1));
                push_number(out, b"/", *value_bytes);
            }
            Some(ContentRange::Unsatisfied { value_bytes }) => {
                push_number(out, b"\r\nContent-Range: bytes */", *value_bytes);
            }
            None => {}
        }
        if let Some(allow) = self.allow {
            push_value(out, b"\r\nAllow: ", allow);
        }
        if let Some(seconds) = self.retry_after_s {
            push_number(out, b"\r\nRetry-After: ", u64::from(seconds));
        }
    }
}

#[inline]
fn push_number(out: &mut Vec<u8>, name: &[u8], number: u64) {
    out.extend_from_slice(name);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[inline]
fn push_value(out: &mut Vec<u8>, name: &[u8], value: FieldValue<'_>) {
    out.extend_from_slice(name);
    out.extend_from_slice(value.as_bytes());
}
