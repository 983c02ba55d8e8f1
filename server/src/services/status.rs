//! Responses that follow from a request's head alone: what the server is, what is allowed, and what does not exist.
//!
//! **Not** the admin listener's pages.
//!
//! **Invariants**: every 405 says what is allowed.

use corelane_http::field::FieldValue;
use corelane_http::problem::Problem;
use corelane_http::response::ResponseHead;
use corelane_http::{Method, Status};

use crate::exchange::Reply;

const ABOUT: &[u8] = b"Corelane. Values are at /v1/kv/{keyspace}/{key}: GET, HEAD, PUT, DELETE.\n";

/// A response that follows from the head alone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FixedResponse {
    /// `OPTIONS`, with what is allowed.
    Options(&'static [u8]),
    /// Any other method than those that are allowed.
    NotAllowed(&'static [u8]),
    Root,
    UnknownPath,
    /// A query behind the path of a key.
    QueryOnKey,
    /// A body where none has a meaning.
    UnexpectedBody,
}

/// Writes the response.
pub(crate) fn serve<R: Reply>(page: &FixedResponse, method: Method, reply: &mut R) {
    match page {
        FixedResponse::Options(allow) => {
            reply.head(ResponseHead { allow: FieldValue::new(allow), ..ResponseHead::new(Status::NoContent) });
        }
        FixedResponse::NotAllowed(allow) => {
            let status = Status::MethodNotAllowed;
            let detail = "this method is not allowed here; Allow names those that are";
            let head = ResponseHead { allow: FieldValue::new(allow), ..ResponseHead::new(status) };
            reply.problem(&Problem { limit: None, status, slug: "method-not-allowed", detail }, head);
        }
        FixedResponse::Root => {
            let head = ResponseHead {
                content_length: Some(ABOUT.len() as u64),
                content_type: Some(FieldValue::TEXT),
                ..ResponseHead::new(Status::Ok)
            };
            let sends_body = head.sends_body(method);
            reply.head(head);
            if sends_body {
                reply.copy(ABOUT);
            }
        }
        FixedResponse::UnknownPath => {
            let detail = "there is nothing at this path; values are at /v1/kv/{keyspace}/{key}";
            refuse(&Problem { limit: None, status: Status::NotFound, slug: "unknown-path", detail }, reply);
        }
        FixedResponse::QueryOnKey => {
            let detail = "a key has no query; a question mark that is part of the key is written %3F";
            refuse(&Problem { limit: None, status: Status::BadRequest, slug: "query-on-key", detail }, reply);
        }
        FixedResponse::UnexpectedBody => {
            let detail = "a body has no meaning with this method here";
            refuse(&Problem { limit: None, status: Status::BadRequest, slug: "unexpected-body", detail }, reply);
        }
    }
}

fn refuse<R: Reply>(problem: &Problem<'_>, reply: &mut R) {
    reply.problem(problem, ResponseHead::new(problem.status));
}
