//! What is known of a request beside its operation, for as long as it is not answered.
//!
//! **Not**: where its answer goes.
//!
//! **Source**: docs/wire.md, "Responses".

use std::time::Duration;

use reactor::Instant;
use shardstore::session::server;
use shardstore::wire::{Request, Response, Status};

/// What an answer has to know of its request.
pub(crate) type RequestContext = server::RequestContext<Instant>;

/// The deadline of a request that arrived then.
#[inline]
pub(crate) fn deadline(request: &Request<'_>, arrived: Instant) -> Instant {
    match request.deadline_us {
        0 => Instant::NEVER,
        us => arrived + Duration::from_micros(u64::from(us)),
    }
}

/// An empty response to a request, which leaves the node now.
#[inline]
pub(crate) fn response_to<'a>(context: &RequestContext, status: Status, now: Instant) -> Response<'a> {
    context.response(status, u32::try_from(now.since(context.arrived).as_micros()).unwrap_or(u32::MAX))
}
