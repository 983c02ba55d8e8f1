//! A small seeded generator: jitter in production, every choice of the simulator.
//!
//! **Not** for secrets.
//!
//! **Source**: S. Vigna, SplitMix64 (public domain description, 2015): a 64-bit counter through a mixing function;
//! any seed is good, the period is 2^64.

/// A sequence of pseudo-random numbers fixed by its seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "an empty range {low}..={high}");
        low + self.below(high - low + 1)
    }

    /// True `per_mille` times in a thousand.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// A generator whose sequence does not overlap this one in practice, for a part of the system.
    pub fn fork(&mut self) -> Random {
        Random(self.next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn the_seed_fixes_the_sequence() {
        // First outputs of SplitMix64 for seed 1234567, as published with the generator.
        let mut random = Random::new(1_234_567);
        let published = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        for expected in published {
            assert_eq!(random.next_u64(), expected);
        }
    }

    #[test]
    fn bounds_hold() {
        let mut random = Random::new(7);
        for _ in 0..10_000 {
            assert!(random.below(10) < 10);
            assert!((5..=6).contains(&random.between(5, 6)));
        }
        assert_eq!(random.below(0), 0);
        assert!(!random.chance(0));
        assert!(random.chance(1000));
    }
}
