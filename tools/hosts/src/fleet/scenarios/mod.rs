//! What is shown on the fleet, in order: each leaves a fleet that serves.

mod measure;
mod rollout;
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

/// All of them.
pub(super) const SCENARIOS: &[FleetScenario] = &[
    FleetScenario { name: "site", run: site::from_nothing, always: true },
    FleetScenario { name: "site again", run: site::again, always: false },
    FleetScenario { name: "wrong inventories", run: wrong::inventories, always: false },
    FleetScenario { name: "unsigned release", run: wrong::unsigned, always: false },
    FleetScenario { name: "rollout", run: rollout::good, always: false },
    FleetScenario { name: "nodes need a word", run: rollout::nodes_unacknowledged, always: false },
    FleetScenario { name: "bad releases", run: rollout::bad, always: false },
    FleetScenario { name: "bad settings", run: rollout::bad_settings, always: false },
    FleetScenario { name: "controller killed", run: rollout::controller_killed, always: false },
    FleetScenario { name: "host dies", run: rollout::host_dies, always: false },
    FleetScenario { name: "measure: perf", run: measure::load, always: false },
    FleetScenario { name: "measure: tune_ab", run: measure::knob, always: false },
];
