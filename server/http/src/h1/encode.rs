//! Encoder of response heads.
//!
//! **Not**: bodies.
//! **Invariants**: what is appended is one well-formed head, whatever the values; it allocates only if the vector has
//! to grow; 204 has no `Content-Length`.
//! **Source**: RFC 9110 section 6.6.1, 7.8; RFC 9112 section 4, 6.3, 9.6.

#[cfg(test)]
mod tests;

use super::ResponseStart;
use crate::Status;
use crate::cache_status::{CacheStatus, HitSource};
use crate::entity_tag::EntityTag;
use crate::field::FieldValue;
use crate::problem::Problem;
use crate::range::ContentRange;
use crate::response::{ConnectionOption, ResponseHead};

/// The interim response to `Expect: 100-continue`, whole.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Room that holds nearly every head; reserved at once so that a vector grows once at most.
const HEAD_BYTES_TYPICAL: usize = 512;

impl ResponseHead<'_> {
    /// Appends the head to `out`.
    // Always: where most fields are known to be absent, all of their code goes.
    #[inline(always)]
    pub fn encode(&self, start: &ResponseStart, out: &mut Vec<u8>) {
        out.reserve(HEAD_BYTES_TYPICAL);
        match (self.status, self.content_length) {
            (Status::Ok, Some(bytes)) => push_number(out, start.of_ok(), bytes),
            _ => self.push_start(start, out),
        }
        if let Some(tag) = self.etag {
            push_tag(out, tag);
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
            push_cache_status(out, cache_status);
        }
        self.push_connection(out);
        if self.content_range.is_some() || self.allow.is_some() || self.retry_after_s.is_some() {
            self.push_rare(out);
        }
        for field in self.fields {
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(field.name());
            push_value(out, b": ", field.value());
        }
        out.extend_from_slice(b"\r\n\r\n");
    }

    /// Appends everything up to the length.
    fn push_start(&self, start: &ResponseStart, out: &mut Vec<u8>) {
        start.push(self.status, out);
        if let Some(bytes) = self.content_length.filter(|_| self.status.has_length()) {
            push_number(out, b"\r\nContent-Length: ", bytes);
        }
    }

    #[inline]
    fn push_connection(&self, out: &mut Vec<u8>) {
        match (self.connection, self.status) {
            // RFC 9110 section 7.8: a 426 must say what to upgrade to, and name the field in Connection.
            (ConnectionOption::Close, Status::UpgradeRequired) => {
                out.extend_from_slice(b"\r\nUpgrade: HTTP/1.1\r\nConnection: upgrade, close");
            }
            (_, Status::UpgradeRequired) => out.extend_from_slice(b"\r\nUpgrade: HTTP/1.1\r\nConnection: upgrade"),
            (ConnectionOption::Open, _) => {}
            (ConnectionOption::KeepAlive, _) => out.extend_from_slice(b"\r\nConnection: keep-alive"),
            (ConnectionOption::Close, _) => out.extend_from_slice(b"\r\nConnection: close"),
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

impl Problem<'_> {
    /// Appends a whole response, head and body, for a request that is not `HEAD`.
    ///
    /// `body` is overwritten; keeping it between calls saves its allocation.
    pub fn encode(&self, connection: ConnectionOption, start: &ResponseStart, body: &mut Vec<u8>, out: &mut Vec<u8>) {
        body.clear();
        self.encode_body(body);
        let head = ResponseHead {
            connection,
            content_length: Some(body.len() as u64),
            content_type: Some(FieldValue::PROBLEM_JSON),
            retry_after_s: self.retry_after_s(),
            ..ResponseHead::new(self.status)
        };
        head.encode(start, out);
        out.extend_from_slice(body);
    }
}

#[inline]
fn push_tag(out: &mut Vec<u8>, tag: EntityTag<'_>) {
    out.extend_from_slice(if tag.is_weak() { b"\r\nETag: W/\"".as_slice() } else { b"\r\nETag: \"" });
    out.extend_from_slice(tag.opaque());
    out.push(b'"');
}

const CACHE_STATUS: &[u8] = b"\r\nCache-Status: ";

#[inline]
fn push_cache_status(out: &mut Vec<u8>, cache_status: CacheStatus) {
    // A hit's line is one copy.
    const OWN: &[u8] = &line_of::<{ line_bytes(HitSource::Own) }>(HitSource::Own);
    const CORE: &[u8] = &line_of::<{ line_bytes(HitSource::Core) }>(HitSource::Core);
    match cache_status {
        CacheStatus::Hit(HitSource::Own) => out.extend_from_slice(OWN),
        CacheStatus::Hit(HitSource::Core) => out.extend_from_slice(CORE),
        CacheStatus::Miss | CacheStatus::Forwarded { .. } => {
            out.extend_from_slice(CACHE_STATUS);
            cache_status.push_value(out);
        }
    }
}

const fn line_bytes(source: HitSource) -> usize {
    CACHE_STATUS.len() + source.value().len()
}

const fn line_of<const BYTES: usize>(source: HitSource) -> [u8; BYTES] {
    let mut line = [0; BYTES];
    let (name, value) = line.split_at_mut(CACHE_STATUS.len());
    name.copy_from_slice(CACHE_STATUS);
    value.copy_from_slice(source.value().as_bytes());
    line
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
