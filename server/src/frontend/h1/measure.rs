//! How long requests take.
//!
//! ```text
//!  a round of a connection, one in 61:  clock ── parse, answer, parse, answer … ── clock    hits and others, from the counters
//!  a request that is carried, always:   clock ── body, other core, node, response ── clock
//! ```
//!
//! **Not** a clock read per request: a hit pays a count and a branch per round.

use control::metrics::Sampler;
use reactor::{Instant, Reactor};

use crate::metrics::{CoreMetrics, RouteKind};

/// Rounds of which one is measured: two clock reads, some 50 ns, are then below a thousandth of a hit. Prime, so that no pattern of requests hides.
const ROUNDS_PER_SAMPLE: u32 = 61;

/// Chooses the rounds that are measured.
pub(super) struct Rounds(Sampler);

/// A round that is measured.
pub(super) struct Round {
    began: Instant,
    requests: u64,
    hits: u64,
}

impl Rounds {
    pub(super) fn new() -> Self {
        Rounds(Sampler::new(ROUNDS_PER_SAMPLE))
    }

    /// Begins a round; `None` when it is not measured.
    #[inline(always)]
    pub(super) fn begin(&self, reactor: &Reactor, metrics: &CoreMetrics) -> Option<Round> {
        self.0.take().then(|| Round::begin(reactor.read_clock(), metrics))
    }
}

impl Round {
    #[cold]
    fn begin(now: Instant, metrics: &CoreMetrics) -> Self {
        let (requests, hits) = metrics.requests_and_hits();
        Round { began: now, requests, hits }
    }

    /// Ends it, with its responses in the send queue. `carried`: requests of it that go on by themselves.
    #[cold]
    pub(super) fn end(self, now: Instant, metrics: &CoreMetrics, carried: u64) {
        let (requests, hits) = metrics.requests_and_hits();
        let (requests, hits) = (requests - self.requests, hits - self.hits);
        let time = now.since(self.began);
        metrics.duration(RouteKind::Hit).record_times(time, hits);
        metrics.duration(RouteKind::Other).record_times(time, requests.saturating_sub(hits + carried));
    }
}

/// A request that is carried.
pub(super) struct Stopwatch {
    began: Instant,
    route: RouteKind,
}

impl Stopwatch {
    pub(super) fn begin(reactor: &Reactor, route: RouteKind) -> Self {
        Stopwatch { began: reactor.read_clock(), route }
    }

    /// Its response is in the send queue.
    pub(super) fn end(&self, reactor: &Reactor, metrics: &CoreMetrics) {
        metrics.duration(self.route).record(reactor.read_clock().since(self.began));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_round_counts_what_was_answered_in_it() {
        let metrics = CoreMetrics::default();
        metrics.requests.add(7);
        metrics.reads_own_core.add(7);
        let round = Round::begin(Instant::from_nanos(1_000), &metrics);
        metrics.requests.add(6);
        metrics.reads_own_core.add(2);
        metrics.reads_other_core.add(1);
        round.end(Instant::from_nanos(6_000), &metrics, 1);
        let counts = [RouteKind::Hit, RouteKind::Read, RouteKind::Write, RouteKind::Other]
            .map(|route| metrics.duration(route).count());
        assert_eq!(counts, [3, 0, 0, 2]);
        assert_eq!(metrics.duration(RouteKind::Hit).quantile_s(1.0), Some(Duration::from_micros(5).as_secs_f64()));
    }
}
