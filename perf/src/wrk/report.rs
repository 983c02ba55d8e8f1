//! The report: first how fast and whether the gates hold, then every figure, then where and when.
//!
//! **Invariants**: the text in the terminal, the text in docs/performance.md and the JSON come from one value.

use std::fmt::Write as _;

use serde::Serialize;

use super::host::Host;
use super::idle::Idle;
use super::sample::{Row, find};
use perf_basis::gate::{self, Judged, Verdict};
use perf_basis::spread::Spread;
use perf_basis::table::{Table, grouped};

/// Rounds below which the spread says too little for the medians to be relied on.
pub(crate) const ROUNDS_MIN: usize = 5;

/// Everything a measurement found.
#[derive(Serialize)]
pub(crate) struct Report {
    /// Where and when.
    pub(crate) host: Host,
    /// Alternating rounds.
    pub(crate) rounds: usize,
    /// Length of each run, in seconds.
    pub(crate) seconds: u64,
    /// The gates.
    pub(crate) gates: Vec<Judged>,
    /// The runs.
    pub(crate) rows: Vec<Row>,
    /// Memory of idle connections, if measured.
    pub(crate) idle: Option<Idle>,
}

impl Report {
    /// Whether no gate failed and every run was valid.
    pub(crate) fn is_good(&self) -> bool {
        gate::all_hold(&self.gates) && self.rows.iter().all(|row| row.invalid.is_none())
    }

    /// The whole report as Markdown that is readable as it is.
    pub(crate) fn text(&self) -> String {
        let mut text = self.summary();
        let _ = write!(text, "\n{}", gate::table(&self.gates));
        if !self.rows.is_empty() {
            let _ = write!(text, "\n{}", self.row_table());
        }
        if let Some(idle) = &self.idle {
            let _ = writeln!(
                text,
                "\nIdle: {} connections, resident memory {} KiB without and {} KiB with them.",
                grouped(idle.connections as f64),
                grouped(idle.empty_bytes as f64 / 1024.0),
                grouped(idle.full_bytes as f64 / 1024.0),
            );
        }
        let host = &self.host;
        let _ = writeln!(
            text,
            "\nMeasured {} at commit {} on {}, {}; {}; {}; load average before: {}.",
            host.date, host.commit, host.cpu, host.kernel, host.nginx, host.wrk, host.load_before
        );
        text
    }

    fn summary(&self) -> String {
        let mut text = String::new();
        let cpu = |server| Spread::of(find(&self.rows, "hit", server).filter(|row| row.invalid.is_none())?.cpu_us());
        if let (Some(own), Some(floor), Some(nginx)) = (cpu("corelane"), cpu("floor"), cpu("nginx")) {
            let _ = writeln!(
                text,
                "A GET hit of 128 bytes costs {:.2} us of CPU; the kernel alone (floor) {:.2} us, nginx {:.2} us.",
                own.median, floor.median, nginx.median
            );
        }
        let count = |wanted: fn(&Verdict) -> bool| self.gates.iter().filter(|gate| wanted(&gate.verdict)).count();
        let _ = writeln!(
            text,
            "Gates: {} pass, {} fail, {} not judged, {} invalid. {} alternating rounds of {} s; medians (min to max).",
            count(|verdict| *verdict == Verdict::Pass),
            count(|verdict| *verdict == Verdict::Fail),
            count(|verdict| matches!(verdict, Verdict::NotJudged(_))),
            count(|verdict| matches!(verdict, Verdict::Invalid(_))),
            self.rounds,
            self.seconds,
        );
        if self.rounds < ROUNDS_MIN {
            let _ = writeln!(text, "Fewer than {ROUNDS_MIN} rounds: an indication only.");
        }
        if self.is_disturbed() {
            let _ = writeln!(
                text,
                "The host was not quiet (see `waited`): CPU per request is blurred, rates are not judged; run it again."
            );
        }
        text
    }

    /// Whether a server that had the CPU to itself had to wait for it. The cluster's two processes share theirs.
    fn is_disturbed(&self) -> bool {
        self.rows.iter().filter(|row| row.server != "corelane + node").any(|row| row.disturbance().is_some())
    }

    fn row_table(&self) -> String {
        let mut table = Table::new([
            "load",
            "server",
            "CPU us/request",
            "requests/s",
            "CPU x floor",
            "CPU x nginx",
            "waited: server, wrk",
        ]);
        for row in &self.rows {
            let figures = match &row.invalid {
                Some(why) => [format!("INVALID: {why}"), "-".into(), "-".into(), "-".into(), "-".into()],
                None => self.figures(row),
            };
            let [cpu, rate, to_floor, to_nginx, waited] = figures;
            table.add([row.load.into(), row.server.into(), cpu, rate, to_floor, to_nginx, waited]);
        }
        table.render()
    }

    fn figures(&self, row: &Row) -> [String; 5] {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let ratio_to = |server| {
            let other = find(&self.rows, row.load, server).filter(|other| other.invalid.is_none())?;
            Spread::of_ratios(&row.cpu_us(), &other.cpu_us()).map(|spread| format!("{:.3}", spread.median))
        };
        let cpu = Spread::of(row.cpu_us());
        let cpu = cpu.map(|spread| format!("{:.3} ({:.3} to {:.3})", spread.median, spread.min, spread.max));
        let rate = Spread::of(row.rates()).map(|spread| grouped(spread.median));
        let waited = row.waited().map(|[server, client]| format!("{:.1} %, {:.1} %", server * 100.0, client * 100.0));
        [or_dash(cpu), or_dash(rate), or_dash(ratio_to("floor")), or_dash(ratio_to("nginx")), or_dash(waited)]
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
