//! A ratio measured in several rounds, and whether it is that of another measurement.
//!
//! Each side has the standard error of its median. The two together, threefold, are what a ratio may be off by chance: about one
//! of 700 goes beyond that by itself. A few percent are allowed in any case: the rounds of one measurement share processes, and
//! two processes of one program differ by as much.
//!
//! **Invariants**: two estimates are compared only if both have [`ROUNDS_MIN`] rounds.

use serde::Deserialize;

use super::{ComparisonVerdict, PairComparison, Spread};

/// Fewer rounds say too little about the noise.
pub const ROUNDS_MIN: usize = 5;

/// Standard errors beyond which a difference is no longer chance.
const ERRORS_MAX: f64 = 3.0;

/// The share that is allowed in any case.
const ALLOWED_MIN: f64 = 0.03;

/// From the median of absolute deviations to the standard deviation of a normal distribution.
const DEVIATION_OF_MEDIAN: f64 = 1.4826;

/// The standard error of a median divided by that of a mean, of a normal distribution: the root of pi / 2.
const ERROR_OF_MEDIAN: f64 = 1.2533;

/// A ratio with its noise.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The median of the rounds.
    pub ratio: f64,
    /// How far a round lies from it, as a share: a standard deviation that single disturbed rounds do not move.
    pub noise: f64,
    /// Rounds that could be believed.
    pub rounds: usize,
}

impl Estimate {
    /// The estimate from the ratios of all rounds; none of no rounds.
    pub fn of(rounds: &[f64]) -> Option<Self> {
        let median = |values: Vec<f64>| Some(Spread::of(values)?.median);
        let ratio = median(rounds.to_vec())?;
        let deviations = rounds.iter().map(|round| (round / ratio).ln().abs()).collect();
        Some(Self { ratio, noise: DEVIATION_OF_MEDIAN * median(deviations)?, rounds: rounds.len() })
    }

    /// Whether there are rounds enough to compare it.
    pub const fn is_firm(&self) -> bool {
        self.rounds >= ROUNDS_MIN
    }

    /// This estimate compared with an earlier one; none if one of them has too few rounds.
    pub fn since(&self, before: &Self) -> Option<PairComparison> {
        if !self.is_firm() || !before.is_firm() {
            return None;
        }
        let allowed = (ERRORS_MAX * before.error().hypot(self.error())).max(ALLOWED_MIN);
        let ratio = self.ratio / before.ratio;
        Some(PairComparison {
            verdict: ComparisonVerdict::of_change(before.ratio, self.ratio, allowed),
            ratio,
            interval: (ratio * (1.0 - allowed), ratio * (1.0 + allowed)),
            chance: None,
        })
    }

    /// How far the median may be from the truth by chance, as a share: its standard error.
    fn error(&self) -> f64 {
        ERROR_OF_MEDIAN * self.noise / (self.rounds.max(1) as f64).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_decides_what_is_allowed() {
        let of = |(ratio, noise, rounds)| Estimate { ratio, noise, rounds };
        for (before, now, expected) in [
            // Without noise three percent are allowed.
            ((1.0, 0.0, 5), (1.029, 0.0, 5), Some(ComparisonVerdict::CannotTell)),
            ((1.0, 0.0, 5), (1.031, 0.0, 5), Some(ComparisonVerdict::Slower)),
            ((1.0, 0.0, 5), (0.969, 0.0, 5), Some(ComparisonVerdict::Faster)),
            // Five rounds with noise of 4 % each: about 9.5 %; a hundred of them: the three percent.
            ((1.0, 0.04, 5), (1.09, 0.04, 5), Some(ComparisonVerdict::CannotTell)),
            ((1.0, 0.04, 5), (1.10, 0.04, 5), Some(ComparisonVerdict::Slower)),
            ((1.0, 0.04, 100), (1.04, 0.04, 100), Some(ComparisonVerdict::Slower)),
            // One side's noise is enough.
            ((1.0, 0.0, 5), (1.06, 0.04, 5), Some(ComparisonVerdict::CannotTell)),
            ((1.0, 0.0, 4), (2.0, 0.0, 5), None),
            ((1.0, 0.0, 5), (2.0, 0.0, 4), None),
        ] {
            let verdict = of(now).since(&of(before)).map(|comparison| comparison.verdict);
            assert_eq!(verdict, expected, "{before:?} {now:?}");
        }
    }

    /// A single disturbed round moves neither the ratio nor its noise by much.
    #[test]
    fn noise_is_that_of_most_rounds() {
        let calm = Estimate::of(&[0.99, 1.0, 1.01, 1.0, 0.995]).expect("there are rounds");
        let disturbed = Estimate::of(&[0.99, 1.0, 1.01, 1.0, 1.9]).expect("there are rounds");
        assert!((disturbed.noise - calm.noise).abs() < 0.01 && calm.noise > 0.005, "{calm:?} {disturbed:?}");
        // The middle one of the five deviations is that of 0.995.
        assert!((calm.noise - 1.4826 * 0.995f64.ln().abs()).abs() < 1e-9, "{calm:?}");
        assert_eq!((disturbed.ratio, disturbed.rounds), (1.0, 5));
        assert!((calm.error() - calm.noise * 1.2533 / 5f64.sqrt()).abs() < 1e-9);
        assert_eq!(Estimate::of(&[]), None);
    }
}
