//! What dies in the middle of a rollout: its controller, a host.
//!
//! **Invariants**: no request fails and no value is lost meanwhile; the next run ends what was begun.

use anyhow::{Context, Result, ensure};

use super::super::ansible::{PLAY_LIMIT, Play};
use super::super::load::Load;
use super::super::recap::PlayRun;
use super::super::{Fleet, Role};
use super::serving::{Processes, at_lock, hasty, load, lock_holder, runs, runs_on, served};
use crate::scenarios::MINUTE;

/// The controller is killed while a host is updated; the next run waits for what runs on there, and goes on. What it has rolled out to
/// two edges is then taken back: the third one and the nodes, which it has not touched, are left alone.
pub(super) fn controller_killed(fleet: &mut Fleet) -> Result<()> {
    let load = load(fleet)?;
    let before = Processes::of(fleet)?;
    let play = hasty(fleet, "rollout", "good")?.argument("--limit=edge-1,edge-2");
    let mut running = fleet.controller.start(&play)?;
    let holder = running.wait_until("edge-1 is locked", || lock_holder(fleet, "edge-1"))?;
    let printed = running.kill();
    ensure!(!printed.contains("PLAY RECAP"), "the rollout had ended before\n{printed}");
    ensure!(lock_holder(fleet, "edge-1").as_ref() == Some(&holder), "the step has ended with its controller: {holder}");
    let step = &holder["pid"];

    // The remains stand still until the next run has come to them.
    fleet.host("edge-1")?.must(&format!("kill -STOP {step}"), MINUTE)?;
    let mut running = fleet.controller.start(&play)?;
    running.wait_until("the next run waits for the lock", || {
        at_lock(fleet, "edge-1").is_ok_and(|count| count > 1).then_some(())
    })?;
    fleet.host("edge-1")?.must(&format!("kill -CONT {step}"), MINUTE)?;
    let run = running.finish(PLAY_LIMIT)?;
    run.success()?;
    run.says(&["rollout of ", ": resumed"])?;
    // The time that a step took is told part by part, where it is a tenth of a second at least.
    run.says(&["edge-1: ", "(lock "])?;
    served(&load, &run)?;
    fleet.controller.rollout_state()?.decided("done")?;
    runs(fleet, "edge-1", "good")?;
    runs(fleet, "edge-2", "good")?;
    before.only_restarted(fleet, &["edge-1", "edge-2"])?;

    let before = Processes::of(fleet)?;
    let run = fleet.controller.run(&hasty(fleet, "rollback", "good")?)?;
    run.success()?;
    served(&load, &run)?;
    load.finish()?;
    fleet.controller.rollout_state()?.decided("done")?;
    before.only_restarted(fleet, &["edge-1", "edge-2"]).with_context(|| run.text.clone())?;
    runs_on(fleet, Role::Edge, "next")
}

/// A host loses its power in its step: the others wait while the minimum in service forbids more, and the next run finishes all of them.
pub(super) fn host_dies(fleet: &mut Fleet) -> Result<()> {
    let (load, processes, play) = (load(fleet)?, Processes::of(fleet)?, finishing(fleet, "good")?);
    held_back(fleet, &play, &load, &processes)?;
    is_back(fleet, &play, load, "good")
}

/// A rollout to the edges that goes on without a host that dies.
fn finishing(fleet: &Fleet, release: &str) -> Result<Play> {
    Ok(hasty(fleet, "rollout", release)?.argument("--limit=edges").text("corelane_rollout_on_dead_host", "finish"))
}

/// The dead host has its power again: the next run brings it, and whoever waits, to the release.
fn is_back(fleet: &mut Fleet, play: &Play, load: Load, release: &str) -> Result<()> {
    fleet.restore_power("edge-1")?;
    let run = fleet.controller.run(play)?;
    run.success()?;
    served(&load, &run)?;
    load.finish()?;
    fleet.controller.rollout_state()?.decided("done")?;
    runs_on(fleet, Role::Edge, release)
}

/// The first host dies, and no other is touched.
fn held_back(fleet: &mut Fleet, play: &Play, load: &Load, processes: &Processes) -> Result<()> {
    let run = dies(fleet, play, "edge-1", load)?;
    run.says(&["because: edge-3: held back", "2 hosts serve and 2 must"])?;
    let state = fleet.controller.rollout_state()?;
    state.decided("halt")?;
    state.hosts_are(&[("edge-1", "dead"), ("edge-2", "waiting"), ("edge-3", "waiting")])?;
    served(load, &run)?;
    processes.same(fleet, &["edge-2", "edge-3"])
}

/// A host loses its power in its step. The others wait while the minimum in service forbids more, and are finished when it does not.
pub(super) fn finished(fleet: &mut Fleet) -> Result<()> {
    let (load, processes, play) = (load(fleet)?, Processes::of(fleet)?, finishing(fleet, "next")?);
    held_back(fleet, &play, &load, &processes)?;

    // The same with one host less in service: the rest is finished while the host is still dead.
    let run = fleet.controller.run(&play.clone().var("corelane_rollout_min_in_service", "1"))?;
    ensure!(run.status != Some(0), "a host is gone, and the rollout says nothing\n{}", run.text);
    run.says(&["edge-1 is dead"])?;
    let state = fleet.controller.rollout_state()?;
    state.hosts_are(&[("edge-1", "dead"), ("edge-2", "updated"), ("edge-3", "updated")])?;
    served(&load, &run)?;
    runs(fleet, "edge-2", "next")?;
    runs(fleet, "edge-3", "next")?;
    is_back(fleet, &play, load, "next")
}

/// The second host, which is one of the other zone, loses its power: the first one is taken back at once, the dead one when it is there again.
pub(super) fn taken_back(fleet: &mut Fleet) -> Result<()> {
    let load = load(fleet)?;
    let processes = Processes::of(fleet)?;
    let play = hasty(fleet, "rollout", "good")?
        .argument("--limit=edges")
        .text("corelane_rollout_on_dead_host", "rollback")
        .var("corelane_rollout_min_in_service", "1")
        .var("corelane_rollout_batches", "[1]");
    let run = dies(fleet, &play, "edge-3", &load)?;
    let state = fleet.controller.rollout_state()?;
    state.decided("rollback")?;
    state.hosts_are(&[("edge-1", "returned"), ("edge-3", "dead"), ("edge-2", "waiting")])?;
    served(&load, &run)?;
    runs(fleet, "edge-1", "next")?;
    processes.same(fleet, &["edge-2"])?;

    fleet.restore_power("edge-3")?;
    let run = fleet.controller.run(&play)?;
    ensure!(run.status != Some(0), "what was taken back is no success\n{}", run.text);
    served(&load, &run)?;
    load.finish()?;
    fleet.controller.rollout_state()?.decided("rolled_back")?;
    runs_on(fleet, Role::Edge, "next")
}

/// Runs a rollout in which a host dies in its step, once it is drained.
fn dies(fleet: &mut Fleet, play: &Play, host: &str, load: &Load) -> Result<PlayRun> {
    let mut running = fleet.controller.start(play)?;
    running.wait_until(&format!("{host} is drained in its step"), || {
        lock_holder(fleet, host)?;
        (!fleet.balancer.uses(host).ok()?).then_some(())
    })?;
    // Requests that were sent to it before are answered.
    load.wait_for_more(100)?;
    fleet.lose_power(host)?;
    let run = running.finish(PLAY_LIMIT)?;
    ensure!(run.status != Some(0), "a host is gone, and the rollout says nothing\n{}", run.text);
    Ok(run)
}
