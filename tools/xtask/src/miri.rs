//! `cargo xtask miri`: the code with `unsafe` in it, interpreted by Miri, which looks at every access to memory.
//!
//! **Not** part of what CI runs: Miri comes with a nightly toolchain, and takes minutes for what takes seconds otherwise.
//!
//! **Invariants**: every step runs at least one test.
//!
//! **Source**: the manual of Miri, on what it cannot interpret: system calls it does not know, inline assembly, much of SIMD.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::child;
use crate::poll::Stop;
use crate::steps::Outcome;

/// What is interpreted, and with which tests. Everything here runs without the kernel's rings, files and clocks.
const SUBJECTS: [(&str, &str); 5] = [
    ("mailbox between cores", "-p reactor --lib mailbox::ring::"),
    ("bookkeeping of the buffer ring", "-p reactor --lib uring::buffer_ring::"),
    ("executor, on the simulated reactor", "-p reactor --test contract"),
    ("cache beside the naive model", "-p shardstore --test cache_model"),
    ("cache read in place by threads", "-p shardstore --test cache_readers"),
];

/// A subject takes a few minutes.
const SUBJECT_LIMIT: Duration = Duration::from_secs(30 * 60);

/// Interprets the tests of the code with `unsafe` in it, with Miri: undefined behaviour and data races end it.
///
/// Needs a nightly toolchain with the component miri.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only the subjects that contain this word, such as cache
    subject: Option<String>,
}

/// Runs the verb. Exit status 1 when Miri found something.
///
/// # Errors
/// The operator's: Miri is not installed, or there is no such subject.
pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode> {
    let wanted = options.subject.as_deref().unwrap_or_default();
    let subjects: Vec<_> = SUBJECTS.iter().filter(|(name, _)| name.contains(wanted)).collect();
    let known = SUBJECTS.map(|(name, _)| name).join("; ");
    ensure!(!subjects.is_empty(), "no subject contains {wanted:?}; they are: {known}");
    let version = Command::new("cargo").args(["+nightly", "miri", "--version"]).output();
    let is_there = version.context("cargo could not be started")?.status.success();
    ensure!(is_there, "Miri is not installed: rustup toolchain install nightly --component miri,rust-src");
    let stop = Stop::on_signals()?;
    let mut is_clean = true;
    for (name, tests) in subjects {
        println!("\n==== {name}");
        let (outcome, count) = child::run_step(&mut command(root, tests), SUBJECT_LIMIT, &stop)?;
        is_clean &= outcome == Outcome::Passed;
        if let Outcome::Failed(why) | Outcome::Skipped(why) = outcome {
            println!("FAILED: {name}: {why}");
        }
        ensure!(!is_clean || count.passed > 0, "{name}: no test ran; was one renamed?");
        if stop.requested() {
            break;
        }
    }
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn command(root: &Path, tests: &str) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(["+nightly", "miri", "test", "--locked", "--target-dir", "target/miri"]);
    command.args(tests.split(' '));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_exists() {
        let root = crate::workspace::root().expect("tests run in the workspace");
        for (name, tests) in SUBJECTS {
            let words: Vec<_> = tests.split(' ').collect();
            let file = match words[..] {
                ["-p", "reactor", "--lib", module] => {
                    let module = module.trim_end_matches("::").replace("::", "/");
                    [format!("server/reactor/src/{module}.rs"), format!("server/reactor/src/{module}/mod.rs")]
                }
                ["-p", package, "--test", test] => {
                    let folder = if package == "reactor" { "server/reactor" } else { package };
                    [format!("{folder}/tests/{test}.rs"), format!("{folder}/tests/{test}/main.rs")]
                }
                _ => panic!("{name} is of another form"),
            };
            assert!(file.iter().any(|file| root.join(file).is_file()), "{name}: {file:?}");
        }
    }
}
