//! Folders of results, as `run` and `peers` write them: which there are, and the latencies of each.
//!
//! ```text
//!  DIR/result.json, latency.hlog                          coreperf run
//!  DIR/SCENARIO/SERVER/ROUND/result.json, latency.hlog    coreperf peers
//! ```
//!
//! **Invariants**: a file that is not what it should be is an error that names it; nothing is skipped in silence but a
//! folder that was found before.

pub(crate) mod difference;
pub(crate) mod log;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;

use crate::run::outcome::Outcome;

/// Folders below each other at most: results lie three deep, and a link that leads back must not lead round for ever.
const DEPTH_MAX: usize = 16;

/// One result and where it lies.
#[derive(Clone, Debug)]
pub(crate) struct FoundResult {
    /// The folder that holds `result.json`, as it was reached.
    pub(crate) folder: PathBuf,
    pub(crate) outcome: Outcome,
}

impl FoundResult {
    /// Where its latencies lie.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("latency.hlog")
    }

    /// All its latencies, in nanoseconds.
    pub(crate) fn latencies(&self) -> Result<Histogram<u64>> {
        let path = self.log();
        let histogram = log::read(&path)?;
        ensure!(
            histogram.len() == self.outcome.requests_answered,
            "{} has {} latencies, but result.json beside it counts {} answers: they are not of the same run",
            path.display(),
            histogram.len(),
            self.outcome.requests_answered
        );
        Ok(histogram)
    }
}

/// All results in folders and the folders below them, by the names of their folders; each once.
pub(crate) fn under(folders: &[PathBuf]) -> Result<Vec<FoundResult>> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for folder in folders {
        let before = seen.len();
        walk(folder, DEPTH_MAX, &mut |path| {
            let whole = path.canonicalize().with_context(|| format!("{} could not be reached", path.display()))?;
            if seen.insert(whole) {
                let outcome = Outcome::read(&path.join("result.json"))?;
                found.push(FoundResult { folder: path.to_owned(), outcome });
            }
            Ok(())
        })?;
        let is_known = |path: &PathBuf| folder.canonicalize().is_ok_and(|whole| path.starts_with(whole));
        ensure!(
            seen.len() > before || seen.iter().any(is_known),
            "{} has no result.json in it or below; give a folder that run --out or peers --out wrote",
            folder.display()
        );
    }
    Ok(found)
}

/// Calls `each` with every folder that holds a result.
fn walk(folder: &Path, depth: usize, each: &mut dyn FnMut(&Path) -> Result<()>) -> Result<()> {
    let listed = || format!("{} could not be listed", folder.display());
    let entries = std::fs::read_dir(folder).with_context(listed)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>().with_context(listed)?;
    paths.sort();
    for path in paths {
        if path.is_dir() && depth > 0 {
            walk(&path, depth - 1, each)?;
        } else if path.file_name().is_some_and(|name| name == "result.json") {
            each(folder)?;
        }
    }
    Ok(())
}
