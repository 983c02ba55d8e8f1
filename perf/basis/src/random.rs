//! Numbers that look drawn: repeatable, even, and Zipf.
//!
//! **Not**: secret, or fit for statistics beyond choosing keys.
//!
//! **Invariants**: a sequence is a function of its seed.
//!
//! **Source**: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014 (SplitMix64); the crate
//! rand_distr for Zipf.

use std::convert::Infallible;

use rand::TryRng;
use rand_distr::Distribution as _;

/// A number's place in a sequence that looks even over 0 to 2^64; different numbers have different places.
#[inline]
pub const fn mixed(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A sequence of numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence of a seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: mixed(seed) }
    }

    /// The next number, even over 0 to 2^64.
    #[inline]
    pub const fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.state)
    }

    /// The next number, even over 0 to `end`, without it.
    #[inline]
    pub const fn below(&mut self, end: u64) -> u64 {
        ((self.number() as u128 * end as u128) >> 64) as u64
    }

    /// The next number, even over 0.0 to 1.0, without it.
    #[inline]
    pub fn part(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.number() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.number())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.number().to_le_bytes()[..chunk.len()]));
        Ok(())
    }
}

/// Ranks 0 to `count`, without it, where rank r comes in proportion to (r + 1)^-exponent. Constant time and memory.
#[derive(Clone, Copy, Debug)]
pub struct Zipf(rand_distr::Zipf<f64>);

impl Zipf {
    /// A distribution over `count` ranks, at least one; exponent 0 is even.
    pub fn new(count: u64, exponent: f64) -> Self {
        let zipf = rand_distr::Zipf::new(count.max(1) as f64, exponent);
        Self(zipf.expect("there is a rank, and the exponent is not negative"))
    }

    /// The next rank.
    #[inline]
    pub fn rank(&self, random: &mut Random) -> u64 {
        self.0.sample(random) as u64 - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_come_as_often_as_the_exponent_says() {
        for exponent in [0.0, 0.5, 0.99, 1.0, 1.3] {
            let (count, draws) = (1000u64, 2_000_000u64);
            let (zipf, mut random) = (Zipf::new(count, exponent), Random::new(7));
            let mut seen = vec![0u64; count as usize];
            (0..draws).for_each(|_| seen[zipf.rank(&mut random) as usize] += 1);
            let total: f64 = (1..=count).map(|k| (k as f64).powf(-exponent)).sum();
            for rank in [0, 1, 2, 9, 99] {
                let expected = f64::from(rank + 1).powf(-exponent) / total * draws as f64;
                let off = (seen[rank as usize] as f64 - expected).abs() / expected.sqrt();
                assert!(off < 5.0, "{exponent}, rank {rank}: {} not {expected:.0}", seen[rank as usize]);
            }
        }
    }

    #[test]
    fn numbers_below_an_end_stay_below_it_and_reach_everywhere() {
        let mut random = Random::new(1);
        let mut seen = [0; 10];
        (0..10_000).for_each(|_| seen[random.below(10) as usize] += 1);
        assert!(seen.iter().all(|count| (850..1150).contains(count)), "{seen:?}");
        assert_eq!(Zipf::new(1, 0.99).rank(&mut random), 0);
    }
}
