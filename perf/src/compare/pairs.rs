//! Pairs of programs under one scenario: both of a pair are started, and asked in turns.
//!
//! ```text
//!  pair:   start A and B    │ A B │ B A │ A B │    end both        figures: those of the turn whose ratio is the median
//!                             turns, in an order that is drawn
//! ```
//!
//! Every pair has processes of its own. Two processes of one program differ for as long as they live, by where their memory
//! happens to lie, by some percent: runs of the same two processes agree on that difference, and the more pairs there are the
//! surer it looks. Of processes that are started anew it is chance like any other, and is counted as such.
//!
//! A shared host changes its speed by a third within seconds. So the two runs of a turn are short and follow each other, and of
//! three turns the one in which it changed does not count. And the order is drawn: with a fixed one (A B, B A, ...) whatever
//! comes and goes with the same rhythm falls on one program again and again.
//!
//! **Not** judging: `perf_basis::judge` does.
//!
//! **Invariants**: which program is asked first is chance, turn by turn; a run that does not give the figure takes its pair
//! with it; nothing is asked but one program at a time.
//!
//! **Source**: Fisher, "The Design of Experiments", 1935, chapter 2 (what makes the test exact is that the order was drawn).

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Context, Result};
use reactor::Random;

use super::ComparedFigure;
use crate::run::outcome::Outcome;
use crate::run::scenario::Scenario;
use crate::run::{RunOptions, measure};
use crate::servers::{TestBed, TestServer};

/// Turns of a pair: an odd number, so that the median is one of them, and one that was disturbed does not count.
pub(crate) const TURNS: u32 = 3;

/// Two of these in a row that show the same end the warm-up of a run.
const WINDOW: Duration = Duration::from_millis(100);

/// Starts one of the programs.
pub(crate) type StartServer<'a> = &'a dyn Fn(&TestBed) -> Result<TestServer>;

/// What is measured, and how.
pub(crate) struct PairedRun<'a> {
    bed: &'a TestBed,
    /// Of one run.
    scenario: Scenario,
    figure: ComparedFigure,
    /// CPUs of the generator.
    client_cpus: &'a [usize],
    /// Draws who is first.
    order: RefCell<Random>,
}

impl<'a> PairedRun<'a> {
    /// Measures this figure under a scenario, whose duration is that of all runs of one program in a pair together.
    pub(crate) fn new(bed: &'a TestBed, scenario: &Scenario, figure: ComparedFigure, client_cpus: &'a [usize]) -> Self {
        let scenario = Scenario { duration: scenario.duration / TURNS, warmup: WINDOW * 2, ..scenario.clone() };
        // Any fixed seed will do: what the order must not know is the host's rhythm.
        Self { bed, scenario, figure, client_cpus, order: RefCell::new(Random::new(2026)) }
    }

    /// Measures so many pairs; `shown` hears of every pair as it ends: its number from 0, and its figures, if it has any.
    pub(crate) fn pairs(
        &self,
        starts: [StartServer<'_>; 2],
        count: u16,
        mut shown: impl FnMut(u16, &Result<(f64, f64), String>),
    ) -> Result<Vec<(f64, f64)>> {
        let mut pairs = Vec::with_capacity(count.into());
        for number in 0..count {
            let pair = self.pair(starts)?;
            shown(number, &pair);
            pairs.extend(pair);
        }
        Ok(pairs)
    }

    /// One pair. The inner error says why it has no figures.
    fn pair(&self, starts: [StartServer<'_>; 2]) -> Result<Result<(f64, f64), String>> {
        let servers = [starts[0](self.bed)?, starts[1](self.bed)?];
        let mut turns = Vec::with_capacity(TURNS as usize);
        for _ in 0..TURNS {
            let first = self.order.borrow_mut().below(2) as usize;
            let mut figures = [0.0; 2];
            for index in [first, 1 - first] {
                let outcome = self.run(&servers[index])?;
                match self.figure.of(&outcome) {
                    Some(figure) => figures[index] = figure,
                    None => return Ok(Err(format!("{}: {}", servers[index].name, outcome.invalid_reasons.line()))),
                }
            }
            turns.push((figures[0], figures[1]));
        }
        Ok(Ok(middle(turns)))
    }

    /// Starts a program and measures it alone, once.
    pub(crate) fn alone(&self, start: StartServer<'_>) -> Result<Outcome> {
        self.run(&start(self.bed)?)
    }

    fn run(&self, server: &TestServer) -> Result<Outcome> {
        let run_options = RunOptions::unseen(self.client_cpus, WINDOW);
        let measured = measure(self.scenario.at(server.address), &run_options, &self.bed.stop);
        self.bed.stop.check()?;
        Ok(measured.with_context(|| server.name.to_owned())?.outcome)
    }

    /// How long a pair takes, about, in seconds: with two processes to start and to end, and what a run needs besides.
    pub(crate) fn pair_seconds(&self) -> f64 {
        let run = self.scenario.warmup.as_secs_f64() + self.scenario.duration.as_secs_f64() + 0.15;
        2.0 * (f64::from(TURNS) * run + 0.1)
    }
}

/// The turn whose ratio is the median.
fn middle(mut turns: Vec<(f64, f64)>) -> (f64, f64) {
    turns.sort_by(|one, other| (one.1 / one.0).total_cmp(&(other.1 / other.0)));
    turns[turns.len() / 2]
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

    #[test]
    fn a_turn_in_which_the_host_changed_does_not_count() {
        assert_eq!(middle(vec![(6.0, 6.06), (6.1, 8.2), (8.2, 8.3)]), (8.2, 8.3));
        assert_eq!(middle(vec![(8.2, 6.1), (6.1, 6.0), (6.0, 6.0)]), (6.1, 6.0));
    }
}
