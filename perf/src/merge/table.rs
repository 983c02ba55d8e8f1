//! The percentiles of merged latencies, as `latency.json` has them; the schema is described in docs/perf-results.md.
//!
//! **Invariants**: times are in microseconds; a percentile that too few latencies stand for says so.

use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::results::FoundResult;

/// Moves whenever a field changes its meaning or goes.
const SCHEMA: u32 = 1;

/// What is told: the shape of the middle, then the tail in steps of half a nine.
const QUANTILES: [f64; 15] =
    [0.0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 0.99999, 1.0];

/// Latencies that must lie beyond a quantile for it to say more than how chance fell.
const BEYOND_MIN: f64 = 10.0;

/// Percentiles of several results together.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    schema: u32,
    /// Whether all of them were valid.
    valid: bool,
    title: String,
    /// The folders that were merged.
    merged: Vec<String>,
    count: u64,
    min_us: f64,
    max_us: f64,
    mean_us: f64,
    quantiles: Vec<Quantile>,
}

/// One line of the table.
#[derive(Debug, Serialize)]
struct Quantile {
    quantile: f64,
    value_us: f64,
    /// Whether at least ten latencies lie beyond.
    firm: bool,
}

impl Table {
    /// Of a histogram in nanoseconds.
    pub(super) fn of(merged: &Histogram<u64>, found: &[FoundResult]) -> Self {
        let us = |ns: u64| ns as f64 / 1e3;
        let quantile = |quantile: f64| Quantile {
            quantile,
            value_us: us(merged.value_at_quantile(quantile)),
            firm: (1.0 - quantile) * merged.len() as f64 + 1e-6 >= BEYOND_MIN,
        };
        Self {
            schema: SCHEMA,
            valid: found.iter().all(|one| one.outcome.valid),
            title: found.first().map_or_else(String::new, |one| one.outcome.title.clone()),
            merged: found.iter().map(|one| one.folder.display().to_string()).collect(),
            count: merged.len(),
            min_us: us(merged.min()),
            max_us: us(merged.max()),
            mean_us: merged.mean() / 1e3,
            quantiles: QUANTILES.map(quantile).into(),
        }
    }

    /// As people read it.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{} latencies of {} results", self.count, self.merged.len());
        if !self.valid {
            text.push_str("; NOT ALL VALID: these figures cannot be believed");
        }
        let _ = writeln!(text, "\n{:>9} {:>12}", "percent", "us");
        for Quantile { quantile, value_us, firm } in &self.quantiles {
            let percent = format!("{:.3}", quantile * 100.0);
            let percent = percent.trim_end_matches('0').trim_end_matches('.');
            let soft = if *firm || *quantile >= 1.0 { "" } else { "  fewer than 10 beyond" };
            let _ = writeln!(text, "{percent:>9} {value_us:>12.1}{soft}");
        }
        let _ = writeln!(text, "{:>9} {:>12.1}", "mean", self.mean_us);
        text
    }
}
