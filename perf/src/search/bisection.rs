//! Which rate to try next: doubles until the objective is missed, then halves the gap.
//!
//! A rate near the limit sometimes meets the objective and sometimes does not, so a rate counts as met or missed by two of up to
//! three runs. What is left between the two is the answer's uncertainty.
//!
//! **Not** I/O.
//!
//! **Invariants**: `met` is below `missed`; it ends after a bounded number of runs.

use serde::Serialize;

/// How much a step goes up while nothing was missed.
const GROWTH: f64 = 2.0;

/// Steps at most: from 1 request a second to beyond what any host answers, and then down to a percent.
const STEPS_MAX: u32 = 40;

/// A search under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bisection {
    met: f64,
    missed: Option<f64>,
    rate: f64,
    /// How close the two must be, as a share.
    precision: f64,
    hits: u32,
    misses: u32,
    steps: u32,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct FoundRate {
    /// The highest rate that met the objective; 0 if none did.
    pub(super) met: f64,
    /// The lowest that missed it; none if none did.
    pub(super) missed: Option<f64>,
}

impl Bisection {
    /// Starts at `rate` and ends when met and missed are within `precision` of each other.
    pub(super) fn new(rate: f64, precision: f64) -> Self {
        Self { met: 0.0, missed: None, rate, precision, hits: 0, misses: 0, steps: 0 }
    }

    /// The rate to try next; none when the search is over.
    pub(super) fn next(&self) -> Option<f64> {
        let is_close = self.missed.is_some_and(|missed| (missed - self.met) / missed <= self.precision);
        // Below this there is nothing to halve: not even one request a second was answered in time.
        let is_hopeless = self.rate < 1.0;
        (!is_close && !is_hopeless && self.steps < STEPS_MAX).then_some(self.rate)
    }

    /// Notes whether a run at that rate met the objective.
    pub(super) fn note(&mut self, met: bool) {
        *if met { &mut self.hits } else { &mut self.misses } += 1;
        if self.hits >= 2 || self.misses >= 2 {
            self.decide(self.misses < 2);
        }
    }

    /// What is known now.
    pub(super) const fn found(&self) -> FoundRate {
        FoundRate { met: self.met, missed: self.missed }
    }

    fn decide(&mut self, met: bool) {
        self.steps += 1;
        (self.hits, self.misses) = (0, 0);
        if met {
            self.met = self.rate;
        } else {
            self.missed = Some(self.rate);
        }
        self.rate = match self.missed {
            None => self.rate * GROWTH,
            Some(missed) => f64::midpoint(self.met, missed),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reactor::Random;

    #[test]
    fn the_limit_is_found_from_any_start() {
        for limit in [3.0, 950.0, 261_000.0] {
            for start in [1.0, 1_000.0, 1_000_000.0] {
                let mut search = Bisection::new(start, 0.02);
                let mut runs = 0;
                while let Some(rate) = search.next() {
                    search.note(rate <= limit);
                    runs += 1;
                }
                let found = search.found();
                let missed = found.missed.expect("some rate is too high");
                assert!(found.met <= limit && missed > limit, "{limit} from {start}: {found:?}");
                assert!((missed - found.met) / missed <= 0.02 && runs <= 3 * STEPS_MAX, "{found:?} in {runs} runs");
            }
        }
    }

    /// Near the limit a run misses or meets by chance; the answer stays near it.
    #[test]
    fn chance_does_not_lead_it_astray() {
        let mut random = Random::new(9);
        let mut astray = 0;
        for _ in 0..200 {
            let mut search = Bisection::new(1_000.0, 0.02);
            while let Some(rate) = search.next() {
                let met_per_mille = if rate <= 45_000.0 {
                    980
                } else if rate <= 50_000.0 {
                    500
                } else {
                    20
                };
                search.note(random.chance(met_per_mille));
            }
            let found = search.found();
            astray += u32::from(!(40_000.0..=55_000.0).contains(&found.met));
        }
        assert!(astray <= 4, "{astray} of 200 searches");
    }

    #[test]
    fn what_never_meets_ends() {
        let mut search = Bisection::new(100.0, 0.02);
        while search.next().is_some() {
            search.note(false);
        }
        assert_eq!(search.found().met, 0.0);
    }
}
