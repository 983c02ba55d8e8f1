//! Requests that came too early: what has come may have been recorded by somebody who sends it again, and may not be carried out twice.
//!
//! **Not** on the way of what is answered in the poll: those requests change nothing.
//!
//! **Invariants**: a request that is not safe is carried out only if its client has finished the handshake, and no intermediary says that its
//! own client has not.
//!
//! **Source**: RFC 8470 sections 3 and 5; RFC 8446 section 8.

use corelane_http::Status;
use corelane_http::problem::Problem;
use corelane_http::request::{RequestBody, RequestHead};
use corelane_http::response::ResponseHead;

use crate::exchange::{Reply, Wire};

/// Longest body that is read and thrown away, so that the connection goes on after the response: as much as early data may have.
const BODY_BYTES_MAX: u64 = 16 * 1024;

const TOO_EARLY: Problem<'static> = Problem {
    limit: None,
    status: Status::TooEarly,
    slug: "too-early",
    detail: "the request came in early data (0-RTT), which may be a replay; send it again when the handshake is over",
};

/// Whether a request may not be carried out yet. `may_be_replayed`: of what its connection has received until now. Whoever is answered in
/// the poll is not asked about: that changes nothing.
pub(crate) fn is_too_early(head: &RequestHead<'_>, may_be_replayed: impl FnOnce() -> bool) -> bool {
    // Whatever its value: RFC 8470 section 5.1.
    let is_marked = || head.fields().any(|(name, _)| name.eq_ignore_ascii_case(b"early-data"));
    !head.method().is_safe() && (may_be_replayed() || is_marked())
}

/// Responds to a request that came too early.
pub(super) async fn refuse<W: Wire>(head: &RequestHead<'_>, wire: &mut W) {
    let is_short = matches!(head.body(), RequestBody::Length(bytes) if bytes <= BODY_BYTES_MAX);
    if is_short && !head.expect_continue() {
        // What becomes of it decides only whether the connection goes on.
        while let Ok(Some(_)) = wire.body().await {}
    }
    wire.respond(|reply| reply.problem(&TOO_EARLY, ResponseHead::new(TOO_EARLY.status)));
}
