//! The fleet is loaded from agents, and a knob is tried on one of its edges: reports come to the controller that a person can read.
//!
//! **Not** figures: all hosts share the CPUs of one machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::serving::balanced;
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

/// What is judged of a knob, as its notes call it, in the order of columns.
const FIGURES: &[&str] = &["cpu", "p50", "p99"];

/// A playbook that loads, with the scenario, and the folder for what it collects.
fn play(fleet: &Fleet, name: &str) -> Result<(Play, PathBuf)> {
    let scenario = fleet.folder().join("lab.toml");
    fs::write(&scenario, SCENARIO).context("the scenario")?;
    let out = fleet.folder().join("measured");
    let scenarios = format!("[{:?}]", scenario.display().to_string());
    let play = fleet.play(name, "good")?.text("corelane_perf_out", &out.display().to_string());
    Ok((play.var("corelane_perf_scenarios", &scenarios), out))
}

/// `perf`: results of every round, a line for each run, and a page.
pub(super) fn load(fleet: &mut Fleet) -> Result<()> {
    let (play, out) = play(fleet, "perf")?;
    let play = play.var("corelane_perf_rounds", "2").var("corelane_perf_run_options", r#"["--sleep"]"#);
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

/// `tune_ab`: a table with both values of the knob and what it is worth, or in words why that is not known; and the edge serves again.
///
/// One round of four, not the four rounds that are judged, and one try of each run: those take two minutes, and on hosts that share CPUs
/// the generator is late, so that no run is valid however many there are.
pub(super) fn knob(fleet: &mut Fleet) -> Result<()> {
    let (play, out) = play(fleet, "tune_ab")?;
    let play = play.text("tune_ab_host", "edge-1").text("corelane_profile", PROFILE);
    let play = play.var("corelane_tune_ab_knobs", &format!("[{KNOB:?}]"));
    let play = play.var("corelane_tune_ab_attempts", "1").var("corelane_tune_ab_rounds", "1");
    let run = fleet.controller.run(&play)?;
    run.success()?;
    let path = out.join("tune-ab/edge-1").join(format!("ab-{PROFILE}.md"));
    let table = fs::read_to_string(path).context("the table")?;
    println!("  {}", table.trim().replace('\n', "\n  "));
    readable(&table).with_context(|| table.clone())?;
    balanced(fleet, "edge-1", true)?;
    fs::remove_dir_all(out).context("what was measured")
}

/// A person finds what was tried on which host, both values of the knob, and for each figure its gain or the reason why there is none.
fn readable(table: &str) -> Result<()> {
    ensure!(table.starts_with(&format!("# Knobs of profile {PROFILE} on ")), "another title");
    ensure!(table.contains("| knob | risk | A | B | pairs | CPU per request | p50 | p99 |"), "no head of a table");
    let row = table.lines().find(|line| line.starts_with(&format!("| `{KNOB}` | ")));
    let Some(row) = row else {
        let why = table.lines().find_map(|line| line.strip_prefix(&format!("- {KNOB}: not tried: ")));
        ensure!(why.is_some_and(|why| why.contains(' ')), "neither a row for {KNOB} nor a reason");
        return Ok(());
    };
    let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
    let [_, _, a, b, _, figures @ ..] = cells.as_slice() else { anyhow::bail!("a row with holes: {row}") };
    ensure!(a.contains(char::is_numeric) && b.contains(char::is_numeric) && a != b, "A and B say nothing: {row}");
    ensure!(figures.len() == FIGURES.len(), "figures are missing: {row}");
    for (cell, figure) in figures.iter().zip(FIGURES) {
        let reason = table.lines().find_map(|line| line.strip_prefix(&format!("- {KNOB}: {figure}: ")));
        ensure!(
            cell.contains(" % (") || reason.is_some_and(|reason| reason.contains(' ')),
            "{figure}: neither a gain nor a reason"
        );
    }
    Ok(())
}

/// The one folder in a folder, named by the time of the measurement.
fn only_folder(folder: &Path) -> Result<PathBuf> {
    let entries: Vec<PathBuf> =
        fs::read_dir(folder).context("nothing was collected")?.flatten().map(|entry| entry.path()).collect();
    ensure!(entries.len() == 1, "not one folder: {entries:?}");
    Ok(entries[0].clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_figures_or_words() {
        let head = "# Knobs of profile throughput on a-host\n\n| knob | risk | A | B | pairs | CPU per request | p50 | p99 |\n|---|\n";
        let row = |a: &str, p99: &str, notes: &str| {
            let row =
                format!("| `{KNOB}` | safe | {a} | 4096 2 | 8 | +0.1 % (-1 % to 1 %) | -2 % (-1 % to 1 %) | {p99} |");
            format!("{head}{row}\n\n{notes}")
        };
        let note = format!("- {KNOB}: p99: six runs were not valid\n");
        assert!(readable(&row("4096 1", "+0.1 % (-1 % to 1 %)", "")).is_ok());
        assert!(readable(&row("4096 1", "-", &note)).is_ok());
        assert!(readable(&row("4096 1", "-", "")).is_err());
        assert!(readable(&row("4096 1", "-", &note.replace("p99", "p50"))).is_err());
        assert!(readable(&row("4096 2", "-", &note)).is_err());
        assert!(readable(&row("absent", "-", &note)).is_err());
        assert!(readable(head).is_err());
        assert!(readable(&format!("{head}\n- {KNOB}: not tried: the server has ended\n")).is_ok());
        assert!(readable(&format!("{head}\n- {KNOB}: not tried: \n")).is_err());
    }
}
