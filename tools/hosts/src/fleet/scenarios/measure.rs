//! The fleet is loaded from agents, and a knob is tried on one of its edges: reports come to the controller that a person can read.
//!
//! **Not** figures: all hosts share the CPUs of one machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::fleet::Fleet;
use crate::fleet::ansible::Play;

/// Short, few connections, and values that are written first.
const SCENARIO: &str = r#"title = "GET hit in the lab"
url = "http://127.0.0.1:8080/v1/kv/default/k"
rate = 200
connections = 4
warmup = "1s"
duration = "1s"
[values]
bytes = 128
fill = true
[expect]
status = [200]
body = "value"
"#;

/// Differs between the profile that `site` has set and this one, and belongs to a network namespace.
const KNOB: &str = "net.ipv4.tcp_rmem";
const PROFILE: &str = "throughput";

/// A playbook that loads, with the scenario, and the folder for what it collects.
fn play(fleet: &Fleet, name: &str) -> Result<(Play, PathBuf)> {
    let scenario = fleet.folder().join("lab.toml");
    fs::write(&scenario, SCENARIO).context("the scenario")?;
    let out = fleet.folder().join("measured");
    let scenarios = format!("[{:?}]", scenario.display().to_string());
    let play = fleet.play(name, "good")?.text("corelane_perf_out", &out.display().to_string());
    Ok((with(play, "corelane_perf_scenarios", &scenarios), out))
}

/// With a variable that is no text; `value` is JSON.
fn with(play: Play, name: &str, value: &str) -> Play {
    play.argument("--extra-vars").argument(&format!("{{{name:?}: {value}}}"))
}

/// `perf`: results of every round, a line for each run, and a page.
pub(super) fn load(fleet: &mut Fleet) -> Result<()> {
    let (play, out) = play(fleet, "perf")?;
    let play = with(play, "corelane_perf_rounds", "2");
    let play = with(play, "corelane_perf_run_options", r#"["--sleep"]"#);
    fleet.controller.run(&play)?.success()?;
    let folder = only_folder(&out)?;
    let read = |name: &str| fs::read_to_string(folder.join(name)).with_context(|| name.to_owned());
    let (page, summary) = (read("report.html")?, read("summary.txt")?);
    ensure!(page.contains("GET hit in the lab") && page.contains("</html>"), "no report:\n{page}");
    ensure!(summary.lines().count() == 2 && summary.contains("lab, round 2: "), "no summary:\n{summary}");
    for round in ["1", "2"] {
        let result = read(&format!("lab/corelane/{round}/result.json"))?;
        ensure!(result.contains("198.18.0.11:8080"), "the first edge was not asked:\n{result}");
    }
    println!("  {}", summary.trim().replace('\n', "\n  "));
    fs::remove_dir_all(out).context("what was measured")
}

/// `tune_ab`: a table with the knob, and the edge serves again.
pub(super) fn knob(fleet: &mut Fleet) -> Result<()> {
    let (play, out) = play(fleet, "tune_ab")?;
    let play = play.text("tune_ab_host", "edge-1").text("corelane_profile", PROFILE);
    let play = with(play, "corelane_tune_ab_knobs", &format!("[{KNOB:?}]"));
    // One try of each: whether it is valid is a matter of the machine, and all it takes is a table.
    let play = with(play, "corelane_tune_ab_attempts", "1");
    let run = fleet.controller.run(&with(play, "corelane_tune_ab_rounds", "1"))?;
    run.success()?;
    let table = fs::read_to_string(out.join("tune-ab/edge-1").join(format!("ab-{PROFILE}.md"))).context("the table")?;
    ensure!(table.contains(KNOB), "the table lacks {KNOB}:\n{table}");
    println!("  {}", table.trim().replace('\n', "\n  "));
    fs::remove_dir_all(out).context("what was measured")
}

/// The one folder in a folder, named by the time of the measurement.
fn only_folder(folder: &Path) -> Result<PathBuf> {
    let entries: Vec<PathBuf> =
        fs::read_dir(folder).context("nothing was collected")?.flatten().map(|entry| entry.path()).collect();
    ensure!(entries.len() == 1, "not one folder: {entries:?}");
    Ok(entries[0].clone())
}
