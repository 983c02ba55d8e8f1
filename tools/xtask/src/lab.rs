//! `cargo xtask lab-test`: the package, installed and operated on hosts with a real systemd.
//!
//! **Not** the scenarios themselves: those are in `tools/hosts`.
//!
//! **Invariants**: what the machine lacks is a failure that says so, not a skip.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::child;
use crate::steps::{Outcome, TestCount};
use crate::{packages, release, workspace};
use corelane_lab::poll::Stop;

/// Building with whole-program optimisation takes minutes on two cores.
const BUILD_LIMIT: Duration = Duration::from_secs(20 * 60);

/// Making the image on a slow line, and all scenarios on a busy machine.
const TEST_LIMIT: Duration = Duration::from_secs(25 * 60);

/// What to run, and on which build.
#[derive(Clone, clap::Args)]
pub(crate) struct Options {
    /// The profile of cargo that programs are built with
    #[arg(long, value_name = "PROFILE", default_value = "dist")]
    profile: String,
    /// Programs that are built already, in this folder, instead of building them
    #[arg(long, value_name = "DIR", conflicts_with = "profile")]
    programs: Option<PathBuf>,
    /// Only scenarios whose names contain this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
}

/// Runs the verb. Exit status 1 when a scenario failed.
///
/// # Errors
/// The operator's: the build failed, or a package is missing and cannot be installed from here.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    let (outcome, _) = test(root, options, &Stop::on_signals()?)?;
    Ok(if outcome == Outcome::Passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds, packs, and runs the scenarios.
fn test(root: &Path, options: &Options, stop: &Stop) -> Result<(Outcome, TestCount)> {
    packages::ensure_lab_installed()?;
    let target = workspace::target_folder(root)?;
    let programs = match &options.programs {
        Some(programs) => programs.clone(),
        None => build(root, &target, &options.profile, stop)?,
    };
    let out: PathBuf = target.join("lab-package");
    let package = release::make_for_lab(root, &programs, &out, stop)?;
    let mut scenarios = cargo(root);
    scenarios
        .args([
            "run",
            "--quiet",
            "--locked",
            "--package",
            "corelane-hosts",
            "--",
            "package",
            "--only",
            &options.only,
            "--deb",
        ])
        .arg(package);
    let tested = child::run_step(&mut scenarios, TEST_LIMIT, stop);
    // Hundreds of megabytes that are made again in seconds.
    let _ = std::fs::remove_dir_all(out);
    tested
}

/// Builds what is released; the folder it is in.
fn build(root: &Path, target: &Path, profile: &str, stop: &Stop) -> Result<PathBuf> {
    let mut build = cargo(root);
    build.args(["build", "--locked", "--profile", profile]);
    for package in release::packages_in(root)? {
        build.args(["--bin", package]);
    }
    let (outcome, _) = child::run_step(&mut build, BUILD_LIMIT, stop)?;
    ensure!(outcome == Outcome::Passed, "the build failed: {outcome:?}");
    // The folder of the profile dev has another name than the profile.
    Ok(target.join(if profile == "dev" { "debug" } else { profile }))
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root);
    command
}
