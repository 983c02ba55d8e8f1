//! What an earlier change set and this profile does not name: it gets back what it had before corectl came.
//!
//! **Invariants**: pure. Only what the operator's limits allow; the rest is noted, so that nobody takes a profile for all that is set.

use super::line::{LineAction, PlanLine};
use super::{PlanLimits, TunePlan};
use crate::facts::Facts;
use crate::knobs::by_name;
use crate::setting::SettingReading;
use crate::transaction::{Confirmed, SavedSetting};

/// Adds a line for every confirmed setting that the plan does not name.
pub fn release(plan: &mut TunePlan, facts: &Facts, confirmed: &Confirmed, limits: &PlanLimits) {
    let is_named =
        |setting: &SavedSetting, plan: &TunePlan| plan.lines.iter().any(|line| line.address == setting.address);
    for setting in confirmed.settings.iter().filter(|setting| setting.wanted.is_some()) {
        if is_named(setting, plan) {
            continue;
        }
        match released(setting, facts, confirmed, limits) {
            Some(line) => plan.lines.push(line),
            None => plan.notes.push(format!(
                "{} stays as profile {} set it, until corectl tune rollback",
                setting.words(),
                confirmed.profile
            )),
        }
    }
    plan.lines.sort_by_key(|line| line.address.order());
}

/// `None` when it cannot be put back by writing a value, or must not be touched.
fn released(setting: &SavedSetting, facts: &Facts, confirmed: &Confirmed, limits: &PlanLimits) -> Option<PlanLine> {
    let knob = by_name(&setting.knob)?;
    let is_chosen = limits.only.is_empty() || limits.only.contains(&knob.group);
    let SettingReading::Value(prior) = &setting.prior else { return None };
    let current = facts.reading(&setting.address);
    // Prior values are always written: what was allowed once may be given up without being allowed again.
    let value = current.value().filter(|_| is_chosen)?.to_owned();
    Some(PlanLine {
        action: if value == *prior { LineAction::Keep } else { LineAction::Change },
        knob: setting.knob.clone(),
        target: setting.target.clone(),
        group: knob.group,
        risk: knob.risk,
        address: setting.address.clone(),
        weakens: false,
        current,
        wanted: prior.clone(),
        reason: knob.reason.into(),
        note: format!("profile {} set it; as it was before corectl", confirmed.profile),
    })
}
