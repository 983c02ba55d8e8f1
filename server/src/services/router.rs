//! Requests that are answered from their head alone and are no reads: what does not exist, and what is not allowed.
//!
//! **Invariants**: `*` and authority forms are never taken for paths; every 405 says what is allowed.

use corelane_http::field::FieldValue;
use corelane_http::problem::Problem;
use corelane_http::request::{Body, Head, Target};
use corelane_http::response::ResponseHead;
use corelane_http::{Method, Status};

use crate::edge::EdgeCore;
use crate::exchange::reply::Context;
use crate::services::kv::path::Path;

const KEY_METHODS: &[u8] = b"GET, HEAD, PUT, DELETE, OPTIONS";
const ROOT_METHODS: &[u8] = b"GET, HEAD, OPTIONS";

const ABOUT: &[u8] = b"Corelane. Values are at /v1/kv/{keyspace}/{key}: GET, HEAD, PUT, DELETE.\n";

/// What a request is about.
pub(crate) enum Subject<'a> {
    /// A read of a key.
    Read { keyspace: &'a [u8], raw_key: &'a [u8] },
    /// A write to a key: PUT or DELETE.
    Write,
    /// Anything that [`serve`] answers.
    Simple(Simple),
}

/// A request that is answered from its head alone.
pub(crate) enum Simple {
    /// `OPTIONS`, with what is allowed.
    Options(&'static [u8]),
    NotAllowed(&'static [u8]),
    Root,
    Unknown,
    /// A body where none has a meaning.
    Body,
}

/// Tells what a request is about.
#[inline]
pub(crate) fn subject<'a>(head: &Head<'a>) -> Subject<'a> {
    let path = match head.target() {
        Target::Origin { path, .. } => path,
        Target::Absolute { path: b"*", .. } | Target::Asterisk => return Subject::Simple(asterisk(head.method())),
        // An absolute form without a path means its root (RFC 9110, section 4.2.3).
        Target::Absolute { path: b"", .. } => b"/",
        Target::Absolute { path, .. } => path,
        Target::Authority(_) => return Subject::Simple(Simple::NotAllowed(KEY_METHODS)),
    };
    let subject = match (Path::parse(path), head.method()) {
        (Path::Key { .. }, Method::Put) => return Subject::Write,
        (Path::Key { keyspace, raw_key }, Method::Get | Method::Head) => Subject::Read { keyspace, raw_key },
        (Path::Key { .. }, Method::Delete) => Subject::Write,
        (Path::Key { .. }, Method::Options) => Subject::Simple(Simple::Options(KEY_METHODS)),
        (Path::Key { .. }, _) => Subject::Simple(Simple::NotAllowed(KEY_METHODS)),
        (Path::Root, Method::Get | Method::Head) => Subject::Simple(Simple::Root),
        (Path::Root, Method::Options) => Subject::Simple(Simple::Options(ROOT_METHODS)),
        (Path::Root, _) => Subject::Simple(Simple::NotAllowed(ROOT_METHODS)),
        (Path::Unknown, _) => Subject::Simple(Simple::Unknown),
    };
    match subject {
        // What is refused anyway is refused for its own reason.
        Subject::Simple(Simple::NotAllowed(_) | Simple::Unknown) => subject,
        _ if head.body() != Body::None => Subject::Simple(Simple::Body),
        _ => subject,
    }
}

fn asterisk(method: Method) -> Simple {
    match method {
        Method::Options => Simple::Options(KEY_METHODS),
        _ => Simple::NotAllowed(b"OPTIONS"),
    }
}

/// Answers.
pub(crate) fn serve(core: &EdgeCore, simple: &Simple, context: Context, out: &mut Vec<u8>) {
    match simple {
        Simple::Options(allow) => {
            let head = ResponseHead {
                connection: context.connection,
                allow: FieldValue::new(allow),
                ..ResponseHead::new(Status::NoContent)
            };
            core.write_head(&head, out);
        }
        Simple::NotAllowed(allow) => {
            let status = Status::MethodNotAllowed;
            let detail = "this method is not allowed here; Allow names those that are";
            let extra = ResponseHead { allow: FieldValue::new(allow), ..ResponseHead::new(status) };
            core.write_problem_with(context, &Problem { status, slug: "method-not-allowed", detail }, extra, out);
        }
        Simple::Root => {
            let head = ResponseHead {
                connection: context.connection,
                content_length: Some(ABOUT.len() as u64),
                content_type: Some(FieldValue::TEXT),
                ..ResponseHead::new(Status::Ok)
            };
            core.write_head(&head, out);
            if head.sends_body(context.method) {
                out.extend_from_slice(ABOUT);
            }
        }
        Simple::Unknown => {
            let detail = "there is nothing at this path; values are at /v1/kv/{keyspace}/{key}";
            core.write_problem(context, &Problem { status: Status::NotFound, slug: "unknown-path", detail }, out);
        }
        Simple::Body => {
            let detail = "a body has no meaning with this method here";
            core.write_problem(context, &Problem { status: Status::BadRequest, slug: "unexpected-body", detail }, out);
        }
    }
}
