//! What a knob is worth on this host: as it is (A) and as the profile wants it (B), one knob at a time, in turns under one load.
//!
//! ```text
//!  a round, by lot:   A  [apply]  B  B  [take back]  A      or      [apply]  B  [take back]  A  A  [apply]  B  [take back]
//!                     └─ pair ──┘ └──── pair ───────┘                └─────── pair ──────┘    └───── pair ─────┘
//!
//!  candidates (pure) ─▶ Trial ──▶ transaction: every B is an armed change
//!                         └─────▶ dyn AbBench: coreperf run, and coreperf compare for the judgement
//! ```
//!
//! **Not** a load generator, and no statistics: both are coreperf's (docs/adr/0016-paired-comparisons.md).
//!
//! **Invariants**: B is in force only as a change that waits for its timer, so that a killed process leaves the host as it was. Both sides
//! are read back before and after each run. The values of one knob are back before the next one is tried, whatever happened.

mod bench;
mod candidate;
mod program;
mod report;
mod table;
mod trial;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use bench::{BenchOptions, CoreperfBench};
pub use candidate::{Candidate, candidates};
pub use program::StopFlag;
pub use report::{AbReport, AbResult, AbRow, AbSetting, FigureGain, JudgedFigure};
pub use table::markdown;
pub use trial::{Trial, TrialOptions};

use crate::transaction::TransactionError;

/// Which value of a knob is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AbSide {
    /// As it was found.
    A,
    /// As the profile wants it.
    B,
}

impl fmt::Display for AbSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            AbSide::A => "A",
            AbSide::B => "B",
        })
    }
}

/// One measured run.
#[derive(Debug, Clone, Copy)]
pub struct AbRun<'k> {
    /// The knob that is tried.
    pub knob: &'k str,
    /// Which of its values is in force.
    pub side: AbSide,
    /// Runs of that side before it.
    pub number: u32,
}

/// What loads a server and judges what it saw.
pub trait AbBench {
    /// Forgets what an earlier call left of a knob.
    ///
    /// # Errors
    /// The folder of results cannot be made.
    fn begin(&mut self, knob: &str) -> Result<(), AbError>;

    /// Loads the server once.
    ///
    /// # Errors
    /// The run has no result, or somebody stopped it.
    fn measure(&mut self, run: AbRun<'_>) -> Result<(), AbError>;

    /// What the pairs of a knob show, figure by figure.
    ///
    /// # Errors
    /// The judge cannot be run, or somebody stopped it.
    fn judge(&mut self, knob: &str) -> Result<Vec<JudgedFigure>, AbError>;
}

/// Why knobs could not be tried.
#[derive(Debug, thiserror::Error)]
pub enum AbError {
    /// The operator's: a signal. Everything is back.
    #[error("stopped by a signal")]
    Stopped,
    /// The operator's: it would not be measured what was asked for.
    #[error("{0}")]
    Asked(String),
    /// The load's or the server's.
    #[error("{what}: {why}")]
    Run {
        /// The program.
        what: String,
        /// What it wrote, or what became of it.
        why: String,
    },
    /// The change's.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
}

impl AbError {
    pub(crate) fn run(what: &str, why: &impl ToString) -> Self {
        AbError::Run { what: what.into(), why: why.to_string() }
    }
}
