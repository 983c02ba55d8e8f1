//! What dies in the middle of a rollout: its controller, a host.
//!
//! **Invariants**: no request fails and no value is lost meanwhile; the next run ends what was begun.

use anyhow::{Context, Result, ensure};

use super::super::{Fleet, Role};
use super::serving::{load, runs_on, served};

/// What a rollout prints once it has begun to change hosts.
const UPDATING: &str = "TASK [Update, verify, and put back what fails]";

/// The controller is killed while a host is updated; the next run goes on where it was.
pub(super) fn controller_killed(fleet: &mut Fleet) -> Result<()> {
    let load = load(fleet)?;
    let play = fleet.play("rollout", "good")?.var("corelane_allow_downgrade", "true").argument("--limit=edges");
    let mut running = fleet.controller.start(&play)?;
    running.wait_for(UPDATING)?;
    // The task is on its way to the host, where it runs on without the controller.
    load.wait_for_more(200)?;
    let printed = running.kill();
    ensure!(!printed.contains("PLAY RECAP"), "the rollout had ended before\n{printed}");
    let run = fleet.controller.run(&play)?;
    run.success()?;
    served(&load, &run)?;
    load.finish()?;
    runs_on(fleet, Role::Edge, "good")
}

/// A host loses its power while it is updated: the rollout ends as configured, with the others in service, and the next one finishes it.
pub(super) fn host_dies(fleet: &mut Fleet) -> Result<()> {
    let load = load(fleet)?;
    let play = fleet.play("rollout", "next")?.argument("--limit=edges").text("corelane_rollout_on_dead_host", "finish");
    let mut running = fleet.controller.start(&play)?;
    running.wait_for(UPDATING)?;
    // Three seconds, in which the balancer sees that the canary is drained.
    load.wait_for_more(600)?;
    fleet.lose_power("edge-1")?;
    let run = running.finish(super::super::ansible::PLAY_LIMIT)?;
    ensure!(run.status != Some(0), "a host is gone, and the rollout says nothing\n{}", run.text);
    load.wait_for_more(200).with_context(|| run.text.clone())?;
    served(&load, &run)?;
    fleet.restore_power("edge-1")?;
    let run = fleet.controller.run(&play)?;
    run.success()?;
    served(&load, &run)?;
    load.finish()?;
    runs_on(fleet, Role::Edge, "next")
}
