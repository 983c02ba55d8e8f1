//! What a route says of hosts and paths.
//!
//! ```text
//!  shop.example.com     this host             /a/b        this path
//!  *.example.com        every host below it   /a/{id}     one segment, not empty
//!  *                    every host            /a/{*rest}  what follows, perhaps nothing
//! ```
//!
//! **Not**: regular expressions, and not a parameter that is part of a segment.
//!
//! **Invariants**: a pattern is in normal form, so that comparing bytes decides; one that no normal path could match is
//! refused.
//!
//! **Source**: docs/proxy.md.

use std::fmt;

use crate::normal::{self, NormalAuthority, RequestScheme};

/// Most segments of a pattern: what a look-up may descend.
pub const PATH_SEGMENTS_MAX: usize = 64;

/// Most parameters of a pattern: a match keeps room for so many.
pub const PATH_PARAMETERS_MAX: usize = 8;

/// Longest host that is compared with patterns, in bytes: the longest name of DNS is 253, and that of an IPv6 address shorter.
pub(crate) const HOST_BYTES_MAX: usize = 253;

/// Names that stand for something else in a redirect.
pub(crate) const RESERVED_NAMES: [&str; 2] = ["host", "path"];

/// The hosts a route is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum HostPattern {
    /// This host.
    Exact(Box<[u8]>),
    /// Every host that ends so; begins with a dot.
    Below(Box<[u8]>),
    /// Every host, and none.
    Any,
}

impl HostPattern {
    /// Reads a pattern; or says what is allowed.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let (name, is_below) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
        if !name.is_ascii() {
            return Err("a host in ASCII; write other letters as the certificate does (\"xn--…\")");
        }
        let mut scratch = Vec::new();
        let normal = normal::authority(name.as_bytes(), RequestScheme::Http, &mut scratch);
        let Ok(NormalAuthority { host, port: None }) = normal else {
            return Err("a host without a port, such as \"shop.example.com\", \"*.example.com\" or \"*\"");
        };
        let is_address = host.first() == Some(&b'[');
        let is_usable = is_address && !is_below || host.split(|byte| *byte == b'.').all(is_label);
        if name.contains(':') && !is_address || !is_usable || host.len() > HOST_BYTES_MAX {
            return Err("a host without a port, such as \"shop.example.com\", \"*.example.com\" or \"*\"");
        }
        Ok(if is_below { Self::Below([b".", host].concat().into()) } else { Self::Exact(host.into()) })
    }
}

fn is_label(label: &[u8]) -> bool {
    !label.is_empty() && label.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => write!(f, "{}", host.escape_ascii()),
            Self::Below(suffix) => write!(f, "*{}", suffix.escape_ascii()),
            Self::Any => f.write_str("every host"),
        }
    }
}

/// Hosts that something is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostSet(Vec<HostPattern>);

impl HostSet {
    pub(crate) fn new(patterns: Vec<HostPattern>) -> Self {
        Self(patterns)
    }

    /// Whether a host, in normal form, is one of them.
    pub(crate) fn contains(&self, host: &[u8]) -> bool {
        self.0.iter().any(|pattern| match pattern {
            HostPattern::Exact(known) => **known == *host,
            HostPattern::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
            HostPattern::Any => true,
        })
    }
}

/// One segment of a path pattern, without names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum SegmentPattern {
    /// This text.
    Text(Box<[u8]>),
    /// Any text but none.
    Parameter,
    /// All that follows.
    Rest,
}

/// The paths a route is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathPattern {
    /// At least one; only the last may be [`SegmentPattern::Rest`].
    pub(crate) segments: Vec<SegmentPattern>,
    /// The names of its parameters, in order.
    pub(crate) names: Vec<Box<str>>,
}

impl PathPattern {
    /// Reads a pattern; or says what is allowed.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('/') else { return Err("a path that begins with \"/\"".to_owned()) };
        if let Some(mark) = text.chars().find(|character| matches!(character, '?' | '#')) {
            return Err(format!("a path; it has no \"{mark}\" (write {})", if mark == '?' { "%3F" } else { "%23" }));
        }
        let mut pattern = Self { segments: Vec::new(), names: Vec::new() };
        let mut segments = rest.split('/').peekable();
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            let read = pattern.read_segment(segment, is_last)?;
            pattern.segments.push(read);
        }
        if pattern.segments.len() > PATH_SEGMENTS_MAX || pattern.names.len() > PATH_PARAMETERS_MAX {
            return Err(format!("at most {PATH_SEGMENTS_MAX} segments and {PATH_PARAMETERS_MAX} parameters"));
        }
        Ok(pattern)
    }

    fn read_segment(&mut self, segment: &str, is_last: bool) -> Result<SegmentPattern, String> {
        if segment == "*" || segment == "**" {
            return Err("for all that follows write \"{*rest}\", for one segment \"{name}\"".to_owned());
        }
        let Some(inner) = segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) else {
            return text_of(segment).map(SegmentPattern::Text);
        };
        let (name, kind) = match inner.strip_prefix('*') {
            Some(_) if !is_last => return Err(format!("\"{segment}\" as the last segment only")),
            Some(name) => (name, SegmentPattern::Rest),
            None => (inner, SegmentPattern::Parameter),
        };
        if !is_name(name) {
            return Err(format!(
                "\"{{name}}\" and \"{{*name}}\" with a name of letters, digits and \"_\", not \"{name}\""
            ));
        }
        if RESERVED_NAMES.contains(&name) || self.names.iter().any(|known| **known == *name) {
            return Err(format!("parameters with names of their own; \"{name}\" is taken"));
        }
        self.names.push(name.into());
        Ok(kind)
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The normal form of a segment without a parameter. What a target cannot hold is written as its escape.
fn text_of(segment: &str) -> Result<Box<[u8]>, String> {
    if segment.contains(['{', '}']) {
        return Err(
            "a parameter as a whole segment (\"/a/{name}\"); a brace of the path is written %7B or %7D".to_owned()
        );
    }
    let mut raw = b"/".to_vec();
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%".contains(&byte) {
            raw.push(byte);
        } else {
            raw.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    let mut scratch = Vec::new();
    match normal::path(&raw, &mut scratch) {
        Ok(normal) if normal == b"/" && !segment.is_empty() => {
            Err("a path without dot segments: they are removed before a request is routed".to_owned())
        }
        Ok(normal) => Ok(normal[1..].into()),
        Err(error) => Err(format!("a path with whole escapes: {error}")),
    }
}

/// The pattern, its parameters without names: what two patterns have in common that match the same paths.
#[cfg(test)]
pub(crate) fn shape_of(segments: &[SegmentPattern]) -> String {
    let mut text = String::new();
    for segment in segments {
        text.push('/');
        match segment {
            SegmentPattern::Text(bytes) => text.push_str(&bytes.escape_ascii().to_string()),
            SegmentPattern::Parameter => text.push_str("{}"),
            SegmentPattern::Rest => text.push_str("{*}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (text, shown) in [
            ("example.com", "example.com"),
            ("Shop.Example.COM.", "shop.example.com"),
            ("*.example.com", "*.example.com"),
            ("*", "every host"),
            ("[0:0::1]", "[::1]"),
            ("127.0.0.1", "127.0.0.1"),
            ("a_b-c", "a_b-c"),
        ] {
            assert_eq!(HostPattern::parse(text).map(|host| host.to_string()).as_deref(), Ok(shown), "{text}");
        }
        for text in ["", "a:80", "a:8080", "*.", "*.[::1]", "a..b", ".a", "*a.b", "a.*", "bücher.de", "a/b", "http://a"]
        {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
        assert!(HostPattern::parse(&"a.".repeat(200)).is_err());
    }

    #[test]
    fn paths() {
        for (text, shape) in [
            ("/", "/"),
            ("/a/b/", "/a/b/"),
            ("/api/orders/{id}", "/api/orders/{}"),
            ("/{*rest}", "/{*}"),
            ("/a//{x}/{_y2}/{*z}", "/a//{}/{}/{*}"),
            ("/%7ea/%2f/é b", "/~a/%2F/%C3%A9%20b"),
            ("/a*b", "/a*b"),
        ] {
            let pattern = PathPattern::parse(text);
            assert_eq!(pattern.map(|pattern| shape_of(&pattern.segments)).as_deref(), Ok(shape), "{text}");
        }
        for (text, word) in [
            ("", "begins with"),
            ("a", "begins with"),
            ("/a?b", "%3F"),
            ("/a#b", "%23"),
            ("/*", "{*rest}"),
            ("/{*a}/b", "last segment"),
            ("/{}", "a name"),
            ("/{1a}", "a name"),
            ("/{a-b}", "a name"),
            ("/{a}/{a}", "taken"),
            ("/{host}", "taken"),
            ("/x{a}", "whole segment"),
            ("/{a}x", "whole segment"),
            ("/a/../b", "dot segments"),
            ("/%2e", "dot segments"),
            ("/%", "escapes"),
            ("/%00", "zero"),
            ("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}", "at most"),
        ] {
            let error = PathPattern::parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
        assert!(PathPattern::parse(&"/a".repeat(65)).is_err() && PathPattern::parse(&"/a".repeat(64)).is_ok());
    }
}
