//! `cargo xtask fuzz`: every fuzz target, from its committed seeds, for a while each.
//!
//! **Not**: the replay of seeds in CI, which each crate does in its ordinary tests.
//!
//! **Invariants**: committed seeds are never written to; what a run finds stays under `target/`. The first finding ends
//! the run.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use toml_edit::DocumentMut;

use crate::child;
use crate::poll::Stop;
use crate::steps::Outcome;
use crate::workspace;
use corelane_lab::preflight::is_installed;

/// Building an instrumented target, on top of the time it fuzzes.
const BUILD_LIMIT: Duration = Duration::from_secs(20 * 60);

/// Runs fuzz targets from their committed seeds; stops at the first finding and says how to reproduce it.
///
/// cargo-fuzz is installed when missing. With a nightly toolchain the address sanitizer is on; without, the targets
/// run uninstrumented by it (panics and failed assertions are still found).
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Time for each target, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Only this target (all of them when absent)
    target: Option<String>,
}

/// A fuzz target: a `[[bin]]` of a fuzz crate.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    /// The fuzz crate's folder, relative to the root.
    folder: String,
    name: String,
}

/// Runs the verb. Exit status 1 when a target found something.
///
/// # Errors
/// The operator's: no such target, or cargo-fuzz could not be installed.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    let mut targets = Vec::new();
    for manifest in workspace::fuzz_manifests(root)? {
        let text = std::fs::read_to_string(root.join(&manifest)).with_context(|| manifest.clone())?;
        targets.extend(targets_of(manifest.trim_end_matches("/Cargo.toml"), &text).context(manifest.clone())?);
    }
    let known = targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>().join(", ");
    targets.retain(|target| options.target.as_ref().is_none_or(|wanted| *wanted == target.name));
    ensure!(!targets.is_empty(), "no such fuzz target; the targets are: {known}");
    install_cargo_fuzz()?;

    let stop = Stop::on_signals()?;
    let mut table = format!("\n{:<32} {:>8}  result\n", "target", "seconds");
    let mut clean = true;
    for target in &targets {
        println!("\n==== {} ({})", target.name, target.folder);
        let began = Instant::now();
        let limit = BUILD_LIMIT + Duration::from_secs(options.seconds);
        let (outcome, _) = child::run_step(&mut target.command(root, options.seconds)?, limit, &stop)?;
        clean = outcome == Outcome::Passed;
        let result = if clean { "no finding".into() } else { format!("{outcome:?}") };
        table += &format!("{:<32} {:>8}  {result}\n", target.name, began.elapsed().as_secs());
        if !clean {
            table += "the input is under target/fuzz-artifacts; replay it with\n";
            table += &format!("    cargo fuzz run --fuzz-dir {} {} INPUT\n", target.folder, target.name);
            break;
        }
    }
    println!("{table}");
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn targets_of(folder: &str, manifest: &str) -> Result<Vec<Target>> {
    let document: DocumentMut = manifest.parse()?;
    let binaries = document.get("bin").and_then(|bin| bin.as_array_of_tables());
    Ok(binaries
        .into_iter()
        .flatten()
        .filter_map(|bin| bin.get("name")?.as_str())
        .map(|name| Target { folder: folder.into(), name: name.into() })
        .collect())
}

impl Target {
    fn command(&self, root: &Path, seconds: u64) -> Result<Command> {
        let corpus = self.fresh_corpus(root)?;
        let artifacts = root.join("target/fuzz-artifacts").join(&self.name);
        std::fs::create_dir_all(&artifacts).with_context(|| artifacts.display().to_string())?;
        let mut command = Command::new("cargo");
        command.current_dir(root);
        let nightly = has_nightly();
        if nightly {
            command.arg("+nightly");
        }
        command.args(["fuzz", "run", "--target-dir", "target/fuzz", "--fuzz-dir", &self.folder]);
        if !nightly {
            println!("no nightly toolchain: fuzzing without the address sanitizer");
            command.args(["--sanitizer", "none"]);
        }
        command.arg(&self.name).arg(corpus).arg("--").arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-artifact_prefix={}/", artifacts.display()));
        Ok(command)
    }

    /// The corpus of this target under `target/`, with the committed seeds copied in. What earlier runs found stays.
    fn fresh_corpus(&self, root: &Path) -> Result<PathBuf> {
        let corpus = root.join("target/fuzz-corpus").join(&self.name);
        std::fs::create_dir_all(&corpus).with_context(|| corpus.display().to_string())?;
        let seeds = root.join(&self.folder).join("seeds").join(&self.name);
        let entries = std::fs::read_dir(&seeds)
            .with_context(|| format!("{} has no committed seeds; add some to {}", self.name, seeds.display()))?;
        let mut count = 0;
        for entry in entries {
            let entry = entry?;
            std::fs::copy(entry.path(), corpus.join(entry.file_name()))?;
            count += 1;
        }
        ensure!(count > 0, "{} holds no seeds; commit some", seeds.display());
        Ok(corpus)
    }
}

fn has_nightly() -> bool {
    Command::new("cargo").args(["+nightly", "--version"]).output().is_ok_and(|output| output.status.success())
}

fn install_cargo_fuzz() -> Result<()> {
    if is_installed("cargo-fuzz")
        || Command::new("cargo").args(["fuzz", "--version"]).output().is_ok_and(|output| output.status.success())
    {
        return Ok(());
    }
    println!("installing cargo-fuzz");
    let status = Command::new("cargo").args(["install", "cargo-fuzz", "--locked"]).status()?;
    ensure!(status.success(), "cargo-fuzz could not be installed; try: cargo install cargo-fuzz --locked");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_the_binaries_of_the_fuzz_crate() {
        let manifest =
            "[package]\nname = \"x-fuzz\"\n[[bin]]\nname = \"head\"\npath = \"head.rs\"\n[[bin]]\nname = \"chunked\"\n";
        let found = targets_of("server/http/fuzz", manifest).expect("the manifest is valid");
        let names: Vec<_> = found.iter().map(|target| target.name.as_str()).collect();
        assert_eq!(names, ["head", "chunked"]);
        assert!(found.iter().all(|target| target.folder == "server/http/fuzz"));
        assert!(targets_of("x", "not toml [").is_err());
    }
}
