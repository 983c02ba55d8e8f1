//! Whether the warm-up is over: two windows in a row that show the same.
//!
//! **Source**: the rule is the project's: rate and median latency of two successive windows within 5 % of each other.

use super::tally::RequestTally;

/// How much two windows may differ.
const TOLERANCE: f64 = 0.05;

/// Differences of medians below this are the grain of the host, not a trend, in nanoseconds.
const GRAIN_NS: f64 = 5_000.0;

/// What is compared of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SteadyMark {
    answered: u64,
    median_ns: u64,
}

impl SteadyMark {
    /// Of this window.
    pub(super) fn of(window: &RequestTally) -> Self {
        Self { answered: window.answered, median_ns: window.latency.value_at_quantile(0.5) }
    }

    /// Whether a window that follows shows the same.
    pub(super) fn is_steady_after(self, earlier: Self) -> bool {
        let (now, before) = (self.answered as f64, earlier.answered as f64);
        // What comes by chance differs by chance: twice the deviation of a Poisson count.
        let by_chance = 2.0 * (now + before).sqrt();
        let same_rate = (now - before).abs() <= (before * TOLERANCE).max(by_chance);
        let (now, before) = (self.median_ns as f64, earlier.median_ns as f64);
        self.answered > 0 && same_rate && (now - before).abs() <= (before * TOLERANCE).max(GRAIN_NS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_like_windows_are_steady_and_a_trend_is_not() {
        let mark = |answered, median_ns| SteadyMark { answered, median_ns };
        for (earlier, later, expected) in [
            (mark(10_000, 100_000), mark(10_300, 104_000), true),
            (mark(10_000, 100_000), mark(11_000, 100_000), false),
            (mark(10_000, 100_000), mark(10_000, 110_000), false),
            (mark(10_000, 10_000), mark(10_000, 14_000), true),
            (mark(100, 100_000), mark(112, 100_000), true),
            (mark(0, 0), mark(0, 0), false),
        ] {
            assert_eq!(later.is_steady_after(earlier), expected, "{earlier:?} {later:?}");
        }
    }
}
