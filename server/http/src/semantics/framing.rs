//! What a head says of its message's length and of the connection's future.
//!
//! **Not**: reading the fields; the parser fills this in.
//! **Source**: RFC 9110 section 7.6.1 and 8.6; RFC 9112 section 6 and 9.3.

use crate::request::HttpVersion;

/// The framing of one message.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Framing {
    /// What `Content-Length` says.
    pub(crate) content_length: Option<u64>,
    /// The length is not known beforehand: the body comes in chunks.
    pub(crate) chunked: bool,
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
}

impl Framing {
    /// Whether the peer would use the connection again.
    #[inline]
    pub(crate) fn stays_open(&self, version: HttpVersion) -> bool {
        !self.close && (self.keep_alive || version == HttpVersion::Http11)
    }
}
