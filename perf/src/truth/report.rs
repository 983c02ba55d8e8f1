//! What the tries showed: a line for each, their sum, and the file.
//!
//! **Not** I/O.
//!
//! **Invariants**: a try without a verdict counts as neither right nor wrong, and without a try of each kind nothing holds.

use serde::Serialize;

use crate::run::outcome::SCHEMA;
use crate::run::scenario::Scenario;
use crate::system::fingerprint::{Fingerprint, commit};
use perf_basis::judge::{Comparison, Verdict};

/// Of so many tries of a kind one may come out otherwise.
const TRIES_PER_MISS: usize = 20;

/// What the floor was compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Subject {
    Itself,
    /// The floor with more work for each request.
    MoreWork,
}

impl Subject {
    const fn words(self) -> &'static str {
        match self {
            Self::Itself => "the floor and itself",
            Self::MoreWork => "the floor and more work",
        }
    }

    /// What is true of it.
    const fn truth(self) -> Verdict {
        match self {
            Self::Itself => Verdict::CannotTell,
            Self::MoreWork => Verdict::Slower,
        }
    }
}

/// One comparison.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Try {
    /// From 1, for each kind.
    pub(super) number: u16,
    pub(super) subject: Subject,
    /// None when too few of its pairs could be believed.
    pub(super) judged: Option<Comparison>,
    pub(super) pairs: Vec<(f64, f64)>,
}

impl Try {
    pub(super) fn line(&self, tries: u16) -> String {
        let begin = format!("try {:>2} of {tries}, {:<23}:", self.number, self.subject.words());
        let Some(judged) = &self.judged else {
            return format!("{begin} only {} pairs of valid runs, so no verdict", self.pairs.len());
        };
        let mark = if self.is_true() == Some(true) { "" } else { "  NOT TRUE" };
        format!(
            "{begin} {:<11} {:.4} ({:.4} to {:.4}), chance {:.4}{mark}",
            judged.verdict.words(),
            judged.ratio,
            judged.interval.0,
            judged.interval.1,
            judged.chance.unwrap_or_default()
        )
    }

    fn is_true(&self) -> Option<bool> {
        self.judged.map(|judged| judged.verdict == self.subject.truth())
    }
}

/// All tries, as the file has them.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    schema: u32,
    /// CPU time of a request of the floor, in microseconds.
    floor_us: f64,
    /// What both compute for each, in nanoseconds.
    base_ns: u64,
    /// What the slower one computes beyond that, and what share of `floor_us` it is.
    work_ns: u64,
    more_percent: f64,
    pairs: u16,
    pub(super) scenario: Scenario,
    host: Fingerprint,
    commit: String,
    pub(super) tries: Vec<Try>,
}

impl Report {
    pub(super) fn new(
        (floor_us, base_ns, work_ns, more_percent): (f64, u64, u64, f64),
        pairs: u16,
        scenario: Scenario,
    ) -> Self {
        let (host, commit) = (Fingerprint::take(), commit());
        Self {
            schema: SCHEMA,
            floor_us,
            base_ns,
            work_ns,
            more_percent,
            pairs,
            scenario,
            host,
            commit,
            tries: Vec::new(),
        }
    }

    /// Tries of a kind that have a verdict, and those whose verdict is not true.
    fn counts(&self, subject: Subject) -> (usize, usize) {
        let truths = self.tries.iter().filter(|one| one.subject == subject).filter_map(Try::is_true);
        truths.fold((0, 0), |(all, wrong), is_true| (all + 1, wrong + usize::from(!is_true)))
    }

    /// Whether `compare` tells the truth here, as far as was tried.
    pub(super) fn holds(&self) -> bool {
        [Subject::Itself, Subject::MoreWork].into_iter().all(|subject| {
            let (all, wrong) = self.counts(subject);
            all > 0 && wrong <= all / TRIES_PER_MISS
        })
    }

    /// The sum, in lines.
    pub(super) fn sum(&self) -> String {
        let mut text = String::new();
        for subject in [Subject::Itself, Subject::MoreWork] {
            let (all, wrong) = self.counts(subject);
            let right = all - wrong;
            text += &format!("{}: {:?} in {right} of {all} tries\n", subject.words(), subject.truth().words());
        }
        let all = self.counts(Subject::Itself).0.min(self.counts(Subject::MoreWork).0);
        text += match (self.holds(), all) {
            (true, TRIES_PER_MISS..) => "compare tells the truth here.\n",
            (true, _) => "No verdict was wrong; fewer than 20 tries of each kind are an indication only.\n",
            (false, 0) => "Not both kinds have a verdict: nothing is shown.\n",
            (false, _) => "compare does NOT tell the truth here: quiet the host, or use more --pairs or --seconds.\n",
        };
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perf_basis::judge::compare_pairs;

    fn report(itself: &[f64], more: &[f64]) -> Report {
        let scenario = Scenario::parse("url = \"http://127.0.0.1:1/\"\n").expect("it is right");
        let mut report = Report::new((4.6, 2_000, 230, 5.0), 8, scenario);
        for (subject, ratios) in [(Subject::Itself, itself), (Subject::MoreWork, more)] {
            for (number, ratio) in (1..).zip(ratios) {
                let pairs = vec![(1.0, *ratio); 8];
                report.tries.push(Try { number, subject, judged: Some(compare_pairs(&pairs)), pairs });
            }
        }
        report
    }

    #[test]
    fn one_of_twenty_may_be_wrong() {
        let with = |count: usize, wrong: usize, right_is: f64, wrong_is: f64| -> Vec<f64> {
            (0..count).map(|index| if index < wrong { wrong_is } else { right_is }).collect()
        };
        for (count, wrong_itself, wrong_more, holds) in [
            (20, 0, 0, true),
            (20, 1, 1, true),
            (20, 2, 0, false),
            (20, 0, 2, false),
            (19, 1, 0, false),
            (3, 0, 0, true),
            (0, 0, 0, false),
        ] {
            let report = report(&with(count, wrong_itself, 1.0, 1.05), &with(count, wrong_more, 1.05, 1.0));
            assert_eq!(report.holds(), holds, "{count} {wrong_itself} {wrong_more}: {}", report.sum());
        }
        assert!(
            report(&[1.0; 20], &[1.05; 20]).sum().contains("\"slower\" in 20 of 20 tries\ncompare tells the truth")
        );
        assert!(report(&[1.0; 3], &[1.05; 3]).sum().contains("an indication only"));
        assert!(report(&[1.05; 3], &[1.05; 3]).sum().contains("\"cannot tell\" in 0 of 3 tries"));
    }

    #[test]
    fn lines_say_what_was_wrong() {
        let report = report(&[1.0, 1.05], &[1.05]);
        let lines: Vec<String> = report.tries.iter().map(|one| one.line(2)).collect();
        assert!(lines[0].contains("cannot tell") && !lines[0].contains("NOT TRUE"), "{lines:?}");
        assert!(lines[1].contains("slower") && lines[1].contains("NOT TRUE"), "{lines:?}");
        let few = Try { number: 1, subject: Subject::Itself, judged: None, pairs: vec![(1.0, 1.0)] };
        assert!(few.line(2).contains("only 1 pairs"));
        let mut report = report;
        report.tries = vec![few];
        assert!(!report.holds() && report.sum().contains("Not both kinds have a verdict"));
    }
}
