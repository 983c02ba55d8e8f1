//! Which service a request is for.
//!
//! **Not** decoding: a key is routed as it was sent.
//!
//! **Invariants**: `*` and authority forms are never taken for paths; a body is never ignored.

use corelane_http::Method;
use corelane_http::request::{Body, Head, Target};

use super::kv::path::Path;
use super::status::Page;

const KEY_METHODS: &[u8] = b"GET, HEAD, PUT, DELETE, OPTIONS";
const ROOT_METHODS: &[u8] = b"GET, HEAD, OPTIONS";

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// To the key-value service: GET or HEAD.
    Read { keyspace: &'a [u8], raw_key: &'a [u8] },
    /// To the key-value service: PUT or DELETE.
    Write { keyspace: &'a [u8], raw_key: &'a [u8] },
    /// To the status service.
    Status(Page),
}

/// Routes a request.
#[inline]
pub(crate) fn route<'a>(head: &Head<'a>) -> Route<'a> {
    let path = match head.target() {
        Target::Origin { path, .. } => path,
        Target::Absolute { path: b"*", .. } | Target::Asterisk => return Route::Status(asterisk(head.method())),
        // An absolute form without a path means its root (RFC 9110, section 4.2.3).
        Target::Absolute { path: b"", .. } => b"/",
        Target::Absolute { path, .. } => path,
        Target::Authority(_) => return Route::Status(Page::NotAllowed(KEY_METHODS)),
    };
    let route = match (Path::parse(path), head.method()) {
        (Path::Key { keyspace, raw_key }, Method::Put) => return Route::Write { keyspace, raw_key },
        (Path::Key { keyspace, raw_key }, Method::Get | Method::Head) => Route::Read { keyspace, raw_key },
        (Path::Key { keyspace, raw_key }, Method::Delete) => Route::Write { keyspace, raw_key },
        (Path::Key { .. }, Method::Options) => Route::Status(Page::Options(KEY_METHODS)),
        (Path::Key { .. }, _) => Route::Status(Page::NotAllowed(KEY_METHODS)),
        (Path::Root, Method::Get | Method::Head) => Route::Status(Page::Root),
        (Path::Root, Method::Options) => Route::Status(Page::Options(ROOT_METHODS)),
        (Path::Root, _) => Route::Status(Page::NotAllowed(ROOT_METHODS)),
        (Path::Unknown, _) => Route::Status(Page::UnknownPath),
    };
    match route {
        // What is refused anyway is refused for its own reason.
        Route::Status(Page::NotAllowed(_) | Page::UnknownPath) => route,
        _ if head.body() != Body::None => Route::Status(Page::UnexpectedBody),
        _ => route,
    }
}

fn asterisk(method: Method) -> Page {
    match method {
        Method::Options => Page::Options(KEY_METHODS),
        _ => Page::NotAllowed(b"OPTIONS"),
    }
}
