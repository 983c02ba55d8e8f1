//! Status codes.
//!
//! **Not**: when each is right; how a version of the protocol writes one.
//! **Invariants**: a code is in 100 to 599.
//! **Source**: RFC 9110 section 15; RFC 6585; RFC 8470.

/// A status code. This project's own responses have one of the named ones; what is forwarded may have any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(u16);

/// Gives all named statuses to the macro `$then`, with their phrases.
macro_rules! with_named_statuses {
    ($then:ident) => {
        $then! {
            Ok = 200 "OK",
            Created = 201 "Created",
            NoContent = 204 "No Content",
            PartialContent = 206 "Partial Content",
            MovedPermanently = 301 "Moved Permanently",
            Found = 302 "Found",
            SeeOther = 303 "See Other",
            NotModified = 304 "Not Modified",
            TemporaryRedirect = 307 "Temporary Redirect",
            PermanentRedirect = 308 "Permanent Redirect",
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
            TooEarly = 425 "Too Early",
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
    };
}
pub(crate) use with_named_statuses;

macro_rules! named_statuses {
    ($($name:ident = $code:literal $reason:literal,)*) => {
        #[expect(non_upper_case_globals, reason = "they are used as the variants of an enum are, in patterns too")]
        impl Status {
            $(#[doc = concat!("`", $code, " ", $reason, "`")] pub const $name: Self = Self($code);)*

            /// Every named status, in the order of its code.
            pub const NAMED: &[Self] = &[$(Self::$name,)*];

            /// The phrase of a named status; empty for others. A phrase is for people: no program reads it.
            #[must_use]
            pub fn reason(self) -> &'static str {
                match self {
                    $(Self::$name => $reason,)*
                    _ => "",
                }
            }
        }
    };
}

with_named_statuses!(named_statuses);

impl Status {
    /// The status of a code, if it is one.
    #[must_use]
    pub const fn from_code(code: u16) -> Option<Self> {
        match code {
            100..=599 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    #[inline]
    #[must_use]
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Whether the final response is still to come.
    #[inline]
    #[must_use]
    pub const fn is_interim(self) -> bool {
        self.0 < 200
    }

    /// Whether a response with this status may have a body at all: 1xx, 204 and 304 never have one.
    #[inline]
    #[must_use]
    pub fn has_body(self) -> bool {
        !matches!(self, Self::NoContent | Self::NotModified) && !self.is_interim()
    }

    /// Whether a response with this status says how long its body is: 1xx and 204 must not.
    #[inline]
    #[must_use]
    pub(crate) fn has_length(self) -> bool {
        self != Self::NoContent && !self.is_interim()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_three_digits_of_five_classes() {
        for code in 0..=1000 {
            let status = Status::from_code(code);
            assert_eq!(status.map(Status::code), (100..600).contains(&code).then_some(code));
        }
        assert_eq!(Status::from_code(404), Some(Status::NotFound));
    }

    #[test]
    fn named_statuses_are_in_order_and_have_phrases() {
        assert!(Status::NAMED.is_sorted_by(|a, b| a < b));
        assert!(Status::NAMED.iter().all(|status| !status.reason().is_empty()));
        assert_eq!(Status::from_code(299).map(Status::reason), Some(""));
    }

    #[test]
    fn bodies_and_lengths_by_status() {
        for (code, has_body, has_length) in [
            (100, false, false),
            (199, false, false),
            (200, true, true),
            (204, false, false),
            (205, true, true),
            (304, false, true),
            (404, true, true),
            (599, true, true),
        ] {
            let status = Status::from_code(code).unwrap();
            assert_eq!((status.has_body(), status.has_length()), (has_body, has_length), "{code}");
            assert_eq!(status.is_interim(), code < 200);
        }
    }
}
