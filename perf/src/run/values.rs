//! The values of a scenario: what is stored under a key, and how to tell that it came back.
//!
//! **Invariants**: the key fixes length and bytes, whatever the seed of the run: what one generator has stored, another knows. Two keys that follow each other differ in the first bytes.

use reactor::Random;

use super::scenario::Values as Sizes;

/// Period of the bytes that values are cut from: prime, so that keys begin at different places.
const PATTERN_BYTES: usize = 65_521;

/// Any number will do, as long as it stays.
const PATTERN_SEED: u64 = 0xC0DE;

/// What all values are cut from, and how long they are.
pub(super) struct Values {
    /// The pattern, once more than the longest value needs.
    bytes: Vec<u8>,
    /// Lengths with the sum of the weights up to each, of 2^64.
    lengths: Vec<(usize, u64)>,
}

impl Values {
    /// The values of a scenario.
    pub(super) fn new(sizes: &Sizes) -> Self {
        let weighted = if sizes.sizes.is_empty() { vec![(sizes.bytes, 1.0)] } else { sizes.sizes.clone() };
        let all: f64 = weighted.iter().map(|(_, weight)| weight).sum();
        let mut sum = 0.0;
        let lengths: Vec<(usize, u64)> = weighted
            .iter()
            .map(|(length, weight)| {
                sum += weight;
                (*length, (sum / all * u64::MAX as f64) as u64)
            })
            .collect();
        let longest = lengths.iter().map(|(length, _)| *length).max().unwrap_or_default();
        let mut random = Random::new(PATTERN_SEED);
        let pattern: Vec<u8> = (0..PATTERN_BYTES).map(|_| b'!' + random.below(94) as u8).collect();
        let bytes = pattern.iter().copied().cycle().take(PATTERN_BYTES + longest).collect();
        Self { bytes, lengths }
    }

    /// What is stored under a key.
    #[inline]
    pub(super) fn of(&self, key: u64) -> &[u8] {
        let start = (key.wrapping_mul(257) % PATTERN_BYTES as u64) as usize;
        &self.bytes[start..start + self.length(key)]
    }

    #[inline]
    fn length(&self, key: u64) -> usize {
        if let [(length, _)] = self.lengths[..] {
            return length;
        }
        let drawn = Random::new(key).next_u64();
        let (last, _) = self.lengths[self.lengths.len() - 1];
        self.lengths.iter().find(|(_, below)| drawn < *below).map_or(last, |(length, _)| *length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_lengths_asked_for_and_differ() {
        let sizes = Sizes { sizes: vec![(10, 3.0), (100_000, 1.0)], ..Sizes::default() };
        let values = Values::new(&sizes);
        let long = (0..10_000).filter(|key| values.of(*key).len() == 100_000).count();
        assert!((2_300..2_700).contains(&long), "{long} of a quarter");
        assert!((0..10_000).all(|key| [10, 100_000].contains(&values.of(key).len())));
        assert!((0..1_000).all(|key| values.of(key)[..10] != values.of(key + 1)[..10]));
        assert_eq!(values.of(77), Values::new(&sizes).of(77));
    }
}
