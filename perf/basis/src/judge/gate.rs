//! What must hold of a measurement, and whether it does.
//!
//! **Not**: which gates there are; every verb has its own.
//!
//! **Invariants**: nothing is judged from a run that was not valid.

use serde::Serialize;

use super::Spread;
use crate::table::{Table, grouped};

/// Where a figure has to lie.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

impl Bound {
    /// Whether a figure lies there.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }
}

/// What a judged figure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A multiple of another's figure.
    Ratio,
    /// Requests per second.
    Rate,
    /// Bytes.
    Bytes,
    /// Microseconds.
    Microseconds,
    /// Parts of a hundred.
    Percent,
}

/// Whether a gate holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GateResult {
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
pub struct GateCheck {
    /// What is judged, in words.
    pub what: String,
    /// The figure; none when a run was not valid.
    pub measured: Option<Spread>,
    /// What it is counted in.
    pub unit: Unit,
    /// Where it has to lie.
    pub bound: Bound,
    /// Whether it does.
    pub verdict: GateResult,
}

impl GateCheck {
    /// Judges a figure that is there.
    pub fn of(what: impl Into<String>, measured: Spread, unit: Unit, bound: Bound) -> Self {
        let verdict = if bound.holds(measured.median) { GateResult::Pass } else { GateResult::Fail };
        Self { what: what.into(), measured: Some(measured), unit, bound, verdict }
    }
}

/// Whether no gate failed, and none rests on a run that was not valid.
pub fn all_hold(gates: &[GateCheck]) -> bool {
    gates.iter().all(|check| matches!(check.verdict, GateResult::Pass | GateResult::NotJudged(_)))
}

/// The gates as a table, one in a row.
pub fn table(gates: &[GateCheck]) -> String {
    let mut table = Table::new(["gate", "measured", "required", "verdict"]);
    for gate in gates {
        let measured = gate.measured.map_or_else(|| "-".to_owned(), |spread| quantity_spread(spread, gate.unit));
        let required = match gate.bound {
            Bound::AtMost(value) => format!("<= {}", quantity(value, gate.unit)),
            Bound::AtLeast(value) => format!(">= {}", quantity(value, gate.unit)),
        };
        let verdict = match &gate.verdict {
            GateResult::Pass => "PASS".to_owned(),
            GateResult::Fail => "FAIL".to_owned(),
            GateResult::Invalid(why) => format!("INVALID: {why}"),
            GateResult::NotJudged(why) => format!("not judged: {why}"),
        };
        table.add([gate.what.clone(), measured, required, verdict]);
    }
    table.render()
}

fn quantity(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Ratio => format!("{value:.2} x"),
        Unit::Rate => format!("{} /s", grouped(value)),
        Unit::Bytes => format!("{} B", grouped(value)),
        Unit::Microseconds => format!("{value:.1} us"),
        Unit::Percent => format!("{value:.2} %"),
    }
}

fn quantity_spread(spread: Spread, unit: Unit) -> String {
    match unit {
        Unit::Ratio => format!("{:.3} x ({:.3} to {:.3})", spread.median, spread.min, spread.max),
        Unit::Rate => {
            format!("{} /s ({} to {})", grouped(spread.median), grouped(spread.min), grouped(spread.max))
        }
        Unit::Bytes | Unit::Microseconds | Unit::Percent => quantity(spread.median, unit),
    }
}
