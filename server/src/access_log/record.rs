//! What is recorded of one response: fixed in size, without a pointer, so that recording it neither allocates nor frees.
//!
//! **Not** formatted: that is the writer's work.
//!
//! **Invariants**: a record is [`RECORD_BYTES`] long whatever the client sent; what is cut is said to be.

use std::net::SocketAddr;
use std::time::Duration;

use corelane_http::request::{HttpVersion, RequestHead};

use crate::exchange::origin::ResponseOrigin;

/// Eight cache lines.
const RECORD_BYTES: usize = 512;

/// Bytes of a target that are kept: longer ones are rare where keys are names, and are cut.
pub(crate) const URI_BYTES_MAX: usize = 384;

/// Bytes of a method that are kept: the longest registered one has 17 (`UPDATEREDIRECTREF`).
pub(crate) const METHOD_BYTES_MAX: usize = 20;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientAddress {
    Tcp(SocketAddr),
    /// A Unix-domain socket, whose other end has no name.
    Unix,
    /// The connection was gone before it was looked at.
    Unknown,
}

/// The start of a request, as far as it could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestLine<'a> {
    /// Empty where it could not be read.
    pub(crate) method: &'a [u8],
    /// The target as sent, with its query. Empty where it could not be read.
    pub(crate) uri: &'a [u8],
    /// `None` where the head was not understood.
    pub(crate) protocol: Option<HttpVersion>,
}

impl<'a> RequestLine<'a> {
    pub(crate) fn of(head: &RequestHead<'a>) -> Self {
        RequestLine { method: head.method_text(), uri: head.target_text(), protocol: Some(head.version()) }
    }

    /// Of bytes that are not a whole request: the words of their first line, or all of it where it has no space.
    pub(crate) fn of_bytes(bytes: &'a [u8]) -> Self {
        let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| !line.is_empty()).unwrap_or_default();
        let mut words = line.splitn(3, |byte| *byte == b' ');
        match (words.next(), words.next()) {
            (Some(method), Some(uri)) => RequestLine { method, uri, protocol: None },
            _ => RequestLine { method: b"", uri: line, protocol: None },
        }
    }
}

/// What a response was, noted while it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResponseNote {
    pub(crate) status: u16,
    /// Bytes of its body.
    pub(crate) sent_bytes: u64,
    /// Bytes of the request's body that had been read.
    pub(crate) received_bytes: u64,
    pub(crate) origin: ResponseOrigin,
}

/// One response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccessRecord {
    /// When its response was written, in Unix milliseconds.
    pub(crate) time_ms: u64,
    pub(crate) duration_us: u64,
    pub(crate) response: ResponseNote,
    pub(crate) client: ClientAddress,
    /// The number of the request on its connection.
    pub(crate) connection_requests: u32,
    /// Bytes of the target as sent.
    pub(crate) uri_bytes: u32,
    /// Index among the edge's listeners.
    pub(crate) listener: u16,
    pub(crate) core: u16,
    pub(crate) protocol: Option<HttpVersion>,
    /// Whether it is one of the sample; others are there because they were slow or failed.
    pub(crate) is_sampled: bool,
    pub(super) method_bytes: u8,
    pub(super) method: [u8; METHOD_BYTES_MAX],
    pub(super) uri: [u8; URI_BYTES_MAX],
}

const _: () = assert!(size_of::<AccessRecord>() <= RECORD_BYTES);

impl AccessRecord {
    /// Of a request whose response is yet to come.
    pub(crate) fn of(request: &RequestLine<'_>, client: ClientAddress) -> Self {
        let mut record = AccessRecord {
            time_ms: 0,
            duration_us: 0,
            response: ResponseNote::default(),
            client,
            connection_requests: 0,
            uri_bytes: u32::try_from(request.uri.len()).unwrap_or(u32::MAX),
            listener: 0,
            core: 0,
            protocol: request.protocol,
            is_sampled: false,
            method_bytes: request.method.len().min(METHOD_BYTES_MAX) as u8,
            method: [0; METHOD_BYTES_MAX],
            uri: [0; URI_BYTES_MAX],
        };
        let method_bytes = usize::from(record.method_bytes);
        record.method[..method_bytes].copy_from_slice(&request.method[..method_bytes]);
        let uri_bytes = record.uri().len();
        record.uri[..uri_bytes].copy_from_slice(&request.uri[..uri_bytes]);
        record
    }

    /// Its method, as far as it is kept.
    pub(crate) fn method(&self) -> &[u8] {
        &self.method[..usize::from(self.method_bytes)]
    }

    /// Its target, as far as it is kept.
    pub(crate) fn uri(&self) -> &[u8] {
        &self.uri[..(self.uri_bytes as usize).min(URI_BYTES_MAX)]
    }

    pub(crate) fn set_duration(&mut self, duration: Duration) {
        self.duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_request_is_shown_by_its_words() {
        let cases: [(&[u8], &[u8], &[u8]); 7] = [
            (b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", b"GET", b"/a"),
            (b"\r\n\r\nGET /a\n", b"GET", b"/a"),
            (b"GET", b"", b"GET"),
            (b"GET ", b"GET", b""),
            (b"\x16\x03\x01\x02\x00", b"", b"\x16\x03\x01\x02\x00"),
            (b"\r\n", b"", b""),
            (b"", b"", b""),
        ];
        for (bytes, method, uri) in cases {
            assert_eq!(RequestLine::of_bytes(bytes), RequestLine { method, uri, protocol: None }, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_its_length_kept() {
        let long = vec![b'x'; 5000];
        let line = RequestLine { method: &long, uri: &long, protocol: None };
        let record = AccessRecord::of(&line, ClientAddress::Unix);
        assert_eq!((record.method(), record.uri()), (&long[..METHOD_BYTES_MAX], &long[..URI_BYTES_MAX]));
        assert_eq!(record.uri_bytes, 5000);
    }
}
