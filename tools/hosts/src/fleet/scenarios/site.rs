//! From hosts with nothing on them to a fleet that serves, and the same once more without a change.

use anyhow::{Result, ensure};

use crate::fleet::Fleet;
use crate::fleet::ansible::Play;
use crate::fleet::load::Load;

/// Each costs a third of a CPU second and a round trip on every host.
const TASKS_MAX: u32 = 25;

/// The playbook with the release `good`.
pub(super) fn site(fleet: &Fleet) -> Result<Play> {
    fleet.play("site", "good")
}

/// A first run on hosts with nothing on them; then requests through the balancer are answered.
pub(super) fn from_nothing(fleet: &mut Fleet) -> Result<()> {
    let recap = fleet.controller.run(&site(fleet)?)?.success()?;
    for host in &fleet.hosts {
        let Some(row) = recap.get(host.name) else { anyhow::bail!("{} has no row in the recap", host.name) };
        ensure!(row.changed > 0, "{} was not changed: {row:?}", host.name);
        ensure!(row.ok + row.skipped <= TASKS_MAX, "{} took more than {TASKS_MAX} tasks: {row:?}", host.name);
    }
    println!("  tasks: {:?}", recap.values().map(|row| (row.ok, row.changed, row.skipped)).collect::<Vec<_>>());
    let load = Load::start(fleet.folder(), fleet.controller.namespace(), &fleet.stop)?;
    load.wait_for_more(600)?;
    load.check()?;
    load.finish().map(drop)
}

/// A second run, and one that only looks, change nothing.
pub(super) fn again(fleet: &mut Fleet) -> Result<()> {
    for play in [site(fleet)?, site(fleet)?.argument("--check").argument("--diff")] {
        let run = fleet.controller.run(&play)?;
        for (host, row) in run.success()? {
            ensure!(row.changed == 0, "{host} was changed again: {row:?}\n{}", run.text);
        }
    }
    Ok(())
}
