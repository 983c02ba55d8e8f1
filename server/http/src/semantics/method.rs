//! Request methods.
//!
//! **Not**: which methods a resource allows; that is its owner's decision.
//! **Invariants**: names are compared with case, as RFC 9110 section 9.1 says.
//! **Source**: RFC 9110 section 9, RFC 5789 (`PATCH`).

/// A request's method. A token that is none of the known names is `Other`; its text is in the request head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "every variant is the method of its name")]
pub enum Method {
    Get,
    Head,
    Put,
    Delete,
    Post,
    Options,
    Patch,
    Trace,
    Connect,
    Other,
}

impl Method {
    /// The method a token names.
    #[must_use]
    pub fn from_token(token: &[u8]) -> Self {
        match token {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"POST" => Self::Post,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            b"TRACE" => Self::Trace,
            b"CONNECT" => Self::Connect,
            _ => Self::Other,
        }
    }

    /// Whether the method is safe (RFC 9110 section 9.2.1): a request with it may be made again by anybody, and nothing comes of it.
    #[must_use]
    pub fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options | Self::Trace)
    }

    /// Whether the method only reads (`GET` or `HEAD`), so that a matching `If-None-Match` means 304 rather than 412.
    #[must_use]
    pub fn is_read(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}
