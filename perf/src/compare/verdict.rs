//! Whether one of two sets of paired measurements is larger, or chance alone explains what is seen.
//!
//! Each pair was measured in one breath, so what matters is its ratio. If the two were the same, every pair could as well have
//! come out the other way round: the test turns pairs round in all ways (or very many) and asks how often the result is as
//! far from 0 as it was seen. It counts ranks, not sizes, so that one run that was disturbed does not drown the others.
//!
//! **Not** I/O.
//!
//! **Invariants**: without a difference, "faster" or "slower" is said in at most one of a hundred comparisons.
//!
//! **Source**: Fisher, "The Design of Experiments", 1935 (the permutation test for pairs); Wilcoxon, "Individual comparisons by
//! ranking methods", 1945; Efron, Tibshirani, "An Introduction
//! to the Bootstrap", 1993 (percentile interval).

use reactor::Random;
use serde::Serialize;

/// How seldom chance alone may look like this for a difference to be believed.
const CHANCE_MAX: f64 = 0.01;

/// Differences below this are not worth a verdict, however sure they are.
const RATIO_MIN: f64 = 0.005;

/// Fewer pairs cannot be that seldom: 2 of 2^8 ways is below a hundredth.
pub(super) const PAIRS_MIN: usize = 8;

/// Up to this many pairs all ways are tried.
const EXACT_PAIRS_MAX: usize = 16;

/// Ways tried beyond, and resamples of the interval.
const TRIES: usize = 20_000;

/// What two sets show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// The second one's figure is smaller.
    Faster,
    /// It is larger.
    Slower,
    CannotTell,
}

/// A verdict with what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    /// The second one's figure to the first one's: geometric mean of the pairs without the outer fifths.
    pub(super) ratio: f64,
    /// Where that ratio lies with 95 % confidence.
    pub(super) interval: (f64, f64),
    /// How often chance alone is as far off.
    pub(super) chance: f64,
}

/// Judges pairs (first, second) of a figure that is better when it is smaller.
///
/// # Panics
/// Without a pair, or with a figure that is not above 0.
pub(super) fn judge(pairs: &[(f64, f64)]) -> Judged {
    assert!(!pairs.is_empty() && pairs.iter().all(|(a, b)| *a > 0.0 && *b > 0.0), "figures are above 0");
    let logs: Vec<f64> = pairs.iter().map(|(first, second)| (second / first).ln()).collect();
    let mut random = Random::new(1);
    let mean = trimmed_mean(logs.clone());
    let chance = chance(&signed_ranks(&logs), &mut random);
    let is_sure = pairs.len() >= PAIRS_MIN && chance <= CHANCE_MAX && mean.abs() >= RATIO_MIN;
    let verdict = match mean {
        _ if !is_sure => Verdict::CannotTell,
        mean if mean < 0.0 => Verdict::Faster,
        _ => Verdict::Slower,
    };
    Judged { verdict, ratio: mean.exp(), interval: interval(&logs, &mut random), chance }
}

/// The mean of what is left when the smallest and the largest fifth are put aside.
fn trimmed_mean(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let aside = values.len() / 5;
    let middle = &values[aside..values.len() - aside];
    middle.iter().sum::<f64>() / middle.len() as f64
}

/// Each value's place by size, from 1, with the value's sign.
fn signed_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].abs().total_cmp(&values[*b].abs()));
    let mut ranks = vec![0.0; values.len()];
    for (place, index) in order.into_iter().enumerate() {
        ranks[index] = (place + 1) as f64 * values[index].signum();
    }
    ranks
}

/// Share of the ways to turn pairs round that bring a sum of ranks as far from 0.
fn chance(ranks: &[f64], random: &mut Random) -> f64 {
    let seen = ranks.iter().sum::<f64>().abs();
    let as_far = |turned: u64| {
        let signed = ranks.iter().enumerate().map(|(n, rank)| if turned >> n & 1 == 1 { -rank } else { *rank });
        signed.sum::<f64>().abs() >= seen
    };
    if ranks.len() <= EXACT_PAIRS_MAX {
        let ways = 1u64 << ranks.len();
        return (0..ways).filter(|turned| as_far(*turned)).count() as f64 / ways as f64;
    }
    // Counted with the way that was seen, so that it is never 0.
    let far = (0..TRIES).filter(|_| as_far_by_lot(ranks, seen, random)).count();
    (far + 1) as f64 / (TRIES + 1) as f64
}

fn as_far_by_lot(ranks: &[f64], seen: f64, random: &mut Random) -> bool {
    ranks.iter().map(|rank| if random.chance(500) { -rank } else { *rank }).sum::<f64>().abs() >= seen
}

/// The middle 95 % of the ratios of resampled pairs.
fn interval(logs: &[f64], random: &mut Random) -> (f64, f64) {
    let mut means: Vec<f64> = (0..TRIES / 10)
        .map(|_| {
            let drawn = (0..logs.len()).map(|_| logs[random.below(logs.len() as u64) as usize]);
            trimmed_mean(drawn.collect()).exp()
        })
        .collect();
    means.sort_by(f64::total_cmp);
    (means[means.len() / 40], means[means.len() - 1 - means.len() / 40])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs with the noise of a virtual machine: 2 % on each, and now and then a run that was disturbed by 10 %.
    fn pairs(count: usize, ratio: f64, seed: u64) -> Vec<(f64, f64)> {
        let mut random = Random::new(seed);
        let mut noise = || {
            let normal: f64 = (0..12).map(|_| random.below(1 << 30) as f64 / f64::from(1 << 30)).sum::<f64>() - 6.0;
            (1.0 + 0.02 * normal) * if random.chance(50) { 1.1 } else { 1.0 }
        };
        (0..count).map(|_| (3.4 * noise(), 3.4 * ratio * noise())).collect()
    }

    #[test]
    fn the_same_is_not_told_apart() {
        for count in [PAIRS_MIN, 10, 20] {
            let wrong = (0..400).filter(|seed| judge(&pairs(count, 1.0, *seed)).verdict != Verdict::CannotTell).count();
            assert!(wrong <= 12, "{wrong} of 400 with {count} pairs, where about 4 are due");
        }
    }

    #[test]
    fn five_percent_are_seen() {
        for (ratio, expected) in [(1.05, Verdict::Slower), (0.95, Verdict::Faster)] {
            let seen = (0..100).filter(|seed| judge(&pairs(20, ratio, *seed)).verdict == expected).count();
            assert!(seen >= 90, "{seen} of 100 at {ratio}");
        }
        let judged = judge(&pairs(40, 1.05, 7));
        assert!(judged.interval.0 < 1.05 && judged.interval.1 > 1.05 && judged.interval.0 > 1.02, "{judged:?}");
    }

    #[test]
    fn the_exact_chance_is_counted() {
        // All of eight pairs on one side: only that way and its mirror are as far off.
        let judged = judge(&[(1.0, 1.1); 8]);
        assert_eq!((judged.verdict, judged.chance), (Verdict::Slower, 2.0 / 256.0));
        assert_eq!(judge(&[(1.0, 1.1); 7]).verdict, Verdict::CannotTell, "seven pairs are too few");
        assert_eq!(judge(&[(1.0, 1.001); 12]).verdict, Verdict::CannotTell, "a thousandth is no matter");
    }
}
