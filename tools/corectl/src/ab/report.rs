//! What was tried, and what it showed, as JSON has it.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cpu_list::CpuList;
use crate::facts::Facts;
use crate::host::HostTime;
use crate::knobs::Risk;

/// Knobs tried on a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AbReport {
    /// The form of this file.
    pub version: u32,
    /// The host's name.
    pub hostname: String,
    /// Its kernel.
    pub kernel: String,
    /// Its CPUs, as a list.
    pub cpus: String,
    /// Model of its CPUs, where coreperf says one.
    pub cpu_model: String,
    /// The commit of coreperf, which is built with the server it is of.
    pub commit: String,
    /// When it began, in seconds since 1970.
    pub epoch_seconds: u64,
    /// The profile that says what B is.
    pub profile: String,
    /// The scenario's file.
    pub scenario: String,
    /// Rounds of four runs each.
    pub rounds: u32,
    /// The knobs, in the order in which they were tried.
    pub rows: Vec<AbRow>,
}

/// The form of the report.
const VERSION: u32 = 1;

impl AbReport {
    /// A report of a host that has no rows yet; what only coreperf knows is not in it.
    #[must_use]
    pub fn begun(facts: &Facts, profile: &str, scenario: &Path, rounds: u32, now: HostTime) -> Self {
        let cpus: Vec<u32> = facts.cpus.online.iter().map(|cpu| cpu.cpu).collect();
        AbReport {
            version: VERSION,
            hostname: facts.kernel.hostname.clone(),
            kernel: facts.kernel.release.clone(),
            cpus: CpuList::of(&cpus).to_string(),
            cpu_model: String::new(),
            commit: String::new(),
            epoch_seconds: now.epoch_seconds,
            profile: profile.into(),
            scenario: scenario.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            rounds,
            rows: Vec::new(),
        }
    }
}

/// A knob.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AbRow {
    /// Its name.
    pub knob: String,
    /// What can go wrong with it.
    pub risk: Risk,
    /// The settings that differ between A and B.
    pub settings: Vec<AbSetting>,
    /// What came of it.
    pub result: AbResult,
}

/// A setting and its two values, both read back from the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbSetting {
    /// Of what; empty for the whole host.
    pub target: String,
    /// As it was found.
    pub a: String,
    /// As the profile wants it.
    pub b: String,
}

/// What came of a knob.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AbResult {
    /// It was tried.
    Tried {
        /// Times that the settings were read back as they should be: before and after each run.
        read_back: u32,
        /// What it showed.
        figures: Vec<JudgedFigure>,
    },
    /// It was not tried, or not to its end.
    NotTried {
        /// Why.
        why: String,
    },
}

/// A figure of the runs, and what the judge says of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgedFigure {
    /// `cpu`, `p50` or `p99`.
    pub figure: String,
    /// The gain, or why there is no judgement.
    pub gain: Result<FigureGain, String>,
}

/// How much better B is. Shares are parts of one; above 0 is better.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FigureGain {
    /// The share of A's figure that B saves.
    pub gain: f64,
    /// Where it lies with 95 % confidence.
    pub interval: (f64, f64),
    /// `faster`, `slower` or `cannot_tell`.
    pub verdict: String,
    /// How often chance alone is as far off.
    pub chance: f64,
    /// Microseconds, of A and of B, pair by pair.
    pub pairs: Vec<(f64, f64)>,
}
