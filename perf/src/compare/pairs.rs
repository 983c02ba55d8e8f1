//! Pairs of runs of two programs: A B, B A, A B, … under one scenario.
//!
//! Every run has a process of its own. Two processes of one program differ for as long as they live, by where their memory
//! happens to lie, by some percent: runs of the same two processes agree on that difference, and the more pairs there are the
//! surer it looks. Of processes that are started anew it is chance like any other, and is counted as such.
//!
//! **Not** judging: `verdict` does.
//!
//! **Invariants**: runs of a pair follow each other, and neither program is always the first; a run that does not give the
//! figure takes its pair with it; nothing else of the two runs meanwhile.

use std::time::Duration;

use anyhow::{Context, Result};

use super::Figure;
use crate::run::outcome::Outcome;
use crate::run::scenario::Scenario;
use crate::run::{Manner, measure};
use crate::servers::{Rig, Server};

/// Starts one of the programs.
pub(crate) type Start<'a> = &'a dyn Fn(&Rig) -> Result<Server>;

/// What is measured, and how.
pub(crate) struct Contest<'a> {
    pub(crate) rig: &'a Rig,
    pub(crate) scenario: &'a Scenario,
    pub(crate) figure: Figure,
    /// CPUs of the generator.
    pub(crate) client_cpus: &'a [usize],
    /// Two of these in a row that show the same end the warm-up.
    pub(crate) window: Duration,
}

impl Contest<'_> {
    /// Measures so many pairs; `shown` hears of every run: the pair from 0, which of the two, its figure.
    ///
    /// # Errors
    /// A program does not start or does not answer, or the measurement was stopped.
    pub(crate) fn pairs(
        &self,
        starts: [Start<'_>; 2],
        count: u16,
        mut shown: impl FnMut(u16, usize, &Outcome),
    ) -> Result<Vec<(f64, f64)>> {
        let mut pairs = Vec::with_capacity(count.into());
        for pair in 0..count {
            let mut figures = [None; 2];
            for index in if pair % 2 == 0 { [0, 1] } else { [1, 0] } {
                let outcome = self.run(starts[index])?;
                figures[index] = self.figure.of(&outcome);
                shown(pair, index, &outcome);
            }
            pairs.extend(figures[0].zip(figures[1]));
        }
        Ok(pairs)
    }

    /// One run against a process that is started for it and ended after it.
    ///
    /// # Errors
    /// As for the pairs.
    pub(crate) fn run(&self, start: Start<'_>) -> Result<Outcome> {
        let server = start(self.rig)?;
        let manner = Manner { cpus: self.client_cpus, agents: &[], spins: true, window: self.window, is_shown: false };
        let measured = measure(self.scenario.at(server.address), &manner, &self.rig.stop);
        self.rig.stop.check()?;
        Ok(measured.with_context(|| server.name.to_owned())?.outcome)
    }

    /// How long a run takes, about, in seconds: two windows of warm-up at least, and a process to start and to end.
    pub(crate) fn run_seconds(&self) -> f64 {
        self.scenario.warmup.max(self.window * 2).as_secs_f64() + self.scenario.duration.as_secs_f64() + 0.4
    }
}

/// A time that is to come, as people say it.
pub(crate) fn about(seconds: f64) -> String {
    if seconds < 90.0 { format!("about {seconds:.0} s") } else { format!("about {:.0} min", seconds / 60.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_come_are_short() {
        assert_eq!((about(12.4), about(3_600.0)), ("about 12 s".to_owned(), "about 60 min".to_owned()));
    }
}
