//! `cargo xtask test`: the one command of CI and of the README.
//!
//! **Not**: a place for checks of its own. Each step is a command or a verb that can be run alone.
//!
//! **Invariants**: all steps run, whatever the earlier ones came to; every step has a time limit; what did not run is
//! listed with its reason. Loom tests of the reactor must exist: their absence is a failure, not a skip.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::Result;

use crate::child;
use crate::fleet_test;
use crate::poll::Stop;
use crate::python_env::{CHECKS, PythonCheck, PythonEnv};
use crate::sim;
use crate::steps::{Outcome, Steps, TestCount};
use crate::{packages, tidy, workspace};
use corelane_lab::preflight::is_installed;

const MINUTE: Duration = Duration::from_secs(60);

/// Formatting reads every file once.
const FORMAT_LIMIT: Duration = MINUTE;

/// A cold build of every dependency on two cores, with room to spare.
const BUILD_LIMIT: Duration = Duration::from_secs(20 * 60);

/// Building the tests and running them; a test that hangs is killed here rather than by the CI's own limit.
const TESTS_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Counting takes seconds; building coreperf first, where the dist build failed, takes minutes.
const COUNTS_LIMIT: Duration = Duration::from_secs(10 * 60);

/// What the committed instruction counts are of; those of another architecture have nothing to do with them.
const COUNTED_ARCH: &str = "x86_64";

/// Seeds of the simulation in a full run: what CI must do within three minutes.
const SEEDS_FULL: u64 = 1000;

/// Seeds in a fast run: enough to meet every kind of fault a few times.
const SEEDS_FAST: u64 = 50;

/// Seeds within which the simulation must find each planted bug.
const SEEDS_PLANTED: u64 = 1000;

/// Runs every check of CI, prints a summary and fails if any step failed.
///
/// Programs the tests need (curl, openssl, wrk, h2load, nginx, python3, valgrind, redis, memcached, iproute2, ethtool, promtool, mmdebstrap, systemd-container)
/// are installed when missing, given root or sudo without a password; otherwise the command to run is printed and the exit status is 2.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// For the edit loop: fewer simulation seeds; no fleet, instruction counts, planted bug, loom, fuzz crates (listed as skipped)
    #[arg(long)]
    fast: bool,
    /// Leave out the fleet of containers, which needs root, cgroups, overlayfs and network namespaces (listed as skipped)
    #[arg(long)]
    without_lab: bool,
}

/// Runs the verb. Exit status 1 when a step failed.
///
/// # Errors
/// The operator's: a needed program is missing and cannot be installed from here.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    packages::ensure_installed()?;
    let run = TestRun { root, stop: Stop::on_signals()?, fast: options.fast, without_lab: options.without_lab };
    let mut steps = Steps::default();
    run.static_checks(&mut steps);
    run.builds_and_tests(&mut steps);
    run.fleet(&mut steps);
    run.deep_checks(&mut steps)?;
    println!("{}", steps.summary());
    Ok(if steps.all_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct TestRun<'a> {
    root: &'a Path,
    stop: Stop,
    fast: bool,
    without_lab: bool,
}

impl TestRun<'_> {
    fn static_checks(&self, steps: &mut Steps) {
        steps.run("format", || self.cargo("fmt --all --check", FORMAT_LIMIT));
        steps.run("clippy", || self.cargo("clippy --workspace --all-targets --locked -- -D warnings", BUILD_LIMIT));
        steps.run("tidy", || {
            let outcome = match tidy::check(self.root)? {
                0 => Outcome::Passed,
                violations => Outcome::Failed(format!("{violations} violations")),
            };
            Ok((outcome, TestCount::default()))
        });
    }

    fn builds_and_tests(&self, steps: &mut Steps) {
        steps.run("README's first build", || self.cargo("build --release --locked --bin corelane", BUILD_LIMIT));
        steps.run("dist build", || self.cargo("build --profile dist --locked", BUILD_LIMIT));
        steps.run("tests", || self.cargo("test --workspace --locked --no-fail-fast", TESTS_LIMIT));
        steps.run("recorded traces", || self.recorded_traces());
        steps.run("documentation", || {
            let mut command = cargo(self.root, "doc --no-deps --workspace --locked");
            self.step(command.env("RUSTDOCFLAGS", "-D warnings"), BUILD_LIMIT)
        });
    }

    /// Ansible: what can be said of it without a host, then a fleet of containers.
    fn fleet(&self, steps: &mut Steps) {
        for check in CHECKS {
            steps.run(check.name, || self.python(check));
        }
        steps.run("fleet", || self.fleet_of_containers());
    }

    fn python(&self, check: &PythonCheck) -> Result<(Outcome, TestCount)> {
        let python = PythonEnv::ready(self.root, &self.stop)?;
        self.step(&mut check.command(self.root, &python), check.limit)
    }

    fn fleet_of_containers(&self) -> Result<(Outcome, TestCount)> {
        if self.without_lab {
            return skipped("--without-lab");
        }
        if self.fast {
            return skipped("--fast");
        }
        let options = fleet_test::Options::of_dist_build(self.root)?;
        fleet_test::test(self.root, &options, &self.stop)
    }

    fn deep_checks(&self, steps: &mut Steps) -> Result<()> {
        steps.run("instruction counts", || self.instruction_counts());
        let seeds = if self.fast { SEEDS_FAST } else { SEEDS_FULL };
        let simulation = sim::Options::first(seeds);
        steps.run(&format!("simulation, {seeds} seeds"), || {
            self.step(&mut simulation.command(self.root), simulation.time_limit())
        });
        for bug in sim::BUGS {
            steps.run(&format!("planted bug {bug}"), || self.planted_bug(bug));
        }
        steps.run("loom: mailbox", || self.loom());
        steps.run("loom: readers of the cache", || self.loom_of_cache());
        for manifest in workspace::fuzz_manifests(self.root)? {
            steps.run(&format!("fuzz crate {}", manifest.trim_end_matches("/fuzz/Cargo.toml")), || {
                self.fuzz_crate(&manifest)
            });
        }
        Ok(())
    }

    /// Miss ratios on recorded traces, which are not part of the project.
    fn recorded_traces(&self) -> Result<(Outcome, TestCount)> {
        if std::env::var_os("CORELANE_TRACES").is_none() {
            return skipped("CORELANE_TRACES, the folder of recorded traces, is not set");
        }
        self.cargo("test -p cacheperf --locked --features recorded-traces recorded_traces", TESTS_LIMIT)
    }

    /// The pure paths against their baselines. The programs are those of the dist build; run by its package alone, coreperf
    /// would be built again with other features of its dependencies.
    fn instruction_counts(&self) -> Result<(Outcome, TestCount)> {
        if self.fast {
            return skipped("--fast");
        }
        if std::env::consts::ARCH != COUNTED_ARCH {
            return skipped("the baselines of perf/baselines/instructions.toml are of x86_64");
        }
        self.cargo("run --profile dist --locked --bin coreperf -- gate", COUNTS_LIMIT)
    }

    /// A simulation that cannot fail shows nothing: built with a bug, it must find it.
    fn planted_bug(&self, bug: &str) -> Result<(Outcome, TestCount)> {
        if self.fast {
            return skipped("--fast");
        }
        let simulation = sim::Options::first(SEEDS_PLANTED);
        let target_folder = workspace::target_folder(self.root)?;
        self.step(&mut simulation.planted_bug_command(self.root, &target_folder, bug), simulation.time_limit())
    }

    /// The models of the lock-free parts, explored exhaustively. They need a build of their own (`--cfg loom`).
    fn loom(&self) -> Result<(Outcome, TestCount)> {
        let exist = workspace::files(self.root)?
            .iter()
            .any(|path| path.starts_with("server/reactor/tests/loom_") && path.ends_with(".rs"));
        if !exist {
            let why = "server/reactor/tests/loom_*.rs do not exist; the mailbox must be modelled";
            return Ok((Outcome::Failed(why.into()), TestCount::default()));
        }
        if self.fast {
            return skipped("--fast");
        }
        let mut command = cargo(self.root, "test -p reactor --release --locked --target-dir target/loom --test loom*");
        self.step(command.env("RUSTFLAGS", "--cfg loom"), TESTS_LIMIT)
    }

    fn loom_of_cache(&self) -> Result<(Outcome, TestCount)> {
        if self.fast {
            return skipped("--fast");
        }
        let mut command =
            cargo(self.root, "test -p shardstore --release --locked --target-dir target/loom --lib loom_");
        let (outcome, count) = self.step(command.env("RUSTFLAGS", "--cfg loom"), TESTS_LIMIT)?;
        // A filter that matches nothing passes.
        if matches!(outcome, Outcome::Passed) && count.passed == 0 {
            return Ok((Outcome::Failed("no test of shardstore is named loom_*".into()), count));
        }
        Ok((outcome, count))
    }

    /// Fuzz crates are outside the workspace; nothing else would notice that one no longer compiles.
    fn fuzz_crate(&self, manifest: &str) -> Result<(Outcome, TestCount)> {
        if self.fast {
            return skipped("--fast");
        }
        if !is_installed("c++") {
            return skipped("no C++ compiler, which libfuzzer needs; apt-get install g++");
        }
        let mut command = cargo(self.root, "check --target-dir target/fuzz --manifest-path");
        // As cargo-fuzz builds them: what only fuzzing needs is behind this cfg.
        command.env("RUSTFLAGS", "--cfg fuzzing");
        self.step(command.arg(manifest), BUILD_LIMIT)
    }

    fn cargo(&self, arguments: &str, limit: Duration) -> Result<(Outcome, TestCount)> {
        self.step(&mut cargo(self.root, arguments), limit)
    }

    fn step(&self, command: &mut Command, limit: Duration) -> Result<(Outcome, TestCount)> {
        if self.stop.requested() {
            return skipped("stopped by a signal");
        }
        child::run_step(command, limit, &self.stop)
    }
}

fn skipped(why: &str) -> Result<(Outcome, TestCount)> {
    Ok((Outcome::Skipped(why.into()), TestCount::default()))
}

/// cargo in the workspace's root, with arguments none of which contains a space.
fn cargo(root: &Path, arguments: &str) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(arguments.split(' '));
    command
}
