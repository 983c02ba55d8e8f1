//! From hosts with nothing on them to a fleet that serves: announced before, done, and the same once more without a change.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::fleet::Fleet;
use crate::fleet::ansible::Play;
use crate::fleet::load::Load;

use super::serving::balanced;

/// Each costs a third of a CPU second and a round trip on every host.
const TASKS_MAX: u32 = 25;

/// Where playbooks would leave something. What changes by itself is elsewhere.
const WATCHED: &[&str] = &["/etc", "/opt", "/usr", "/var/cache", "/var/lib/corelane"];

/// The playbook with the release `good`.
pub(super) fn site(fleet: &Fleet) -> Result<Play> {
    Ok(fleet.play("site", "good")?.argument("--diff"))
}

/// A run that only looks, on hosts with nothing on them, leaves nothing there. What it announces is kept for [`from_nothing`].
pub(super) fn announced(fleet: &mut Fleet) -> Result<()> {
    let before = files(fleet)?;
    let run = fleet.controller.run(&site(fleet)?.argument("--check"))?;
    for (host, row) in run.success()? {
        ensure!(row.changed > 0, "nothing is announced for {host}\n{}", run.text);
    }
    for (host, after) in files(fleet)? {
        let new: Vec<_> = after.iter().filter(|file| !before[host].contains(file)).collect();
        ensure!(new.is_empty(), "{host} was changed by a run with --check: {new:#?}");
    }
    fleet.announced = Some(run.announced());
    Ok(())
}

fn files(fleet: &Fleet) -> Result<BTreeMap<&'static str, Vec<String>>> {
    let of_host = |host: &crate::fleet::FleetHost| {
        let found: Result<Vec<_>> = WATCHED.iter().map(|folder| host.host.changed_files(folder)).collect();
        Ok((host.name, found?.concat()))
    };
    fleet.hosts.iter().map(of_host).collect()
}

/// A first run on hosts with nothing on them; then requests through the balancer are answered.
pub(super) fn from_nothing(fleet: &mut Fleet) -> Result<()> {
    let run = fleet.controller.run(&site(fleet)?)?;
    let recap = run.success()?;
    for host in &fleet.hosts {
        let Some(row) = recap.get(host.name) else { anyhow::bail!("{} has no row in the recap", host.name) };
        ensure!(row.changed > 0, "{} was not changed: {row:?}", host.name);
        ensure!(row.ok + row.skipped <= TASKS_MAX, "{} took more than {TASKS_MAX} tasks: {row:?}", host.name);
    }
    println!("  tasks: {:?}", recap.values().map(|row| (row.ok, row.changed, row.skipped)).collect::<Vec<_>>());
    if let Some(announced) = fleet.announced.take() {
        let done = run.announced();
        ensure!(announced == done, "announced: {announced:#?}\ndone: {done:#?}");
    }
    fleet.balancer.identify(&fleet.controller.pki_of_lab())?;
    balanced(fleet, "edge-1", true)?;
    let load = Load::start(fleet.folder(), fleet.controller.namespace(), &fleet.stop)?;
    load.wait_for_more(600)?;
    load.check()?;
    load.finish().map(drop)
}

/// A second run, and one that only looks, change nothing.
pub(super) fn again(fleet: &mut Fleet) -> Result<()> {
    for play in [site(fleet)?, site(fleet)?.argument("--check")] {
        let run = fleet.controller.run(&play)?;
        for (host, row) in run.success()? {
            ensure!(row.changed == 0, "{host} was changed again: {row:?}\n{}", run.text);
        }
    }
    Ok(())
}
