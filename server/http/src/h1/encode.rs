//! Encoder of response heads.
//!
//! **Not**: bodies.
//! **Invariants**: what is appended is one well-formed head, whatever the values; it allocates only if the vector has
//! to grow; 204 has no `Content-Length`.
//! **Source**: RFC 9110 section 6.6.1, 7.8; RFC 9112 section 4, 6.3, 9.6.

#[cfg(test)]
mod tests;

use crate::Status;
use crate::date::HttpDate;
use crate::field::FieldValue;
use crate::range::ContentRange;
use crate::response::{Connection, ResponseHead};

/// The interim answer to `Expect: 100-continue`, whole.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Room that holds nearly every head; reserved at once so that a vector grows once at most.
const HEAD_BYTES_TYPICAL: usize = 512;

impl ResponseHead<'_> {
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
