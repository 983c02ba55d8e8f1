//! Steps of the wall clock: noticed once a second, logged and counted.
//!
//! Nothing inside a process depends on the wall clock, but dates, versions and the lines of logs do, and who reads those has to know.
//!
//! **Not** a correction: the wall clock is the operator's.
//!
//! **Invariants**: one step is noticed once; a clock that is slewed, as NTP daemons do it, is never taken for one that was set.
//!
//! **Source**: clock_gettime(2): `CLOCK_REALTIME` against `CLOCK_BOOTTIME`, which nobody sets and which runs while the machine
//! sleeps; ntpd slews by at most 0.5 ms in a second, chronyd by 83 ms.

use std::cell::Cell;
use std::fmt::Display;

use reactor::Reactor;

use crate::log::{Log, LogLevel};
use crate::metrics::ClockMetrics;

/// The smallest step that is noticed: three times what the fastest daemon slews in the second between two looks.
const STEP_MS_MIN: u64 = 250;

/// Compares the wall clock with the steady one.
#[derive(Debug)]
pub struct ClockWatch {
    /// Wall clock less steady clock, at the last look.
    offset_ms: Cell<i64>,
    metrics: ClockMetrics,
}

impl ClockWatch {
    /// A watch that begins now.
    #[must_use]
    pub fn new(reactor: &Reactor) -> Self {
        Self::from(offset_ms(reactor.wall_ms(), reactor.steady_ms()))
    }

    fn from(offset_ms: i64) -> Self {
        Self { offset_ms: Cell::new(offset_ms), metrics: ClockMetrics::default() }
    }

    /// Logs and counts a step since the last look. Called once a second.
    pub fn look(&self, reactor: &Reactor, log: &Log) {
        if let Some(by_ms) = self.step(offset_ms(reactor.wall_ms(), reactor.steady_ms())) {
            let fields: [(&'static str, &dyn Display); 1] = [("by_ms", &by_ms)];
            log.event(reactor.wall_ms(), LogLevel::Warn, "wall_clock_stepped", &fields);
        }
    }

    /// What is counted.
    pub const fn metrics(&self) -> &ClockMetrics {
        &self.metrics
    }

    /// By how many milliseconds the wall clock has been set since the last look, if it was.
    fn step(&self, offset_ms: i64) -> Option<i64> {
        let by_ms = offset_ms.saturating_sub(self.offset_ms.replace(offset_ms));
        let steps = if by_ms < 0 { &self.metrics.steps_back } else { &self.metrics.steps_forward };
        (by_ms.unsigned_abs() >= STEP_MS_MIN).then(|| {
            steps.increment();
            by_ms
        })
    }
}

fn offset_ms(wall_ms: u64, steady_ms: u64) -> i64 {
    i64::try_from(i128::from(wall_ms) - i128::from(steady_ms)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_noticed_once_and_a_slew_never() {
        let watch = ClockWatch::from(1_000);
        for (offset_ms, expected) in [
            (1_000, None),
            (1_083, None),
            (1_332, None),
            (1_582, Some(250)),
            (1_582, None),
            (-58_418, Some(-60_000)),
            (-58_418, None),
            (3_600_000, Some(3_658_418)),
            (i64::MIN, Some(i64::MIN)),
        ] {
            assert_eq!(watch.step(offset_ms), expected, "to {offset_ms}");
        }
        let metrics = watch.metrics();
        assert_eq!((metrics.steps_back.value(), metrics.steps_forward.value()), (2, 2));
    }

    #[test]
    fn an_offset_is_signed() {
        assert_eq!([offset_ms(5, 7), offset_ms(7, 5), offset_ms(u64::MAX, 0)], [-2, 2, i64::MAX]);
    }
}
