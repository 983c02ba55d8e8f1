//! Which answer a request gets.
//!
//! **Not** I/O; what is answered comes from the binary. **Invariants**: only what the target names is compared, byte for
//! byte: nothing is decoded, so that no two spellings name one page.
//!
//! **Source**: RFC 9110 section 9 and 15.5; RFC 9112 section 3.2.

use corelane_http::{
    Method, Status,
    field::FieldValue,
    problem::Problem,
    request::{RequestBody, RequestHead, RequestTarget},
};
use serde_json::json;

use super::{
    Commands, DrainCommand, Readiness,
    answer::AdminAnswer,
    hosts,
    page::{AdminPage, PageRequest},
    server::AdminServer,
};
use crate::metrics::Text;

/// A page that every binary has.
struct FixedPage {
    path: &'static str,
    make: fn(&AdminServer) -> AdminPage,
}

const PAGES: [FixedPage; 6] = [
    FixedPage { path: "/", make: index },
    FixedPage { path: "/healthz", make: |_| AdminPage::text(Status::Ok, "ok\n") },
    FixedPage { path: "/readyz", make: readiness },
    FixedPage { path: "/metrics", make: metrics },
    FixedPage { path: "/v1/status", make: status },
    FixedPage { path: "/v1/config", make: config },
];

const COMMANDS: [(&str, DrainCommand); 2] =
    [("/v1/drain", DrainCommand::Drain), ("/v1/undrain", DrainCommand::Undrain)];

/// Pages that are answered under any name: balancers probe with the name of the service.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// The type of the exposition, version included, as scrapers expect it.
const EXPOSITION_TYPE: &[u8] = b"text/plain; version=0.0.4; charset=utf-8";
const HTML_TYPE: &[u8] = b"text/html; charset=utf-8";
/// One document: nothing else is fetched but `/v1/status`.
const INDEX: &[u8] = include_bytes!("index.html");
const READ_METHODS: &[u8] = b"GET, HEAD";
const COMMAND_METHODS: &[u8] = b"POST";

/// The response to a request without a body.
pub(super) fn answer(head: &RequestHead<'_>, server: &AdminServer) -> AdminAnswer {
    let (path, query) = match head.target() {
        RequestTarget::Origin { path, query } => (path, query),
        RequestTarget::Absolute { path: b"*", .. } | RequestTarget::Asterisk => {
            return AdminAnswer::options(value(READ_METHODS));
        }
        RequestTarget::Absolute { path: b"", query, .. } => (&b"/"[..], query),
        RequestTarget::Absolute { path, query, .. } => (path, query),
        RequestTarget::Authority(_) => return not_allowed("this listener is no proxy"),
    };
    let tells_nothing = PROBES.iter().any(|probe| probe.as_bytes() == path);
    if !tells_nothing && !hosts::are_known(head, server.admin().hosts().as_deref()) {
        return foreign_name();
    }
    if let Some(page) = PAGES.iter().find(|page| page.path.as_bytes() == path) {
        return if head.method().is_read() {
            (page.make)(server).into()
        } else {
            not_allowed("this page can only be read")
        };
    }
    if let Some((_, command)) = COMMANDS.iter().find(|(command, _)| command.as_bytes() == path) {
        return match (server.commands, head.method()) {
            (Commands::Refused, _) => no_commands(),
            (Commands::Taken, Method::Post) => server.admin().command(*command).into(),
            (Commands::Taken, _) => not_allowed("this is a command").with_allow(value(COMMAND_METHODS)),
        };
    }
    let request = PageRequest { method: head.method(), path: text(path), query: query.map(text) };
    server.admin().page(&request).map_or_else(
        || {
            let detail = "there is no such page; / lists the pages";
            AdminAnswer::problem(&Problem { limit: None, status: Status::NotFound, slug: "not-found", detail })
        },
        AdminAnswer::from,
    )
}

/// Whether it asks for a page of probes, which is answered also when all connections are taken.
pub(super) fn is_probe(head: &RequestHead<'_>) -> bool {
    let (RequestTarget::Origin { path, .. } | RequestTarget::Absolute { path, .. }) = head.target() else {
        return false;
    };
    matches!(path, b"/healthz" | b"/readyz") && head.body() == RequestBody::None
}

/// The response to a request that has a body.
pub(super) fn body_refused() -> AdminAnswer {
    let detail = "requests to this listener have no body";
    AdminAnswer::problem(&Problem { limit: None, status: Status::ContentTooLarge, slug: "body-too-large", detail })
}

/// The response to a head that does not come to its end in time.
pub(super) fn too_slow() -> AdminAnswer {
    let detail = "the request head did not arrive in time";
    AdminAnswer::problem(&Problem { limit: None, status: Status::RequestTimeout, slug: "slow-head", detail })
}

/// The response to a connection beyond the bound.
pub(super) fn too_many_connections() -> AdminAnswer {
    let detail = "this listener has reached its bound of connections";
    AdminAnswer::problem(&Problem { limit: None, status: Status::ServiceUnavailable, slug: "connections", detail })
}

fn foreign_name() -> AdminAnswer {
    let detail = "Host or Origin is a name that is not known to be this listener's; use its address, or configure the name as admin_hosts";
    AdminAnswer::problem(&Problem { limit: None, status: Status::Forbidden, slug: "foreign-name", detail })
}

fn no_commands() -> AdminAnswer {
    let detail = "this listener takes no commands; send it to the address that command_listen names";
    AdminAnswer::problem(&Problem { limit: None, status: Status::Forbidden, slug: "no-commands", detail })
}

fn not_allowed(detail: &str) -> AdminAnswer {
    let problem = Problem { limit: None, status: Status::MethodNotAllowed, slug: "method-not-allowed", detail };
    AdminAnswer::problem(&problem).with_allow(value(READ_METHODS))
}

fn readiness(server: &AdminServer) -> AdminPage {
    match server.admin().readiness() {
        Readiness::Ready => match server.admin().warnings() {
            warnings if warnings.is_empty() => AdminPage::json(Status::Ok, &json!({ "ready": true })),
            warnings => AdminPage::json(Status::Ok, &json!({ "ready": true, "warnings": warnings })),
        },
        Readiness::NotReady(reasons) => {
            AdminPage::json(Status::ServiceUnavailable, &json!({ "ready": false, "reasons": reasons }))
        }
    }
}

fn metrics(server: &AdminServer) -> AdminPage {
    let mut text = Text::new();
    server.admin().metrics(&mut text);
    server.render(&mut text);
    AdminPage { status: Status::Ok, content_type: value(EXPOSITION_TYPE), body: text.finish().into_bytes() }
}

fn status(server: &AdminServer) -> AdminPage {
    AdminPage::json(Status::Ok, &server.admin().status())
}

fn config(server: &AdminServer) -> AdminPage {
    AdminPage::json(Status::Ok, &server.admin().config())
}

fn index(_: &AdminServer) -> AdminPage {
    AdminPage { status: Status::Ok, content_type: value(HTML_TYPE), body: INDEX.to_vec() }
}

fn value(bytes: &'static [u8]) -> FieldValue<'static> {
    FieldValue::new(bytes).expect("the constants above hold no control byte")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the parser lets only bytes of a URI, which are ASCII, into a target")
}
