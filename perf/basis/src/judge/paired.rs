//! Whether one of two sets of paired measurements is larger, or chance alone explains what is seen.
//!
//! Each pair was measured in one breath, so what matters is its ratio. If the two were the same, every pair could as well have
//! come out the other way round: the test turns pairs round in all ways and asks how often the result is as far from 0 as it
//! was seen. It counts ranks, not sizes, so that one run that was disturbed does not drown the others.
//!
//! A verdict takes a chance of a hundredth, because "at least 19 of 20 comparisons of a program with itself cannot tell" needs it:
//! with a twentieth, two or more of 20 would be wrong in every fourth series. So eight pairs give a verdict only if all of them
//! lie on one side (2 of 256 ways; with the smallest on the other side, 4 of 256, it is no longer a hundredth), and one
//! disturbed run is enough for "cannot tell". With 12 pairs the smallest three may differ, with 20 about every fourth.
//!
//! **Not** I/O.
//!
//! **Invariants**: without a difference, "faster" or "slower" is said in at most one of a hundred comparisons.
//!
//! **Source**: Fisher, "The Design of Experiments", 1935 (the permutation test for pairs); Wilcoxon, "Individual comparisons by
//! ranking methods", 1945; Efron, Tibshirani, "An Introduction
//! to the Bootstrap", 1993 (percentile interval).

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};

use super::{ComparisonVerdict, PairComparison};

/// How seldom chance alone may look like this for a difference to be believed; the head of this file says why.
const CHANCE_MAX: f64 = 0.01;

/// Differences below this are not worth a verdict, however sure they are.
const RATIO_MIN: f64 = 0.005;

/// Fewer pairs cannot be that seldom: 2 of 2^8 ways is below a hundredth.
pub const PAIRS_MIN: usize = 8;

/// Resamples of the interval.
const RESAMPLES: usize = 2_000;

/// Judges pairs (first, second) of a figure that is better when it is smaller.
///
/// # Panics
/// Without a pair, or with a figure that is not above 0.
pub fn compare_pairs(pairs: &[(f64, f64)]) -> PairComparison {
    assert!(!pairs.is_empty() && pairs.iter().all(|(a, b)| *a > 0.0 && *b > 0.0), "figures are above 0");
    let logs: Vec<f64> = pairs.iter().map(|(first, second)| (second / first).ln()).collect();
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let mean = trimmed_mean(logs.clone());
    let chance = chance(&signed_ranks(&logs));
    let is_sure = pairs.len() >= PAIRS_MIN && chance <= CHANCE_MAX && mean.abs() >= RATIO_MIN;
    let verdict = match mean {
        _ if !is_sure => ComparisonVerdict::CannotTell,
        mean if mean < 0.0 => ComparisonVerdict::Faster,
        _ => ComparisonVerdict::Slower,
    };
    PairComparison { verdict, ratio: mean.exp(), interval: interval(&logs, &mut random), chance: Some(chance) }
}

/// The mean of what is left when the smallest and the largest fifth are put aside.
fn trimmed_mean(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let aside = values.len() / 5;
    let middle = &values[aside..values.len() - aside];
    middle.iter().sum::<f64>() / middle.len() as f64
}

/// Each value's place by size, from 1, with the value's sign. A pair that came out even counts for neither side.
fn signed_ranks(values: &[f64]) -> Vec<i64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].abs().total_cmp(&values[*b].abs()));
    let mut ranks = vec![0; values.len()];
    for (index, place) in order.into_iter().zip(1..) {
        ranks[index] = match values[index] {
            value if value > 0.0 => place,
            value if value < 0.0 => -place,
            _ => 0,
        };
    }
    ranks
}

/// Share of the ways to turn pairs round that bring a sum of ranks as far from 0, exactly: by the distribution of the sum of
/// those that are above 0, to which each rank belongs or not.
fn chance(ranks: &[i64]) -> f64 {
    let all: i64 = ranks.iter().map(|rank| rank.abs()).sum();
    let seen: i64 = ranks.iter().sum();
    let mut share = vec![0.0; all as usize + 1];
    share[0] = 1.0;
    let mut highest = 0;
    for rank in ranks.iter().map(|rank| rank.unsigned_abs() as usize).filter(|rank| *rank > 0) {
        highest += rank;
        // Downwards, so that what is read has not been changed for this rank.
        for sum in (0..=highest).rev() {
            let with = if sum >= rank { share[sum - rank] } else { 0.0 };
            share[sum] = f64::midpoint(share[sum], with);
        }
    }
    let as_far = |above: i64| (2 * above - all).abs() >= seen.abs();
    share.iter().zip(0..).filter(|(_, above)| as_far(*above)).map(|(share, _)| share).sum()
}

/// The middle 95 % of the ratios of resampled pairs.
fn interval(logs: &[f64], random: &mut Xoshiro256PlusPlus) -> (f64, f64) {
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn = (0..logs.len()).map(|_| logs[random.random_range(0..logs.len())]);
            trimmed_mean(drawn.collect()).exp()
        })
        .collect();
    means.sort_by(f64::total_cmp);
    (means[means.len() / 40], means[means.len() - 1 - means.len() / 40])
}

#[cfg(test)]
#[path = "paired_tests.rs"]
mod tests;
