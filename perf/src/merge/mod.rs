//! `coreperf merge`: the latencies of several results as one histogram: of the agents of one run, or of its rounds.
//!
//! ```text
//!  DIR…/result.json, latency.hlog ─▶ one histogram ─▶ OUT/latency.hlog, latency.json, and percentiles to read
//! ```
//!
//! **Invariants**: only what was asked for in the same way is merged, and only what was valid, unless the operator says
//! otherwise; the files of the inputs are not changed.

mod table;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use hdrhistogram::Histogram;

use crate::results::{FoundResult, difference, log, under};
use perf_basis::files::{write_json, write_whole};
use table::Table;

/// What to merge, and where it goes.
#[derive(Args)]
pub(crate) struct Options {
    /// Folders with results in them or below
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// Folder for latency.hlog and latency.json; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Merge results that were not valid too; their latencies cannot be believed
    #[arg(long)]
    include_invalid: bool,
    /// Merge results of scenarios that differ
    #[arg(long)]
    force: bool,
}

/// Runs the verb.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let found = under(&options.folders)?;
    options.accept(&found)?;
    let merged = merge(&found)?;
    let table = Table::of(&merged, &found);
    std::fs::create_dir_all(&options.out).with_context(|| format!("{} could not be made", options.out.display()))?;
    let span = found.iter().map(|one| one.outcome.seconds_measured).fold(0.0, f64::max);
    let comment = format!("corelane latencies, in nanoseconds, merged of {} results", found.len());
    let bytes = log::write(&merged, Duration::from_secs_f64(span), &comment)?;
    write_whole(&options.out.join("latency.hlog"), &bytes)?;
    write_json(&options.out.join("latency.json"), &table)?;
    print!("{}", table.text());
    Ok(ExitCode::SUCCESS)
}

impl Options {
    /// Whether these results may be merged.
    fn accept(&self, found: &[FoundResult]) -> Result<()> {
        let first = found.first().context("there is no result")?;
        for one in found {
            let path = one.folder.join("result.json");
            if let Some(reason) = one.outcome.invalid_reasons.first().filter(|_| !self.include_invalid) {
                bail!("{} was not valid: {reason}; leave it out, or give --include-invalid", path.display());
            }
            let differences = difference::of(&first.outcome.scenario, &one.outcome.scenario);
            if let Some(difference) = differences.first().filter(|_| !self.force) {
                bail!(
                    "{} is of another scenario than {}: {} is {}, not {}; leave it out, or give --force",
                    path.display(),
                    first.folder.join("result.json").display(),
                    difference.key,
                    difference.second,
                    difference.first
                );
            }
            let is_output =
                one.folder.canonicalize().ok().is_some_and(|folder| Some(folder) == self.out.canonicalize().ok());
            ensure!(!is_output, "{} would be written over; give another folder with --out", one.log().display());
        }
        Ok(())
    }
}

/// All latencies as one histogram.
fn merge(found: &[FoundResult]) -> Result<Histogram<u64>> {
    let mut merged = found.first().context("there is no result")?.latencies()?;
    for one in &found[1..] {
        log::add(&mut merged, &one.latencies()?).with_context(|| format!("{} does not fit", one.log().display()))?;
    }
    Ok(merged)
}
