//! From an answer to bytes on a connection.
//!
//! **Not**: what the answer says.
//!
//! **Invariants**: a request is answered once, or not at all where QUIET or one-way says so; a value above
//! [`INLINE_BYTES_MAX`] becomes a stream and is written as the peer reads.
//!
//! **Source**: docs/wire.md, "Responses" and "Flow control".

use shardstore::wire::Status;
use store_runtime::budget::Lease;

use super::NodeCore;
use super::answer::OwnedResponse;
use super::context::{RequestContext, response_to};
use super::link::Link;
use super::stream::{Body, ResponseStream};

/// Largest value that is written at once: what the send queue of a connection may hold before its peer has to read. Above, a
/// value is streamed.
pub(crate) const INLINE_BYTES_MAX: usize = 64 * 1024;

/// How long a peer that is over a bound should wait: several round trips within a data centre.
pub(crate) const BUSY_RETRY_US: u32 = 2_000;

/// How long a peer should leave a node alone that is draining or starting.
pub(crate) const UNAVAILABLE_RETRY_US: u32 = 1_000_000;

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an answer that is written later keeps its request in flight"]
pub(crate) enum Sent {
    /// It is written, or suppressed.
    Now,
    /// It is a stream of the connection.
    Later,
}

/// Writes an answer to `out`, or queues it as a stream.
pub(crate) fn respond(
    core: &NodeCore,
    link: &Link,
    context: &RequestContext,
    answer: OwnedResponse,
    out: &mut Vec<u8>,
) -> Sent {
    respond_leased(core, link, context, (answer, None), out)
}

/// The same for an answer whose value has been leased, as far as it is long.
pub(crate) fn respond_leased(
    core: &NodeCore,
    link: &Link,
    context: &RequestContext,
    (answer, lease): (OwnedResponse, Option<Lease>),
    out: &mut Vec<u8>,
) -> Sent {
    let mut answer = answer;
    if answer.value.len() > link.terms.value_bytes_max as usize {
        answer = OwnedResponse::status(Status::TooLarge);
    }
    if answer.value.len() > INLINE_BYTES_MAX.min(link.frame_value_bytes_max() as usize) {
        let Some(mut lease) = lease.or_else(|| core.copies.lease(answer.value.len())) else {
            return respond(core, link, context, OwnedResponse::retry(Status::Busy, BUSY_RETRY_US), out);
        };
        lease.shrink_to(answer.value.len());
        let value = std::mem::take(&mut answer.value);
        return push_stream(core, link, context, ResponseStream::new(*context, answer, Body::Copied { value, lease }));
    }
    core.metrics().note_response(answer.status);
    if context.is_answered(answer.status, &link.credit) {
        let mut response = response_to(context, answer.status, core.reactor.now());
        answer.describe(&mut response);
        response.credits = link.credit.take_credits();
        response.encode(link.dialect, out);
    }
    Sent::Now
}

/// Queues a large answer; its connection's task writes it as room comes up.
pub(crate) fn push_stream(core: &NodeCore, link: &Link, context: &RequestContext, stream: ResponseStream) -> Sent {
    core.metrics().note_response(Status::Ok);
    if !context.is_answered(Status::Ok, &link.credit) {
        return Sent::Now;
    }
    link.streams.borrow_mut().push_back(stream);
    link.attention.notify();
    Sent::Later
}
