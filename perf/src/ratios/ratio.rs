//! The ratio of what one server needs to what another does, what it depends on, and ratios as figures of a committed file.
//!
//! **Not** what is allowed; that is the judgement's.

use serde::{Deserialize, Serialize};

use crate::baseline::Figure;

/// The committed ratios, by `scenario, loop, server`.
pub(super) type Baseline = crate::baseline::Baseline<Conditions, Ratio>;

/// From the median of absolute deviations to the standard deviation of a normal distribution.
const DEVIATION_OF_MEDIAN: f64 = 1.4826;

/// The standard error of a median beside that of a mean, of a normal distribution: the root of pi / 2.
const ERROR_OF_MEDIAN: f64 = 1.2533;

/// What one server needs, divided by another's.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ratio {
    /// The median of the rounds.
    pub(super) ratio: f64,
    /// How far a round lies from it, as a share: a standard deviation that single disturbed rounds do not move.
    pub(super) noise: f64,
    /// Rounds that could be believed.
    pub(super) rounds: usize,
}

impl Ratio {
    /// Of the ratios of all rounds; none of no rounds.
    pub(super) fn of(rounds: &[f64]) -> Option<Self> {
        let ratio = median(rounds.to_vec())?;
        let deviations = rounds.iter().map(|round| (round / ratio).ln().abs()).collect();
        Some(Self { ratio, noise: DEVIATION_OF_MEDIAN * median(deviations)?, rounds: rounds.len() })
    }

    /// How far the median may be from the truth by chance, as a share: its standard error.
    pub(super) fn error(&self) -> f64 {
        ERROR_OF_MEDIAN * self.noise / (self.rounds.max(1) as f64).sqrt()
    }
}

fn median(values: Vec<f64>) -> Option<f64> {
    Some(perf_basis::spread::Spread::of(values)?.median)
}

/// What a ratio depends on beside the programs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Conditions {
    pub(super) cpu: String,
    pub(super) cpus: usize,
    pub(super) kernel: String,
}

impl Conditions {
    /// Whether ratios of the two may be judged by each other: caches and clocks of another CPU favour other programs.
    pub(super) fn is_comparable(&self, other: &Self) -> bool {
        self.cpu == other.cpu && self.cpus == other.cpus
    }

    /// Each condition that differs: its name, what it is in `self`, what it is in `other`.
    pub(super) fn differences(&self, other: &Self) -> Vec<(&'static str, String, String)> {
        let all = [
            ("CPU", self.cpu.clone(), other.cpu.clone()),
            ("number of CPUs", self.cpus.to_string(), other.cpus.to_string()),
            ("kernel", self.kernel.clone(), other.kernel.clone()),
        ];
        all.into_iter().filter(|(_, a, b)| a != b).collect()
    }
}

impl Figure for Ratio {
    const PREAMBLE: &str = "\
# CPU per request, Corelane's divided by each other server's: the median of alternating rounds, and how far a round lies from it.
# Written by `coreperf gate --ratios DIR --accept` on a quiet host: do not edit. A change that moves these figures brings this file
# with it, and its commit says why.
";
    const TABLE: &str = "ratios";
    const FLAG: &str = "--accept";

    fn fault(self) -> Option<&'static str> {
        let is_sound = self.ratio.is_finite() && self.ratio > 0.0 && (0.0..10.0).contains(&self.noise);
        (!is_sound).then_some("a ratio is above 0, and its noise from 0 to 10")
    }

    fn toml(self) -> String {
        let Self { ratio, noise, rounds } = self;
        format!("{{ ratio = {ratio:.4}, noise = {noise:.4}, rounds = {rounds} }}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::tests::holds;

    #[test]
    fn what_is_written_is_read_and_errors_name_file_and_line() {
        let baseline = Baseline {
            taken: "2026-11-24T15:00:00Z".to_owned(),
            commit: "0123456789ab".to_owned(),
            conditions: Conditions { cpu: "Xeon".to_owned(), cpus: 2, kernel: "6.18".to_owned() },
            figures: [("hit, closed, nginx".to_owned(), Ratio { ratio: 0.7125, noise: 0.0125, rounds: 5 })].into(),
        };
        let mistakes = [
            ("ratio = 0.7125", "ratio = 0.0", "b.toml:13: hit, closed, nginx: a ratio is above 0"),
            ("noise = 0.0125", "noise = nan", "b.toml:13: hit, closed, nginx"),
            ("rounds = 5", "rounds = -5", "b.toml:13: "),
            ("cpus = 2", "cups = 2", "unknown field `cups`"),
            ("commit = \"0123456789ab\"\n", "", "missing field `commit`"),
        ];
        holds(&baseline, &mistakes);
    }

    /// A single disturbed round moves neither the ratio nor its noise by much.
    #[test]
    fn noise_is_that_of_most_rounds() {
        let calm = Ratio::of(&[0.99, 1.0, 1.01, 1.0, 0.995]).expect("there are rounds");
        let disturbed = Ratio::of(&[0.99, 1.0, 1.01, 1.0, 1.9]).expect("there are rounds");
        assert!((disturbed.noise - calm.noise).abs() < 0.01 && calm.noise > 0.005, "{calm:?} {disturbed:?}");
        // The middle one of the five deviations is that of 0.995.
        assert!((calm.noise - 1.4826 * 0.995f64.ln().abs()).abs() < 1e-9, "{calm:?}");
        assert_eq!((disturbed.ratio, disturbed.rounds), (1.0, 5));
        assert!((calm.error() - calm.noise * 1.2533 / 5f64.sqrt()).abs() < 1e-9);
        assert_eq!(Ratio::of(&[]), None);
    }
}
