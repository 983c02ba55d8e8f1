//! `cargo xtask vm-test`: what corectl does to a kernel, drivers and a boot loader, on a virtual machine of its own.
//!
//! **Not** part of `cargo xtask test`: it takes root, QEMU, and a quarter of an hour.
//!
//! **Invariants**: what this machine lacks is named, and ends the run; no scenario is left out for it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use corelane_lab::vm::{self, GuestPrograms, Report, VmTestOptions};

use crate::poll::Stop;
use crate::steps::Outcome;
use crate::{child, workspace};

/// A release build of the whole workspace on two busy cores.
const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);

const PAGE: &str = "docs/testing.md";
const BEGIN: &str = "<!-- vm-test: begin -->\n";
const END: &str = "<!-- vm-test: end -->\n";

/// Runs scenarios of corectl and corelane on a virtual machine (QEMU) with Debian 12, GRUB and the cards virtio and igb.
///
/// The image is made once (minutes) and kept in ${XDG_CACHE_HOME:-~/.cache}/corelane-lab.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these scenarios (all of them when absent)
    #[arg(value_name = "SCENARIO")]
    only: Vec<String>,
    /// The folder with corelane, corectl and coreperf; built when absent
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Write the results to docs/testing.md
    #[arg(long, conflicts_with = "only")]
    record: bool,
}

/// Runs the verb. Exit status 1 when a scenario failed.
///
/// # Errors
/// The operator's: this machine lacks something, or the programs could not be built.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    let commit = commit(root)?;
    let run_options = VmTestOptions { only: options.only.clone() };
    let report = vm::run(&run_options, |stop| programs(root, options, stop))?;
    println!("\n{}\n{}", report.table(), report.last_line());
    if options.record {
        record(root, &commit, &report)?;
    }
    Ok(if report.all_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn programs(root: &Path, options: &Options, stop: &Stop) -> Result<GuestPrograms> {
    if let Some(folder) = &options.programs {
        return Ok(GuestPrograms { folder: folder.clone() });
    }
    let mut build = Command::new("cargo");
    build.current_dir(root).args(["build", "--release", "-p", "corelane", "-p", "corectl", "-p", "coreperf"]);
    let (outcome, _) = child::run_step(&mut build, BUILD_LIMIT, stop)?;
    ensure!(outcome == Outcome::Passed, "the programs could not be built: {outcome:?}");
    Ok(GuestPrograms { folder: workspace::target_folder(root)?.join("release") })
}

fn output(root: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).current_dir(root).output().context(program.to_owned())?;
    ensure!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn commit(root: &Path) -> Result<String> {
    output(root, "git", &["describe", "--always", "--dirty", "--exclude", "*"])
}

fn record(root: &Path, commit: &str, report: &Report) -> Result<()> {
    let date = output(root, "date", &["--utc", "+%Y-%m-%d %H:%M UTC"])?;
    let page = root.join(PAGE);
    let text = std::fs::read_to_string(&page).context(PAGE)?;
    let results = format!("Last run: {date}, commit {commit}: {}.\n\n{}", report.last_line(), report.table());
    std::fs::write(&page, replaced(&text, &results).context("docs/testing.md has no place for the results")?)?;
    println!("recorded in {PAGE}");
    Ok(())
}

/// The page with other results between its two marks.
fn replaced(page: &str, results: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{results}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        assert_eq!(replaced(&page, "new\n"), Some(format!("before\n{BEGIN}new\n{END}after\n")));
        assert_eq!(replaced("no marks", "new"), None);
        let page = include_str!("../../../docs/testing.md");
        assert!(replaced(page, "new").is_some_and(|page| page.contains("new")), "docs/testing.md has the marks");
    }
}
