//! What is shown on the machine, each by values read back from its kernel.
//!
//! **Invariants**: a scenario leaves the machine as it found it, or fails.

mod machine;

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

pub(super) const SCENARIOS: &[VmScenario] = &[VmScenario {
    name: "machine",
    shows: "the oldest kernel, both cards with their queues, a reboot by GRUB",
    run: machine::run,
}];
