//! Why a request takes the route it takes: the pure functions that route it, with everything they looked at.
//!
//! **Not**: asking anybody; nothing is fetched, and what is stored is not looked at.
//!
//! **Invariants**: the route that is named is the one that [`RouteTable::route`] gives for the same request.
//!
//! **Source**: docs/proxy.md, "Why did this request go there?".

use std::fmt;
use std::ops::ControlFlow;

use corelane_http::MessageLimits;
use corelane_http::h1::Parsed;
use corelane_http::h1::request::{Resume, parse};
use corelane_http::request::RequestTarget;

use crate::condition::UnmetCondition;
use crate::normal::{self, NormalAuthority, RequestScheme};
use crate::redirect::RedirectInput;
use crate::source::SourcePlace;
use crate::table::{CandidateHost, RouteCandidate, RouteRequest, RouteTable, RouteTarget, ServiceKind};

/// What the paths of the KV API begin with, as they are sent.
pub const KV_PREFIX: &[u8] = b"/v1/kv/";

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteQuestion<'a> {
    /// The method.
    pub method: &'a str,
    /// The whole URL.
    pub url: &'a str,
    /// Field lines: `Name: value`.
    pub fields: Vec<&'a str>,
}

/// Why nothing can be said. The asker's to correct.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionFault {
    /// It has no method and URL.
    #[error("a method and a URL are needed, such as \"GET https://example.com/path\"")]
    Form,
    /// No client could send it.
    #[error("such a request is refused with 400: {0}")]
    Refused(String),
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The scheme.
    pub scheme: &'static str,
    /// The host in normal form.
    pub host: String,
    /// The path in normal form.
    pub path: String,
    /// The query, as it was sent.
    pub query: Option<String>,
    /// The routes whose host and path match, the most specific first.
    pub candidates: Vec<ExplainedRoute>,
    /// What is answered.
    pub outcome: RouteOutcome,
}

/// A route whose host and path match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedRoute {
    /// Its number in the order of the files, from 1.
    pub number: usize,
    /// Where it stands.
    pub place: SourcePlace,
    /// The pattern of hosts by which it matches.
    pub host: String,
    /// Its pattern of paths.
    pub path: String,
    /// Whether it wins, or why not.
    pub verdict: String,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteOutcome {
    /// The KV API answers.
    Kv,
    /// A service gives its fixed answer, with this status.
    Answer {
        /// The name of the service.
        service: String,
        /// The status.
        status: u16,
    },
    /// The client is sent there.
    Redirect {
        /// The status.
        status: u16,
        /// The target.
        location: String,
    },
    /// There is no route: 404.
    NoRoute,
}

impl<'a> RouteQuestion<'a> {
    /// Reads `METHOD URL`, and field lines behind it.
    ///
    /// # Errors
    ///
    /// The asker's: the first line is something else.
    pub fn parse(text: &'a str) -> Result<Self, QuestionFault> {
        let mut lines = text.lines();
        let mut words = lines.next().unwrap_or_default().split_ascii_whitespace();
        let (Some(method), Some(url), None) = (words.next(), words.next(), words.next()) else {
            return Err(QuestionFault::Form);
        };
        Ok(Self { method, url, fields: lines.filter(|line| !line.is_empty()).collect() })
    }
}

/// Says what becomes of a request.
///
/// # Errors
///
/// The asker's: no client could send such a request.
pub fn explain(table: &RouteTable, question: &RouteQuestion<'_>) -> Result<Explanation, QuestionFault> {
    let (scheme, rest) = [RequestScheme::Http, RequestScheme::Https]
        .into_iter()
        .find_map(|scheme| Some((scheme, question.url.strip_prefix(scheme.name())?.strip_prefix("://")?)))
        .ok_or(QuestionFault::Form)?;
    let rest = rest.split('#').next().unwrap_or_default();
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(authority_end);
    let slash = if target.starts_with('/') { "" } else { "/" };
    let fields: String = question.fields.iter().map(|line| format!("{line}\r\n")).collect();
    let text = format!("{} {slash}{target} HTTP/1.1\r\nHost: {authority}\r\n{fields}\r\n", question.method);
    let refused = |reason: String| QuestionFault::Refused(reason);
    let mut resume = Resume::default();
    let head = match parse(text.as_bytes(), &MessageLimits::default(), &mut resume) {
        Ok(Parsed::Complete(head)) if head.head_bytes() == text.len() => head,
        Ok(_) => return Err(refused("the fields are not whole lines of \"Name: value\"".to_owned())),
        Err(error) => return Err(refused(error.to_string())),
    };
    let RequestTarget::Origin { path: raw_path, query } = head.target() else { return Err(QuestionFault::Form) };
    let (mut host_scratch, mut path_scratch) = (Vec::new(), Vec::new());
    let NormalAuthority { host, .. } = normal::authority(head.host().unwrap_or_default(), scheme, &mut host_scratch)
        .map_err(|error| refused(error.to_string()))?;
    let path = normal::path(raw_path, &mut path_scratch).map_err(|error| refused(error.to_string()))?;
    let request = RouteRequest { scheme, host, path, method: head.method_text(), fields: head.fields() };
    let is_kv = raw_path.starts_with(KV_PREFIX) && table.has_kv_on(host);
    let (candidates, winner) = if is_kv { (Vec::new(), None) } else { candidates(table, &request) };
    let outcome = match winner {
        _ if is_kv => RouteOutcome::Kv,
        None => RouteOutcome::NoRoute,
        Some(RouteCandidate { route, parameters, .. }) => {
            let input = RedirectInput { host, path, query, parameters };
            outcome(table.target(route), &input).map_err(|error| refused(error.to_string()))?
        }
    };
    let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let (host, path, query) = (shown(host), shown(path), query.map(shown));
    Ok(Explanation { scheme: scheme.name(), host, path, query, candidates, outcome })
}

/// Every candidate with what became of it, and the one that wins.
fn candidates<'t, 'r>(
    table: &'t RouteTable,
    request: &RouteRequest<'r>,
) -> (Vec<ExplainedRoute>, Option<RouteCandidate<'t, 'r>>) {
    let mut explained = Vec::new();
    let mut winner = None;
    let all: ControlFlow<()> = table.candidates(request, &mut |candidate: RouteCandidate<'t, 'r>| {
        let verdict = match candidate.unmet {
            Some(UnmetCondition::Method) => "lost: its method is another".to_owned(),
            Some(UnmetCondition::Scheme) => "lost: its scheme is the other".to_owned(),
            Some(UnmetCondition::Field(name)) => {
                format!("lost: the field {} is not as asked", name.escape_ascii())
            }
            None if winner.is_none() => "wins".to_owned(),
            None => "lost: less specific".to_owned(),
        };
        if candidate.unmet.is_none() && winner.is_none() {
            winner = Some(candidate);
        }
        let host = match candidate.host {
            CandidateHost::Exact => request.host.escape_ascii().to_string(),
            CandidateHost::Below(suffix) => format!("*{}", suffix.escape_ascii()),
            CandidateHost::Any => "every host".to_owned(),
        };
        let route = candidate.route;
        let (place, path) = (route.place.clone(), route.path.to_string());
        explained.push(ExplainedRoute { number: route.number, place, host, path, verdict });
        ControlFlow::Continue(())
    });
    debug_assert!(all.is_continue());
    (explained, winner)
}

fn outcome(target: RouteTarget<'_>, input: &RedirectInput<'_>) -> Result<RouteOutcome, crate::HostMissing> {
    match target {
        RouteTarget::Service(service) => {
            let ServiceKind::Answer(answer) = &service.kind;
            Ok(RouteOutcome::Answer { service: service.name.to_string(), status: answer.status.code() })
        }
        RouteTarget::Redirect(redirect) => {
            let mut location = Vec::new();
            redirect.write(input, &mut location)?;
            let location = location.escape_ascii().to_string();
            Ok(RouteOutcome::Redirect { status: redirect.status().code(), location })
        }
    }
}

impl fmt::Display for RouteOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kv => f.write_str("the KV API answers"),
            Self::Answer { service, status } => write!(f, "the service \"{service}\" answers {status}"),
            Self::Redirect { status, location } => write!(f, "redirect {status} to {location}"),
            Self::NoRoute => f.write_str("404: there is no route for this request"),
        }
    }
}

/// Several lines, each ended.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let query = self.query.as_ref().map_or_else(String::new, |query| format!(", query {query}"));
        writeln!(f, "request: {}, host {}, path {}{query}", self.scheme, self.host, self.path)?;
        for ExplainedRoute { number, place, host, path, verdict } in &self.candidates {
            writeln!(f, "{place}: route[{number}] ({host}, {path}): {verdict}")?;
        }
        writeln!(f, "result: {}", self.outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile;
    use crate::source::RouteSource;
    use crate::tests::{gateway, placed, redirect, route, routed};

    fn table() -> RouteTable {
        let hosts = |texts: &[&str], line| Some(placed(texts.iter().map(|text| (*text).to_owned()).collect(), line));
        let to = |number, path, to| RouteSource {
            service: None,
            redirect: redirect(to, None, number),
            ..route(number, path)
        };
        let mut source = gateway(vec![
            RouteSource { host: hosts(&["*.shop.example"], 1), ..route(1, "/{*rest}") },
            RouteSource { host: hosts(&["a.shop.example"], 2), method: hosts(&["PUT"], 2), ..route(2, "/b/{x}") },
            RouteSource {
                header: Some(placed(vec![("X".to_owned(), "1".to_owned())], 3)),
                method: hosts(&["GET"], 3),
                ..route(3, "/b/c")
            },
            RouteSource { scheme: Some(placed("https".to_owned(), 4)), ..route(4, "/b/c") },
            to(5, "/old/{*rest}", "/new/{rest}"),
            route(6, "/{*all}"),
        ]);
        source.kv_hosts = hosts(&["kv.example"], 7);
        compile(&source).unwrap()
    }

    fn explained(text: &str) -> Result<String, QuestionFault> {
        let question = RouteQuestion::parse(text)?;
        explain(&table(), &question).map(|explanation| explanation.to_string())
    }

    #[test]
    fn every_candidate_is_told_of() {
        let text = explained("GET http://A.shop.example:80/x/../b/c?q=1\nX: 2").unwrap();
        assert_eq!(
            text,
            "request: http, host a.shop.example, path /b/c, query q=1\n\
             a.toml:2: route[2] (a.shop.example, /b/{x}): lost: its method is another\n\
             a.toml:1: route[1] (*.shop.example, /{*rest}): wins\n\
             a.toml:3: route[3] (every host, /b/c): lost: the field x is not as asked\n\
             a.toml:4: route[4] (every host, /b/c): lost: its scheme is the other\n\
             a.toml:6: route[6] (every host, /{*all}): lost: less specific\n\
             result: the service \"app\" answers 200\n"
        );
    }

    #[test]
    fn outcomes() {
        for (text, result) in [
            ("GET https://x.example/old/a%2fb?q", "redirect 308 to /new/a%2Fb?q"),
            ("GET http://kv.example/v1/kv/default/a", "the KV API answers"),
            ("GET http://x.example/v1/kv/default/a", "the service \"app\" answers 200"),
            ("GET http://kv.example/x/../v1/kv/default/a", "the service \"app\" answers 200"),
            ("GET http://x.example", "the service \"app\" answers 200"),
        ] {
            let text = explained(text).unwrap();
            assert!(text.ends_with(&format!("result: {result}\n")), "{text}");
        }
        let nothing = explain(&RouteTable::default(), &RouteQuestion::parse("GET http://a/").unwrap()).unwrap();
        assert_eq!(nothing.outcome, RouteOutcome::NoRoute);
    }

    #[test]
    fn questions_that_cannot_be_asked() {
        for text in ["", "GET", "GET a", "GET /a", "GET ftp://a/", "GET http://a/ HTTP/1.1"] {
            assert_eq!(explained(text), Err(QuestionFault::Form), "{text}");
        }
        for text in
            ["GET http://a/%zz", "GET http://a/%00", "GET http://u@a/", "GET http://a/\nno field", "G(T http://a/"]
        {
            assert!(matches!(explained(text), Err(QuestionFault::Refused(_))), "{text}");
        }
    }

    #[test]
    fn the_explanation_is_what_is_done() {
        let table = table();
        for (path, fields) in [("/b/c", "X: 1\r\n"), ("/b/c", ""), ("/old/", ""), ("/", "")] {
            let url = format!("http://y.example{path}");
            let question = RouteQuestion { method: "GET", url: &url, fields: fields.lines().collect() };
            let explanation = explain(&table, &question).unwrap();
            let winner = explanation.candidates.iter().find(|route| route.verdict == "wins").map(|route| route.number);
            let head = format!("GET {path} HTTP/1.1\r\nHost: y.example\r\n{fields}\r\n");
            assert_eq!(winner, routed(&table, RequestScheme::Http, &head), "{path}");
        }
    }
}
