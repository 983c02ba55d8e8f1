//! What is known of a request beside its operation, for as long as it is not answered.
//!
//! **Not**: where its answer goes.
//!
//! **Source**: docs/wire.md, "Responses".

use std::time::Duration;

use reactor::Instant;
use shardstore::planted::PlantedBug;
use shardstore::session::server;
use shardstore::wire::{Request, Response, Status};

/// What an answer has to know of its request.
pub(crate) type RequestContext = server::RequestContext<Instant>;

/// The deadline of a request that arrived then.
///
/// Where both HELLOs gave a clock, the request states it on the node's clock, however long it was under way; otherwise its budget
/// counts from its arrival.
#[inline]
pub(crate) fn deadline(request: &Request<'_>, arrived: Instant, is_absolute: bool) -> Instant {
    match request.deadline_us {
        0 => Instant::NEVER,
        _ if PlantedBug::LateWrites.is_planted() => Instant::NEVER,
        us if is_absolute => absolute(us, arrived),
        us => arrived + Duration::from_micros(u64::from(us)),
    }
}

/// The instant near `now` whose microseconds end in these 32 bits: at most 35 minutes away, far more than any deadline.
fn absolute(us: u32, now: Instant) -> Instant {
    let ahead_us = us.wrapping_sub(clock_us(now) as u32).cast_signed();
    let distance = Duration::from_micros(u64::from(ahead_us.unsigned_abs()));
    if ahead_us < 0 { now - distance } else { now + distance }
}

/// Microseconds of our monotonic clock, as HELLO and PING tell them.
#[inline]
pub(crate) const fn clock_us(now: Instant) -> u64 {
    now.as_nanos() / 1000
}

/// An empty response to a request, which leaves the node now.
#[inline]
pub(crate) fn response_to<'a>(context: &RequestContext, status: Status, now: Instant) -> Response<'a> {
    context.response(status, u32::try_from(now.since(context.arrived).as_micros()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use shardstore::key::SlotId;
    use shardstore::wire::Op;

    use super::*;

    #[test]
    fn an_absolute_deadline_is_the_same_whenever_the_request_arrives() {
        let at_us = |us: u64| Instant::from_nanos(us * 1000);
        // The last one lies beyond a turn of the 32 bits.
        for deadline_at in [5_000_000, 70_000, u64::from(u32::MAX) * 3 + 1_500_000] {
            let mut request = Request::new(1, SlotId::ZERO, 1, Op::Ping);
            request.deadline_us = deadline_at as u32;
            for arrived in [deadline_at - 60_000, deadline_at, deadline_at + 60_000, deadline_at + 1_800_000_000] {
                assert_eq!(deadline(&request, at_us(arrived), true), at_us(deadline_at), "{deadline_at} {arrived}");
            }
            request.deadline_us = 250;
            assert_eq!(deadline(&request, at_us(deadline_at), false), at_us(deadline_at + 250));
            request.deadline_us = 0;
            assert_eq!(deadline(&request, at_us(deadline_at), true), Instant::NEVER);
        }
    }
}
