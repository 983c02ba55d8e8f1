//! A response, and its bytes.
//!
//! **Not** choosing it. **Invariants**: a response to `HEAD` has the head that `GET` would have and no body; a refusal says
//! that it is the last response.
//!
//! **Source**: RFC 9110 section 9.3.2; RFC 9457.

use corelane_http::{
    Status,
    field::FieldValue,
    h1::{ResponseStart, server::ResponseForm},
    problem::Problem,
    response::ResponseHead,
};

use super::page::AdminPage;

/// Seconds after which a client that was answered 503 may ask again: what makes a process not ready changes in seconds.
const RETRY_AFTER_S: u32 = 1;

/// What is answered to one request.
#[derive(Debug)]
pub(super) struct AdminAnswer {
    pub(super) status: Status,
    content_type: Option<FieldValue<'static>>,
    allow: Option<FieldValue<'static>>,
    body: Vec<u8>,
}

impl From<AdminPage> for AdminAnswer {
    fn from(page: AdminPage) -> Self {
        Self { status: page.status, content_type: Some(page.content_type), allow: None, body: page.body }
    }
}

impl AdminAnswer {
    /// A response without a body that says which methods are allowed.
    pub(super) fn options(allow: FieldValue<'static>) -> Self {
        Self { status: Status::NoContent, content_type: None, allow: Some(allow), body: Vec::new() }
    }

    /// An error.
    pub(super) fn problem(problem: &Problem<'_>) -> Self {
        let mut body = Vec::new();
        problem.encode_body(&mut body);
        Self { status: problem.status, content_type: Some(FieldValue::PROBLEM_JSON), allow: None, body }
    }

    /// The same, with the methods that are allowed.
    pub(super) fn with_allow(self, allow: FieldValue<'static>) -> Self {
        Self { allow: Some(allow), ..self }
    }

    /// Appends the response in this form.
    pub(super) fn encode(&self, form: ResponseForm, wall_ms: u64, out: &mut Vec<u8>) {
        let head = ResponseHead {
            connection: form.connection,
            content_length: Some(self.body.len() as u64),
            content_type: self.content_type,
            allow: self.allow,
            retry_after_s: (self.status == Status::ServiceUnavailable).then_some(RETRY_AFTER_S),
            ..ResponseHead::new(self.status)
        };
        head.encode(&ResponseStart::at_unix_seconds(wall_ms / 1000), out);
        if head.sends_body(form.method) {
            out.extend_from_slice(&self.body);
        }
    }
}
