//! Median and extremes of one figure over the rounds of a measurement.
//!
//! **Invariants**: rounds alternate between what is compared, so that sample i of every series was taken at nearly the same
//! time; ratios are formed round by round, before the median is taken.

use serde::Serialize;

/// Median and extremes of one figure over the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Middle value; the mean of the two middle ones when their number is even.
    pub median: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

impl Spread {
    /// The spread of `values`; none of no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median =
            if sorted.len() % 2 == 1 { sorted[middle] } else { f64::midpoint(sorted[middle - 1], sorted[middle]) };
        Some(Self { median, min, max })
    }

    /// The spread of a figure that was taken once.
    pub const fn once(value: f64) -> Self {
        Self { median: value, min: value, max: value }
    }

    /// The spread of the ratios of two figures, round by round.
    pub fn of_ratios(above: &[f64], below: &[f64]) -> Option<Self> {
        Self::of(above.iter().zip(below).map(|(above, below)| above / below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_extremes() {
        for (values, expected) in [
            (&[3.0][..], Some((3.0, 3.0, 3.0))),
            (&[5.0, 1.0, 2.0], Some((2.0, 1.0, 5.0))),
            (&[4.0, 1.0, 2.0, 9.0], Some((3.0, 1.0, 9.0))),
            (&[], None),
        ] {
            let spread = Spread::of(values.iter().copied()).map(|spread| (spread.median, spread.min, spread.max));
            assert_eq!(spread, expected, "{values:?}");
        }
    }

    #[test]
    fn ratios_pair_the_rounds() {
        // The second round was twice as slow for both: the ratio does not notice.
        let spread = Spread::of_ratios(&[2.0, 4.0, 3.0], &[1.0, 2.0, 1.0]).expect("there are rounds");
        assert_eq!((spread.median, spread.min, spread.max), (2.0, 2.0, 3.0));
    }
}
