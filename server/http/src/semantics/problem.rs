//! Bodies of error answers: `application/problem+json`.
//!
//! **Not**: choosing the status or the sentence.
//! **Invariants**: the body is valid JSON whatever text the detail holds; `type` is a name that never changes.
//! **Source**: RFC 9457 section 3; RFC 8259 section 7.

use crate::Status;
use crate::date::HttpDate;
use crate::field::FieldValue;
use crate::response::{Connection, ResponseHead};
use std::io::Write as _;

/// What every problem type begins with. A URN, because nobody promises a page at an address.
const TYPE_START: &str = "urn:corelane:problem:";

/// Seconds after which a client that was refused for want of room may try again: what is short here is short for as
/// long as a burst lasts.
const RETRY_AFTER_S: u32 = 1;

/// An error as an answer tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem<'a> {
    /// The status, whose phrase is the title.
    pub status: Status,
    /// The last part of the type: lower-case words and hyphens.
    pub slug: &'a str,
    /// A sentence about this occurrence.
    pub detail: &'a str,
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
        out.extend_from_slice(b"\"}\n");
    }

    /// Appends a whole answer, head and body, for a request that is not `HEAD`.
    ///
    /// `body` is overwritten; keeping it between calls saves its allocation.
    pub fn encode(&self, connection: Connection, date: &HttpDate, body: &mut Vec<u8>, out: &mut Vec<u8>) {
        body.clear();
        self.encode_body(body);
        let head = ResponseHead {
            connection,
            content_length: Some(body.len() as u64),
            content_type: Some(FieldValue::PROBLEM_JSON),
            retry_after_s: self.retry_after_s(),
            ..ResponseHead::new(self.status)
        };
        head.encode(date, out);
        out.extend_from_slice(body);
    }
}

/// Appends `text` as the inside of a JSON string.
fn push_escaped(out: &mut Vec<u8>, text: &str) {
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => write!(out, "\\u{byte:04x}").expect("a vector takes all that is written to it"),
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
            Problem { status: Status::NotFound, slug: "absent", detail }.encode_body(&mut body);
            let want = format!(
                "{{\"type\":\"urn:corelane:problem:absent\",\"title\":\"Not Found\",\"status\":404,\"detail\":\"{want}\"}}\n"
            );
            assert_eq!(String::from_utf8(body).unwrap(), want);
        }
    }

    #[test]
    fn whole_answers() {
        let problem = Problem { status: Status::BadRequest, slug: "x", detail: "y" };
        let (mut body, mut out) = (b"left over".to_vec(), b"before".to_vec());
        problem.encode(Connection::Close, &HttpDate::from_unix_seconds(0), &mut body, &mut out);
        let text = String::from_utf8(out).unwrap();
        let (head, sent) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("beforeHTTP/1.1 400 Bad Request\r\n"), "{head}");
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", sent.len())), "{head}");
        assert!(head.contains("\r\nContent-Type: application/problem+json\r\n"), "{head}");
        assert!(head.ends_with("\r\nConnection: close"), "{head}");
        assert_eq!(sent.as_bytes(), body);
    }

    #[test]
    fn what_is_short_for_now_says_when_to_try_again() {
        for &status in Status::ALL {
            let problem = Problem { status, slug: "x", detail: "y" };
            let (mut body, mut out) = (Vec::new(), Vec::new());
            problem.encode(Connection::Close, &HttpDate::from_unix_seconds(0), &mut body, &mut out);
            let says_when = String::from_utf8(out).unwrap().contains("\r\nRetry-After: 1\r\n");
            assert_eq!(says_when, status == Status::ServiceUnavailable, "{status:?}");
        }
    }
}
