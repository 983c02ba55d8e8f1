//! How long single calls take.
//!
//! **Not**: the rate; reading the clock twice costs about as much as a short call.
//!
//! **Invariants**: the cost of reading the clock is in every figure, and said beside them.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::store::CallKind;

/// The bound of the gate, in nanoseconds: longer than this a core keeps other connections waiting noticeably.
pub(crate) const BOUND_NS: u64 = 50_000;

/// Longest call that is told from longer ones: ten seconds.
const LONGEST_NS: u64 = 10_000_000_000;

/// Calls of one kind.
#[derive(Clone, Debug)]
pub(crate) struct TimedCalls {
    histogram: Histogram<u32>,
    beyond: u64,
}

/// What is told of calls of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    /// How many were timed.
    pub(crate) calls: u64,
    /// Half of the calls took at most this, in microseconds.
    pub(crate) p50_us: f64,
    /// 99 of 100.
    pub(crate) p99_us: f64,
    /// 999 of 1000.
    pub(crate) p999_us: f64,
    /// 9,999 of 10,000.
    pub(crate) p9999_us: f64,
    /// The longest.
    pub(crate) max_us: f64,
    /// How many took longer than the gate's bound.
    pub(crate) beyond_bound: u64,
}

impl TimedCalls {
    fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("the bounds are in order");
        Self { histogram, beyond: 0 }
    }

    /// Adds one.
    #[inline]
    pub(crate) fn note(&mut self, duration: Duration) {
        let ns = duration.as_nanos() as u64;
        self.beyond += u64::from(ns > BOUND_NS);
        self.histogram.saturating_record(ns.max(1));
    }

    /// None of no calls.
    pub(crate) fn percentiles(&self) -> Option<Percentiles> {
        let at = |part: f64| self.histogram.value_at_quantile(part) as f64 / 1e3;
        (!self.histogram.is_empty()).then(|| Percentiles {
            calls: self.histogram.len(),
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            p9999_us: at(0.9999),
            max_us: self.histogram.max() as f64 / 1e3,
            beyond_bound: self.beyond,
        })
    }
}

/// Calls by what they do.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    get: TimedCalls,
    set: TimedCalls,
    delete: TimedCalls,
    /// Of the product's cache: the slice of maintenance after a write.
    pub(crate) maintain: TimedCalls,
}

impl Latencies {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { get: TimedCalls::new(), set: TimedCalls::new(), delete: TimedCalls::new(), maintain: TimedCalls::new() }
    }

    /// Those of a verb.
    #[inline]
    pub(crate) const fn of(&mut self, verb: CallKind) -> &mut TimedCalls {
        match verb {
            CallKind::Get => &mut self.get,
            CallKind::Set => &mut self.set,
            CallKind::Delete => &mut self.delete,
        }
    }

    /// Every kind that has calls, by name.
    pub(crate) fn all(&self) -> Vec<(&'static str, Percentiles)> {
        let kinds = [("get", &self.get), ("set", &self.set), ("delete", &self.delete), ("maintain", &self.maintain)];
        kinds.into_iter().filter_map(|(name, calls)| Some((name, calls.percentiles()?))).collect()
    }
}

/// What reading the clock twice costs here, in nanoseconds: the median of many.
pub(crate) fn clock_ns() -> f64 {
    let mut empty = TimedCalls::new();
    for _ in 0..100_000 {
        let began = Instant::now();
        let ended = Instant::now();
        empty.note(ended - began);
    }
    empty.percentiles().map_or(0.0, |percentiles| percentiles.p50_us * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_the_count_beyond_the_bound() {
        let mut latencies = Latencies::new();
        (0..9_980).for_each(|_| latencies.of(CallKind::Get).note(Duration::from_nanos(200)));
        (0..20).for_each(|_| latencies.of(CallKind::Get).note(Duration::from_micros(80)));
        latencies.maintain.note(Duration::from_micros(50));
        let all = latencies.all();
        assert_eq!(all.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["get", "maintain"]);
        let get = all[0].1;
        assert_eq!((get.calls, get.p50_us, get.p99_us, get.beyond_bound), (10_000, 0.2, 0.2, 20));
        assert!((79.0..81.0).contains(&get.p999_us) && (79.0..81.0).contains(&get.max_us), "{get:?}");
        assert_eq!(all[1].1.beyond_bound, 0, "50 us are within the bound");
    }

    #[test]
    fn a_call_beyond_the_scale_counts_as_its_end() {
        let mut calls = TimedCalls::new();
        calls.note(Duration::from_secs(3600));
        assert!(calls.percentiles().unwrap().max_us >= 1e7);
    }
}
