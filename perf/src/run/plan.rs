//! What the cores of a run have in common: the scenario with all that it names, and who loads together.
//!
//! **Not** state: once it is made, only the phases move.
//!
//! **Invariants**: cores of all agents together ask for every request of a trace in turn.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use reactor::Address;

use super::phases::Phases;
use super::protocol::ProtocolRequests;
use super::scenario::{MISS, Scenario};
use super::trace::{Recorded, TraceCursor};
use super::values::Values;
use crate::system::stop::StopSignal;

/// What all cores have in common.
pub(crate) struct RunPlan {
    pub(crate) scenario: Scenario,
    pub(super) address: Address,
    pub(super) requests: ProtocolRequests,
    pub(super) values: Values,
    pub(crate) phases: Phases,
    /// Says which keys, if the scenario names one.
    trace: Option<Arc<Recorded>>,
    pub(crate) team: Team,
    /// Whether a GET may miss, so that hits and misses are told.
    pub(super) may_miss: bool,
    /// Whether the answers that come at once on a connection are more than the reactor's small receive buffers hold. In large ones
    /// they take fewer receives, and are cut into fewer pieces.
    pub(super) expects_bulk: bool,
}

/// From this many bytes of values in a burst of answers on, large buffers cost the generator less.
const BULK_BURST_BYTES: u64 = 2_048;

/// Length of a window, unless a measurement has reasons for shorter ones: what people see and timelines tell, second by second.
pub(crate) const WINDOW: Duration = Duration::from_secs(1);

/// The keys of a scenario that are in the store when a run begins, or the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeysPart {
    Present,
    Absent,
}

/// Who loads together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Team {
    /// Which agent this is, and how many there are; 0 of 1 without any.
    pub(crate) agent: usize,
    pub(crate) agents: usize,
    /// Cores of this agent, that share its rate and connections.
    pub(crate) cores: usize,
    /// Whether a core that has nothing to do looks again at once instead of sleeping.
    pub(crate) spins: bool,
    /// How often a core tells what it has seen.
    pub(crate) window: Duration,
}

impl Team {
    /// The cores of this process, and nobody else.
    pub(crate) const fn alone(cores: usize, spins: bool) -> Self {
        Self { agent: 0, agents: 1, cores, spins, window: WINDOW }
    }

    /// Which of all cores, of all agents that have as many as this one, a core of this agent is.
    ///
    /// Agents take what is done in turn by turns, whatever cores the others have, and so do the cores of each.
    const fn place(self, core: usize) -> (usize, usize) {
        (self.agent + self.agents * core, self.agents * self.cores)
    }
}

impl RunPlan {
    /// The plan of a scenario, with what the files it names say.
    pub(crate) fn read(scenario: Scenario, team: Team, stop: &StopSignal) -> Result<Arc<Self>> {
        let trace = Recorded::read(&scenario.keys, &scenario.values, stop)?.map(Arc::new);
        let values = Values::read(&scenario.values, trace.as_ref())?;
        Self::new(scenario, team, (trace, values))
    }

    /// The plan of a scenario that others follow: no files are read.
    pub(crate) fn for_others(scenario: Scenario) -> Result<Arc<Self>> {
        let values = Values::new(&scenario.values);
        Self::new(scenario, Team::alone(1, false), (None, values))
    }

    fn new(scenario: Scenario, team: Team, (trace, values): (Option<Arc<Recorded>>, Values)) -> Result<Arc<Self>> {
        let target = scenario.target()?;
        let keys = trace.as_ref().map_or(scenario.keys.count, |trace| trace.key_count());
        let burst_bytes = values.mean_bytes(keys) * scenario.pipeline as u64;
        Ok(Arc::new(Self {
            address: Address::Tcp(target.address),
            requests: ProtocolRequests::new(&target, &scenario),
            values,
            phases: Phases::default(),
            trace,
            team,
            expects_bulk: scenario.mix.get > 0.0 && burst_bytes >= BULK_BURST_BYTES,
            may_miss: scenario.expect.status.contains(&MISS),
            scenario,
        }))
    }

    /// How many keys there are, numbered from 0.
    pub(super) fn key_count(&self) -> u64 {
        self.trace.as_ref().map_or(self.scenario.keys.count, |trace| trace.key_count())
    }

    /// The numbers of the keys that are there when a run begins, or of those that are not.
    pub(super) fn numbers(&self, part: KeysPart) -> impl Iterator<Item = u64> {
        let keys = &self.scenario.keys;
        let wanted = move |drawn: &u64| keys.is_absent(*drawn) == (part == KeysPart::Absent);
        (0..self.key_count()).filter(wanted).map(|drawn| keys.number(drawn))
    }

    /// The way of a core through the trace, if there is one.
    pub(super) fn cursor(&self, core: usize) -> Option<TraceCursor> {
        self.trace.as_ref().map(|trace| TraceCursor::new(Arc::clone(trace), self.team.place(core)))
    }

    /// Requests and different keys of the trace, if there is one.
    pub(super) fn trace_counts(&self) -> Option<(usize, u64)> {
        self.trace.as_ref().map(|trace| (trace.len(), trace.key_count()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked for is what was stored before the run, or is new in it.
    #[test]
    fn every_number_is_present_or_absent() {
        let text = "url = \"http://127.0.0.1:1/{key}\"\n[keys]\ncount = 1000\nabsent = 0.1\nrun = 2\n";
        let scenario = Scenario::parse(text).expect("it is right");
        let plan = RunPlan::for_others(scenario).expect("it has an address");
        let present: Vec<u64> = plan.numbers(KeysPart::Present).collect();
        let absent: Vec<u64> = plan.numbers(KeysPart::Absent).collect();
        assert_eq!(present.len() + absent.len(), 1000);
        assert!((70..130).contains(&absent.len()) && present.iter().all(|number| *number < 1000));
        assert!(absent.iter().all(|number| (3000..4000).contains(number)), "the third run's own");
    }

    /// With two agents of which one has more cores than the other, every place is somebody's, once.
    #[test]
    fn agents_share_what_is_done_in_turn() {
        let teams = [(0, 3), (1, 2)].map(|(agent, cores)| Team { agent, agents: 2, ..Team::alone(cores, false) });
        let mut asked = [0; 60];
        for team in teams {
            for (start, step) in (0..team.cores).map(|core| team.place(core)) {
                (start..asked.len()).step_by(step).for_each(|at| asked[at] += 1);
            }
        }
        assert_eq!(asked, [1; 60]);
    }
}
