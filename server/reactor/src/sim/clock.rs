//! The monotonic clock of a simulated process: its zero is its own, and it runs a little fast or slow.
//!
//! **Not** the wall clock, which the world skews apart.
//!
//! **Invariants**: it never goes back; an instant of the process that lies in its past lies in the world's past too.

use crate::time::Instant;

const MILLION: u128 = 1_000_000;

/// How a process's clock relates to the world's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SimClock {
    /// Nanoseconds it shows at the world's zero.
    offset_ns: u64,
    /// Nanoseconds it goes on in a millisecond of the world's.
    pace: u64,
}

impl SimClock {
    pub(crate) fn new(offset_ns: u64, drift_ppm: i32) -> Self {
        let pace = 1_000_000_i64 + i64::from(drift_ppm);
        SimClock { offset_ns, pace: u64::try_from(pace).unwrap_or(1).max(1) }
    }

    pub(crate) fn of_world(self, now: Instant) -> Instant {
        let elapsed = u128::from(now.as_nanos()) * u128::from(self.pace) / MILLION;
        Instant::from_nanos(self.offset_ns + elapsed as u64)
    }

    /// The first instant of the world at which it shows `at`, or later.
    pub(crate) fn to_world(self, at: Instant) -> Instant {
        if at == Instant::NEVER {
            return at;
        }
        let elapsed = u128::from(at.as_nanos().saturating_sub(self.offset_ns));
        Instant::from_nanos((elapsed * MILLION).div_ceil(u128::from(self.pace)) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_is_never_early() {
        for (offset_ns, drift_ppm) in [(0, 0), (5_000_000_000, 500), (77, -500), (0, -999_999)] {
            let clock = SimClock::new(offset_ns, drift_ppm);
            for world in [0, 1, 999, 1_000_000_007, 90_000_000_000] {
                let at = clock.of_world(Instant::from_nanos(world));
                let back = clock.to_world(at);
                assert!(back.as_nanos() <= world && clock.of_world(back) >= at, "{drift_ppm} {world}");
            }
        }
        assert_eq!(SimClock::new(5, 500).of_world(Instant::from_nanos(2_000_000)).as_nanos(), 2_001_005);
        assert_eq!(SimClock::new(5, 5).to_world(Instant::NEVER), Instant::NEVER);
    }
}
