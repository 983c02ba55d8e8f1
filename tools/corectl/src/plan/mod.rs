//! What would be changed: a profile against the facts, line by line.
//!
//! **Not**: I/O. A plan is made from facts, and says why for every line.
//!
//! **Invariants**: lines stand in the order in which they are written. What cannot be read, or could not be put back, is never changed.
//!
//! **Source**: docs/tuning.md.

mod document;
mod line;
mod released;
mod render;
mod wanted;

use serde::{Deserialize, Serialize};

pub use line::{LineAction, PlanLine};
pub use released::release;
pub use render::render;

use crate::facts::{Facts, NetworkNamespace, NicFacts, ReportFact};
use crate::knobs::{Group, Risk, Setting, all, by_name, settings_with};
use crate::layout::{Layout, QueueCount, lay_out};
use crate::profile::Profile;
use crate::setting::SettingAddress;

/// What an operator allows.
#[derive(Debug, Clone, Default)]
pub struct PlanLimits {
    /// Groups to change; all when empty.
    pub only: Vec<Group>,
    /// The largest risk; the profile's own when not said.
    pub max_risk: Option<Risk>,
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TunePlan {
    /// The profile's name.
    pub profile: String,
    /// The host's name.
    pub hostname: String,
    /// The largest risk that is taken.
    pub max_risk: Risk,
    /// Which CPU does what.
    pub layout: Layout,
    /// The settings, in the order of writing.
    pub lines: Vec<PlanLine>,
    /// What was only looked at.
    pub reports: Vec<ReportFact>,
    /// What an operator should know.
    pub notes: Vec<String>,
    /// Why it must not be applied.
    pub problems: Vec<String>,
}

impl TunePlan {
    /// Lines that change something.
    pub fn changes(&self) -> impl Iterator<Item = &PlanLine> {
        self.lines.iter().filter(|line| line.action == LineAction::Change)
    }
}

/// Makes a plan.
#[must_use]
pub fn plan(facts: &Facts, profile: &Profile, limits: &PlanLimits) -> TunePlan {
    let max_risk = limits.max_risk.unwrap_or(profile.max_risk);
    let is_chosen = |group: Group| limits.only.is_empty() || limits.only.contains(&group);
    let without_siblings = turns_smt_off(facts, profile, max_risk, is_chosen(Group::Cpu))
        .then(|| Facts { cpus: facts.cpus.without_siblings(), ..facts.clone() });
    let facts = without_siblings.as_ref().unwrap_or(facts);
    let layout = lay_out(facts, &profile.layout, queue_count(profile, max_risk, is_chosen(Group::Net)));
    let queues = |nic: &NicFacts| queue_counts(nic, &layout);
    let mut lines = Vec::new();
    for setting in settings_with(facts, queues) {
        if is_chosen(setting.knob.group) && is_of_layout(&setting, &layout) {
            lines.extend(wanted::line(facts, profile, &layout, max_risk, &setting));
        }
    }
    lines.sort_by_key(|line| line.address.order());
    let mut faults: Vec<String> = all().filter_map(|knob| wanted::fault(knob, profile)).collect();
    let parameters: Vec<String> = lines.iter().filter_map(boot_value_fault).collect();
    let mut plan = TunePlan {
        profile: profile.name.clone(),
        hostname: facts.kernel.hostname.clone(),
        max_risk,
        reports: if is_chosen(Group::Report) { facts.reports.clone() } else { Vec::new() },
        notes: layout.notes.clone(),
        problems: layout.problems.clone(),
        layout,
        lines,
    };
    faults.extend(parameters);
    plan.problems.extend(faults);
    plan.problems.extend(foreign_groups(facts, &limits.only));
    plan
}

/// Why a value would not be one parameter of the boot loader's line, which a shell reads and blanks divide.
fn boot_value_fault(line: &PlanLine) -> Option<String> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_.,:=+@/%-".contains(letter);
    let is_parameter = matches!(line.address, SettingAddress::Boot { .. });
    (is_parameter && !line.wanted.chars().all(is_plain)).then(|| {
        format!(
            "{}: `{}` is no value of a boot parameter; allowed: letters, digits and _ . , : = + @ / % -",
            line.knob, line.wanted
        )
    })
}

/// Whether cores lose their second CPUs: then nothing is planned for those.
fn turns_smt_off(facts: &Facts, profile: &Profile, max_risk: Risk, is_chosen: bool) -> bool {
    let Some(knob) = by_name("cpu.smt").filter(|knob| knob.risk <= max_risk && is_chosen) else { return false };
    let is_on = facts.settings.iter().any(|fact| fact.knob == knob.name && fact.reading.shows("on"));
    is_on && profile.value(knob.name, None) == Some("off")
}

/// How many queues cards are going to have.
fn queue_count(profile: &Profile, max_risk: Risk, is_chosen: bool) -> QueueCount {
    let is_allowed = by_name("nic.channels").is_some_and(|knob| knob.risk <= max_risk);
    match profile.value("nic.channels", None) {
        Some("layout") if is_chosen && is_allowed => QueueCount::ByLayout,
        Some(text) if is_chosen && is_allowed => text.parse().map_or(QueueCount::AsIs, QueueCount::Exactly),
        _ => QueueCount::AsIs,
    }
}

/// Queues of a card when the plan is carried out, those that receive and those that send.
fn queue_counts(nic: &NicFacts, layout: &Layout) -> (u32, u32) {
    let planned = layout.queues(&nic.name).map(|queues| u32::try_from(queues.len()).unwrap_or_default());
    match planned {
        Some(count) if count > 0 => (count, count),
        _ => (nic.rx_queues, nic.tx_queues),
    }
}

fn is_of_layout(setting: &Setting, layout: &Layout) -> bool {
    setting.on.nic.as_ref().is_none_or(|nic| layout.queues(nic).is_some())
}

/// In a network namespace, what is not of the network would be changed for the host outside.
fn foreign_groups(facts: &Facts, only: &[Group]) -> Option<String> {
    if facts.kernel.network_namespace == NetworkNamespace::Host {
        return None;
    }
    let chosen = if only.is_empty() { Group::ALL } else { only };
    let foreign = chosen.iter().filter(|group| !group.is_of_namespace()).map(Group::to_string);
    let foreign: Vec<String> = foreign.collect();
    (!foreign.is_empty()).then(|| {
        format!(
            "this is a network namespace of its own, and {} would be changed for the host outside of it: use --only net, --only filter or both",
            foreign.join(", ")
        )
    })
}
