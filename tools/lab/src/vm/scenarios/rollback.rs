//! All that corectl knows of a host is as before, after a change was confirmed and rolled back.

use anyhow::{Result, ensure};

use super::super::machine::{GuestMachine, GuestPrograms};
use super::tuner::Tuner;

/// The partition has a scenario of its own.
const CHOSEN: &str = "--set service.cpu_partition=leave";

pub(super) fn run(machine: &mut GuestMachine, _: &GuestPrograms) -> Result<String> {
    let tuner = Tuner::on_card(machine, "data0")?;
    let before = tuner.facts()?;
    let applied = tuner.succeed(&format!("apply --profile latency {CHOSEN} --revert-after 30m"))?;
    // With fewer queues there are fewer settings: the whole list is one place then.
    let changed = tuner.facts()?.same_as(&before).err().map(|error| error.to_string().matches(" → ").count());
    ensure!(changed.is_some_and(|changed| changed >= 5), "apply changed {changed:?} places:\n{applied}");
    tuner.succeed("verify")?;
    tuner.succeed("confirm")?;
    tuner.succeed("rollback")?;
    let compared = tuner.facts()?.same_as(&before)?;
    Ok(format!("{} places changed; after the rollback {compared} of {compared} as before", changed.unwrap_or_default()))
}
