//! `cacheperf shift`: what memory the process holds while the sizes of values shift, and whether the cache recovers from it.
//!
//! A cache that cuts its memory into classes of sizes is left with memory in the wrong ones when sizes shift; one that takes its
//! memory from an allocator is left with holes. Either shows here: as live values that take a smaller share of the limit than
//! before, or as a process that is larger than the limit.
//!
//! **Not**: speed.
//!
//! **Invariants**: the process's memory is that of all of it, but for what it had before the cache was made.
//!
//! **Source**: proc_pid_status(5): `VmRSS`, the pages of the cache's memfd among them.

mod phase;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use phase::{ShiftPhase, Subject};

use perf_basis::judge::Spread;
use perf_basis::judge::{self, Bound, GateCheck, Unit};
use perf_basis::table::{Table, grouped};

/// How far the process may exceed the limit, in percent.
const BEYOND_PERCENT_MAX: f64 = 3.0;

/// Least share of live values at the end, to that of the first phase: below it, sizes that are gone still hold memory.
const RECOVERED_MIN: f64 = 0.95;

/// How large the cache is, and the sizes.
#[derive(Args)]
pub(crate) struct Options {
    /// Memory of the cache in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(2..=1 << 20))]
    limit: u64,
    /// Bytes of the values of each phase, in order; the last phase is compared with the first
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [64, 1 << 20, 64],
        value_parser = clap::value_parser!(u64).range(0..=64 << 20))]
    sizes: Vec<u64>,
    /// Write everything to this file as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Everything that was found.
#[derive(Serialize)]
struct Report {
    limit_bytes: u64,
    gates: Vec<GateCheck>,
    phases: Vec<ShiftPhase>,
}

/// Runs the verb. Exit status 1 when a gate failed.
///
/// # Errors
/// The cache cannot be made, a value is larger than it takes, or the result cannot be written.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let limit_bytes = options.limit << 20;
    let largest = options.sizes.iter().copied().max().unwrap_or_default();
    let mut subject = Subject::new(limit_bytes, largest)?;
    let phases = options.sizes.iter().map(|bytes| subject.phase(*bytes)).collect::<Result<Vec<_>>>()?;
    let report = Report { limit_bytes, gates: judge(limit_bytes, &phases), phases };
    print!("{}", report.text());
    if let Some(path) = &options.out {
        let json = serde_json::to_string_pretty(&report).context("the report could not be written as JSON")?;
        std::fs::write(path, json + "\n").with_context(|| format!("{} could not be written", path.display()))?;
    }
    Ok(if judge::all_hold(&report.gates) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn judge(limit_bytes: u64, phases: &[ShiftPhase]) -> Vec<GateCheck> {
    let peak = phases.iter().map(|phase| phase.resident_bytes_peak).max().unwrap_or_default();
    let beyond = (peak as f64 - limit_bytes as f64) / limit_bytes as f64 * 100.0;
    let mut gates = vec![GateCheck::of(
        "resident memory of the process beyond the limit, at its peak",
        Spread::once(beyond),
        Unit::Percent,
        Bound::AtMost(BEYOND_PERCENT_MAX),
    )];
    if let [first, .., last] = phases {
        let recovered = last.live_value_bytes as f64 / first.live_value_bytes.max(1) as f64;
        gates.push(GateCheck::of(
            "live values at the end of the last phase, to the first's",
            Spread::once(recovered),
            Unit::Ratio,
            Bound::AtLeast(RECOVERED_MIN),
        ));
    }
    gates
}

impl Report {
    fn text(&self) -> String {
        let mut table = Table::new([
            "values of",
            "RSS at its peak",
            "to the limit",
            "live values, of the limit",
            "items",
            "refused",
        ]);
        let limit = self.limit_bytes as f64;
        for phase in &self.phases {
            table.add([
                format!("{} B", grouped(phase.value_bytes as f64)),
                format!("{:.1} MiB", phase.resident_bytes_peak as f64 / f64::from(1 << 20)),
                format!("{:+.2} %", (phase.resident_bytes_peak as f64 / limit - 1.0) * 100.0),
                format!("{:.1} %", phase.live_value_bytes as f64 / limit * 100.0),
                grouped(phase.items as f64),
                format!("{} of {}", grouped(phase.refused as f64), grouped(phase.written as f64)),
            ]);
        }
        format!(
            "{}\n{}\nMemory of the cache {} MiB.\n",
            judge::table(&self.gates),
            table.render(),
            self.limit_bytes >> 20
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perf_basis::judge::GateResult;

    fn phase(resident_bytes_peak: u64, live_value_bytes: u64) -> ShiftPhase {
        ShiftPhase { value_bytes: 64, resident_bytes_peak, live_value_bytes, items: 1, written: 2, refused: 0 }
    }

    #[test]
    fn the_peak_and_the_recovery_are_judged() {
        for (phases, expected) in [
            (vec![phase(90, 50), phase(103, 90), phase(100, 48)], vec![GateResult::Pass, GateResult::Pass]),
            (vec![phase(90, 50), phase(104, 90), phase(100, 47)], vec![GateResult::Fail, GateResult::Fail]),
            (vec![phase(90, 50)], vec![GateResult::Pass]),
        ] {
            let verdicts: Vec<_> = judge(100, &phases).into_iter().map(|judged| judged.verdict).collect();
            assert_eq!(verdicts, expected, "{phases:?}");
        }
    }
}
