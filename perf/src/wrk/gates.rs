//! The gates: what must hold, as data, and whether it does.
//!
//! **Invariants**: ratios are judged by the median of the ratios round by round. Nothing is judged from a row that is
//! not valid, no rate is judged from a host that was not quiet, and a gate that rests on the host's speed is judged only
//! where the floor shows that speed.

use super::idle::Idle;
use super::sample::{Row, find};
use perf_basis::gate::{Bound, Judged, Unit, Verdict};
use perf_basis::spread::Spread;

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
        let judged =
            |measured, verdict| Judged { what: self.what.to_owned(), measured, unit, bound: self.bound, verdict };

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
    let measured = idle.invalid.is_none().then_some(Spread::once(value));
    let what = "10,000 idle connections: process memory of each".to_owned();
    Judged { what, measured, unit: Unit::Bytes, bound, verdict }
}

#[cfg(test)]
#[path = "gates_tests.rs"]
mod tests;
