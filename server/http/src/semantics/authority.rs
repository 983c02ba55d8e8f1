//! Authorities: a host and an optional port, as in `Host` and in absolute and authority-form targets.
//!
//! **Not**: name resolution; user information, which no request target of `http` may carry.
//! **Invariants**: a valid authority holds no byte that could end a path, a line or a field.
//! **Source**: RFC 3986 section 3.2.2 and 3.2.3; RFC 9110 section 4.2.3 and 7.2.

use crate::class;

/// Splits a valid authority into its host (brackets included) and the digits after the colon.
/// `None` if it is not valid. The host may be empty, the port absent or empty.
pub(crate) fn split(authority: &[u8]) -> Option<(&[u8], &[u8])> {
    let host_end = match authority {
        [b'[', rest @ ..] => literal_end(rest)?,
        _ => name_end(authority)?,
    };
    let (host, rest) = authority.split_at(host_end);
    let port = match rest {
        [] => rest,
        [b':', port @ ..] => port,
        _ => return None,
    };
    is_port(port).then_some((host, port))
}

/// Whether `host` and `target` (both valid) name the same origin, the port defaulting to `default_port`.
pub(crate) fn same_origin(host: &[u8], target: &[u8], default_port: u16) -> bool {
    let (Some((host, host_port)), Some((target, target_port))) = (split(host), split(target)) else {
        return false;
    };
    let number = |port: &[u8]| class::decimal(port).flatten().unwrap_or_else(|| u64::from(default_port));
    host.eq_ignore_ascii_case(target) && number(host_port) == number(target_port)
}

/// Bytes of an IP literal with both brackets, given what follows the opening one.
fn literal_end(rest: &[u8]) -> Option<usize> {
    let close = rest.iter().position(|&byte| byte == b']')?;
    let address = std::str::from_utf8(&rest[..close]).ok()?;
    address.parse::<core::net::Ipv6Addr>().ok()?;
    Some(close + 2)
}

/// Bytes of a registered name or an IPv4 address; `None` if an escape in it is not whole.
#[inline]
fn name_end(authority: &[u8]) -> Option<usize> {
    let mut end = class::run_end(authority, 0, class::HOST);
    while authority.get(end) == Some(&b'%') {
        let digits = authority.get(end + 1..end + 3)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        end = class::run_end(authority, end + 3, class::HOST);
    }
    Some(end)
}

/// Whether a port is absent, or a number of at most 5 digits that fits 16 bits.
#[inline]
fn is_port(port: &[u8]) -> bool {
    let number = |port: &[u8]| {
        port.iter()
            .try_fold(0u32, |number, &digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
    };
    port.len() <= 5 && number(port).is_some_and(|number| number <= 0xffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        for (text, want) in [
            ("", Some(("", ""))),
            ("a", Some(("a", ""))),
            ("a:", Some(("a", ""))),
            ("127.0.0.1:8080", Some(("127.0.0.1", "8080"))),
            ("[::1]:65535", Some(("[::1]", "65535"))),
            ("[::1]", Some(("[::1]", ""))),
            ("a%20b", Some(("a%20b", ""))),
            ("a%2", None),
            ("a%zz", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[]", None),
            ("[1.2.3.4]", None),
            ("a:65536", None),
            ("a:000080", None),
            ("a:8a", None),
            ("a:1:2", None),
            ("u@a", None),
            ("a/b", None),
            ("a b", None),
            ("a,b?", None),
        ] {
            let got = split(text.as_bytes());
            assert_eq!(got, want.map(|(host, port)| (host.as_bytes(), port.as_bytes())), "{text:?}");
        }
    }

    #[test]
    fn origins() {
        for (host, target, same) in [
            ("a", "A", true),
            ("a:80", "a", true),
            ("a:", "a:080", true),
            ("a:8080", "a", false),
            ("a", "b", false),
            ("", "a", false),
        ] {
            assert_eq!(same_origin(host.as_bytes(), target.as_bytes(), 80), same, "{host:?} {target:?}");
        }
    }
}
