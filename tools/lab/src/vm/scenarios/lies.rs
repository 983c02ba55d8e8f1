//! A setting that the driver refuses although ethtool ends with status 0: reading back finds it.
//!
//! igb hashes TCP by addresses and ports, or not at all. `ethtool -N data0 rx-flow-hash tcp4 sd`, which asks for addresses only,
//! prints an error of the driver, changes nothing and ends with 0.

use anyhow::{Context, Result, ensure};

use super::super::machine::{COMMAND_LIMIT, GuestMachine, GuestPrograms};
use super::tuner::Tuner;

pub(super) fn run(machine: &mut GuestMachine, _: &GuestPrograms) -> Result<String> {
    let direct = machine.try_run("ethtool -N data0 rx-flow-hash tcp4 sd", COMMAND_LIMIT)?;
    ensure!(direct.status == Some(0), "ethtool does not lie here: {direct:?}");
    // It moves interrupts whenever it likes, and where they are is compared below.
    machine.try_run("systemctl stop irqbalance", COMMAND_LIMIT)?;
    let tuner = Tuner::on_card(machine, "data0")?;
    let before = tuner.facts()?;
    let applied = tuner.run("apply --profile throughput --only net --set nic.flow_hash.tcp4=sd --revert-after 30m")?;
    ensure!(applied.status == Some(1), "apply ended with {:?}:\n{}{}", applied.status, applied.stdout, applied.stderr);
    let verified = tuner.run("verify")?;
    let said = format!("{}{}", verified.stdout, verified.stderr);
    let line = said
        .lines()
        .find(|line| line.contains("nic.flow_hash.tcp4"))
        .with_context(|| format!("{said}\napply had said: {}{}", applied.stdout, applied.stderr))?;
    ensure!(verified.status == Some(1) && line.contains("not sd"), "verify ended with {:?}: {line}", verified.status);
    let line = line.trim().to_owned();
    tuner.succeed("rollback")?;
    tuner.facts()?.same_as(&before)?;
    Ok(format!("ethtool -N ended with 0; verify with 1: {line}"))
}
