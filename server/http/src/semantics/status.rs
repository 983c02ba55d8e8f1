//! Status codes this project sends.
//!
//! **Not**: when each is right.
//! **Invariants**: a status line is one constant, so that sending it is one copy.
//! **Source**: RFC 9110 section 15; RFC 6585.

macro_rules! statuses {
    ($($name:ident = $code:literal $reason:literal,)*) => {
        /// A status code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Status {
            $(#[doc = concat!("`", $code, " ", $reason, "`")] $name = $code,)*
        }

        impl Status {
            /// Every status, in the order of its code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The phrase that names it.
            #[must_use]
            pub fn reason(self) -> &'static str {
                match self {
                    $(Self::$name => $reason,)*
                }
            }

            /// Everything of a head up to the date's value: status line, `Server`, and `Date: `.
            #[inline]
            pub(crate) const fn head_start(self) -> &'static [u8] {
                match self {
                    $(Self::$name => concat!("HTTP/1.1 ", $code, " ", $reason, "\r\nServer: corelane\r\nDate: ").as_bytes(),)*
                }
            }
        }
    };
}

statuses! {
    Ok = 200 "OK",
    Created = 201 "Created",
    NoContent = 204 "No Content",
    PartialContent = 206 "Partial Content",
    NotModified = 304 "Not Modified",
    BadRequest = 400 "Bad Request",
    Forbidden = 403 "Forbidden",
    NotFound = 404 "Not Found",
    MethodNotAllowed = 405 "Method Not Allowed",
    RequestTimeout = 408 "Request Timeout",
    Conflict = 409 "Conflict",
    LengthRequired = 411 "Length Required",
    PreconditionFailed = 412 "Precondition Failed",
    ContentTooLarge = 413 "Content Too Large",
    UriTooLong = 414 "URI Too Long",
    UnsupportedMediaType = 415 "Unsupported Media Type",
    RangeNotSatisfiable = 416 "Range Not Satisfiable",
    ExpectationFailed = 417 "Expectation Failed",
    MisdirectedRequest = 421 "Misdirected Request",
    UpgradeRequired = 426 "Upgrade Required",
    TooManyRequests = 429 "Too Many Requests",
    HeadTooLarge = 431 "Request Header Fields Too Large",
    InternalServerError = 500 "Internal Server Error",
    NotImplemented = 501 "Not Implemented",
    BadGateway = 502 "Bad Gateway",
    ServiceUnavailable = 503 "Service Unavailable",
    GatewayTimeout = 504 "Gateway Timeout",
    VersionNotSupported = 505 "HTTP Version Not Supported",
    InsufficientStorage = 507 "Insufficient Storage",
}

impl Status {
    /// The number.
    #[inline]
    #[must_use]
    pub fn code(self) -> u16 {
        self as u16
    }

    /// Whether an answer with this status may have a body at all: 204 and 304 never have one.
    #[inline]
    #[must_use]
    pub fn has_body(self) -> bool {
        !matches!(self, Self::NoContent | Self::NotModified)
    }
}
