//! The judgement: which counts have changed by more than they may.
//!
//! **Invariants**: a path without a baseline fails, and so does a baseline without a path: neither would be noticed
//! otherwise. A count that shrank does not fail, but is named, since growing back to the old baseline would go unseen.

use std::collections::BTreeMap;

/// Share by which a count may grow over its baseline, or shrink below it without a word. The counts are exact; this is for
/// what a change elsewhere does to the compiler's choices.
pub(crate) const TOLERANCE: f64 = 0.02;

/// What became of a count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Within the tolerance.
    Same,
    /// More than the tolerance above its baseline.
    Grew,
    /// More than the tolerance below it.
    Shrank,
    /// It has no baseline.
    New,
    /// It has a baseline, but no such path exists.
    Gone,
}

impl Verdict {
    /// Whether a change with this in it may not go in as it is.
    pub(crate) const fn fails(self) -> bool {
        matches!(self, Self::Grew | Self::New | Self::Gone)
    }
}

/// A path with what was and what is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judged {
    pub(crate) path: String,
    /// Instructions per time in the baseline.
    pub(crate) before: Option<f64>,
    /// Instructions per time now.
    pub(crate) now: Option<f64>,
    pub(crate) verdict: Verdict,
}

impl Judged {
    fn new(path: &str, before: Option<f64>, now: Option<f64>) -> Self {
        let verdict = match (before, now) {
            (Some(before), Some(now)) if now > before * (1.0 + TOLERANCE) => Verdict::Grew,
            (Some(before), Some(now)) if now < before * (1.0 - TOLERANCE) => Verdict::Shrank,
            (Some(_), Some(_)) => Verdict::Same,
            (None, _) => Verdict::New,
            (Some(_), None) => Verdict::Gone,
        };
        Self { path: path.to_owned(), before, now, verdict }
    }

    /// Growth in per cent of the baseline, negative for less; none without both counts.
    pub(crate) fn change_percent(&self) -> Option<f64> {
        Some((self.now? / self.before? - 1.0) * 100.0)
    }
}

/// Sets counts beside their baselines: the counted paths in their order, then what only the baseline has.
pub(crate) fn judge(baseline: &BTreeMap<String, f64>, counts: &[(String, f64)]) -> Vec<Judged> {
    let counted = counts.iter().map(|(path, now)| Judged::new(path, baseline.get(path).copied(), Some(*now)));
    let is_counted = |path: &str| counts.iter().any(|(counted, _)| counted == path);
    let gone = baseline.iter().filter(|(path, _)| !is_counted(path));
    counted.chain(gone.map(|(path, before)| Judged::new(path, Some(*before), None))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_judged_by_their_baselines() {
        for (before, now, verdict, fails) in [
            (Some(1000.0), Some(1000.0), Verdict::Same, false),
            (Some(1000.0), Some(1020.0), Verdict::Same, false),
            (Some(1000.0), Some(1020.5), Verdict::Grew, true),
            (Some(1000.0), Some(2000.0), Verdict::Grew, true),
            (Some(1000.0), Some(980.0), Verdict::Same, false),
            (Some(1000.0), Some(979.5), Verdict::Shrank, false),
            (None, Some(1000.0), Verdict::New, true),
            (Some(1000.0), None, Verdict::Gone, true),
        ] {
            let baseline = before.map(|count| ("path".to_owned(), count)).into_iter().collect();
            let counts: Vec<_> = now.map(|count| ("path".to_owned(), count)).into_iter().collect();
            let expected = Judged { path: "path".into(), before, now, verdict };
            assert_eq!(judge(&baseline, &counts), [expected], "{before:?} {now:?}");
            assert_eq!(verdict.fails(), fails, "{before:?} {now:?}");
        }
    }

    #[test]
    fn counted_paths_come_in_their_order_and_then_what_is_gone() {
        let baseline = ["a", "b", "z"].map(|path| (path.to_owned(), 100.0)).into_iter().collect();
        let counts = ["z", "new", "a"].map(|path| (path.to_owned(), 110.0));
        let judged = judge(&baseline, &counts);
        let order: Vec<&str> = judged.iter().map(|judged| judged.path.as_str()).collect();
        assert_eq!(order, ["z", "new", "a", "b"]);
        assert!(judged[0].change_percent().is_some_and(|percent| (percent - 10.0).abs() < 1e-9));
        assert_eq!((judged[1].change_percent(), judged[3].change_percent()), (None, None));
    }
}
