//! A knob tried: rounds of four runs, the order by lot, every B an armed change that is taken back.
//!
//! **Invariants**: as in [`super`]. A run that fails under A ends everything, because the load or the server is at fault; one that fails
//! under B ends its knob.

use super::report::{AbResult, AbRow, AbSetting};
use super::{AbBench, AbError, AbRun, AbSide, Candidate};
use crate::facts::Facts;
use crate::plan::{LineAction, PlanLine};
use crate::setting::{SettingAddress, SettingReading, read};
use crate::transaction::{ApplyOptions, StateStore, TransactionError, TransactionRecord, apply, rollback};
use crate::verify::{VerifiedSetting, verify_waiting};

/// Which order a round has, a bit for each: drawn once. What the order must not know is the host's rhythm.
const ORDERS: u64 = 0x5c7a_96d1_3be2_0f4d;

/// The orders of a round. Each pairs its first A with its first B, and its second with its second, next to each other.
const ROUNDS: [[AbSide; 4]; 2] =
    [[AbSide::A, AbSide::B, AbSide::B, AbSide::A], [AbSide::B, AbSide::A, AbSide::A, AbSide::B]];

/// How knobs are tried.
#[derive(Debug, Clone)]
pub struct TrialOptions {
    /// Rounds of four runs, 1 to 64.
    pub rounds: u32,
    /// How each B is applied.
    pub apply: ApplyOptions,
}

/// Tries knobs on a host. The caller holds the lock and has recovered.
pub struct Trial<'t> {
    store: &'t StateStore<'t>,
    facts: &'t Facts,
    options: &'t TrialOptions,
}

/// A knob on its way.
struct KnobState<'c> {
    candidate: &'c Candidate,
    /// What was found of each setting that B changes.
    prior: Vec<(&'c SettingAddress, SettingReading)>,
    /// B, while it is in force.
    applied: Option<TransactionRecord>,
    /// Runs of A and of B so far.
    runs: [u32; 2],
    read_back: u32,
}

impl<'t> Trial<'t> {
    /// Tries with these options.
    #[must_use]
    pub fn new(store: &'t StateStore<'t>, facts: &'t Facts, options: &'t TrialOptions) -> Self {
        Trial { store, facts, options }
    }

    /// Tries a knob; its values are back when this returns.
    ///
    /// # Errors
    /// Somebody stopped it, a run failed although nothing was changed, or a value is not back.
    pub fn knob(&self, candidate: &Candidate, bench: &mut dyn AbBench) -> Result<AbRow, AbError> {
        let changed = candidate.plan.lines.iter().filter(|line| line.action == LineAction::Change);
        let changed: Vec<&PlanLine> = changed.collect();
        let row = |result| AbRow {
            knob: candidate.knob.name.into(),
            risk: candidate.knob.risk,
            settings: changed.iter().map(|line| setting_of(candidate, line)).collect(),
            result,
        };
        if let Some(why) = candidate.why_not.clone().or_else(|| self.lacks_acknowledgement(&changed)) {
            return Ok(row(AbResult::NotTried { why }));
        }
        let mut state = KnobState {
            candidate,
            prior: changed.iter().map(|line| (&line.address, read(self.store.host(), &line.address))).collect(),
            applied: None,
            runs: [0; 2],
            read_back: 0,
        };
        let tried = self.rounds(&mut state, bench);
        let was_b = state.applied.is_some();
        // First of all the values are put back, and only then is looked at what went wrong.
        self.take_back(&mut state)?;
        match tried {
            Ok(()) => {
                let figures = bench.judge(candidate.knob.name)?;
                Ok(row(AbResult::Tried { read_back: state.read_back, figures }))
            }
            Err(AbError::Run { what, why }) if was_b => {
                Ok(row(AbResult::NotTried { why: format!("with B in force, {what}: {why}") }))
            }
            Err(AbError::Transaction(error @ TransactionError::Refused { .. })) => {
                Ok(row(AbResult::NotTried { why: error.to_string() }))
            }
            Err(error) => Err(error),
        }
    }

    /// What is missing where a knob gives up a protection.
    fn lacks_acknowledgement(&self, changed: &[&PlanLine]) -> Option<String> {
        let weakens = self.options.apply.acknowledgement.is_none() && changed.iter().any(|line| line.weakens);
        weakens.then(|| "it gives up a protection; --acknowledge TEXT says who has agreed, and why".to_owned())
    }

    fn rounds(&self, state: &mut KnobState<'_>, bench: &mut dyn AbBench) -> Result<(), AbError> {
        bench.begin(state.candidate.knob.name)?;
        for round in 0..self.options.rounds {
            for side in ROUNDS[(ORDERS >> (round % u64::BITS) & 1) as usize] {
                self.turn_to(state, side)?;
                self.run(state, side, bench)?;
            }
        }
        Ok(())
    }

    fn turn_to(&self, state: &mut KnobState<'_>, side: AbSide) -> Result<(), AbError> {
        match side {
            AbSide::A => self.take_back(state),
            AbSide::B if state.applied.is_some() => Ok(()),
            AbSide::B => {
                let record = apply(self.store, self.facts, &state.candidate.plan, &self.options.apply)?;
                state.applied = Some(record);
                Ok(())
            }
        }
    }

    fn take_back(&self, state: &mut KnobState<'_>) -> Result<(), AbError> {
        if state.applied.is_some() {
            rollback(self.store)?;
            state.applied = None;
        }
        Ok(())
    }

    fn run(&self, state: &mut KnobState<'_>, side: AbSide, bench: &mut dyn AbBench) -> Result<(), AbError> {
        self.look(state, side, "before")?;
        let number = &mut state.runs[side as usize];
        let run = AbRun { knob: state.candidate.knob.name, side, number: *number };
        *number += 1;
        bench.measure(run)?;
        self.look(state, side, "after")
    }

    /// Reads back that a side is in force.
    fn look(&self, state: &mut KnobState<'_>, side: AbSide, when: &str) -> Result<(), AbError> {
        let host = self.store.host();
        let wrong = match &state.applied {
            Some(record) => {
                let wrong = verify_waiting(host, &record.settings).into_iter().find(|setting| !setting.is_right());
                wrong.as_ref().map(VerifiedSetting::words)
            }
            None => state.prior.iter().find_map(|(address, prior)| {
                let found = read(host, address);
                (found != *prior).then(|| format!("{address} is {found}, not {prior}"))
            }),
        };
        state.read_back += 1;
        let what = format!("{side}, read back {when} a run");
        wrong.map_or(Ok(()), |wrong| Err(AbError::run(&what, &wrong)))
    }
}

fn setting_of(candidate: &Candidate, line: &PlanLine) -> AbSetting {
    let is_own = line.knob == candidate.knob.name;
    let target = if is_own { line.target.clone() } else { format!("{} {}", line.knob, line.target) };
    let b = SettingReading::Value(line.wanted.clone()).to_string();
    AbSetting { target, a: line.current.to_string(), b }
}
