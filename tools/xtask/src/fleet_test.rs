//! `cargo xtask fleet-test`: hosts that a test makes, brought to serving by Ansible and operated under load.
//!
//! **Not** the scenarios themselves: those are in `tools/hosts`.
//!
//! **Invariants**: what the machine lacks is a failure that says so, not a skip.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Result, ensure};
use corelane_lab::poll::Stop;

use crate::python_env::PythonEnv;
use crate::steps::{Outcome, TestCount};
use crate::{child, packages, release, workspace};

/// Building with whole-program optimisation takes minutes on two cores.
const BUILD_LIMIT: Duration = Duration::from_secs(20 * 60);

/// Making the image on a slow line, and all scenarios on a busy machine.
const TEST_LIMIT: Duration = Duration::from_secs(30 * 60);

/// A day, for a fleet that a person holds.
const HOLD_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// What to run, and on which build.
#[derive(Clone, Default, clap::Args)]
pub(crate) struct Options {
    /// The folder with corelane, shardstored, corectl and coreperf; built with the profile dist when absent
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Only scenarios whose names contain this, and those that they rest on; may be repeated
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Boot the fleet, say how playbooks are run on it, and keep it until Ctrl-C
    #[arg(long)]
    hold: bool,
}

impl Options {
    /// All scenarios, on programs that the profile dist has built already.
    pub(crate) fn of_dist_build(root: &Path) -> Result<Self> {
        Ok(Self { programs: Some(workspace::target_folder(root)?.join("dist")), ..Self::default() })
    }
}

/// Runs the verb. Exit status 1 when a scenario failed.
///
/// # Errors
/// The operator's: the build failed, or a package is missing and cannot be installed from here.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    let (outcome, _) = test(root, options, &Stop::on_signals()?)?;
    Ok(if outcome == Outcome::Passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds what is not there, makes releases, and runs the scenarios.
///
/// # Errors
/// As [`run`].
pub(crate) fn test(root: &Path, options: &Options, stop: &Stop) -> Result<(Outcome, TestCount)> {
    if let Err(error) = packages::ensure_fleet_installed() {
        // Named once more, with all else that the machine lacks, by the preflight of the hosts.
        eprintln!("warning: {error:#}");
    }
    let python = PythonEnv::ready(root, stop)?;
    let target = workspace::target_folder(root)?;
    let programs = match &options.programs {
        Some(folder) => folder.clone(),
        None => built(root, &target, stop)?,
    };
    let releases = target.join("fleet-releases");
    release::make_for_fleet(root, &programs, &releases, stop)?;
    let mut scenarios = cargo(root);
    scenarios.args(["run", "--quiet", "--locked", "--package", "corelane-hosts", "--", "fleet"]);
    for only in &options.only {
        scenarios.args(["--only", only]);
    }
    scenarios.arg("--releases").arg(&releases).arg("--ansible-bin").arg(&python.bin);
    if options.hold {
        scenarios.arg("--hold");
    }
    let tested = child::run_step(&mut scenarios, if options.hold { HOLD_LIMIT } else { TEST_LIMIT }, stop);
    // Tens of megabytes that are made again in seconds.
    let _ = std::fs::remove_dir_all(releases);
    tested
}

fn built(root: &Path, target: &Path, stop: &Stop) -> Result<PathBuf> {
    let mut build = cargo(root);
    build.args(["build", "--locked", "--profile", "dist"]);
    for package in release::packages_in(root)? {
        build.args(["--bin", package]);
    }
    let (outcome, _) = child::run_step(&mut build, BUILD_LIMIT, stop)?;
    ensure!(outcome == Outcome::Passed, "the build failed: {outcome:?}");
    Ok(target.join("dist"))
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root);
    command
}
