//! A node's clock as an edge knows it: how to say a deadline so that the node judges it by its own clock.
//!
//! ```text
//!  edge    asks at a ────────────────── hears at b          the node's clock is at least `told` when the edge's is b,
//!  node            tells its clock: told                     however long either way took
//! ```
//!
//! **Not** an estimate of the middle: a deadline that is said too late lets a write land that nobody waits for any more; one that is
//! said early, by the time of one answer at most, costs a little patience.
//!
//! **Invariants**: a deadline never comes later at the node than here, as long as the two clocks run apart by less than
//! [`DRIFT_PER_MILLE`].
//!
//! **Source**: docs/wire.md, "Deadlines".

use std::time::Duration;

use reactor::Instant;

/// By how much the two clocks may run apart: five times what clocks that are kept by NTP may.
const DRIFT_PER_MILLE: u32 = 1;

/// How old the best sample may be before a node is asked again. Its error grows by a thousandth of that.
pub(super) const REFRESH: Duration = Duration::from_secs(2);

/// The best that was heard of a node's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeClock {
    told_us: u64,
    heard: Instant,
}

impl NodeClock {
    /// The node has told its clock, and we have heard it now.
    pub(super) const fn new(told_us: u64, heard: Instant) -> Self {
        NodeClock { told_us, heard }
    }

    /// The node has told its clock again; the better of the two counts from now on.
    pub(super) fn improve(&mut self, told_us: u64, heard: Instant) {
        let expected = self.at(heard);
        *self = NodeClock { told_us: told_us.max(expected), heard };
    }

    /// When it was last heard of.
    pub(super) const fn heard(&self) -> Instant {
        self.heard
    }

    /// What the node's clock shows at least at an instant of ours, in microseconds.
    fn at(&self, instant: Instant) -> u64 {
        let since = instant.since(self.heard);
        let micros = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        self.told_us + micros - micros * u64::from(DRIFT_PER_MILLE) / 1000
    }

    /// An instant of ours as a request says it to the node.
    pub(super) fn deadline_us(&self, deadline: Instant) -> u32 {
        // Zero would mean "no deadline" to the node; one microsecond earlier is as good.
        match self.at(deadline) as u32 {
            0 => u32::MAX,
            us => us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_us(us: u64) -> Instant {
        Instant::from_nanos(us * 1000)
    }

    #[test]
    fn a_deadline_comes_no_later_at_the_node_and_little_earlier() {
        // The node's clock is ahead by this much, and runs fast or slow by so many millionths.
        for (ahead_us, ppm) in [(7_000_000_i64, 0_i64), (-900_000, 400), (5, -400)] {
            let node = |ours: u64| (ours as i64 + ahead_us + (ours as i64 - 1_000_000) * ppm / 1_000_000) as u64;
            // Asked at 1 s, told after 3 ms, heard after 5 ms.
            let mut clock = NodeClock::new(node(1_003_000), at_us(1_005_000));
            for second in 1..20 {
                let deadline = 1_005_000 + second * 2_000_000;
                let said = u64::from(clock.deadline_us(at_us(deadline)));
                let (real, early_us) = (node(deadline), node(deadline) - said);
                assert!(said <= real && early_us < 12_000, "{second}: {early_us}");
                // An answer that took long makes nothing worse than time does.
                clock.improve(node(deadline - 30_000), at_us(deadline));
                if second % 3 == 0 {
                    clock.improve(node(deadline - 1_000), at_us(deadline));
                }
            }
        }
    }

    #[test]
    fn no_deadline_is_said_as_none() {
        let clock = NodeClock::new(1 << 32, at_us(50));
        assert_eq!(clock.deadline_us(at_us(50)), u32::MAX);
        assert_eq!(clock.deadline_us(at_us(51)), 1);
    }
}
