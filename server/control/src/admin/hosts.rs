//! Under which names the admin listener is spoken to.
//!
//! A page of a foreign site can have its own name point to this listener's address, and then read from it with the visitor's browser
//! what only the operator may see (DNS rebinding). It cannot choose an address, or a name without a dot, as its own.
//!
//! **Not** authentication: whoever reaches the listener under its address is answered.
//!
//! **Invariants**: an IP address, `localhost` and a name without a dot are always known; any other name must be configured
//! (`admin_hosts`). Probes of liveness and readiness, which say nothing, are answered under any name.
//!
//! **Source**: RFC 9110 section 7.2 (Host); RFC 6454 section 7 (Origin); RFC 6761 section 6.3 (localhost).

use std::net::{Ipv4Addr, Ipv6Addr};

use corelane_http::request::RequestHead;

/// Between configured names.
const SEPARATOR: char = ',';

/// Whether a request names this listener by a name that is its own; `configured` are further names.
pub(super) fn are_known(head: &RequestHead<'_>, configured: Option<&str>) -> bool {
    let origin = head.fields().find(|(name, _)| name.eq_ignore_ascii_case(b"origin"));
    head.host().is_none_or(|host| is_known(host, configured))
        && origin.is_none_or(|(_, origin)| is_known(authority(origin), configured))
}

/// The host and port of an origin, whose scheme does not matter. Of an opaque one (`null`) an authority that is not known.
fn authority(origin: &[u8]) -> &[u8] {
    let scheme_end = origin.windows(3).position(|part| part == b"://");
    scheme_end.map_or(b"an.opaque.origin", |at| &origin[at + 3..])
}

/// Whether a host, with or without a port, is one under which only this listener's operator can reach it.
fn is_known(authority: &[u8], configured: Option<&str>) -> bool {
    let Ok(authority) = std::str::from_utf8(authority) else { return false };
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split_once(']').is_some_and(|(address, _)| address.parse::<Ipv6Addr>().is_ok());
    }
    let host = authority.split_once(':').map_or(authority, |(host, _)| host);
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_configured = || {
        let mut names = configured.into_iter().flat_map(|names| names.split(SEPARATOR));
        names.any(|name| name.trim().eq_ignore_ascii_case(host))
    };
    let ends_with_localhost = host.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("localhost"));
    !host.contains('.') || ends_with_localhost || host.parse::<Ipv4Addr>().is_ok() || is_configured()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_others_can_own_are_foreign() {
        for (authority, expected) in [
            ("", true),
            ("127.0.0.1:9180", true),
            ("192.0.2.7", true),
            ("[::1]:9180", true),
            ("localhost:9180", true),
            ("LocalHost.", true),
            ("a.localhost", true),
            ("corelane:9180", true),
            ("cache-1.example.com:9180", true),
            ("STATUS.example.com.", true),
            ("example.com", false),
            ("evil.cache-1.example.com", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
            ("[evil.example]", false),
            ("\u{fc}.example", false),
        ] {
            let configured = Some("cache-1.example.com, status.example.com");
            assert_eq!(is_known(authority.as_bytes(), configured), expected, "{authority}");
        }
        assert!(!is_known(b"cache-1.example.com", None) && !is_known(b"\xff", None));
    }

    #[test]
    fn an_origin_is_judged_by_its_host() {
        for (origin, expected) in [
            ("http://127.0.0.1:9180", true),
            ("https://localhost", true),
            ("http://evil.example", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(is_known(authority(origin.as_bytes()), None), expected, "{origin}");
        }
    }
}
