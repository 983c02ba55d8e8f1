//! Bodies of error responses: `application/problem+json`.
//!
//! **Not**: choosing the status or the sentence.
//! **Invariants**: the body is valid JSON whatever text the detail holds; `type` is a name that never changes.
//! **Source**: RFC 9457 section 3; RFC 8259 section 7.

use crate::Status;
use std::io::Write as _;

/// What every problem type begins with. A URN, because there is no page at an address.
const TYPE_START: &str = "urn:corelane:problem:";

/// Seconds after which a client that was refused for want of room may try again: what is short here is short for as
/// long as a burst lasts.
const RETRY_AFTER_S: u32 = 1;

/// A bound that a request exceeded, as its client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The largest number that is accepted.
    pub max: u64,
    /// What is counted: a plural.
    pub unit: &'static str,
    /// The configuration key that sets it, if one does.
    pub key: Option<&'static str>,
}

impl Limit {
    /// So many bytes at most.
    #[must_use]
    pub const fn bytes(max: u64) -> Self {
        Self { max, unit: "bytes", key: None }
    }

    /// The same, set by this key.
    #[must_use]
    pub const fn set_by(self, key: &'static str) -> Self {
        Self { key: Some(key), ..self }
    }
}

/// An error, as a response reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem<'a> {
    /// The status, whose phrase is the title.
    pub status: Status,
    /// The last part of the type: lower-case words and hyphens.
    pub slug: &'a str,
    /// A sentence about this occurrence.
    pub detail: &'a str,
    /// The bound that was exceeded, which the sentence then ends with.
    pub limit: Option<Limit>,
}

impl Problem<'_> {
    /// What `Retry-After` says: every 503 has it, and nothing else.
    #[must_use]
    pub fn retry_after_s(&self) -> Option<u32> {
        (self.status == Status::ServiceUnavailable).then_some(RETRY_AFTER_S)
    }

    /// Appends the body.
    pub fn encode_body(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(TYPE_START.as_bytes());
        push_escaped(out, self.slug);
        out.extend_from_slice(b"\",\"title\":\"");
        push_escaped(out, self.status.reason());
        out.extend_from_slice(b"\",\"status\":");
        out.extend_from_slice(itoa::Buffer::new().format(self.status.code()).as_bytes());
        out.extend_from_slice(b",\"detail\":\"");
        push_escaped(out, self.detail);
        if let Some(Limit { max, unit, key }) = self.limit {
            write!(out, ": at most {max} {unit}").expect(TAKES_ALL);
            key.into_iter().for_each(|key| write!(out, " ({key})").expect(TAKES_ALL));
        }
        out.extend_from_slice(b"\"}\n");
    }
}

/// Why nothing that is written to a vector fails.
const TAKES_ALL: &str = "a vector takes all that is written to it";

/// Appends `text` as the inside of a JSON string.
fn push_escaped(out: &mut Vec<u8>, text: &str) {
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => write!(out, "\\u{byte:04x}").expect(TAKES_ALL),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies() {
        for (detail, want) in [
            ("plain", "plain"),
            ("a \"b\" \\ c", "a \\\"b\\\" \\\\ c"),
            ("\r\n\t\0\u{1f} \u{e9}", "\\u000d\\u000a\\u0009\\u0000\\u001f \u{e9}"),
        ] {
            let mut body = Vec::new();
            Problem { limit: None, status: Status::NotFound, slug: "absent", detail }.encode_body(&mut body);
            let want = format!(
                "{{\"type\":\"urn:corelane:problem:absent\",\"title\":\"Not Found\",\"status\":404,\"detail\":\"{want}\"}}\n"
            );
            assert_eq!(String::from_utf8(body).unwrap(), want);
        }
    }

    #[test]
    fn a_bound_ends_the_sentence() {
        let detail = |limit| {
            let mut body = Vec::new();
            Problem { status: Status::HeadTooLarge, slug: "x", detail: "too large", limit }.encode_body(&mut body);
            String::from_utf8(body).unwrap().split_once("\"detail\":").unwrap().1.to_owned()
        };
        let bytes = Limit::bytes(16384);
        assert_eq!(detail(None), "\"too large\"}\n");
        assert_eq!(detail(Some(bytes)), "\"too large: at most 16384 bytes\"}\n");
        assert_eq!(detail(Some(bytes.set_by("a.b"))), "\"too large: at most 16384 bytes (a.b)\"}\n");
    }

    #[test]
    fn what_is_short_for_now_says_when_to_try_again() {
        for &status in Status::NAMED {
            let problem = Problem { limit: None, status, slug: "x", detail: "y" };
            let want = (status == Status::ServiceUnavailable).then_some(1);
            assert_eq!(problem.retry_after_s(), want, "{status:?}");
        }
    }
}
