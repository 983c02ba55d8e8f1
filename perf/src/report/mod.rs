//! `coreperf report`: results as one page that is read in a browser, by people who never saw the project.
//!
//! ```text
//!  DIR…/result.json, latency.hlog ─▶ sections (scenario ▸ server ▸ round) ─▶ one HTML file: sentences, pictures, tables
//! ```
//!
//! **Not** measuring, and no script: the page is read as it is, on paper too.
//!
//! **Invariants**: of a run that was not valid no percentile is shown, only why; the file needs no other.

mod charts;
mod figures;
mod first;
mod heat;
mod page;
pub(crate) mod section;
mod tables;
#[cfg(test)]
pub(crate) mod tests;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::results::under;
use perf_basis::files::write_whole;

/// What to show, and where.
#[derive(Args)]
pub(crate) struct Options {
    /// Folders with results in them or below
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// The page; written over if it is there
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
}

/// Runs the verb.
pub(crate) fn run(options: &Options) -> Result<()> {
    let page = page::of(&section::of(&under(&options.folders)?)?);
    write_whole(&options.html, page.as_bytes())
}
