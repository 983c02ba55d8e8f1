//! A request as data: its head, and the parts a head is made of.
//!
//! **Not**: reading one from bytes; see [`crate::h1::request`].
//! **Source**: RFC 9110 section 7 and 9; RFC 9112 section 3.2 (the forms of a target).

mod head;
mod offsets;
mod owned;

pub use head::{FieldLines, RequestHead};
pub(crate) use offsets::HeadOffsets;
pub use owned::OwnedHead;

/// The versions this crate speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// How a request's body is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestBody {
    /// No body, or one of no bytes.
    None,
    /// So many bytes, at least 1 and at most [`MessageLimits::body_bytes_max`](crate::MessageLimits::body_bytes_max).
    Length(u64),
    /// Chunks; see [`crate::h1::chunked`].
    Chunked,
}

/// A request target, taken apart but not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestTarget<'a> {
    /// A path, beginning with `/`, and the query without its `?`.
    Origin {
        /// The path.
        path: &'a [u8],
        /// The query.
        query: Option<&'a [u8]>,
    },
    /// A whole `http` or `https` URI. Its authority and `Host` name the same origin.
    Absolute {
        /// Host and port.
        authority: &'a [u8],
        /// The path; empty if the URI has none, which means `/`, or `*` for `OPTIONS`.
        path: &'a [u8],
        /// The query.
        query: Option<&'a [u8]>,
    },
    /// Host and port of a `CONNECT`.
    Authority(&'a [u8]),
    /// The `*` of `OPTIONS *`.
    Asterisk,
}

/// Which of the four forms a target has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum TargetForm {
    /// Begins with `/`.
    #[default]
    Origin,
    /// `http://` or `https://`, an authority and perhaps a path.
    Absolute,
    /// Host and port, for `CONNECT` only.
    Authority,
    /// `*`, for `OPTIONS` only.
    Asterisk,
}
