//! All that corectl knows of a host is as before, after a change was confirmed and rolled back.

use anyhow::{Result, ensure};

use super::super::machine::{GuestMachine, GuestPrograms};
use super::tuner::Tuner;

pub(super) fn run(machine: &mut GuestMachine, _: &GuestPrograms) -> Result<String> {
    let tuner = Tuner::on_card(machine, "data0")?;
    let before = tuner.facts()?;
    let applied = tuner.succeed("apply --profile latency --set service.cpu_partition=leave --revert-after 30m")?;
    let changed = tuner.facts()?.same_as(&before).err().map(|error| error.to_string().matches(" → ").count());
    ensure!(changed.is_some_and(|changed| changed >= 20), "apply changed {changed:?} values:\n{applied}");
    tuner.succeed("verify")?;
    tuner.succeed("confirm")?;
    tuner.succeed("rollback")?;
    let compared = tuner.facts()?.same_as(&before)?;
    Ok(format!("{} values changed; after the rollback {compared} of {compared} as before", changed.unwrap_or_default()))
}
