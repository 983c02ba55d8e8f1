//! Whether a ratio is still that of the baseline, beyond what noise explains.
//!
//! Each side has the standard error of its median; the two together, threefold, are what a ratio may be off by chance: about one
//! of 700 goes beyond that by itself. A few percent are allowed in any case, since rounds of one measurement share processes, and
//! two processes of one program differ by as much.
//!
//! **Not** I/O.
//!
//! **Invariants**: a ratio fails only if both sides have rounds enough and were taken on the same CPU.

use super::ratio::{Baseline, Ratio};

/// Rounds that can be believed, from which on a ratio is judged.
pub(super) const ROUNDS_MIN: usize = 5;

/// Standard errors beyond which it is no longer chance.
const ERRORS_MAX: f64 = 3.0;

/// What is allowed in any case, as a share.
const ALLOWED_MIN: f64 = 0.03;

/// What became of a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Same,
    /// Corelane needs more than it did, beside this server. The only one that fails.
    Grew,
    Shrank,
    NoBaseline,
    NotMeasured,
    TooFew,
    OtherHost,
}

impl Verdict {
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Grew => "GREW",
            Self::Shrank => "shrank",
            Self::NoBaseline => "no baseline",
            Self::NotMeasured => "not measured",
            Self::TooFew => "too few rounds",
            Self::OtherHost => "other CPU",
        }
    }
}

/// A ratio with what it was and what it may be.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    pub(super) name: String,
    pub(super) before: Option<Ratio>,
    pub(super) now: Option<Ratio>,
    /// By how much it may differ, as a share; none where nothing is judged.
    pub(super) allowed: Option<f64>,
    pub(super) verdict: Verdict,
}

impl Judged {
    /// By how much it differs, as a share.
    pub(super) fn change(&self) -> Option<f64> {
        Some(self.now?.ratio / self.before?.ratio - 1.0)
    }
}

/// Judges every ratio that either side has, by name.
pub(super) fn judge(before: &Baseline, now: &Baseline) -> Vec<Judged> {
    let is_comparable = before.conditions.is_comparable(&now.conditions);
    let mut names: Vec<&String> = before.figures.keys().chain(now.figures.keys()).collect();
    names.sort();
    names.dedup();
    let one = |name: &String| {
        let (then, now) = (before.figures.get(name).copied(), now.figures.get(name).copied());
        let (allowed, verdict) = match (then, now) {
            (None, _) => (None, Verdict::NoBaseline),
            (_, None) => (None, Verdict::NotMeasured),
            _ if !is_comparable => (None, Verdict::OtherHost),
            (Some(then), Some(now)) => of_both(then, now),
        };
        Judged { name: name.clone(), before: then, now, allowed, verdict }
    };
    names.into_iter().map(one).collect()
}

fn of_both(then: Ratio, now: Ratio) -> (Option<f64>, Verdict) {
    if then.rounds < ROUNDS_MIN || now.rounds < ROUNDS_MIN {
        return (None, Verdict::TooFew);
    }
    let allowed = (ERRORS_MAX * then.error().hypot(now.error())).max(ALLOWED_MIN);
    let change = (now.ratio / then.ratio).ln();
    let verdict = match change {
        change if change > allowed.ln_1p() => Verdict::Grew,
        change if change < -allowed.ln_1p() => Verdict::Shrank,
        _ => Verdict::Same,
    };
    (Some(allowed), verdict)
}

#[cfg(test)]
mod tests {
    use super::super::ratio::Conditions;
    use super::*;

    fn baseline(ratio: f64, noise: f64, rounds: usize) -> Baseline {
        Baseline {
            taken: String::new(),
            commit: String::new(),
            conditions: Conditions { cpu: "c".to_owned(), cpus: 2, kernel: "k".to_owned() },
            figures: [("hit".to_owned(), Ratio { ratio, noise, rounds })].into(),
        }
    }

    #[test]
    fn noise_decides_what_is_allowed() {
        for (before, now, expected) in [
            // Without noise three percent are allowed.
            ((1.0, 0.0, 5), (1.029, 0.0, 5), Verdict::Same),
            ((1.0, 0.0, 5), (1.031, 0.0, 5), Verdict::Grew),
            ((1.0, 0.0, 5), (0.969, 0.0, 5), Verdict::Shrank),
            // Five rounds with noise of 4 % each: about 9.5 %; a hundred of them: the three percent.
            ((1.0, 0.04, 5), (1.09, 0.04, 5), Verdict::Same),
            ((1.0, 0.04, 5), (1.10, 0.04, 5), Verdict::Grew),
            ((1.0, 0.04, 100), (1.04, 0.04, 100), Verdict::Grew),
            // One side's noise is enough.
            ((1.0, 0.0, 5), (1.06, 0.04, 5), Verdict::Same),
            ((1.0, 0.0, 4), (2.0, 0.0, 5), Verdict::TooFew),
            ((1.0, 0.0, 5), (2.0, 0.0, 4), Verdict::TooFew),
        ] {
            let (before, now) = (baseline(before.0, before.1, before.2), baseline(now.0, now.1, now.2));
            assert_eq!(judge(&before, &now)[0].verdict, expected, "{before:?} {now:?}");
        }
    }

    #[test]
    fn another_cpu_is_not_judged_and_another_kernel_is() {
        let (before, mut now) = (baseline(1.0, 0.0, 5), baseline(2.0, 0.0, 5));
        now.conditions.kernel = "other".to_owned();
        assert_eq!(judge(&before, &now)[0].verdict, Verdict::Grew);
        now.conditions.cpu = "other".to_owned();
        let judged = &judge(&before, &now)[0];
        assert_eq!((judged.verdict, judged.change()), (Verdict::OtherHost, Some(1.0)));
    }
}
