//! The one normal form of a request's host and path.
//!
//! | part | normal form |
//! |---|---|
//! | host | lower case; unreserved octets decoded, other escapes in capitals; IPv6 in its shortest spelling; without the dot behind the last label |
//! | port | a number; none where it is that of the scheme |
//! | path | unreserved octets decoded, other escapes in capitals (`%2F` among them); then dot segments removed |
//! | query | as it was sent: no part of the product decides by it, and its escapes mean what the origin says |
//!
//! **Not**: merging slashes, or reading `;` or `\` in a special way: to RFC 3986 they are bytes like others.
//!
//! **Invariants**: the normal form of a normal form is itself; two paths with one normal form name one resource (RFC 3986,
//! section 6.2.2); no segment of a normal path is `.` or `..`; what is normal already is lent, not copied.
//!
//! **Source**: RFC 3986 sections 2.3, 5.2.4, 6.2.2; RFC 9110 section 4.2.3; RFC 5952.

mod authority;
mod path;

pub use authority::{NormalAuthority, authority};
pub use path::path;

use thiserror::Error;

/// What clients speak to the listener, as far as it decides about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestScheme {
    /// HTTP without TLS.
    Http,
    /// HTTP over TLS.
    Https,
}

impl RequestScheme {
    /// The port that is not written.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// Its name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// Why something has no normal form. The client's fault; the response is 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NormalError {
    /// A `%` is not followed by two hexadecimal digits.
    #[error("a percent sign in the request target or Host is not followed by two hexadecimal digits")]
    Escape,
    /// An octet of zero, which ends the text for some who read it.
    #[error("the request target or Host contains an octet of zero")]
    Nul,
    /// The path does not begin with a slash.
    #[error("the path of the request target does not begin with a slash")]
    Path,
    /// The host or port is none.
    #[error("Host is not a host with an optional port")]
    Host,
}

/// Whether RFC 3986, section 2.3 says of the byte that its escape means the same.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Appends `raw` with unreserved octets decoded and all other escapes in capitals.
fn decode_unreserved(raw: &[u8], out: &mut Vec<u8>) -> Result<(), NormalError> {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'%', rest) {
        let Some(&[high, low]) = rest.get(at + 1..at + 3).and_then(|digits| digits.first_chunk::<2>()) else {
            return Err(NormalError::Escape);
        };
        let octet = hex(high).zip(hex(low)).map(|(high, low)| high << 4 | low).ok_or(NormalError::Escape)?;
        out.extend_from_slice(&rest[..at]);
        match octet {
            0 => return Err(NormalError::Nul),
            octet if is_unreserved(octet) => out.push(octet),
            _ => out.extend_from_slice(&[b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()]),
        }
        rest = &rest[at + 3..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// The value of a hexadecimal digit of either case.
fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
