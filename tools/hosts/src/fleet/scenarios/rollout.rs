//! Another release or configuration, host by host, under load: good ones arrive without a failed request, bad ones go back by themselves.
//!
//! **Invariants**: the load goes on from before the rollout until after it. It fails nowhere, but at a canary whose settings make it fail.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::super::{Fleet, Role};
use super::serving::{EDGE_FILE, Processes, load, runs_on, served};

/// A good release on edges and nodes.
pub(super) fn good(fleet: &mut Fleet) -> Result<()> {
    let load = load(fleet)?;
    let play = fleet.play("rollout", "next")?.var("corelane_accept_node_data_loss", "true");
    let run = fleet.controller.run(&play)?;
    let count = load.check_of_emptied_nodes().with_context(|| run.text.clone())?;
    run.success()?;
    load.wait_for_more(200)?;
    load.check_of_emptied_nodes()?;
    println!(
        "  rollout: {} requests, none failed; {} values were lost with the nodes' memory",
        count.requests, count.missing
    );
    load.finish()?;
    fleet.controller.rollout_state()?.decided("done")?;
    runs_on(fleet, Role::Edge, "next")?;
    runs_on(fleet, Role::Node, "next")
}

/// Nodes keep values in memory only: without a word of the operator none is restarted.
pub(super) fn nodes_unacknowledged(fleet: &mut Fleet) -> Result<()> {
    let processes = Processes::of(fleet)?;
    let play = fleet.play("rollout", "good")?.var("corelane_allow_downgrade", "true").argument("--limit=nodes");
    let run = fleet.controller.run(&play)?;
    ensure!(run.status != Some(0), "it was not refused\n{}", run.text);
    run.says(&["nothing was changed", "corelane_accept_node_data_loss: true"])?;
    processes.only_restarted(fleet, &[])
}

/// Releases that crash, answer wrongly or cost more than twice the CPU: each goes no further than the canary, and back.
pub(super) fn bad(fleet: &mut Fleet) -> Result<()> {
    let load = load(fleet)?;
    for (release, says) in BAD {
        let processes = Processes::of(fleet)?;
        let run = fleet.controller.run(&fleet.play("rollout", release)?.argument("--limit=edges"))?;
        let seen = || -> Result<()> {
            ensure!(run.status != Some(0), "it was rolled out\n{}", run.text);
            run.says(says)?;
            fleet.controller.rollout_state()?.decided("rolled_back")?;
            served(&load, &run)?;
            processes.only_restarted(fleet, &["edge-1"])?;
            runs_on(fleet, Role::Edge, "next")
        };
        seen().with_context(|| format!("the release {release:?}"))?;
    }
    load.finish().map(drop)
}

/// Bad releases, and what is said of each.
const BAD: &[(&str, &[&str])] = &[
    ("crashes", &["edge-1: refused: ", "this release crashes at its start"]),
    ("wrong", &["edge-1: refused: smoke load: GET ", " instead of "]),
    ("costly", &["fail: ", "CPU per request: edge-1 ", "more than 2 times as much"]),
];

/// Settings that the program accepts, and that make it refuse requests which come together: seen at the canary, and the old file is back.
pub(super) fn bad_settings(fleet: &mut Fleet) -> Result<()> {
    let inventory = fleet.copy_of_inventory()?;
    let file = inventory.join("group_vars/edges.yml");
    let text = fs::read_to_string(&file).context("the settings of edges")?;
    // Requests of users for keys that it does not hold come together; those of the smoke load come one after the other.
    let changed =
        text.replace("    connections_per_core: 256\n", "    connections_per_core: 256\n    fills_per_core: 1\n");
    ensure!(changed != text, "{} has other limits", file.display());
    fs::write(&file, changed)?;

    let settings = |name: &str| fs::read_to_string(fleet.host(name)?.path(EDGE_FILE)).context(EDGE_FILE);
    let (before, processes, load) = (settings("edge-1")?, Processes::of(fleet)?, load(fleet)?);
    let play = fleet.play("rollout", "next")?.inventory(&inventory).argument("--limit=edges");
    let run = fleet.controller.run(&play)?;
    ensure!(run.status != Some(0), "it was rolled out\n{}", run.text);
    let state = fleet.controller.rollout_state()?;
    state.last_verdict(&["edge-1"], "fail", &["edge-1 answered ", "5xx"]).with_context(|| run.text.clone())?;
    run.says(&["edge-1: updated"])?;
    state.decided("rolled_back").with_context(|| run.text.clone())?;
    state.hosts_are(&[("edge-1", "returned"), ("edge-2", "waiting"), ("edge-3", "waiting")])?;
    ensure!(settings("edge-1")? == before, "edge-1 has other settings than before:\n{}", settings("edge-1")?);
    processes.only_restarted(fleet, &["edge-1"]).with_context(|| run.text.clone())?;
    ensure!(load.failures().lines().all(|line| line.contains("status 503")), "{}", load.failures());
    println!("  {:?}, all while the canary was watched", load.finish()?);
    runs_on(fleet, Role::Edge, "next")?;
    let load = self::load(fleet)?;
    load.wait_for_more(400)?;
    load.check()?;
    load.finish()?;
    fs::remove_dir_all(inventory).context("the copy of the inventory")
}
