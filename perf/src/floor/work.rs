//! Honest computing of a known length: what makes a floor slower by as much as is wanted.
//!
//! A step is a multiplication and an addition that wait for the step before, so that neither the compiler nor the core can
//! leave it out or do two at once, and nothing but the clock rate changes how long it takes: no memory, no branch, no call to
//! the kernel. How long a step takes is measured once, and floors that are to do the same work are told the same.
//!
//! **Not** in the reactor: its floor has no clock and does nothing, which is what makes it the floor. It only calls whom it is
//! given.
//!
//! **Invariants**: a calibrated [`Work`] takes its time or longer, never less: a step counts with the shortest time seen.
//!
//! **Source**: Knuth, "The Art of Computer Programming" 3.3.4, table 1 (the multiplier).

use std::hint::black_box;

use perf_basis::machine::thread_cpu_ns;

/// Steps that are timed together: about a millisecond, in which a clock's own cost is nothing.
const STEPS_TIMED: u64 = 1 << 18;

/// Times that are taken; the shortest is not disturbed.
const TIMES: usize = 25;

/// Work of so many steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Work {
    steps: u64,
    /// Time of a step here, in nanoseconds.
    step_ns: f64,
}

impl Work {
    /// Work that takes `ns` nanoseconds where a step takes `step_ns`.
    pub(crate) fn of_ns(ns: u64, step_ns: f64) -> Self {
        Self { steps: (ns as f64 / step_ns).ceil() as u64, step_ns }
    }

    /// Does it.
    #[inline]
    pub(crate) fn once(self) {
        black_box(compute(self.steps));
    }

    pub(crate) const fn steps(self) -> u64 {
        self.steps
    }

    pub(crate) const fn step_ns(self) -> f64 {
        self.step_ns
    }
}

/// How long a step takes on the CPU this thread runs on, in nanoseconds. It takes some 25 ms to find out.
pub(crate) fn step_ns_here() -> f64 {
    (0..TIMES).map(|_| time_of_step_ns()).fold(f64::INFINITY, f64::min)
}

/// A chain of so many steps.
fn compute(steps: u64) -> u64 {
    let mut value = black_box(1u64);
    for _ in 0..steps {
        // Without the box the compiler would take several steps of the recurrence in one.
        value = black_box(value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
    value
}

fn time_of_step_ns() -> f64 {
    let before = thread_cpu_ns();
    black_box(compute(STEPS_TIMED));
    // A clock that has not moved at all would make a step take no time, and the work endless.
    (thread_cpu_ns() - before).max(1) as f64 / STEPS_TIMED as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CPU time of the work done so many times, in nanoseconds; the shortest of several.
    fn time_of(work: Work, times: u64) -> u64 {
        let once = || {
            let before = thread_cpu_ns();
            (0..times).for_each(|_| work.once());
            thread_cpu_ns() - before
        };
        (0..TIMES).map(|_| once()).min().unwrap_or(u64::MAX)
    }

    /// Counted in CPU time, which others on the host do not lengthen much; the bound above is wide for what they do.
    #[test]
    fn work_takes_its_time_and_twice_the_work_twice_the_time() {
        let step_ns = step_ns_here();
        let (short, long) = (Work::of_ns(1_000, step_ns), Work::of_ns(2_000, step_ns));
        assert!(short.steps() > 10 && short.step_ns() > 0.0, "{short:?}");
        let (short_ns, long_ns) = (time_of(short, 1_000), time_of(long, 1_000));
        assert!((700_000..4_000_000).contains(&short_ns), "{short_ns} ns for 1000 times 1000 ns: {short:?}");
        let ratio = long_ns as f64 / short_ns as f64;
        assert!((1.4..2.8).contains(&ratio), "{ratio}: {short:?} {long:?}");
    }
}
