//! Where a redirect sends clients: a text with placeholders.
//!
//! | placeholder | stands for |
//! |---|---|
//! | `{host}` | the request's host, without its port |
//! | `{path}` | the request's path, which begins with a slash |
//! | `{name}` | the parameter of that name of the route's path |
//!
//! **Not**: the query as a placeholder; it is kept where `to` has none of its own.
//!
//! **Invariants**: what a client sends chooses neither scheme nor host, but for `{host}`, which is its own; a target on
//! the same host never begins with two slashes, which would name another host.
//!
//! **Source**: RFC 9110 sections 10.2.2 and 15.4; RFC 3986 section 4.2.

use corelane_http::Status;

use crate::fault::{FaultReason, quoted};
use crate::tree::PathParameters;

/// The statuses that a redirect may have: those that clients follow.
const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<[u8]>),
    Host,
    Path,
    /// A parameter by its place among those of the path.
    Parameter(usize),
}

/// A redirect, ready to be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectTemplate {
    status: Status,
    pieces: Vec<Piece>,
    is_relative: bool,
    has_query: bool,
}

/// What a redirect takes from a request, all in normal form.
#[derive(Clone, Copy, Debug)]
pub struct RedirectInput<'r> {
    /// The host, without its port.
    pub host: &'r [u8],
    /// The path.
    pub path: &'r [u8],
    /// The query, as it was sent.
    pub query: Option<&'r [u8]>,
    /// The parameters of the route.
    pub parameters: PathParameters<'r>,
}

/// The target names the request's host, and the request has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this resource is named with its host, and the request has none")]
pub struct HostMissing;

impl RedirectTemplate {
    /// The status; `None` is 308.
    pub(crate) fn status_of(code: Option<u16>) -> Result<Status, FaultReason> {
        let code = code.unwrap_or(308);
        let status = STATUSES.contains(&code).then(|| Status::from_code(code)).flatten();
        status.ok_or_else(|| FaultReason::invalid(code, "301, 302, 303, 307 or 308"))
    }

    /// Reads a text; `names` are the parameters of the route's path.
    pub(crate) fn parse(status: Status, text: &str, names: &[Box<str>]) -> Result<Self, FaultReason> {
        let refuse = |allowed: &str| FaultReason::invalid(text, allowed);
        let is_relative = text.starts_with('/');
        let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        if text.starts_with("//") || (!is_relative && authority.is_none()) {
            return Err(refuse("a target that begins with \"/\", \"https://\" or \"http://\""));
        }
        let pieces = pieces_of(text, names).map_err(|reason| FaultReason::invalid(text, reason))?;
        if !is_relative && !is_host_fixed(&pieces) {
            return Err(refuse("a host of fixed text and {host}; a parameter behind it needs a \"/\" in between"));
        }
        Ok(Self { status, pieces, is_relative, has_query: text.contains('?') })
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Appends the value of `Location`.
    ///
    /// # Errors
    ///
    /// The client's: it has not named the host that it is to be sent to.
    pub fn write(&self, input: &RedirectInput<'_>, out: &mut Vec<u8>) -> Result<(), HostMissing> {
        let start = out.len();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Host if input.host.is_empty() => return Err(HostMissing),
                Piece::Host => out.extend_from_slice(input.host),
                Piece::Path => out.extend_from_slice(input.path),
                Piece::Parameter(index) => out.extend_from_slice(input.parameters.values()[*index]),
            }
        }
        if self.is_relative {
            let slashes = out[start..].iter().take_while(|byte| **byte == b'/').count();
            out.drain(start..start + slashes - 1);
        }
        if let (Some(query), false) = (input.query, self.has_query) {
            out.push(b'?');
            out.extend_from_slice(query);
        }
        Ok(())
    }
}

fn pieces_of(text: &str, names: &[Box<str>]) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        push_text(before, &mut pieces)?;
        let Some((name, behind)) = after.split_once('}') else { return Err("placeholders in whole braces".to_owned()) };
        pieces.push(match name {
            "host" => Piece::Host,
            "path" => Piece::Path,
            name => match names.iter().position(|known| **known == *name) {
                Some(index) => Piece::Parameter(index),
                None => return Err(format!("{}, not {{{name}}}", placeholders(names))),
            },
        });
        rest = behind;
    }
    push_text(rest, &mut pieces)?;
    Ok(pieces)
}

fn placeholders(names: &[Box<str>]) -> String {
    let own: String = names.iter().map(|name| format!(", {{{name}}}")).collect();
    format!("the placeholders {{host}}, {{path}}{own}")
}

fn push_text(text: &str, pieces: &mut Vec<Piece>) -> Result<(), String> {
    let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte);
    if let Some(bad) = text.chars().find(|character| !u8::try_from(*character).is_ok_and(may_stand)) {
        return Err(format!("the characters of a URI; {} is written as its escape", quoted(&bad.to_string())));
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.as_bytes().into()));
    }
    Ok(())
}

/// Whether the operator alone, and the request's own host, say which host a whole URI names.
fn is_host_fixed(pieces: &[Piece]) -> bool {
    let mut authority_bytes = 0;
    for (index, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(text) => {
                let scheme = if index == 0 { memchr::memmem::find(text, b"://").map_or(0, |at| at + 3) } else { 0 };
                let authority = &text[scheme..];
                let end = authority.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
                let part = &authority[..end.unwrap_or(authority.len())];
                authority_bytes += part.len();
                if part.contains(&b'@') {
                    return false;
                }
                if end.is_some() {
                    return authority_bytes > 0;
                }
            }
            Piece::Host => authority_bytes += 1,
            Piece::Path => return authority_bytes > 0,
            Piece::Parameter(_) => return false,
        }
    }
    authority_bytes > 0
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::pattern::PathPattern;
    use crate::tree::{PathTree, RouteIndex};

    /// The target for a request to `path`, of a route with this pattern.
    fn target(pattern: &str, to: &str, path: &str, query: Option<&str>) -> Result<String, String> {
        let pattern = PathPattern::parse(pattern).unwrap();
        let template =
            RedirectTemplate::parse(Status::NotFound, to, &pattern.names).map_err(|reason| reason.to_string())?;
        let mut tree = PathTree::default();
        tree.routes_of(&pattern.segments).push(RouteIndex(0));
        let found = tree.visit(path.as_bytes(), &mut |_, parameters| ControlFlow::Break(parameters));
        let ControlFlow::Break(parameters) = found else { panic!("{path} matches") };
        let query = query.map(str::as_bytes);
        let input = RedirectInput { host: b"a.example", path: path.as_bytes(), query, parameters };
        let mut out = b"Location: ".to_vec();
        template.write(&input, &mut out).unwrap();
        Ok(String::from_utf8(out).unwrap().strip_prefix("Location: ").unwrap().to_owned())
    }

    #[test]
    fn targets() {
        for (pattern, to, path, query, location) in [
            ("/old/{*rest}", "/new/{rest}", "/old/a/b", None, "/new/a/b"),
            ("/old/{*rest}", "/new/{rest}", "/old/", Some("q=1"), "/new/?q=1"),
            ("/old/{*rest}", "/{rest}", "/old//evil.example/x", None, "/evil.example/x"),
            ("/{*all}", "https://{host}{path}", "/a%2Fb", Some(""), "https://a.example/a%2Fb?"),
            ("/{*all}", "https://www.{host}:8443{path}", "/", None, "https://www.a.example:8443/"),
            ("/{a}/{b}", "https://b.example/{b}?was={a}", "/1/2", Some("q"), "https://b.example/2?was=1"),
            ("/x", "https://b.example", "/x", Some("q"), "https://b.example?q"),
            ("/x", "http://[::1]/", "/x", None, "http://[::1]/"),
        ] {
            assert_eq!(target(pattern, to, path, query).as_deref(), Ok(location), "{to}");
        }
    }

    #[test]
    fn refused_targets() {
        for (to, word) in [
            ("", "begins with"),
            ("new", "begins with"),
            ("//b.example/", "begins with"),
            ("ftp://b.example/", "begins with"),
            ("{path}", "begins with"),
            ("https://", "fixed text"),
            ("https:///x", "fixed text"),
            ("https://{rest}", "fixed text"),
            ("https://b.example{rest}", "fixed text"),
            ("https://{host}{rest}", "fixed text"),
            ("https://{path}", "fixed text"),
            ("https://u@b.example/", "fixed text"),
            ("/{nobody}", "{rest}, not {nobody}"),
            ("/{rest", "whole braces"),
            ("/a b", "escape"),
            ("/a\r\nX: y", "escape"),
            ("/é", "escape"),
        ] {
            let error = target("/old/{*rest}", to, "/old/x", None).unwrap_err();
            assert!(error.contains(word), "{to}: {error}");
        }
    }

    #[test]
    fn a_host_that_is_needed_must_be_named() {
        let template = RedirectTemplate::parse(Status::NotFound, "https://{host}/", &[]).unwrap();
        let input = RedirectInput { host: b"", path: b"/", query: None, parameters: PathParameters::none() };
        assert_eq!(template.write(&input, &mut Vec::new()), Err(HostMissing));
    }

    #[test]
    fn statuses_are_those_that_clients_follow() {
        assert_eq!(RedirectTemplate::status_of(None).map(Status::code), Ok(308));
        assert_eq!(RedirectTemplate::status_of(Some(301)).map(Status::code), Ok(301));
        for code in [0, 200, 300, 304, 305, 306, 399, 1000] {
            assert!(RedirectTemplate::status_of(Some(code)).is_err(), "{code}");
        }
    }
}
