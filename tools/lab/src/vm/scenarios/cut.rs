//! A setting that cuts SSH is taken back by the armed timer: nobody gets in to do it.
//!
//! The setting: queues whose interrupts stay off for seconds after each packet. A connection is not answered in time.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::super::machine::{COMMAND_LIMIT, GuestMachine, GuestPrograms};
use super::tuner::Tuner;

const CARD: &str = "mgmt0";
const REVERT_SECONDS: u64 = 45;
const BACK_LIMIT: Duration = Duration::from_secs(300);
const READ: &str = "cat /sys/class/net/mgmt0/gro_flush_timeout /sys/class/net/mgmt0/napi_defer_hard_irqs";

pub(super) fn run(machine: &mut GuestMachine, _: &GuestPrograms) -> Result<String> {
    Tuner::on_card(machine, CARD)?;
    let before = machine.run(READ)?;
    let boot = machine.boot_id();
    let settings = "--set nic.gro_flush_timeout=20000000000 --set nic.napi_defer_hard_irqs=1000000";
    let apply = format!("apply --profile throughput --only net {settings} --revert-after {REVERT_SECONDS}s");
    let began = Instant::now();
    // The operator's session ends within it; corectl goes on.
    machine.run(&format!("systemd-run --quiet --collect corectl tune {apply}"))?;
    machine.wait("the end of SSH", COMMAND_LIMIT, |machine| machine.boot_id().is_none().then_some(()))?;
    let cut = began.elapsed();
    let after = machine.wait("SSH, back by itself", BACK_LIMIT, GuestMachine::boot_id)?;
    let back = began.elapsed();
    ensure!(Some(&after) == boot.as_ref(), "the guest was restarted");
    let restored = machine.wait("the settings from before", COMMAND_LIMIT, |machine| {
        machine.run(READ).ok().filter(|found| *found == before)
    })?;
    ensure!(back.as_secs() + 5 >= REVERT_SECONDS, "SSH was back after {} s, before the timer", back.as_secs());
    Ok(format!(
        "no SSH after {} s; with the timer of {REVERT_SECONDS} s back after {} s, {CARD} again at {}",
        cut.as_secs(),
        back.as_secs(),
        restored.split_whitespace().collect::<Vec<_>>().join(" and ")
    ))
}
