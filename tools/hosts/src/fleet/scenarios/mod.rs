//! What is shown on the fleet, in order: each leaves a fleet that serves, but the last one.

mod certificates;
mod failures;
mod measure;
mod operate;
mod rollout;
mod serving;
mod site;
mod wrong;

use anyhow::Result;

use super::Fleet;

/// Something that is shown.
pub(super) struct FleetScenario {
    pub(super) name: &'static str,
    pub(super) run: fn(&mut Fleet) -> Result<()>,
    /// Whether the others rest on it.
    pub(super) always: bool,
}

impl FleetScenario {
    const fn new(name: &'static str, run: fn(&mut Fleet) -> Result<()>) -> Self {
        Self { name, run, always: false }
    }
}

/// All of them. Edges run the release `next` from `rollout` on, and `good` again from the first host that dies.
pub(super) const SCENARIOS: &[FleetScenario] = &[
    FleetScenario::new("announced", site::announced),
    FleetScenario { name: "site", run: site::from_nothing, always: true },
    FleetScenario::new("site again", site::again),
    FleetScenario::new("wrong inventories", wrong::inventories),
    FleetScenario::new("unsigned release", wrong::unsigned),
    FleetScenario::new("look and plan", operate::look),
    FleetScenario::new("drain", operate::drain),
    FleetScenario::new("certificates", certificates::rotated),
    FleetScenario::new("rollout", rollout::good),
    FleetScenario::new("nodes need a word", rollout::nodes_unacknowledged),
    FleetScenario::new("bad releases", rollout::bad),
    FleetScenario::new("bad settings", rollout::bad_settings),
    FleetScenario::new("controller killed, rollback", failures::controller_killed),
    FleetScenario::new("host dies", failures::host_dies),
    FleetScenario::new("host dies: finished", failures::finished),
    FleetScenario::new("host dies: taken back", failures::taken_back),
    FleetScenario::new("measure: perf", measure::load),
    FleetScenario::new("measure: tune_ab", measure::knob),
    FleetScenario::new("leaves", operate::leaves),
];
