//! The report: a row for each cluster, load and schedule, and the gate.
//!
//! **Invariants**: the text and the JSON come from one value.

use std::fmt::Write as _;

use serde::Serialize;

use super::drive::{MemorySample, Outcome, Schedule};
use perf_basis::judge::Spread;
use perf_basis::judge::{self, Bound, GateCheck, Unit};
use perf_basis::plot::{Axis, Chart, Line, Spacing, short};
use perf_basis::table::{Table, grouped};

/// Percent of the memory that expired items may hold in steady state.
const EXPIRED_PERCENT_MAX: f64 = 5.0;

/// Length of a run, in longest times to live, from which on what comes after the warm-up is its steady state: the warm-up,
/// three fifths of it, is then one such time.
const SETTLED_LIVES: f64 = 5.0 / 3.0;

/// Curves that a picture can tell apart.
const LINES_MAX: usize = 6;

/// One run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// As the table calls it.
    pub(crate) cluster: String,
    /// Whose maintenance.
    pub(crate) schedule: Schedule,
    /// Items that would be alive, in multiples of what fits.
    pub(crate) load: f64,
    /// The longest length of life, in seconds.
    pub(crate) longest_s: f64,
    /// What was found.
    pub(crate) outcome: Outcome,
}

/// Everything that was found.
#[derive(Serialize)]
pub(crate) struct Report {
    /// Memory of the cache.
    pub(crate) limit_bytes: u64,
    /// Clusters that the table has too few figures of.
    pub(crate) left_out: Vec<String>,
    /// The gates: the worst cluster of each schedule and load.
    pub(crate) gates: Vec<GateCheck>,
    /// All runs.
    pub(crate) rows: Vec<Row>,
}

impl Row {
    /// Mean of a share over the steady state.
    fn mean(&self, of: fn(&MemorySample) -> f64) -> f64 {
        let steady = self.outcome.steady();
        steady.iter().map(of).sum::<f64>() / steady.len().max(1) as f64
    }

    /// Mean share of expired items in steady state.
    fn expired(&self) -> f64 {
        self.mean(|sample| sample.expired)
    }

    fn expired_max(&self) -> f64 {
        self.outcome.steady().iter().map(|sample| sample.expired).fold(0.0, f64::max)
    }

    fn is_alike(&self, other: &Self) -> bool {
        self.schedule == other.schedule && self.load.total_cmp(&other.load).is_eq()
    }
}

/// Judges, of every schedule and load, the cluster with the largest mean.
pub(crate) fn judge(rows: &[Row]) -> Vec<GateCheck> {
    let mut gates = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        if rows[..at].iter().any(|earlier| earlier.is_alike(row)) {
            continue;
        }
        let alike: Vec<_> = rows.iter().filter(|other| other.is_alike(row)).collect();
        let beyond = alike.iter().filter(|row| row.expired() * 100.0 > EXPIRED_PERCENT_MAX).count();
        let Some(worst) = alike.iter().max_by(|a, b| a.expired().total_cmp(&b.expired())) else { continue };
        let unsettled = alike.iter().filter(|row| row.outcome.lives < SETTLED_LIVES).count();
        let what = format!(
            "{}, load {}: expired items' share of the memory, worst cluster ({}; {beyond} of {} beyond, {unsettled} not settled)",
            row.schedule.name(),
            row.load,
            worst.cluster,
            alike.len()
        );
        let bound = Bound::AtMost(EXPIRED_PERCENT_MAX);
        gates.push(GateCheck::of(what, Spread::once(worst.expired() * 100.0), Unit::Percent, bound));
    }
    gates
}

impl Report {
    /// The whole report as Markdown that is readable as it is.
    pub(crate) fn text(&self) -> String {
        let mut text = judge::table(&self.gates);
        let mut table = Table::new([
            "cluster",
            "schedule",
            "load",
            "expired: mean",
            "max",
            "of segments in use",
            "items",
            "evicted",
            "longest TTL s",
            "spans",
            "requests",
        ]);
        let percent = |share: f64| format!("{:.2} %", share * 100.0);
        for row in &self.rows {
            table.add([
                row.cluster.clone(),
                row.schedule.name().into(),
                row.load.to_string(),
                percent(row.expired()),
                percent(row.expired_max()),
                percent(row.mean(|sample| sample.expired_of_occupied)),
                grouped(row.mean(|sample| sample.items as f64)),
                grouped(row.outcome.evicted as f64),
                grouped(row.longest_s),
                format!("{:.2}", row.outcome.lives),
                grouped(row.outcome.requests as f64),
            ]);
        }
        let _ = write!(text, "\n{}", table.render());
        let _ = writeln!(
            text,
            "\nMemory of the cache {} MiB. `spans`: length of the run in longest times to live; below 2.5 it ended with its \
             requests (--requests), and below 1.67 it did not settle: some of what it stored could not expire yet.",
            self.limit_bytes >> 20
        );
        if !self.left_out.is_empty() {
            let _ = writeln!(text, "Left out, for want of figures: {}.", self.left_out.join(", "));
        }
        text
    }

    /// The share over time of the runs with the largest mean.
    pub(crate) fn chart(&self) -> Chart {
        let mut worst: Vec<_> = self.rows.iter().collect();
        worst.sort_by(|a, b| b.expired().total_cmp(&a.expired()));
        let line = |(style, row): (usize, &&Row)| {
            let points =
                row.outcome.samples.iter().map(|sample| (sample.at_s / row.longest_s, sample.expired)).collect();
            let name = format!("{} {} {}", row.cluster, row.schedule.name(), row.load);
            Line { name, style, is_faint: false, points }
        };
        let title = format!("Expired items' share of the memory ({} MiB), the worst runs", self.limit_bytes >> 20);
        let axis = |title: &str| Axis { title: title.to_owned(), spacing: Spacing::Even, label: short };
        Chart {
            title: Some(title),
            x: axis("time in longest times to live"),
            y: axis("share of items that has expired"),
            lines: worst.iter().take(LINES_MAX).enumerate().map(line).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perf_basis::judge::GateResult;
    use perf_basis::plot;

    fn row(cluster: &str, schedule: Schedule, steady: [f64; 2]) -> Row {
        let sample = |(at, expired): (usize, f64)| MemorySample {
            at_s: at as f64,
            expired,
            expired_of_occupied: expired,
            items: 10,
        };
        let samples = [0.9, steady[0], steady[1]].into_iter().enumerate().map(sample).collect();
        let outcome = Outcome { samples, warm_up: 1, requests: 100, lives: 2.5, evicted: 0 };
        Row { cluster: cluster.into(), schedule, load: 0.5, longest_s: 10.0, outcome }
    }

    #[test]
    fn the_worst_mean_of_the_steady_state_is_judged() {
        let rows = [
            row("a", Schedule::Node, [0.01, 0.03]),
            row("b", Schedule::Node, [0.02, 0.10]),
            row("a", Schedule::Edge, [0.05, 0.05]),
        ];
        let gates = judge(&rows);
        let verdicts: Vec<_> = gates.iter().map(|gate| gate.verdict.clone()).collect();
        assert_eq!(verdicts, [GateResult::Fail, GateResult::Pass]);
        assert!(gates[0].what.contains("(b; 1 of 2 beyond, 0 not settled)"), "{}", gates[0].what);
        let report = Report { limit_bytes: 64 << 20, left_out: vec!["z".into()], gates, rows: rows.to_vec() };
        let text = report.text();
        assert!(text.contains("| 6.00 %        | 10.00 %") && text.contains("figures: z."), "{text}");
        let picture = plot::svg(&report.chart());
        let names =
            report.rows.iter().map(|row| format!("{} ", row.cluster)).filter(|name| picture.contains(name)).count();
        assert_eq!(names, 3, "{picture}");
    }
}
