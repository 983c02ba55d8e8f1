//! Figures beside those of a baseline: the table, and what to do about what changed.
//!
//! **Not** measuring, and no I/O.
//!
//! **Invariants**: what could not be judged is named; so is a figure that shrank, since growing back would go unseen.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use perf_basis::judge::ComparisonVerdict;
use perf_basis::table::Table;

/// What became of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangeFate {
    Judged(ComparisonVerdict),
    NoBaseline,
    NotMeasured,
    /// Of one side too few rounds can be believed.
    TooFewRounds,
    /// The baseline was taken on another CPU.
    OtherCpu,
}

impl ChangeFate {
    const fn words(self) -> &'static str {
        match self {
            Self::Judged(ComparisonVerdict::CannotTell) => "same",
            Self::Judged(ComparisonVerdict::Slower) => "GREW",
            Self::Judged(ComparisonVerdict::Faster) => "shrank",
            Self::NoBaseline => "NO BASELINE",
            Self::NotMeasured => "NOT MEASURED",
            Self::TooFewRounds => "too few rounds",
            Self::OtherCpu => "other CPU",
        }
    }
}

/// A figure with what it was.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FigureChange {
    pub(super) name: String,
    pub(super) before: Option<f64>,
    pub(super) now: Option<f64>,
    /// By how much it may differ, as a share; none where nothing is judged.
    pub(super) allowed: Option<f64>,
    pub(super) fate: ChangeFate,
}

/// Every figure that either side has, by name; `judge` says of one that both have what became of it, and how much is allowed.
pub(super) fn changes<F: Copy>(
    before: &BTreeMap<String, F>,
    now: &BTreeMap<String, F>,
    value: fn(F) -> f64,
    judge: impl Fn(F, F) -> (Option<f64>, ChangeFate),
) -> Vec<FigureChange> {
    let mut names: Vec<&String> = before.keys().chain(now.keys()).collect();
    names.sort();
    names.dedup();
    let one = |name: &String| {
        let (before, now) = (before.get(name).copied(), now.get(name).copied());
        let (allowed, fate) = match (before, now) {
            (None, _) => (None, ChangeFate::NoBaseline),
            (_, None) => (None, ChangeFate::NotMeasured),
            (Some(before), Some(now)) => judge(before, now),
        };
        FigureChange { name: name.clone(), before: before.map(value), now: now.map(value), allowed, fate }
    };
    names.into_iter().map(one).collect()
}

/// The table; figures with so many decimals.
pub(super) fn table(what: &str, changes: &[FigureChange], decimals: usize) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let figure = |figure: Option<f64>| or_dash(figure.map(|figure| format!("{figure:.decimals$}")));
    let percent = |share: Option<f64>| or_dash(share.map(|share| format!("{:+.2} %", share * 100.0)));
    let mut table = Table::new([what, "baseline", "now", "change", "allowed", "verdict"]);
    for change in changes {
        let differs = change.now.zip(change.before).map(|(now, before)| now / before - 1.0);
        table.add([
            change.name.clone(),
            figure(change.before),
            figure(change.now),
            percent(differs),
            percent(change.allowed),
            change.fate.words().to_owned(),
        ]);
    }
    table.render()
}

/// A line for each condition that differs from the baseline's.
pub(super) fn differences(differences: &[(String, String, String)]) -> String {
    let mut text = String::new();
    for (name, then, now) in differences {
        let _ = writeln!(text, "The {name} differs: the baseline's is {then:?}, this is {now:?}.");
    }
    text
}

/// The names of all figures with this fate, in a line; none without one.
pub(super) fn named(changes: &[FigureChange], fate: ChangeFate) -> Option<String> {
    let names: Vec<&str> =
        changes.iter().filter(|change| change.fate == fate).map(|change| change.name.as_str()).collect();
    (!names.is_empty()).then(|| names.join("; "))
}

/// Whether a figure has this fate.
pub(super) fn any(changes: &[FigureChange], fate: ChangeFate) -> bool {
    changes.iter().any(|change| change.fate == fate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_of_either_side_is_in_the_table() {
        let of = |figures: &[(&str, f64)]| figures.iter().map(|(name, figure)| ((*name).to_owned(), *figure)).collect();
        let changes = changes(
            &of(&[("a", 1.0), ("gone", 2.0)]),
            &of(&[("new", 3.0), ("a", 1.5)]),
            |figure| figure,
            |_, _| (Some(0.02), ChangeFate::Judged(ComparisonVerdict::Slower)),
        );
        let fates: Vec<_> = changes.iter().map(|change| (change.name.as_str(), change.fate)).collect();
        let expected = [
            ("a", ChangeFate::Judged(ComparisonVerdict::Slower)),
            ("gone", ChangeFate::NotMeasured),
            ("new", ChangeFate::NoBaseline),
        ];
        assert_eq!(fates, expected);
        let text = table("what", &changes, 1);
        for part in ["+50.00 %", "+2.00 %", "GREW", "| 1.5 ", "NO BASELINE", "NOT MEASURED"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert_eq!(named(&changes, ChangeFate::NoBaseline).as_deref(), Some("new"));
        assert_eq!((named(&changes, ChangeFate::OtherCpu), any(&changes, ChangeFate::NotMeasured)), (None, true));
    }
}
