//! The gates: what must hold, as data, and whether it does.
//!
//! **Invariants**: ratios are judged by the median of the ratios round by round. Nothing is judged from a row that is
//! not valid, no rate is judged from a host that was not quiet, and a gate that rests on the host's speed is judged only
//! where the floor shows that speed.

use serde::Serialize;

use super::idle::Idle;
use super::sample::{Row, Spread, find};

/// What is judged of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Figure {
    /// CPU per request.
    Cpu,
    /// Requests per second.
    Rate,
}

impl Figure {
    fn of(self, row: &Row) -> Vec<f64> {
        match self {
            Self::Cpu => row.cpu_us(),
            Self::Rate => row.rates(),
        }
    }
}

/// Where a figure has to lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

/// What a judged figure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// A multiple of the other server's figure.
    Ratio,
    /// Requests per second.
    Rate,
    /// Bytes.
    Bytes,
}

/// Whether a gate holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// It holds.
    Pass,
    /// It does not.
    Fail,
    /// A run it rests on was not valid, for this reason.
    Invalid(String),
    /// The host cannot show it, for this reason.
    NotJudged(String),
}

/// One gate with what was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Judged {
    /// What is judged, in words.
    pub(crate) what: &'static str,
    /// The figure; none when a run was not valid.
    pub(crate) measured: Option<Spread>,
    /// What it is counted in.
    pub(crate) unit: Unit,
    /// Where it has to lie.
    pub(crate) bound: Bound,
    /// Whether it does.
    pub(crate) verdict: Verdict,
}

struct Gate {
    what: &'static str,
    load: &'static str,
    server: &'static str,
    /// The server whose figure it is a ratio to; without one the figure itself is judged.
    to: Option<&'static str>,
    figure: Figure,
    bound: Bound,
    /// Requests per second the floor has to reach for the gate to be judged.
    floor_rate_min: Option<f64>,
}

/// All gates but the idle one, which rests on no load.
const GATES: [Gate; 5] = [
    Gate {
        what: "GET hit: CPU per request, to the floor's",
        load: "hit",
        server: "corelane",
        to: Some("floor"),
        figure: Figure::Cpu,
        bound: Bound::AtMost(1.10),
        floor_rate_min: None,
    },
    Gate {
        what: "GET hit: CPU per request, to nginx's",
        load: "hit",
        server: "corelane",
        to: Some("nginx"),
        figure: Figure::Cpu,
        bound: Bound::AtMost(0.85),
        floor_rate_min: None,
    },
    Gate {
        what: "16 pipelined: requests per second on one core",
        load: "pipelined",
        server: "corelane",
        to: None,
        figure: Figure::Rate,
        bound: Bound::AtLeast(1_000_000.0),
        floor_rate_min: Some(1_200_000.0),
    },
    Gate {
        what: "16 pipelined: requests per second, to nginx's",
        load: "pipelined",
        server: "corelane",
        to: Some("nginx"),
        figure: Figure::Rate,
        bound: Bound::AtLeast(8.0),
        floor_rate_min: None,
    },
    Gate {
        what: "miss: CPU of edge and node per request, to a hit's",
        load: "miss",
        server: "corelane + node",
        to: Some("corelane"),
        figure: Figure::Cpu,
        bound: Bound::AtMost(2.2),
        floor_rate_min: None,
    },
];

/// Process memory of an idle connection, in bytes: half a page beyond this and 1,000,000 clients need a larger host.
const IDLE_BYTES_MAX: f64 = 2048.0;

/// Judges every gate whose load was measured, in the order of the table.
pub(crate) fn judge(rows: &[Row], idle: Option<&Idle>) -> Vec<Judged> {
    let mut all: Vec<Judged> = GATES.iter().filter_map(|gate| gate.judge(rows)).collect();
    all.extend(idle.map(judge_idle));
    all
}

impl Gate {
    /// None if the load was not measured.
    fn judge(&self, rows: &[Row]) -> Option<Judged> {
        let own = find(rows, self.load, self.server)?;
        let other = self.to.map(|server| find(rows, self.load, server));
        let unit = if self.to.is_some() { Unit::Ratio } else { Unit::Rate };
        let judged = |measured, verdict| Judged { what: self.what, measured, unit, bound: self.bound, verdict };

        let mut needed = std::iter::once(Some(own)).chain(other).flatten();
        if let Some(why) = needed.find_map(|row| self.unusable(row)) {
            return Some(judged(None, Verdict::Invalid(why)));
        }
        let measured = match other {
            Some(other) => Spread::of_ratios(&self.figure.of(own), &self.figure.of(other?)),
            None => Spread::of(self.figure.of(own)),
        }?;
        let verdict = self.host_is_slower(rows).map_or_else(
            || if self.bound.holds(measured.median) { Verdict::Pass } else { Verdict::Fail },
            Verdict::NotJudged,
        );
        Some(judged(Some(measured), verdict))
    }

    /// Why the gate cannot rest on this row, if it cannot. CPU per request bears other load; a rate does not.
    fn unusable(&self, row: &Row) -> Option<String> {
        if let Some(why) = &row.invalid {
            return Some(format!("{}, {why}", row.server));
        }
        let waited = row.disturbance().filter(|_| self.figure == Figure::Rate)?;
        Some(format!("the host was not quiet ({}: {:.0} % waited for a CPU)", row.server, waited * 100.0))
    }

    /// Why the host cannot show the gate, if it cannot.
    fn host_is_slower(&self, rows: &[Row]) -> Option<String> {
        let needed = self.floor_rate_min?;
        let floor = find(rows, self.load, "floor").filter(|row| row.invalid.is_none());
        match floor.and_then(|row| Spread::of(row.rates())) {
            Some(rate) if rate.median >= needed => None,
            Some(rate) => Some(format!("the floor reaches {:.0}, not {needed:.0}", rate.median)),
            None => Some("the floor was not measured".to_owned()),
        }
    }
}

fn judge_idle(idle: &Idle) -> Judged {
    let value = idle.bytes_per_connection();
    let bound = Bound::AtMost(IDLE_BYTES_MAX);
    let verdict = match &idle.invalid {
        Some(why) => Verdict::Invalid(why.clone()),
        None if bound.holds(value) => Verdict::Pass,
        None => Verdict::Fail,
    };
    let measured = idle.invalid.is_none().then_some(Spread { median: value, min: value, max: value });
    Judged { what: "10,000 idle connections: process memory of each", measured, unit: Unit::Bytes, bound, verdict }
}

#[cfg(test)]
#[path = "gates_tests.rs"]
mod tests;
