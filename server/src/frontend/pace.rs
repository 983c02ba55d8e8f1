//! How fast a request's body has to arrive.
//!
//! **Not** a clock: instants are handed in.
//!
//! **Invariants**: a body slower than `body_rate_min` after its grace is given up, and so is one that pauses: what came early
//! earns time for what comes slowly, never a silence longer than the grace (or [`SILENCE_MIN`], where that is longer).

use std::time::Duration;

use reactor::Instant;

/// The longest silence within a body is never less than this: a lost packet or two, and their retransmission.
const SILENCE_MIN: Duration = Duration::from_secs(1);

/// The bounds on the time of one body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) began: Instant,
    /// Bytes a second; 0 for none.
    pub(super) rate_min: u64,
    /// Time that the first bytes may take, whatever the rate.
    pub(super) grace: Duration,
    /// Longest silence where no rate is asked for, and in any case.
    pub(super) idle_timeout: Duration,
    /// Time for all of it.
    pub(super) whole: Duration,
}

impl Pace {
    /// By when more has to come, after so many bytes.
    pub(super) fn deadline(&self, now: Instant, bytes: usize) -> Instant {
        self.pause_end(now, bytes).min(self.began + self.whole)
    }

    fn pause_end(&self, now: Instant, bytes: usize) -> Instant {
        let Some(earned_ms) = (bytes as u64).saturating_mul(1000).checked_div(self.rate_min) else {
            return now + self.idle_timeout;
        };
        let rate_end = self.began + self.grace + Duration::from_millis(earned_ms);
        rate_end.min(now + self.grace.max(SILENCE_MIN).min(self.idle_timeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_bytes_earn_time_but_no_long_silence() {
        let began = Instant::default();
        let seconds = Duration::from_secs;
        let whole = seconds(5_000);
        let pace = Pace { began, rate_min: 1024, grace: seconds(10), idle_timeout: seconds(75), whole };
        // (Rate, grace, seconds since the beginning, bytes) and the seconds left.
        let cases = [
            (pace, 0, 0, 10),
            (pace, 4, 0, 6),
            (pace, 10, 2 * 1024, 2),
            (pace, 10, 1 << 30, 10),
            (Pace { grace: seconds(0), ..pace }, 0, 1 << 30, 1),
            (Pace { idle_timeout: seconds(5), ..pace }, 0, 1 << 30, 5),
            (Pace { rate_min: 0, ..pace }, 1000, 0, 75),
            (Pace { rate_min: 0, ..pace }, 4_990, 1 << 30, 10),
            (pace, 4_999, 1 << 30, 1),
        ];
        for (pace, passed, bytes, left) in cases {
            let now = began + seconds(passed);
            assert_eq!(pace.deadline(now, bytes), now + seconds(left), "{pace:?} after {passed} s, {bytes} bytes");
        }
    }
}
