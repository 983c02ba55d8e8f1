//! What is shown on the machine, each by values read back from its kernel.
//!
//! **Invariants**: a scenario leaves the machine as it found it, or fails.

mod boot;
mod cut;
mod lies;
mod machine;
mod partition;
mod queues;
mod rollback;
mod service;
mod tuner;

use anyhow::Result;

use super::machine::{GuestMachine, GuestPrograms};

/// A scenario.
pub(super) struct VmScenario {
    /// Its name on the command line and in reports.
    pub(super) name: &'static str,
    /// What it shows.
    pub(super) shows: &'static str,
    /// Runs it and says what was read.
    pub(super) run: fn(&mut GuestMachine, &GuestPrograms) -> Result<String>,
}

pub(super) const SCENARIOS: &[VmScenario] = &[
    VmScenario {
        name: "machine",
        shows: "the oldest kernel, both cards with their queues, a reboot by GRUB",
        run: machine::run,
    },
    VmScenario {
        name: "rollback",
        shows: "facts before a change and after its rollback are the same",
        run: rollback::run,
    },
    VmScenario {
        name: "queues",
        shows: "igb: queue, interrupt, XPS and worker of a core belong together while requests come in",
        run: queues::run,
    },
    VmScenario {
        name: "lies",
        shows: "a setting that is not made although ethtool ends with 0 is found",
        run: lies::run,
    },
    VmScenario { name: "cut", shows: "a setting that cuts SSH is taken back by itself", run: cut::run },
    VmScenario {
        name: "partition",
        shows: "a cpuset partition holds over a restart of the service",
        run: partition::run,
    },
    VmScenario {
        name: "boot",
        shows: "boot parameters by GRUB hold over a reboot, and go with a rollback",
        run: boot::run,
    },
];
