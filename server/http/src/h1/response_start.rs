//! The start of every response: status line, `Server` and `Date`.
//!
//! **Invariants**: the start of the response that is sent most, a 200 with a length, is one copy of a size known beforehand.
//! **Source**: RFC 9112 section 4; RFC 9110 section 6.6.1 and 10.2.4.

use crate::Status;
use crate::date::{DATE_BYTES, HttpDate};
use crate::semantics::with_named_statuses;

/// How responses of one second begin. Keep one per core, and make it again when the second changes.
#[derive(Debug, Clone)]
pub struct ResponseStart {
    /// The head of a 200 up to the value of its `Content-Length`.
    ok: [u8; OK_START.len()],
}

const OK_START: &[u8; 88] =
    b"HTTP/1.1 200 OK\r\nServer: corelane\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: ";
/// Where the date begins in it.
const DATE_AT: usize = named_start(Status::Ok).len();

macro_rules! named_starts {
    ($($name:ident = $code:literal $reason:literal,)*) => {
        /// Everything of a head up to the date's value; empty if the status has no name.
        #[inline]
        const fn named_start(status: Status) -> &'static [u8] {
            match status {
                $(Status::$name => concat!("HTTP/1.1 ", $code, " ", $reason, "\r\nServer: corelane\r\nDate: ").as_bytes(),)*
                _ => b"",
            }
        }
    };
}

with_named_statuses!(named_starts);

impl ResponseStart {
    /// The start of responses at this date.
    #[must_use]
    pub fn at(date: HttpDate) -> Self {
        let mut ok = *OK_START;
        ok[DATE_AT..DATE_AT + DATE_BYTES].copy_from_slice(date.as_bytes());
        Self { ok }
    }

    /// The start of responses at a second since 1970-01-01 00:00:00 UTC.
    #[must_use]
    pub fn at_unix_seconds(unix_s: u64) -> Self {
        Self::at(HttpDate::from_unix_seconds(unix_s))
    }

    /// The head of a 200 up to and without the value of its `Content-Length`.
    #[inline]
    pub(super) fn of_ok(&self) -> &[u8; OK_START.len()] {
        &self.ok
    }

    /// Appends the head of a response with this status up to its date.
    pub(super) fn push(&self, status: Status, out: &mut Vec<u8>) {
        match named_start(status) {
            [] => {
                out.extend_from_slice(b"HTTP/1.1 ");
                out.extend_from_slice(itoa::Buffer::new().format(status.code()).as_bytes());
                out.extend_from_slice(b" \r\nServer: corelane\r\nDate: ");
            }
            start => out.extend_from_slice(start),
        }
        out.extend_from_slice(&self.ok[DATE_AT..DATE_AT + DATE_BYTES]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn start() -> ResponseStart {
        ResponseStart::at_unix_seconds(784_111_777)
    }

    #[test]
    fn every_status_has_its_line_and_the_date() {
        for status in (100..600).filter_map(Status::from_code) {
            let mut out = Vec::new();
            start().push(status, &mut out);
            let (code, reason) = (status.code(), status.reason());
            let want = format!("HTTP/1.1 {code} {reason}\r\nServer: corelane\r\nDate: {DATE}");
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }

    #[test]
    fn the_start_of_a_200_is_that_of_every_answer_and_a_length() {
        let mut out = Vec::new();
        start().push(Status::Ok, &mut out);
        out.extend_from_slice(b"\r\nContent-Length: ");
        assert_eq!(out, start().of_ok());
    }
}
