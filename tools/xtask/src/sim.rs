//! `cargo xtask sim`: the whole cluster on the simulated reactor, over many seeds.
//!
//! **Not**: the simulation itself, which is the test target `sim` of the package `corelane`.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::Result;

use crate::child;
use crate::poll::Stop;
use crate::steps::Outcome;

/// The bugs that can be planted, as the simulation calls them.
pub(crate) const BUGS: [&str; 3] = ["stale-fills", "kept-slots", "late-writes"];

/// Building in release mode and running: the simulation itself is meant to take 3 minutes for 1,000 seeds, the build
/// with whole-program optimisation several more on two cores. More seeds get more time.
const TIME_LIMIT_BASE: Duration = Duration::from_secs(20 * 60);

/// Time added per seed: far more than a seed takes (0.18 s), so that only a seed that hangs meets the limit.
const TIME_LIMIT_PER_SEED: Duration = Duration::from_secs(2);

/// Runs simulated clusters (2 edges, 3 nodes, faults) from a seed each.
///
/// A failure prints its seed; `cargo xtask sim --seed SEED` replays exactly that run.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many seeds to run
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    from: u64,
    /// Replay this one seed and nothing else
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
}

impl Options {
    /// The first `seeds` seeds.
    pub(crate) fn first(seeds: u64) -> Self {
        Self { seeds, from: 0, seed: None }
    }

    /// The command that runs these seeds.
    pub(crate) fn command(&self, root: &Path) -> Command {
        let mut command = Command::new("cargo");
        command.current_dir(root).args(["test", "--release", "--locked", "-p", "corelane", "--test", "sim", "--"]);
        match self.seed {
            Some(seed) => command.args(["--seed", &seed.to_string()]),
            None => command.args(["--seeds", &self.seeds.to_string(), "--from", &self.from.to_string()]),
        };
        command
    }

    /// The command that builds the server with its planted bugs, and succeeds only if one of these seeds finds the one named.
    pub(crate) fn planted_bug_command(&self, root: &Path, target_folder: &Path, bug: &str) -> Command {
        let mut command = Command::new("cargo");
        // Binaries of its own: the bug must not come near those of the other steps. What they are made of is shared, so that only
        // the crates with a bug are built again.
        let build = "test --release --locked -p corelane --features planted_bug --test sim --target-dir target/planted";
        command.current_dir(root).env("CARGO_BUILD_BUILD_DIR", target_folder).args(build.split(' '));
        command.args(["--", "--seeds", &self.seeds.to_string(), "--bug", bug]);
        command
    }

    /// How long the command may take.
    pub(crate) fn time_limit(&self) -> Duration {
        let seeds = u32::try_from(self.seeds).unwrap_or(u32::MAX);
        TIME_LIMIT_BASE.saturating_add(TIME_LIMIT_PER_SEED.saturating_mul(seeds))
    }
}

/// Runs the verb. Exit status 1 when a seed failed.
///
/// # Errors
/// cargo could not be started.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    let (outcome, _) = child::run_step(&mut options.command(root), options.time_limit(), &Stop::on_signals()?)?;
    Ok(match outcome {
        Outcome::Passed => ExitCode::SUCCESS,
        Outcome::Failed(why) | Outcome::Skipped(why) => {
            eprintln!("simulation: {why}");
            ExitCode::FAILURE
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(options: &Options) -> String {
        words(&options.command(Path::new(".")))
    }

    fn words(command: &Command) -> String {
        command.get_args().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn one_seed_replays_and_many_seeds_count_from_a_first() {
        assert!(arguments(&Options { seeds: 5, from: 70, seed: None }).ends_with("-- --seeds 5 --from 70"));
        assert!(arguments(&Options { seeds: 5, from: 70, seed: Some(9) }).ends_with("-- --seed 9"));
    }

    #[test]
    fn the_planted_bug_is_built_apart_and_must_be_found() {
        let command =
            words(&Options::first(300).planted_bug_command(Path::new("."), Path::new("target"), "kept-slots"));
        for part in ["--features planted_bug", "--target-dir target/planted", "-- --seeds 300 --bug kept-slots"] {
            assert!(command.contains(part), "{command}");
        }
    }
}
