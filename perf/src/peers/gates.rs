//! `peers --gates`: the gates of docs/performance.md, as data, and whether they hold.
//!
//! **Invariants**: ratios are judged by the median of the ratios round by round. Nothing is judged of runs that cannot be believed,
//! and a gate that rests on the host's speed only where the floor shows that speed.

use perf_basis::judge::{Bound, GateCheck, GateResult, Spread, Unit};

use super::idle::Idle;
use super::table::cpu;
use super::{Row, ScenarioRows};
use crate::run::outcome::Outcome;

struct Gate {
    what: &'static str,
    scenario: &'static str,
    server: &'static str,
    /// The server whose figure it is a ratio to; without one the figure itself is judged.
    to: Option<&'static str>,
    figure: fn(&Outcome) -> Option<f64>,
    bound: Bound,
    /// Requests per second that the floor has to reach for the gate to be judged.
    floor_rate_min: Option<f64>,
}

impl Gate {
    const fn cpu(what: &'static str, [scenario, server, to]: [&'static str; 3], bound: f64) -> Self {
        Self { what, scenario, server, to: Some(to), figure: cpu, bound: Bound::AtMost(bound), floor_rate_min: None }
    }
}

/// All gates but the idle one, which rests on no load.
const GATES: [Gate; 5] = [
    Gate::cpu("GET hit: CPU per request, to the floor's", ["hit", "corelane", "floor"], 1.10),
    Gate::cpu("GET hit: CPU per request, to nginx's", ["hit", "corelane", "nginx"], 0.85),
    Gate {
        what: "16 pipelined: requests per second on one core",
        scenario: "pipelined",
        server: "corelane",
        to: None,
        figure: rate,
        bound: Bound::AtLeast(1_000_000.0),
        floor_rate_min: Some(1_200_000.0),
    },
    Gate {
        what: "16 pipelined: requests per second, to nginx's",
        scenario: "pipelined",
        server: "corelane",
        to: Some("nginx"),
        figure: rate,
        bound: Bound::AtLeast(8.0),
        floor_rate_min: None,
    },
    Gate::cpu("miss: CPU of edge and node per request, to a hit's", ["miss", "corelane + node", "corelane"], 2.2),
];

/// Process memory of an idle connection, in bytes: half a page beyond this and 1,000,000 clients need a larger host.
const IDLE_BYTES_MAX: f64 = 2048.0;

/// Requests per second; where the generator was the limit, the server answers at least as many.
fn rate(outcome: &Outcome) -> Option<f64> {
    outcome.cpu_believed().map(|_| outcome.rate_answered)
}

/// Judges what was measured; gates whose servers were not asked are left out.
pub(super) fn judge(measured: &[ScenarioRows], idle: Option<&Idle>) -> Vec<GateCheck> {
    GATES.iter().filter_map(|gate| gate.judge(measured)).chain(idle.map(judge_idle)).collect()
}

impl Gate {
    /// None if what it takes was not measured.
    fn judge(&self, all: &[ScenarioRows]) -> Option<GateCheck> {
        let rows = &all.iter().find(|rows| rows.scenario == self.scenario)?.rows;
        let find = |server: &str| rows.iter().find(|row| row.server == server);
        let own = find(self.server)?;
        let other = self.to.map(find);
        let (measured, unit) = match other {
            Some(other) => (own.ratios(other?, self.figure), Unit::Ratio),
            None => (own.spread(self.figure), Unit::Rate),
        };
        let Some(measured) = measured else {
            let verdict = GateResult::Invalid(why([Some(own), other.flatten()].into_iter().flatten()));
            return Some(GateCheck { what: self.what.to_owned(), measured, unit, bound: self.bound, verdict });
        };
        let mut check = GateCheck::of(self.what, measured, unit, self.bound);
        if let Some(needed) = self.floor_rate_min {
            match find("floor").and_then(|floor| floor.spread(rate)) {
                Some(rate) if rate.median >= needed => {}
                Some(rate) => {
                    check.verdict =
                        GateResult::NotJudged(format!("the floor reaches {:.0}, not {needed:.0}", rate.median));
                }
                None => check.verdict = GateResult::NotJudged("the floor was not measured".to_owned()),
            }
        }
        Some(check)
    }
}

/// Why rows give no figure.
fn why<'a>(rows: impl Iterator<Item = &'a Row>) -> String {
    let mut reasons = rows.flat_map(|row| row.rounds.iter().map(move |round| (row.server, &round.invalid_reasons)));
    let found = reasons.find_map(|(server, reasons)| Some(format!("{server}, {}", reasons.first()?)));
    found.unwrap_or_else(|| "no round was measured of both".to_owned())
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
    use serde_json::json;

    use super::*;
    use crate::report::tests::result;

    fn row(server: &'static str, cpu_us: &[f64], rate: f64) -> Row {
        let outcome = |cpu_us: &f64| {
            let mut written = result("t", *cpu_us, &[]);
            written["rate_answered"] = json!(rate);
            serde_json::from_value(written).expect("it is a result")
        };
        Row { server, rounds: cpu_us.iter().map(outcome).collect() }
    }

    fn results(scenario: &str, rows: Vec<Row>) -> Vec<GateResult> {
        let measured = [ScenarioRows { scenario: scenario.to_owned(), rows }];
        judge(&measured, None).into_iter().map(|check| check.verdict).collect()
    }

    fn hits(corelane: &[f64]) -> Vec<Row> {
        vec![row("floor", &[6.0; 3], 1.0), row("corelane", corelane, 1.0), row("nginx", &[8.0; 3], 1.0)]
    }

    #[test]
    fn ratios_are_judged_by_the_median_round() {
        for (corelane, expected) in [
            ([6.6; 3], [GateResult::Pass, GateResult::Pass]),
            ([6.3, 9.0, 6.2], [GateResult::Pass, GateResult::Pass]),
            ([6.7; 3], [GateResult::Fail, GateResult::Pass]),
            ([8.0; 3], [GateResult::Fail, GateResult::Fail]),
        ] {
            assert_eq!(results("hit", hits(&corelane)), expected, "{corelane:?}");
        }
        for (miss, expected) in [(15.4, GateResult::Pass), (15.5, GateResult::Fail)] {
            let rows = vec![row("corelane", &[7.0], 1.0), row("corelane + node", &[miss], 1.0)];
            assert_eq!(results("miss", rows), [expected], "{miss}");
        }
    }

    #[test]
    fn the_rate_is_judged_where_the_floor_is_fast_enough() {
        let slow = GateResult::NotJudged("the floor reaches 1100000, not 1200000".into());
        for (floor, corelane, expected) in [
            (1_250_000.0, 1_000_000.0, GateResult::Pass),
            (1_250_000.0, 999_999.0, GateResult::Fail),
            (1_100_000.0, 900_000.0, slow),
        ] {
            let of = |server, rate| row(server, &[0.6], rate);
            let rows = vec![of("floor", floor), of("corelane", corelane), of("nginx", 100_000.0)];
            assert_eq!(results("pipelined", rows), [expected, GateResult::Pass], "{floor} {corelane}");
        }
    }

    #[test]
    fn nothing_is_judged_of_runs_that_cannot_be_believed() {
        let mut rows = hits(&[6.0]);
        for (kind, expected) in [("server_waited", false), ("generator_busy", true)] {
            let mut bad = result("t", 6.0, &["it was late"]);
            bad["invalid_kinds"] = json!([kind]);
            rows[0].rounds = vec![serde_json::from_value(bad).expect("it is a result")];
            let why = GateResult::Invalid("floor, it was late".into());
            let to_floor = if expected { GateResult::Pass } else { why };
            assert_eq!(results("hit", rows.clone()), [to_floor, GateResult::Pass], "{kind}");
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
