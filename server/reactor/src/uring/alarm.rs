//! The standing alarm: one timeout in the ring that ends waits, instead of a timer that every wait sets and takes back.
//!
//! A busy core falls asleep thousands of times a second, and its next deadline is nearly always the same, tens of
//! milliseconds off. So the deadline is handed over once, as an operation of its own, and waits need no timer as long as the
//! alarm goes off in time for them. A wait for something nearer brings its own.
//!
//! **Not** exact: an alarm that was set for a deadline that has moved on ends one wait for nothing.
//!
//! **Invariants**: no wait outlasts its deadline; at most one alarm is under way.

use crate::time::Instant;

/// What a wait until some deadline needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AlarmPlan {
    /// The alarm that stands goes off in time.
    Stands,
    /// The alarm is to be set, to the deadline.
    Set,
    /// The alarm goes off too late: the wait needs a timer of its own.
    Beside,
}

#[derive(Default)]
pub(crate) struct Alarm {
    /// When the alarm that is under way goes off.
    at: Option<Instant>,
}

impl Alarm {
    /// What a wait until `deadline` needs.
    #[inline]
    pub(crate) fn plan(&mut self, deadline: Instant) -> AlarmPlan {
        match self.at {
            Some(at) if at <= deadline => AlarmPlan::Stands,
            Some(_) => AlarmPlan::Beside,
            None => {
                self.at = Some(deadline);
                AlarmPlan::Set
            }
        }
    }

    /// Notes that the alarm has gone off.
    pub(crate) fn note_over(&mut self) {
        self.at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Against a clock: whatever is waited for, the wait is over by its deadline.
    #[test]
    fn no_wait_outlasts_its_deadline() {
        let mut random = Random::new(3);
        let (mut alarm, mut standing, mut now) = (Alarm::default(), None, 0);
        let (mut set, waits) = (0, 10_000);
        for _ in 0..waits {
            let farthest = if random.chance(100) { 10 } else { 1000 };
            let deadline = now + random.between(1, farthest);
            let ends = match alarm.plan(Instant::from_nanos(deadline)) {
                AlarmPlan::Stands => standing.expect("only an alarm that was set stands"),
                AlarmPlan::Set => {
                    assert_eq!(standing, None, "one alarm at a time");
                    standing = Some(deadline);
                    set += 1;
                    deadline
                }
                AlarmPlan::Beside => deadline,
            };
            assert!(ends <= deadline);
            // Mostly something else ends the wait long before.
            now = if random.chance(900) { now + (ends - now).div_ceil(100) } else { ends };
            if standing.is_some_and(|at| at <= now) {
                standing = None;
                alarm.note_over();
            }
        }
        assert!(set < waits / 4, "{set} alarms for {waits} waits");
    }
}
