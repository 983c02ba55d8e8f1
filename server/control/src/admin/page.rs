//! Pages that a binary adds to the admin listener.
//!
//! **Not**: bodies of requests; whatever a page needs is in its path and query.

use corelane_http::{Method, Status, field::FieldValue, problem::Problem};
use serde_json::Value;

/// A request for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest<'a> {
    /// The method.
    pub method: Method,
    /// The path as sent, not decoded; begins with `/`.
    pub path: &'a str,
    /// The query as sent, without its `?`.
    pub query: Option<&'a str>,
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct AdminPage {
    /// The status.
    pub status: Status,
    /// The type of the body.
    pub content_type: FieldValue<'static>,
    /// The body.
    pub body: Vec<u8>,
}

impl AdminPage {
    /// A page of JSON.
    #[must_use]
    pub fn json(status: Status, value: &Value) -> Self {
        let mut body = serde_json::to_vec_pretty(value).expect("a JSON value has no keys but strings");
        body.push(b'\n');
        Self { status, content_type: FieldValue::JSON, body }
    }

    /// An error, as `application/problem+json` (RFC 9457).
    #[must_use]
    pub fn problem(problem: &Problem<'_>) -> Self {
        let mut body = Vec::new();
        problem.encode_body(&mut body);
        Self { status: problem.status, content_type: FieldValue::PROBLEM_JSON, body }
    }

    /// A page of plain text.
    #[must_use]
    pub fn text(status: Status, text: impl Into<String>) -> Self {
        Self { status, content_type: FieldValue::TEXT, body: text.into().into_bytes() }
    }
}
