//! What was found, and whether the gates hold.
//!
//! **Not** I/O.
//!
//! **Invariants**: what is judged is the ratio of two loads of one round.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Serialize;

use super::load::Side;
use super::{CoresLoad, LOADS};
use crate::system::cpu::CpuTime;
use crate::system::fingerprint::{Fingerprint, commit};
use perf_basis::judge::Spread;
use perf_basis::judge::{self, Bound, GateCheck, Unit};
use perf_basis::table::{Table, grouped};

/// Most CPU time of a request for another core's key, to that for an own one.
const OTHER_MAX: f64 = 1.05;

/// Most CPU time of a request for a key that both cores are asked for, to that for an own one: both then serve within a tenth of what
/// they could.
const HOT_MAX: f64 = 1.10;

/// One run of a load.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct CoresSample {
    /// CPU time of the server for a request, in microseconds.
    pub(super) cpu_us: f64,
    /// Requests per second of all clients.
    pub(super) rate: f64,
    /// Of the time from request to answer, in microseconds; for the comparison of loads only.
    pub(super) p99_us: f64,
}

impl CoresSample {
    pub(super) fn of(side: &Side, time: CpuTime) -> Self {
        let requests = side.requests.max(1) as f64;
        Self {
            cpu_us: time.used_ns as f64 / 1e3 / requests,
            rate: requests / side.elapsed.as_secs_f64(),
            p99_us: side.latency.value_at_quantile(0.99) as f64 / 1e3,
        }
    }
}

/// All runs of a load, round by round.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) load: &'static str,
    pub(super) samples: Vec<CoresSample>,
}

impl Row {
    pub(super) fn empty(load: &CoresLoad) -> Self {
        Self { load: load.name, samples: vec![] }
    }

    fn figures(&self, of: fn(&CoresSample) -> f64) -> Vec<f64> {
        self.samples.iter().map(of).collect()
    }
}

/// Everything that was found.
#[derive(Serialize)]
pub(super) struct Report {
    host: Fingerprint,
    commit: String,
    rounds: usize,
    seconds: u64,
    connections: usize,
    gates: Vec<GateCheck>,
    rows: Vec<Row>,
}

impl Report {
    /// Judges the rows of all loads, in order.
    pub(super) fn of(rows: Vec<Row>, rounds: usize, seconds: u64, connections: usize) -> Self {
        Self { host: Fingerprint::take(), commit: commit(), rounds, seconds, connections, gates: judge(&rows), rows }
    }

    pub(super) fn exit(&self) -> ExitCode {
        if judge::all_hold(&self.gates) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    pub(super) fn text(&self) -> String {
        let mut table = Table::new(["load", "CPU us/request", "requests/s", "p99 us", "CPU x own", "p99 x own"]);
        for (pair, row) in self.rows.iter().enumerate().map(|(index, row)| (index / 2 * 2, row)) {
            let median = |of| Spread::of(row.figures(of)).map_or(f64::NAN, |spread| spread.median);
            let to_own = |of| ratio(row, &self.rows[pair], of).map_or(f64::NAN, |spread| spread.median);
            table.add([
                row.load.to_owned(),
                format!("{:.3}", median(|sample| sample.cpu_us)),
                grouped(median(|sample| sample.rate)),
                format!("{:.0}", median(|sample| sample.p99_us)),
                format!("{:.3}", to_own(|sample| sample.cpu_us)),
                format!("{:.3}", to_own(|sample| sample.p99_us)),
            ]);
        }
        let mut text = format!("{}\n{}\n", judge::table(&self.gates), table.render());
        let _ = writeln!(
            text,
            "Values of 128 B, {} connections to each busy core, {} rounds of {} s. Commit {} on {}, {} CPUs, {}.",
            self.connections, self.rounds, self.seconds, self.commit, self.host.cpu, self.host.cpus, self.host.kernel
        );
        text
    }
}

fn ratio(above: &Row, below: &Row, of: fn(&CoresSample) -> f64) -> Option<Spread> {
    Spread::of_ratios(&above.figures(of), &below.figures(of))
}

/// Judges each pair of loads.
fn judge(rows: &[Row]) -> Vec<GateCheck> {
    let bounds = [OTHER_MAX, OTHER_MAX, HOT_MAX];
    let pairs = rows.chunks_exact(2).zip(LOADS.chunks_exact(2)).zip(bounds);
    let judged = pairs.filter_map(|((rows, loads), bound)| {
        let measured = ratio(&rows[1], &rows[0], |sample| sample.cpu_us)?;
        let what = format!("CPU per request: {}, to {}", loads[1].name, loads[0].name);
        Some(GateCheck::of(what, measured, Unit::Ratio, Bound::AtMost(bound)))
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use perf_basis::judge::GateResult;

    fn rows(cpu_us: [f64; 6]) -> Vec<Row> {
        let sample = |cpu_us| CoresSample { cpu_us, rate: 1e5, p99_us: 100.0 };
        LOADS.iter().zip(cpu_us).map(|(load, cpu_us)| Row { load: load.name, samples: vec![sample(cpu_us)] }).collect()
    }

    #[test]
    fn each_load_is_judged_by_the_one_before_it() {
        let verdicts = |cpu_us| judge(&rows(cpu_us)).into_iter().map(|judged| judged.verdict).collect::<Vec<_>>();
        assert_eq!(verdicts([4.0, 4.1, 5.0, 5.2, 5.0, 5.4]), vec![GateResult::Pass; 3]);
        assert_eq!(verdicts([4.0, 4.3, 5.0, 5.3, 5.0, 5.6]), vec![GateResult::Fail; 3]);
    }

    #[test]
    fn the_table_sets_pairs_side_by_side() {
        let text = Report::of(rows([4.0, 4.1, 5.0, 5.2, 5.0, 5.4]), 5, 2, 64).text();
        let line = |name: &str| text.lines().rfind(|line| line.contains(name)).expect("it has a row").to_owned();
        assert!(line("| both busy, the other's keys").contains("1.040"), "{text}");
        assert!(line("| both busy, own keys").contains("1.000"), "{text}");
    }
}
