//! Authorities: a host and an optional port, as in `Host` and in absolute and authority-form targets.
//!
//! **Not**: name resolution; user information, which no request target of `http` may carry.
//! **Invariants**: a valid authority holds no byte that could end a path, a line or a field.
//! **Source**: RFC 3986 section 3.2.2 and 3.2.3; RFC 9110 section 4.2.3 and 7.2.

use crate::class;

/// Splits a valid authority into its host (brackets included) and the digits after the colon.
/// `None` if it is not valid. The host may be empty, the port absent or empty.
pub(super) fn split(authority: &[u8]) -> Option<(&[u8], &[u8])> {
    let host_end = match authority {
        [b'[', rest @ ..] => literal_end(rest)?,
        _ => class::run_end(authority, 0, class::HOST),
    };
    let (host, rest) = authority.split_at(host_end);
    let port = match rest {
        [] => rest,
        [b':', port @ ..] => port,
        _ => return None,
    };
    (percents_are_whole(host) && is_port(port)).then_some((host, port))
}

/// Whether `host` and `target` (both valid) name the same origin, the port defaulting to `default_port`.
pub(super) fn same_origin(host: &[u8], target: &[u8], default_port: u16) -> bool {
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

fn is_port(port: &[u8]) -> bool {
    port.is_empty() || (port.len() <= 5 && matches!(class::decimal(port), Some(Some(0..=0xffff))))
}

fn percents_are_whole(host: &[u8]) -> bool {
    if !host.contains(&b'%') {
        return true;
    }
    let mut pieces = host.split(|&byte| byte == b'%');
    let _before_the_first = pieces.next();
    pieces.all(|piece| piece.len() >= 2 && piece[..2].iter().all(u8::is_ascii_hexdigit))
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
