//! Another release, host by host, under load: good ones arrive without a failed request, bad ones go back by themselves.
//!
//! **Invariants**: the load goes on from before the rollout until after it, and fails nowhere.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::ansible::Play;
use super::super::load::Load;
use super::super::recap::PlayRun;
use super::super::{Fleet, Role};
use crate::scenarios::MINUTE;

/// What a rollout prints once it has begun to change hosts.
const UPDATING: &str = "TASK [Update, verify, and put back what fails]";

/// The preflight of a rollout and the plan of it.
const BEGIN_LIMIT: Duration = Duration::from_secs(180);

/// A good release on edges and nodes.
pub(super) fn good(fleet: &mut Fleet) -> Result<()> {
    let load = load(fleet)?;
    let play = fleet.play("rollout", "next")?.var("corelane_accept_node_data_loss", "true");
    let run = fleet.controller.run(&play)?;
    ended(&load, &run)?;
    run.success()?;
    load.wait_for_more(200)?;
    let count = load.check()?;
    println!("  rollout: {} requests, none failed", count.requests);
    load.finish()?;
    runs_everywhere(fleet, "next")
}

/// Nodes keep values in memory only: without a word of the operator none is restarted.
pub(super) fn nodes_unacknowledged(fleet: &mut Fleet) -> Result<()> {
    let play = fleet.play("rollout", "good")?.var("corelane_allow_downgrade", "true").argument("--limit=nodes");
    let run = fleet.controller.run(&play)?;
    ensure!(run.status != Some(0), "it was not refused\n{}", run.text);
    ensure!(
        run.text.contains("corelane_accept_node_data_loss"),
        "the refusal does not name the variable\n{}",
        run.text
    );
    runs_on(fleet, Role::Node, "next")
}

/// Releases that crash, answer wrongly or cost three times the CPU: each goes no further than the canary, and back.
pub(super) fn bad(fleet: &mut Fleet) -> Result<()> {
    for (release, says) in [("crashes", "edge-1"), ("wrong", "edge-1"), ("costly", "cpu")] {
        refused(fleet, fleet.play("rollout", release)?, says).with_context(|| format!("the release {release:?}"))?;
    }
    Ok(())
}

/// Settings that the program refuses: no host is left with them.
pub(super) fn bad_settings(fleet: &mut Fleet) -> Result<()> {
    let settings = r#"{"memory": "64MiB", "no_such_key": 1}"#;
    let play = fleet.play("rollout", "next")?.var("corelane_edge_settings", settings);
    refused(fleet, play, "no_such_key")
}

fn refused(fleet: &Fleet, play: Play, says: &str) -> Result<()> {
    let load = load(fleet)?;
    let run = fleet.controller.run(&play.argument("--limit=edges"))?;
    ensure!(run.status != Some(0), "it was rolled out\n{}", run.text);
    ensure!(run.text.to_lowercase().contains(says), "it does not say {says:?}\n{}", run.text);
    load.wait_for_more(200).with_context(|| run.text.clone())?;
    ended(&load, &run)?;
    load.finish()?;
    runs_on(fleet, Role::Edge, "next")
}

/// The controller is killed while a host is updated; the next run goes on where it was.
pub(super) fn controller_killed(fleet: &mut Fleet) -> Result<()> {
    let load = load(fleet)?;
    let play = fleet.play("rollout", "good")?.var("corelane_allow_downgrade", "true").argument("--limit=edges");
    let mut running = fleet.controller.start(&play)?;
    running.wait_for(UPDATING, BEGIN_LIMIT)?;
    // The task is on its way to the host, where it runs on without the controller.
    load.wait_for_more(200)?;
    let printed = running.kill();
    ensure!(!printed.contains("PLAY RECAP"), "the rollout had ended before\n{printed}");
    let run = fleet.controller.run(&play)?;
    run.success()?;
    ended(&load, &run)?;
    load.finish()?;
    runs_on(fleet, Role::Edge, "good")
}

/// A host loses its power while it is updated: the rollout ends as configured, with the others in service, and the next one finishes it.
pub(super) fn host_dies(fleet: &mut Fleet) -> Result<()> {
    let load = load(fleet)?;
    let play = fleet.play("rollout", "next")?.argument("--limit=edges").text("corelane_rollout_on_dead_host", "finish");
    let mut running = fleet.controller.start(&play)?;
    running.wait_for(UPDATING, BEGIN_LIMIT)?;
    // Three seconds, in which the balancer sees that the canary is drained.
    load.wait_for_more(600)?;
    fleet.lose_power("edge-1")?;
    let run = running.finish(super::super::ansible::PLAY_LIMIT)?;
    ensure!(run.status != Some(0), "a host is gone, and the rollout says nothing\n{}", run.text);
    load.wait_for_more(200).with_context(|| run.text.clone())?;
    ended(&load, &run)?;
    fleet.restore_power("edge-1")?;
    let run = fleet.controller.run(&play)?;
    run.success()?;
    ended(&load, &run)?;
    load.finish()?;
    runs_on(fleet, Role::Edge, "next")
}

fn load(fleet: &Fleet) -> Result<Load> {
    Load::start(fleet.folder(), fleet.controller.namespace(), &fleet.stop)
}

/// No request has failed; with what the controller printed where one has.
fn ended(load: &Load, run: &PlayRun) -> Result<()> {
    load.check().map(drop).with_context(|| run.text.clone())
}

fn runs_everywhere(fleet: &Fleet, release: &str) -> Result<()> {
    runs_on(fleet, Role::Edge, release)?;
    runs_on(fleet, Role::Node, release)
}

/// The processes of all hosts of a role run the release, and are in service.
fn runs_on(fleet: &Fleet, role: Role, release: &str) -> Result<()> {
    let digest = fleet.releases.digest(release)?;
    let unit = if role == Role::Edge { "corelane" } else { "shardstored" };
    for host in fleet.hosts.iter().filter(|host| host.role == role) {
        let script = format!("readlink /proc/$(systemctl show -p MainPID --value {unit})/exe");
        let program = host.host.must(&script, MINUTE).with_context(|| host.name)?;
        let wanted = format!("/releases/{digest}/");
        ensure!(program.contains(&wanted), "{} runs {}, not {release}", host.name, program.trim());
        if role == Role::Edge {
            host.host.must("curl -fsS http://127.0.0.1:9180/readyz", MINUTE).with_context(|| host.name)?;
        }
    }
    Ok(())
}
