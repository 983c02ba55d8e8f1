//! The machine is what the other scenarios take it for.

use anyhow::{Context, Result, ensure};

use super::super::machine::{GuestMachine, GuestPrograms};

pub(super) fn run(machine: &mut GuestMachine, _: &GuestPrograms) -> Result<String> {
    let before = look(machine)?;
    machine.reboot()?;
    let after = look(machine)?;
    ensure!(before == after, "after a reboot: {after}; before: {before}");
    Ok(after)
}

fn look(machine: &GuestMachine) -> Result<String> {
    let release = machine.run("uname -r")?;
    ensure!(release.starts_with("6.1."), "the guest's kernel is {release}");
    let cards = [("mgmt0", "virtio_net", 4), ("data0", "igb", 4)];
    for (card, driver, queues) in cards {
        let found = machine.run(&format!("ethtool -i {card}"))?;
        ensure!(found.contains(&format!("driver: {driver}\n")), "{card}: {found}");
        let channels = machine.run(&format!("ethtool -l {card}"))?;
        let now = combined_now(&channels).with_context(|| channels.clone())?;
        ensure!(now == queues, "{card} has {now} queue pairs:\n{channels}");
    }
    let failed = machine.run("systemctl --failed --plain --no-legend")?;
    ensure!(failed.is_empty(), "failed units: {failed}");
    Ok(format!("kernel {}, virtio_net and igb with 4 queue pairs each", release.trim()))
}

/// The queue pairs that `ethtool -l` reports as current.
fn combined_now(text: &str) -> Option<u32> {
    let current = text.split_once("Current hardware settings:")?.1;
    current.lines().find_map(|line| line.strip_prefix("Combined:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_number_is_read_not_the_largest() {
        let text = "Channel parameters for data0:\nPre-set maximums:\nRX:\t\tn/a\nCombined:\t8\nCurrent hardware settings:\nCombined:\t4\n";
        assert_eq!(combined_now(text), Some(4));
        assert_eq!(combined_now("Combined:\t8\n"), None);
    }
}
