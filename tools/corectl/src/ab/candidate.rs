//! The knobs that can be tried, each with a plan that turns it alone.
//!
//! **Invariants**: pure. A plan holds one knob, and what cannot stay as it is when that knob turns: queues are as they are unless
//! `nic.channels` is the knob.

use super::AbError;
use crate::facts::Facts;
use crate::knobs::{self, Knob, Risk};
use crate::plan::{LineAction, PlanLimits, PlanLine, TunePlan, plan};
use crate::profile::Profile;

/// Knobs that must turn with another one: fewer queues refuse a spreading over more of them.
const COMPANIONS: &[(&str, &str)] = &[("nic.channels", "nic.rss")];

/// A knob that a profile names.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The knob.
    pub knob: &'static Knob,
    /// What turning it changes.
    pub plan: TunePlan,
    /// Why it is not tried.
    pub why_not: Option<String>,
}

/// The knobs of these names, or all that the profile names where none is said.
///
/// # Errors
/// A name is no knob's, or a plan must not be applied here.
pub fn candidates(
    facts: &Facts,
    profile: &Profile,
    limits: &PlanLimits,
    names: &[String],
) -> Result<Vec<Candidate>, AbError> {
    let chosen = if names.is_empty() { named_by_profile(facts, profile, limits) } else { by_name(names)? };
    let candidates: Vec<Candidate> = chosen.into_iter().map(|knob| candidate(facts, profile, limits, knob)).collect();
    let tried = candidates.iter().filter(|candidate| candidate.why_not.is_none());
    let problem = tried.into_iter().find_map(|candidate| candidate.plan.problems.first());
    problem.map_or(Ok(()), |problem| Err(AbError::Asked(problem.clone())))?;
    Ok(candidates)
}

fn by_name(names: &[String]) -> Result<Vec<&'static Knob>, AbError> {
    let find = |name: &String| {
        let meant = knobs::closest(name).map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
        knobs::by_name(name).ok_or_else(|| AbError::Asked(format!("--knob: there is no knob {name}{meant}")))
    };
    names.iter().map(find).collect()
}

fn named_by_profile(facts: &Facts, profile: &Profile, limits: &PlanLimits) -> Vec<&'static Knob> {
    let whole = plan(facts, profile, limits);
    knobs::all().filter(|knob| whole.lines.iter().any(|line| line.knob == knob.name)).collect()
}

fn candidate(facts: &Facts, profile: &Profile, limits: &PlanLimits, knob: &'static Knob) -> Candidate {
    let companions = COMPANIONS.iter().filter(|(name, _)| *name == knob.name).map(|(_, companion)| *companion);
    let turned: Vec<&str> = companions.chain([knob.name]).collect();
    let plan = plan(facts, &profile.only(&turned), limits);
    let own: Vec<&PlanLine> = plan.lines.iter().filter(|line| line.knob == knob.name).collect();
    let why_not = why_not(&own, knob, limits);
    Candidate { knob, plan, why_not }
}

fn why_not(lines: &[&PlanLine], knob: &Knob, limits: &PlanLimits) -> Option<String> {
    if !limits.only.is_empty() && !limits.only.contains(&knob.group) {
        return Some(format!("{} is not among --only", knob.group));
    }
    let note = |action| lines.iter().find(|line| line.action == action).map(|line| line.note.clone());
    if lines.iter().any(|line| line.action == LineAction::Change) {
        let is_later = knob.risk == Risk::Reboot || lines.iter().any(|line| line.address.is_persistent());
        return is_later.then(|| "it takes effect with a start, not while this runs".into());
    }
    let is_so = lines.iter().any(|line| line.action == LineAction::Keep);
    let so = is_so.then(|| "it is so already".to_owned());
    let unnamed = || "the profile does not name it; --set KNOB=VALUE says what B is".to_owned();
    Some(note(LineAction::HeldBack).or(so).or_else(|| note(LineAction::NotHere)).unwrap_or_else(unnamed))
}
