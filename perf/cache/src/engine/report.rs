//! The report: gates, rates, single calls, and what they rest on.
//!
//! **Invariants**: the text and the JSON come from one value.

use std::fmt::Write as _;

use serde::Serialize;

use super::latency::BOUND_NS;
use super::load::CallMix;
use super::measure::{Row, StoreSample};
use super::store::Kind;
use perf_basis::judge::Spread;
use perf_basis::judge::{self, Bound, GateCheck, GateResult, Unit};
use perf_basis::table::{Table, grouped};

/// Hits of the product's cache, to those of the plain way.
const HITS_RATIO_MIN: f64 = 1.5;

/// Least share of the gets that has to find its key for a rate to be one of hits.
const FOUND_MIN: f64 = 0.9999;

/// Everything a measurement found.
#[derive(Serialize)]
pub(crate) struct Report {
    /// Of every store, in bytes.
    pub(crate) memory_bytes: u64,
    /// Keys and values of `get-hit`, in multiples of the last cache.
    pub(crate) working_set_caches: f64,
    /// Size of that cache, in bytes.
    pub(crate) cache_bytes: u64,
    /// Mean size of a value.
    pub(crate) value_bytes_mean: f64,
    /// Calls of a round.
    pub(crate) calls: u64,
    /// Calls that are known at once.
    pub(crate) ahead: u16,
    /// Whether shardstore's memory is committed as items come, not all at the start.
    pub(crate) commit_as_needed: bool,
    /// Reading the clock around a call, in nanoseconds; in every latency.
    pub(crate) clock_ns: f64,
    /// The gates.
    pub(crate) gates: Vec<GateCheck>,
    /// All rows.
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// The whole report as Markdown that is readable as it is.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "Memory of each store {} MiB, values {:.0} B (mean); get-hit works on {:.1} x the last cache ({} MiB); rounds of {} calls, {} known at once; memory of shardstore committed {}.\n",
            self.memory_bytes >> 20,
            self.value_bytes_mean,
            self.working_set_caches,
            self.cache_bytes >> 20,
            grouped(self.calls as f64),
            self.ahead,
            if self.commit_as_needed { "as needed" } else { "at the start" },
        );
        text += &judge::table(&self.gates);
        let _ = write!(text, "\n{}", self.rate_table());
        let _ = write!(text, "\n{}", self.latency_table());
        let _ = writeln!(text, "\nReading the clock costs {:.0} ns of every single call.", self.clock_ns);
        text
    }

    fn rate_table(&self) -> String {
        let mut table = Table::new([
            "mix",
            "store",
            "CPU ns/call",
            "calls/s",
            "x hashbrown",
            "found",
            "items",
            "RSS MiB",
            "waited",
        ]);
        for row in &self.rows {
            let median = |of: fn(&StoreSample) -> f64| {
                Spread::of(row.samples.iter().map(of)).map_or(0.0, |spread| spread.median)
            };
            let cpu = Spread::of(row.samples.iter().map(|sample| sample.cpu_ns));
            let found = Spread::of(row.samples.iter().filter_map(|sample| sample.found));
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            table.add([
                row.mix.name().into(),
                row.store.name().into(),
                or_dash(cpu.map(|cpu| format!("{:.1} ({:.1} to {:.1})", cpu.median, cpu.min, cpu.max))),
                grouped(1e9 / median(|sample| sample.elapsed_ns)),
                or_dash(rate_ratio(&self.rows, row.mix, row.store).map(|ratio| format!("{:.2}", ratio.median))),
                or_dash(found.map(|found| format!("{:.2} %", found.median * 100.0))),
                grouped(row.items as f64),
                or_dash(row.resident_bytes.map(|bytes| grouped((bytes >> 20) as f64))),
                format!("{:.1} %", (1.0 - median(|sample| sample.cpu_ns / sample.elapsed_ns)).max(0.0) * 100.0),
            ]);
        }
        table.render()
    }

    fn latency_table(&self) -> String {
        let mut table =
            Table::new(["mix", "store", "call", "p50 us", "p99 us", "p99.9 us", "p99.99 us", "max us", "> 50 us"]);
        for row in &self.rows {
            for (call, percentiles) in &row.latencies {
                table.add([
                    row.mix.name().into(),
                    row.store.name().into(),
                    (*call).into(),
                    format!("{:.2}", percentiles.p50_us),
                    format!("{:.2}", percentiles.p99_us),
                    format!("{:.2}", percentiles.p999_us),
                    format!("{:.2}", percentiles.p9999_us),
                    grouped(percentiles.max_us),
                    format!("{} of {}", grouped(percentiles.beyond_bound as f64), grouped(percentiles.calls as f64)),
                ]);
            }
        }
        table.render()
    }
}

/// Judges what was measured.
pub(crate) fn judge(rows: &[Row], working_set_caches: f64) -> Vec<GateCheck> {
    let mut gates: Vec<GateCheck> = judge_hits(rows, working_set_caches).into_iter().collect();
    for row in rows.iter().filter(|row| row.store == Kind::Shardstore) {
        for (call, percentiles) in &row.latencies {
            let what = format!("{}, {call}: p99.9 of single calls", row.mix.name());
            let bound = Bound::AtMost(BOUND_NS as f64 / 1e3);
            gates.push(GateCheck::of(what, Spread::once(percentiles.p999_us), Unit::Microseconds, bound));
        }
    }
    gates
}

fn judge_hits(rows: &[Row], working_set_caches: f64) -> Option<GateCheck> {
    let ratio = rate_ratio(rows, CallMix::GetHit, Kind::Shardstore)?;
    let what = format!("get-hit: rate, to hashbrown's (working set {working_set_caches:.1} x the last cache)");
    let mut judged = GateCheck::of(what, ratio, Unit::Ratio, Bound::AtLeast(HITS_RATIO_MIN));
    let compared = [Kind::Shardstore, Kind::Hashbrown];
    let all = rows.iter().filter(|row| row.mix == CallMix::GetHit && compared.contains(&row.store));
    let least = all.flat_map(|row| &row.samples).filter_map(|sample| sample.found).fold(1.0, f64::min);
    if least < FOUND_MIN {
        judged.verdict = GateResult::Invalid(format!("only {:.2} % of the gets found their key", least * 100.0));
    }
    Some(judged)
}

/// Rate of a store to that of the plain way, by CPU time, round by round.
fn rate_ratio(rows: &[Row], mix: CallMix, store: Kind) -> Option<Spread> {
    let cpu_ns = |store| {
        let row = rows.iter().find(|row| row.mix == mix && row.store == store)?;
        Some(row.samples.iter().map(|sample| sample.cpu_ns).collect::<Vec<_>>())
    };
    Spread::of_ratios(&cpu_ns(Kind::Hashbrown)?, &cpu_ns(store)?)
}

#[cfg(test)]
mod tests {
    use super::super::latency::Percentiles;
    use super::*;

    fn row(store: Kind, cpu_ns: [f64; 3], found: f64, p999_us: f64) -> Row {
        let percentiles = Percentiles {
            calls: 10,
            p50_us: 0.1,
            p99_us: 1.0,
            p999_us,
            p9999_us: 90.0,
            max_us: 1234.0,
            beyond_bound: 3,
        };
        Row {
            mix: CallMix::GetHit,
            store,
            samples: cpu_ns.map(|cpu_ns| StoreSample { cpu_ns, elapsed_ns: cpu_ns, found: Some(found) }).to_vec(),
            items: 1_000_000,
            resident_bytes: None,
            latencies: vec![("get", percentiles)],
        }
    }

    fn verdicts(rows: &[Row]) -> Vec<GateResult> {
        judge(rows, 10.0).into_iter().map(|judged| judged.verdict).collect()
    }

    #[test]
    fn gates_are_judged_by_ratios_of_rounds_and_by_the_tail() {
        let plain = row(Kind::Hashbrown, [300.0, 310.0, 600.0], 1.0, 99.0);
        for (own, p999_us, expected) in [
            (row(Kind::Shardstore, [200.0, 200.0, 400.0], 1.0, 50.0), 50.0, [GateResult::Pass, GateResult::Pass]),
            (row(Kind::Shardstore, [210.0, 210.0, 410.0], 1.0, 50.1), 50.1, [GateResult::Fail, GateResult::Fail]),
        ] {
            assert_eq!(verdicts(&[plain.clone(), own]), expected, "{p999_us}");
        }
        let lossy = row(Kind::Shardstore, [100.0; 3], 0.99, 1.0);
        assert!(matches!(verdicts(&[plain.clone(), lossy])[0], GateResult::Invalid(_)));
        assert_eq!(verdicts(&[plain]), [], "nothing is judged of what was not measured");
    }

    #[test]
    fn a_reader_finds_rates_ratios_and_tails() {
        let rows = vec![row(Kind::Shardstore, [200.0; 3], 1.0, 9.0), row(Kind::Hashbrown, [300.0; 3], 1.0, 99.0)];
        let report = Report {
            memory_bytes: 64 << 20,
            working_set_caches: 10.0,
            cache_bytes: 4 << 20,
            value_bytes_mean: 264.0,
            calls: 1000,
            ahead: 16,
            commit_as_needed: false,
            clock_ns: 40.0,
            gates: judge(&rows, 10.0),
            rows,
        };
        let text = report.text();
        for expected in ["1.500 x (1.500 to 1.500)", "PASS", "5,000,000", "| 1,234  | 3 of 10 |", "costs 40 ns"] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }
}
