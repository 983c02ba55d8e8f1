//! Parameters of the kernel, by GRUB, over a reboot and back.

use anyhow::{Result, ensure};

use super::super::machine::{GuestMachine, GuestPrograms};
use super::tuner::Tuner;

const ISOLATED: &str = "cat /sys/devices/system/cpu/isolated";
const COMMAND_LINE: &str = "cat /proc/cmdline";

pub(super) fn run(machine: &mut GuestMachine, _: &GuestPrograms) -> Result<String> {
    let before = machine.run(COMMAND_LINE)?;
    let isolated = machine.run(ISOLATED)?;
    ensure!(isolated.trim().is_empty(), "CPUs {isolated} are isolated before");
    let tuner = Tuner::on_card(machine, "data0")?;
    tuner
        .succeed("apply --profile safe --only boot --max-risk reboot --set boot.isolcpus=layout --revert-after 30m")?;
    tuner.succeed("confirm")?;
    ensure!(machine.run(ISOLATED)?.trim().is_empty(), "CPUs are isolated before the reboot");
    machine.reboot()?;
    let isolated = machine.run(ISOLATED)?;
    ensure!(isolated.trim() == "1-3", "after the reboot CPUs `{}` are isolated", isolated.trim());
    let during = machine.run(COMMAND_LINE)?;
    let tuner = Tuner::on_card(machine, "data0")?;
    tuner.succeed("verify")?;
    tuner.succeed("rollback")?;
    machine.reboot()?;
    let [after, left] = [machine.run(COMMAND_LINE)?, machine.run(ISOLATED)?];
    ensure!(after == before && left.trim().is_empty(), "after the rollback: {after}{left}");
    let word = during.split_whitespace().find(|word| word.starts_with("isolcpus=")).unwrap_or("no isolcpus=");
    Ok(format!("{word} on the command line, CPUs 1-3 isolated; after rollback and reboot the line of before"))
}
