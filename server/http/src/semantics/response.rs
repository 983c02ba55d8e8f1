//! What the head of a response says.
//!
//! **Not**: its bytes (`crate::h1`); deciding whether a body is sent for a request (the caller asks
//! [`ResponseHead::sends_body`]).
//! **Invariants**: 1xx, 204 and 304 have no body.
//! **Source**: RFC 9110 section 8.3, 8.6, 8.8.3, 10.2, 14.3, 14.4; RFC 9112 section 9.6.

use crate::cache_status::CacheStatus;
use crate::entity_tag::EntityTag;
use crate::field::{FieldLine, FieldValue};
use crate::range::ContentRange;
use crate::request::HttpVersion;
use crate::{Method, Status};

/// What a response says about its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConnectionOption {
    /// Nothing: an HTTP/1.1 connection stays open.
    #[default]
    Open,
    /// `keep-alive`: an HTTP/1.0 connection stays open, because the client asked for it.
    KeepAlive,
    /// `close`: this is the last response.
    Close,
}

impl ConnectionOption {
    /// What to say to a client of this version about a connection that stays open.
    #[inline]
    #[must_use]
    pub fn open_for(version: HttpVersion) -> Self {
        match version {
            HttpVersion::Http11 => Self::Open,
            HttpVersion::Http10 => Self::KeepAlive,
        }
    }
}

/// What a response head says. Build it with the update syntax from [`ResponseHead::new`].
#[derive(Debug, Clone)]
pub struct ResponseHead<'a> {
    /// The status.
    pub status: Status,
    /// What becomes of the connection.
    pub connection: ConnectionOption,
    /// Bytes of the body, or for `HEAD` of the body that `GET` would have. Not sent with 1xx and 204; not needed with 304.
    pub content_length: Option<u64>,
    /// `Content-Type`.
    pub content_type: Option<FieldValue<'a>>,
    /// `ETag`.
    pub etag: Option<EntityTag<'a>>,
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
    /// Any further fields, in this order.
    pub fields: &'a [FieldLine<'a>],
}

impl ResponseHead<'_> {
    /// A head with a status and nothing else.
    #[inline]
    #[must_use]
    pub fn new(status: Status) -> Self {
        Self {
            status,
            connection: ConnectionOption::Open,
            content_length: None,
            content_type: None,
            etag: None,
            max_age_s: None,
            cache_status: None,
            accept_ranges: false,
            content_range: None,
            allow: None,
            retry_after_s: None,
            fields: &[],
        }
    }

    /// Whether this response to `method` is followed by the bytes that `content_length` counts.
    #[inline]
    #[must_use]
    pub fn sends_body(&self, method: Method) -> bool {
        method != Method::Head && self.status.has_body() && self.content_length.is_some_and(|bytes| bytes > 0)
    }
}
