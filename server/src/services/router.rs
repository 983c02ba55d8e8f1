//! Which service a request is for.
//!
//! **Not** decoding: a key is routed as it was sent.
//!
//! **Invariants**: a query on a key is refused, never ignored; `*` and authority forms are never taken for paths; a body is never ignored.

use corelane_http::Method;
use corelane_http::request::{RequestBody, RequestHead, RequestTarget};

use super::kv::path::Path;
use super::status::FixedResponse;

const KEY_METHODS: &[u8] = b"GET, HEAD, PUT, DELETE, OPTIONS";
/// Where an authority looks for the proof that a domain leads here (RFC 8555, section 8.3).
const CHALLENGE_PREFIX: &[u8] = b"/.well-known/acme-challenge/";

const ROOT_METHODS: &[u8] = b"GET, HEAD, OPTIONS";

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// To the key-value service: GET or HEAD.
    Read { keyspace: &'a [u8], raw_key: &'a [u8] },
    /// To the key-value service: PUT or DELETE.
    Write { keyspace: &'a [u8], raw_key: &'a [u8] },
    /// To the proof that a domain leads here: GET or HEAD.
    Challenge { token: &'a [u8] },
    /// To the status service.
    Status(FixedResponse),
}

/// Routes a request.
#[inline]
pub(crate) fn route<'a>(head: &RequestHead<'a>) -> Route<'a> {
    let path = match head.target() {
        RequestTarget::Origin { path, query: None } => path,
        RequestTarget::Origin { path, query: Some(_) } | RequestTarget::Absolute { path, query: Some(_), .. }
            if matches!(Path::parse(path), Path::Key { .. }) =>
        {
            return Route::Status(FixedResponse::QueryOnKey);
        }
        RequestTarget::Origin { path, .. } => path,
        RequestTarget::Absolute { path: b"*", .. } | RequestTarget::Asterisk => {
            return Route::Status(asterisk(head.method()));
        }
        // An absolute form without a path means its root (RFC 9110, section 4.2.3).
        RequestTarget::Absolute { path: b"", .. } => b"/",
        RequestTarget::Absolute { path, .. } => path,
        RequestTarget::Authority(_) => return Route::Status(FixedResponse::NotAllowed(KEY_METHODS)),
    };
    let route = match (Path::parse(path), head.method()) {
        (Path::Key { keyspace, raw_key }, Method::Put) => return Route::Write { keyspace, raw_key },
        (Path::Key { keyspace, raw_key }, Method::Get | Method::Head) => Route::Read { keyspace, raw_key },
        (Path::Key { keyspace, raw_key }, Method::Delete) => Route::Write { keyspace, raw_key },
        (Path::Key { .. }, Method::Options) => Route::Status(FixedResponse::Options(KEY_METHODS)),
        (Path::Key { .. }, _) => Route::Status(FixedResponse::NotAllowed(KEY_METHODS)),
        (Path::Root, Method::Get | Method::Head) => Route::Status(FixedResponse::Root),
        (Path::Root, Method::Options) => Route::Status(FixedResponse::Options(ROOT_METHODS)),
        (Path::Root, _) => Route::Status(FixedResponse::NotAllowed(ROOT_METHODS)),
        (Path::Unknown, method) => unknown(path, method),
    };
    match route {
        // What is refused anyway is refused for its own reason.
        Route::Status(FixedResponse::NotAllowed(_) | FixedResponse::UnknownPath) => route,
        _ if head.body() != RequestBody::None => Route::Status(FixedResponse::UnexpectedBody),
        _ => route,
    }
}

/// Routes what is no resource of its own.
#[cold]
fn unknown(path: &[u8], method: Method) -> Route<'_> {
    match (path.strip_prefix(CHALLENGE_PREFIX), method) {
        (Some(token), Method::Get | Method::Head) if !token.is_empty() => Route::Challenge { token },
        _ => Route::Status(FixedResponse::UnknownPath),
    }
}

fn asterisk(method: Method) -> FixedResponse {
    match method {
        Method::Options => FixedResponse::Options(KEY_METHODS),
        _ => FixedResponse::NotAllowed(b"OPTIONS"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::fakes::with_head;

    #[test]
    fn requests_go_to_the_service_of_their_target() {
        let (keyspace, raw_key): (&[u8], &[u8]) = (b"k", b"a/b");
        let (read, write) = (Route::Read { keyspace, raw_key }, Route::Write { keyspace, raw_key });
        let status = Route::Status;
        let cases = [
            ("GET /v1/kv/k/a/b", "", &read),
            ("HEAD /v1/kv/k/a/b", "", &read),
            ("HEAD /v1/kv/k/a/b?q", "", &status(FixedResponse::QueryOnKey)),
            ("PUT /v1/kv/k/a/b?", "Content-Length: 1\r\n", &status(FixedResponse::QueryOnKey)),
            ("DELETE http://h/v1/kv/k/a/b?q", "", &status(FixedResponse::QueryOnKey)),
            ("GET /?q", "", &status(FixedResponse::Root)),
            ("GET http://h/v1/kv/k/a/b", "", &read),
            ("PUT /v1/kv/k/a/b", "Content-Length: 1\r\n", &write),
            ("DELETE /v1/kv/k/a/b", "", &write),
            ("OPTIONS /v1/kv/k/a/b", "", &status(FixedResponse::Options(KEY_METHODS))),
            ("POST /v1/kv/k/a/b", "Content-Length: 1\r\n", &status(FixedResponse::NotAllowed(KEY_METHODS))),
            ("GET /", "", &status(FixedResponse::Root)),
            ("GET http://h", "", &status(FixedResponse::Root)),
            ("OPTIONS /", "", &status(FixedResponse::Options(ROOT_METHODS))),
            ("DELETE /", "", &status(FixedResponse::NotAllowed(ROOT_METHODS))),
            ("GET /v2", "Content-Length: 1\r\n", &status(FixedResponse::UnknownPath)),
            ("GET /.well-known/acme-challenge/a-b_", "", &Route::Challenge { token: b"a-b_" }),
            ("HEAD /.well-known/acme-challenge/a/b?q", "", &Route::Challenge { token: b"a/b" }),
            ("GET /.well-known/acme-challenge/", "", &status(FixedResponse::UnknownPath)),
            ("PUT /.well-known/acme-challenge/a", "Content-Length: 1\r\n", &status(FixedResponse::UnknownPath)),
            ("GET /.well-known/acme-challenge/a", "Content-Length: 1\r\n", &status(FixedResponse::UnexpectedBody)),
            ("OPTIONS *", "", &status(FixedResponse::Options(KEY_METHODS))),
            ("CONNECT h:1", "", &status(FixedResponse::NotAllowed(KEY_METHODS))),
            ("GET /v1/kv/k/a/b", "Content-Length: 1\r\n", &status(FixedResponse::UnexpectedBody)),
            ("DELETE /v1/kv/k/a/b", "Transfer-Encoding: chunked\r\n", &status(FixedResponse::UnexpectedBody)),
        ];
        for (line, fields, expected) in cases {
            let host = if line.starts_with("CONNECT") { "h:1" } else { "h" };
            with_head(&format!("{line} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"), |head| {
                assert_eq!(&route(head), expected, "{line}, {fields:?}");
            });
        }
    }
}
