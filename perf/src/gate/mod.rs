//! `coreperf gate`: what was measured now, judged by a committed baseline.
//!
//! | without arguments | `--ratios DIR…` |
//! |---|---|
//! | instructions of the pure paths, exactly (`instructions`, `callgrind`) | CPU per request beside other servers (`ratios`) |
//!
//! **Not** in here: the statistics, which are `perf_basis::judge`.

mod callgrind;
mod changes;
mod instructions;
mod ratios;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

/// What to judge, and by what.
#[derive(Args)]
pub(crate) struct Options {
    /// File of the baselines; left out: instructions.toml or ratios.toml of perf/baselines
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Judge the ratios of CPU per request in these folders of coreperf peers instead of counting instructions
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with_all = ["update", "program", "keep"])]
    ratios: Vec<PathBuf>,
    /// Write the ratios to the file of the baselines, instead of judging them; on a quiet host
    #[arg(long, requires = "ratios")]
    accept: bool,
    /// Write what is counted to the file of the baselines, instead of judging it
    #[arg(long)]
    update: bool,
    /// The program that is counted; left out: coreperf-paths beside this program
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Keep callgrind's files in this folder, for callgrind_annotate
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
}

/// Runs the verb. Exit status 1 when a figure is worse than its baseline.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let Options { baseline, ratios, accept, update, program, keep } = options;
    if ratios.is_empty() {
        return instructions::run(baseline.as_deref(), program.as_deref(), keep.as_deref(), *update);
    }
    ratios::run(ratios, baseline.as_deref(), *accept)
}
