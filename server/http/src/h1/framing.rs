//! The fields that determine a message's length and the use of the connection after it, in requests and responses.
//!
//! **Not**: what follows from the method or the status; see [`crate::h1::request`] and [`crate::h1::response`].
//! **Invariants**: a message whose length two parsers could read in two ways is refused.
//! **Source**: RFC 9112 section 6 and 9.3; RFC 9110 section 7.6.1 and 8.6.

use crate::class;
use crate::known::KnownField;
use crate::list::Elements;
use crate::request::HttpVersion;
use crate::semantics::framing::Framing;
use thiserror::Error;

/// Why a message's framing was refused. The peer's fault; nothing after it on the connection can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", self.detail())]
pub enum FramingError {
    /// `Content-Length` is not one plain decimal number that fits 64 bits.
    ContentLength,
    /// Two different `Content-Length`.
    ContentLengthDiffers,
    /// `Content-Length` beside `Transfer-Encoding`.
    Both,
    /// `Transfer-Encoding` does not end with its only `chunked`.
    TransferEncoding,
    /// `Transfer-Encoding` in HTTP/1.0.
    TransferEncodingVersion,
    /// A well-formed transfer coding before the final `chunked`.
    TransferCoding,
    /// `Connection` is not a list of tokens.
    Connection,
}

impl FramingError {
    /// The sentence for a response's `detail`.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Self::ContentLength => "the Content-Length field is not one decimal number",
            Self::ContentLengthDiffers => "there are Content-Length fields with different values",
            Self::Both => "there are both a Content-Length and a Transfer-Encoding field",
            Self::TransferEncoding => "the Transfer-Encoding field is not exactly one final chunked",
            Self::TransferEncodingVersion => "there is a Transfer-Encoding field in an HTTP/1.0 message",
            Self::TransferCoding => "a transfer coding other than chunked is not implemented",
            Self::Connection => "the Connection field is not a list of tokens",
        }
    }

    /// A short name that never changes.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::ContentLength => "content-length",
            Self::ContentLengthDiffers => "content-length-differs",
            Self::Both => "both-framings",
            Self::TransferEncoding => "transfer-encoding",
            Self::TransferEncodingVersion => "transfer-encoding-version",
            Self::TransferCoding => "transfer-coding",
            Self::Connection => "connection",
        }
    }
}

impl Framing {
    /// Takes in one field, if it is one of framing.
    #[inline]
    pub(crate) fn note(&mut self, known: KnownField, value: &[u8]) -> Result<(), FramingError> {
        match known {
            KnownField::Connection => self.note_connection(value),
            KnownField::ContentLength => self.note_content_length(value),
            KnownField::TransferEncoding => self.note_transfer_encoding(value),
            _ => Ok(()),
        }
    }

    fn note_connection(&mut self, value: &[u8]) -> Result<(), FramingError> {
        for option in Elements::new(value) {
            if !class::all(option, class::TOKEN) {
                return Err(FramingError::Connection);
            }
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
        Ok(())
    }

    fn note_content_length(&mut self, value: &[u8]) -> Result<(), FramingError> {
        let length = class::decimal(value).flatten().ok_or(FramingError::ContentLength)?;
        match self.content_length.replace(length) {
            Some(earlier) if earlier != length => Err(FramingError::ContentLengthDiffers),
            _ => Ok(()),
        }
    }

    fn note_transfer_encoding(&mut self, value: &[u8]) -> Result<(), FramingError> {
        if self.chunked {
            return Err(FramingError::TransferEncoding);
        }
        let mut other_codings = false;
        for coding in Elements::new(value) {
            if self.chunked || !class::is(coding[0], class::TOKEN) {
                return Err(FramingError::TransferEncoding);
            }
            self.chunked = coding.eq_ignore_ascii_case(b"chunked");
            other_codings |= !self.chunked;
        }
        match (self.chunked, other_codings) {
            (true, false) => Ok(()),
            (true, true) => Err(FramingError::TransferCoding),
            (false, _) => Err(FramingError::TransferEncoding),
        }
    }

    /// Judges what only all fields together show.
    #[inline]
    pub(crate) fn check(&self, version: HttpVersion) -> Result<(), FramingError> {
        match (self.chunked, version, self.content_length) {
            (false, ..) | (true, HttpVersion::Http11, None) => Ok(()),
            (true, HttpVersion::Http10, _) => Err(FramingError::TransferEncodingVersion),
            (true, HttpVersion::Http11, Some(_)) => Err(FramingError::Both),
        }
    }
}
