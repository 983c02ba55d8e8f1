//! The normal form of a host and its port.
//!
//! **Not**: whether such a host exists, or is served here.
//!
//! **Invariants**: an empty host stays empty; a port that is given is not that of the scheme.
//!
//! **Source**: RFC 3986 sections 3.2.2, 3.2.3, 6.2.2, 6.2.3; RFC 5952 section 4.

use std::fmt::Write as _;
use std::net::Ipv6Addr;

use super::{NormalError, RequestScheme, decode_unreserved, is_unreserved};

/// A host in normal form, and its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NormalAuthority<'a> {
    /// The host; with brackets where it is an IPv6 address.
    pub host: &'a [u8],
    /// The port; `None` where it is that of the scheme.
    pub port: Option<u16>,
}

/// The normal form of a `Host` field, or of the authority of a target: parts of `raw` where they are normal already, else in
/// `scratch`.
///
/// # Errors
///
/// The client's: a bad escape, an octet of zero, or what is no host with an optional port.
#[inline]
pub fn authority<'a>(
    raw: &'a [u8],
    scheme: RequestScheme,
    scratch: &'a mut Vec<u8>,
) -> Result<NormalAuthority<'a>, NormalError> {
    let host_end = match raw {
        [b'[', ..] => memchr::memchr(b']', raw).ok_or(NormalError::Host)? + 1,
        _ => memchr::memchr(b':', raw).unwrap_or(raw.len()),
    };
    let (host, rest) = raw.split_at(host_end);
    let port = match rest {
        [] => None,
        [b':', digits @ ..] => number(digits)?.filter(|port| *port != scheme.default_port()),
        _ => return Err(NormalError::Host),
    };
    if host.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.')) && !ends_in_dot(host) {
        return Ok(NormalAuthority { host, port });
    }
    scratch.clear();
    write_host(host, scratch)?;
    Ok(NormalAuthority { host: scratch, port })
}

/// A port; `None` where there are no digits.
fn number(digits: &[u8]) -> Result<Option<u16>, NormalError> {
    if digits.is_empty() {
        return Ok(None);
    }
    let add = |number: u32, digit: &u8| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'));
    let number = (digits.len() <= 5).then(|| digits.iter().try_fold(0, add)).flatten();
    number.and_then(|number| u16::try_from(number).ok()).map(Some).ok_or(NormalError::Host)
}

/// Whether one dot stands behind the last label, as in `example.com.`, which names what `example.com` names.
fn ends_in_dot(host: &[u8]) -> bool {
    matches!(host, [.., last, b'.'] if *last != b'.')
}

fn write_host(host: &[u8], out: &mut Vec<u8>) -> Result<(), NormalError> {
    if let [b'[', literal @ .., b']'] = host {
        let text = std::str::from_utf8(literal).map_err(|_| NormalError::Host)?;
        let address: Ipv6Addr = text.parse().map_err(|_| NormalError::Host)?;
        let mut spelled = String::with_capacity(48);
        write!(spelled, "[{address}]").expect("a string grows");
        out.extend_from_slice(spelled.as_bytes());
        return Ok(());
    }
    decode_unreserved(host, out)?;
    let mut at = 0;
    while at < out.len() {
        match out[at] {
            // An escape that is left: its digits stay capitals.
            b'%' => at += 2,
            0 => return Err(NormalError::Nul),
            byte if is_unreserved(byte) || b"!$&'()*+,;=".contains(&byte) => out[at].make_ascii_lowercase(),
            _ => return Err(NormalError::Host),
        }
        at += 1;
    }
    if ends_in_dot(out) {
        out.pop();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        for (raw, scheme, host, port) in [
            ("", RequestScheme::Http, "", None),
            ("example.com", RequestScheme::Http, "example.com", None),
            ("Shop.EXAMPLE.com", RequestScheme::Http, "shop.example.com", None),
            ("a:80", RequestScheme::Http, "a", None),
            ("a:80", RequestScheme::Https, "a", Some(80)),
            ("a:443", RequestScheme::Https, "a", None),
            ("a:0443", RequestScheme::Https, "a", None),
            ("a:", RequestScheme::Https, "a", None),
            ("A:08080", RequestScheme::Http, "a", Some(8080)),
            ("a.", RequestScheme::Http, "a", None),
            ("a.:8080", RequestScheme::Http, "a", Some(8080)),
            ("a..", RequestScheme::Http, "a..", None),
            (".", RequestScheme::Http, ".", None),
            ("a%2E", RequestScheme::Http, "a", None),
            ("%41%2d%c3%A9", RequestScheme::Http, "a-%C3%A9", None),
            ("[::1]", RequestScheme::Http, "[::1]", None),
            ("[0:0::0001]:8080", RequestScheme::Http, "[::1]", Some(8080)),
            ("[2001:DB8::A]:443", RequestScheme::Https, "[2001:db8::a]", None),
            ("127.0.0.1:8080", RequestScheme::Http, "127.0.0.1", Some(8080)),
            ("_x!y", RequestScheme::Http, "_x!y", None),
        ] {
            let mut scratch = Vec::new();
            let got = authority(raw.as_bytes(), scheme, &mut scratch);
            assert_eq!(got, Ok(NormalAuthority { host: host.as_bytes(), port }), "{raw}");
        }
    }

    #[test]
    fn refused_authorities() {
        for (raw, error) in [
            (&b"a:1:2"[..], NormalError::Host),
            (b"a:x", NormalError::Host),
            (b"a:+1", NormalError::Host),
            (b"a:65536", NormalError::Host),
            (b"a:000080", NormalError::Host),
            (b"[::1", NormalError::Host),
            (b"[::1]a", NormalError::Host),
            (b"[a]", NormalError::Host),
            (b"[fe80::1%25eth0]", NormalError::Host),
            (b"a/b", NormalError::Host),
            (b"u@a", NormalError::Host),
            (b"a b", NormalError::Host),
            (b"a\xff", NormalError::Host),
            (b"a]", NormalError::Host),
            (b"a%2", NormalError::Escape),
            (b"a%00", NormalError::Nul),
            (b"a\0", NormalError::Nul),
        ] {
            assert_eq!(authority(raw, RequestScheme::Http, &mut Vec::new()), Err(error), "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn what_is_normal_is_lent() {
        let raw = b"shop.example.com:8080";
        let mut scratch = Vec::new();
        let got = authority(raw, RequestScheme::Http, &mut scratch).unwrap();
        assert!(std::ptr::eq(got.host, &raw[..16]));
        assert_eq!(scratch.capacity(), 0);
    }
}
