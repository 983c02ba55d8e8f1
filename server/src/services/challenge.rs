//! The proof that a domain leads here, for the authority that its certificate was ordered from (http-01).
//!
//! **Not** for any other path, and not a secret: whoever knows the token may have the answer.
//!
//! **Invariants**: answers what the snapshot in force has, and is bounded by it; a token that nobody waits for is a path like others.
//!
//! **Source**: RFC 8555 section 8.3.

use std::rc::Rc;

use corelane_http::field::FieldValue;
use corelane_http::response::ResponseHead;
use corelane_http::{Method, Status};

use crate::exchange::Reply;
use crate::snapshot::CurrentSnapshot;

/// Answers authorities.
pub(crate) struct ChallengeService {
    snapshot: Rc<CurrentSnapshot>,
}

impl ChallengeService {
    pub(crate) fn new(snapshot: &Rc<CurrentSnapshot>) -> Self {
        ChallengeService { snapshot: Rc::clone(snapshot) }
    }

    /// Responds to GET or HEAD for a token; false where nobody waits for it, and nothing is written.
    #[cold]
    pub(crate) fn serve<R: Reply>(&self, token: &[u8], method: Method, reply: &mut R) -> bool {
        let snapshot = self.snapshot.get();
        let challenges = snapshot.security.challenges.as_deref();
        let token = str::from_utf8(token).ok();
        let Some(answer) = challenges.zip(token).and_then(|(challenges, token)| challenges.http(token)) else {
            return false;
        };
        let head = ResponseHead {
            content_length: Some(answer.len() as u64),
            content_type: Some(FieldValue::OCTET_STREAM),
            ..ResponseHead::new(Status::Ok)
        };
        let sends_body = head.sends_body(method);
        reply.head(head);
        if sends_body {
            reply.copy(answer.as_bytes());
        }
        true
    }
}
