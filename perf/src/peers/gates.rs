//! `peers --wrk`: the gates of docs/performance.md, as data, and whether they hold.
//!
//! **Invariants**: ratios are judged by the median of the ratios round by round. Nothing is judged from a row that is not valid, no
//! rate from a host that was not quiet, and a gate that rests on the host's speed only where the floor shows that speed.

use std::fmt::Write as _;

use perf_basis::judge::{Bound, GateCheck, GateResult, Spread, Unit, all_hold, table};
use perf_basis::table::{Table, grouped};
use serde::Serialize;

use super::idle::Idle;
use crate::system::fingerprint::{Fingerprint, commit};

/// Share of a run that server or wrk may wait for a CPU before the host counts as not quiet: beyond a tenth, the rate says more
/// about the other load than about the server.
const WAITED_MAX: f64 = 0.10;

/// One valid run against one server.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct WrkSample {
    /// CPU of all the server's processes per answered request, in microseconds.
    pub(super) cpu_us: f64,
    /// Answered requests per second.
    pub(super) rate: f64,
    /// Share of the run, 0 to 1, in which the server or wrk could have run but others had its CPU: the larger one.
    pub(super) waited: f64,
}

/// All runs of one scenario against one server.
#[derive(Clone, Debug, Serialize)]
pub(super) struct LoadRow {
    pub(super) load: String,
    pub(super) server: &'static str,
    /// One per valid round, in order.
    pub(super) samples: Vec<WrkSample>,
    /// Why the row gives no figures, if it does not.
    pub(super) invalid: Option<String>,
}

impl LoadRow {
    /// Adds a round, or keeps the first reason why the row is not valid.
    pub(super) fn add(&mut self, sample: Result<WrkSample, String>) {
        match sample {
            Ok(sample) => self.samples.push(sample),
            Err(why) => {
                let round = self.samples.len() + 1;
                self.invalid.get_or_insert_with(|| format!("round {round}: {why}"));
            }
        }
    }

    fn figures(&self, figure: fn(&WrkSample) -> f64) -> Vec<f64> {
        self.samples.iter().map(figure).collect()
    }

    fn spread(&self, figure: fn(&WrkSample) -> f64) -> Option<Spread> {
        Spread::of(self.figures(figure)).filter(|_| self.invalid.is_none())
    }
}

struct Gate {
    what: &'static str,
    load: &'static str,
    server: &'static str,
    /// The server whose figure it is a ratio to; without one the figure itself is judged.
    to: Option<&'static str>,
    figure: fn(&WrkSample) -> f64,
    bound: Bound,
    /// Requests per second that the floor has to reach for the gate to be judged.
    floor_rate_min: Option<f64>,
    /// Whether others on the host spoil it: a rate, and not CPU per request.
    needs_quiet: bool,
}

impl Gate {
    const fn cpu(what: &'static str, [load, server, to]: [&'static str; 3], bound: f64) -> Self {
        let (figure, bound) = (|sample: &WrkSample| sample.cpu_us, Bound::AtMost(bound));
        Self { what, load, server, to: Some(to), figure, bound, floor_rate_min: None, needs_quiet: false }
    }
}

/// All gates but the idle one, which rests on no load.
const GATES: [Gate; 5] = [
    Gate::cpu("GET hit: CPU per request, to the floor's", ["hit", "corelane", "floor"], 1.10),
    Gate::cpu("GET hit: CPU per request, to nginx's", ["hit", "corelane", "nginx"], 0.85),
    Gate {
        what: "16 pipelined: requests per second on one core",
        load: "pipelined",
        server: "corelane",
        to: None,
        figure: |sample| sample.rate,
        bound: Bound::AtLeast(1_000_000.0),
        floor_rate_min: Some(1_200_000.0),
        needs_quiet: true,
    },
    Gate {
        what: "16 pipelined: requests per second, to nginx's",
        load: "pipelined",
        server: "corelane",
        to: Some("nginx"),
        figure: |sample| sample.rate,
        bound: Bound::AtLeast(8.0),
        floor_rate_min: None,
        needs_quiet: true,
    },
    Gate::cpu("miss: CPU of edge and node per request, to a hit's", ["miss", "corelane + node", "corelane"], 2.2),
];

/// Process memory of an idle connection, in bytes: half a page beyond this and 1,000,000 clients need a larger host.
const IDLE_BYTES_MAX: f64 = 2048.0;

/// Everything a measurement with wrk found.
#[derive(Serialize)]
pub(super) struct GateReport {
    host: Fingerprint,
    commit: String,
    started: String,
    seconds: u64,
    gates: Vec<GateCheck>,
    rows: Vec<LoadRow>,
    idle: Option<Idle>,
}

impl GateReport {
    /// Judges rows of runs that took so many seconds.
    pub(super) fn of(rows: Vec<LoadRow>, idle: Option<Idle>, seconds: u64) -> Self {
        let mut gates: Vec<GateCheck> = GATES.iter().filter_map(|gate| gate.judge(&rows)).collect();
        gates.extend(idle.as_ref().map(judge_idle));
        let started = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
        Self { host: Fingerprint::take(), commit: commit(), started, seconds, gates, rows, idle }
    }

    /// Whether no gate failed and every run was valid.
    pub(super) fn is_good(&self) -> bool {
        all_hold(&self.gates) && self.rows.iter().all(|row| row.invalid.is_none())
    }

    /// The report as Markdown that is readable as it is.
    pub(super) fn text(&self) -> String {
        let mut text = table(&self.gates);
        if !self.rows.is_empty() {
            let _ = write!(text, "\n{}", self.row_table());
        }
        if let Some(idle) = &self.idle {
            let kib = |bytes: u64| grouped(bytes as f64 / 1024.0);
            let _ = writeln!(
                text,
                "\nIdle: {} connections, resident memory {} KiB without and {} KiB with them.",
                grouped(idle.connections as f64),
                kib(idle.empty_bytes),
                kib(idle.full_bytes),
            );
        }
        let rounds = self.rows.iter().map(|row| row.samples.len()).max().unwrap_or_default();
        let _ = writeln!(
            text,
            "\nwrk; medians (min to max) of {rounds} alternating rounds of {} s. Measured {} at commit {} on {}, {} CPUs, Linux {}.",
            self.seconds, self.started, self.commit, self.host.cpu, self.host.cpus, self.host.kernel
        );
        text
    }

    fn row_table(&self) -> String {
        let mut table =
            Table::new(["load", "server", "CPU us/request", "requests/s", "CPU x floor", "CPU x nginx", "waited"]);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        for row in &self.rows {
            let cpu = row.spread(|sample| sample.cpu_us);
            let cpu = cpu.map(|spread| format!("{:.3} ({:.3} to {:.3})", spread.median, spread.min, spread.max));
            let to = |server| {
                let other = find(&self.rows, &row.load, server).filter(|other| other.invalid.is_none())?;
                let ratio =
                    Spread::of_ratios(&row.figures(|sample| sample.cpu_us), &other.figures(|sample| sample.cpu_us));
                ratio.map(|spread| format!("{:.3}", spread.median))
            };
            let valid = |text: Option<String>| or_dash(text.filter(|_| row.invalid.is_none()));
            table.add([
                row.load.clone(),
                row.server.to_owned(),
                row.invalid.as_ref().map_or_else(|| or_dash(cpu), |why| format!("INVALID: {why}")),
                valid(row.spread(|sample| sample.rate).map(|spread| grouped(spread.median))),
                valid(to("floor")),
                valid(to("nginx")),
                valid(row.spread(|sample| sample.waited).map(|spread| format!("{:.1} %", spread.median * 100.0))),
            ]);
        }
        table.render()
    }
}

fn find<'a>(rows: &'a [LoadRow], load: &str, server: &str) -> Option<&'a LoadRow> {
    rows.iter().find(|row| row.load == load && row.server == server)
}

impl Gate {
    /// None if what it takes was not measured.
    fn judge(&self, rows: &[LoadRow]) -> Option<GateCheck> {
        let own = find(rows, self.load, self.server)?;
        let other = self.to.map(|server| find(rows, self.load, server));
        let unit = if self.to.is_some() { Unit::Ratio } else { Unit::Rate };
        let check =
            |measured, verdict| GateCheck { what: self.what.to_owned(), measured, unit, bound: self.bound, verdict };
        let mut needed = std::iter::once(Some(own)).chain(other).flatten();
        if let Some(why) = needed.find_map(|row| self.unusable(row)) {
            return Some(check(None, GateResult::Invalid(why)));
        }
        let measured = match other {
            Some(other) => Spread::of_ratios(&own.figures(self.figure), &other?.figures(self.figure)),
            None => own.spread(self.figure),
        }?;
        let judged = GateCheck::of(self.what, measured, unit, self.bound);
        Some(self.host_is_slower(rows).map_or(judged, |why| check(Some(measured), GateResult::NotJudged(why))))
    }

    /// Why the gate cannot rest on this row, if it cannot.
    fn unusable(&self, row: &LoadRow) -> Option<String> {
        if let Some(why) = &row.invalid {
            return Some(format!("{}, {why}", row.server));
        }
        let waited = row.spread(|sample| sample.waited)?.median;
        let is_disturbed = self.needs_quiet && waited > WAITED_MAX;
        is_disturbed
            .then(|| format!("the host was not quiet ({}: {:.0} % waited for a CPU)", row.server, waited * 100.0))
    }

    /// Why the host cannot show the gate, if it cannot.
    fn host_is_slower(&self, rows: &[LoadRow]) -> Option<String> {
        let needed = self.floor_rate_min?;
        match find(rows, self.load, "floor").and_then(|row| row.spread(|sample| sample.rate)) {
            Some(rate) if rate.median >= needed => None,
            Some(rate) => Some(format!("the floor reaches {:.0}, not {needed:.0}", rate.median)),
            None => Some("the floor was not measured".to_owned()),
        }
    }
}

fn judge_idle(idle: &Idle) -> GateCheck {
    let measured = Spread::once(idle.bytes_per_connection());
    let what = "10,000 idle connections: process memory of each";
    let check = GateCheck::of(what, measured, Unit::Bytes, Bound::AtMost(IDLE_BYTES_MAX));
    match &idle.invalid {
        Some(why) => GateCheck { measured: None, verdict: GateResult::Invalid(why.clone()), ..check },
        None => check,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(load: &str, server: &'static str, cpu_us: &[f64], rate: f64) -> LoadRow {
        let samples = cpu_us.iter().map(|&cpu_us| WrkSample { cpu_us, rate, waited: 0.0 }).collect();
        LoadRow { load: load.to_owned(), server, samples, invalid: None }
    }

    fn results(rows: Vec<LoadRow>) -> Vec<GateResult> {
        GateReport::of(rows, None, 3).gates.into_iter().map(|check| check.verdict).collect()
    }

    fn hits(corelane: &[f64]) -> Vec<LoadRow> {
        vec![
            row("hit", "floor", &[6.0; 3], 1.0),
            row("hit", "corelane", corelane, 1.0),
            row("hit", "nginx", &[8.0; 3], 1.0),
        ]
    }

    #[test]
    fn hits_are_judged_to_the_floor_and_to_nginx_by_the_median_round() {
        for (corelane, expected) in [
            ([6.6; 3], [GateResult::Pass, GateResult::Pass]),
            ([6.3, 9.0, 6.2], [GateResult::Pass, GateResult::Pass]),
            ([6.7; 3], [GateResult::Fail, GateResult::Pass]),
            ([8.0; 3], [GateResult::Fail, GateResult::Fail]),
        ] {
            assert_eq!(results(hits(&corelane)), expected, "{corelane:?}");
        }
    }

    #[test]
    fn the_rate_is_judged_where_the_floor_is_fast_enough_and_the_host_quiet() {
        let rows = |floor, corelane| {
            let of = |server, rate| row("pipelined", server, &[0.6], rate);
            vec![of("floor", floor), of("corelane", corelane), of("nginx", 100_000.0)]
        };
        for (floor, corelane, expected) in [
            (1_250_000.0, 1_000_000.0, GateResult::Pass),
            (1_250_000.0, 999_999.0, GateResult::Fail),
            (1_100_000.0, 900_000.0, GateResult::NotJudged("the floor reaches 1100000, not 1200000".into())),
        ] {
            assert_eq!(results(rows(floor, corelane)), [expected, GateResult::Pass], "{floor} {corelane}");
        }
        let mut disturbed = rows(1_250_000.0, 1_000_000.0);
        disturbed[1].samples[0].waited = 0.2;
        assert!(results(disturbed).iter().all(|result| matches!(result, GateResult::Invalid(_))));
        let mut disturbed = hits(&[6.0]);
        disturbed[1].samples[0].waited = 0.2;
        assert_eq!(results(disturbed), [GateResult::Pass, GateResult::Pass], "CPU per request bears it");
    }

    #[test]
    fn a_miss_is_judged_to_a_hit_of_the_same_keys() {
        for (miss, expected) in [(15.4, GateResult::Pass), (15.5, GateResult::Fail)] {
            let rows = vec![row("miss", "corelane", &[7.0], 1.0), row("miss", "corelane + node", &[miss], 1.0)];
            assert_eq!(results(rows), [expected], "{miss}");
        }
    }

    #[test]
    fn nothing_is_judged_from_an_invalid_run_and_the_table_says_why() {
        let mut rows = hits(&[6.0]);
        rows[0].add(Err("Socket errors".to_owned()));
        rows[0].add(Err("later ones".to_owned()));
        let report = GateReport::of(rows, None, 3);
        let results: Vec<_> = report.gates.iter().map(|check| &check.verdict).collect();
        assert_eq!(results, [&GateResult::Invalid("floor, round 4: Socket errors".into()), &GateResult::Pass]);
        assert!(!report.is_good() && report.text().contains("| INVALID: round 4: Socket errors"), "{}", report.text());
        let text = GateReport::of(hits(&[6.3; 3]), None, 3).text();
        for expected in
            ["<= 1.10 x | PASS", "| hit  | corelane | 6.300 (6.300 to 6.300)", "3 alternating rounds of 3 s"]
        {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }

    #[test]
    fn idle_memory_is_judged_per_connection() {
        for (full_bytes, lost, expected) in [
            (20_480_000, false, GateResult::Pass),
            (20_490_000, false, GateResult::Fail),
            (0, true, GateResult::Invalid("lost".into())),
        ] {
            let invalid = lost.then(|| "lost".to_owned());
            let idle = Idle { connections: 10_000, empty_bytes: 0, full_bytes, invalid };
            assert_eq!(judge_idle(&idle).verdict, expected, "{full_bytes}");
        }
    }
}
