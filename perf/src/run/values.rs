//! The values of a scenario: what is stored under a key and for how long, and how to tell that it came back.
//!
//! **Not** a copy for every key: all values are cut from one pattern, and only a trace's sizes take memory by key, 4 bytes each.
//!
//! **Invariants**: the key fixes length, bytes and time to live, whatever the seed of the run: what one generator has stored,
//! another knows. Two keys that follow each other differ in the first bytes. Memory for bytes is that of the longest value and
//! 64 KiB.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use reactor::Random;

use super::scenario::ValueOptions as Said;
use super::trace::Recorded;
use super::workload::VALUE_BYTES_MAX;
use perf_basis::random::mixed;
use perf_basis::sizes::Sizes;

/// Period of the bytes that values are cut from: prime, so that keys begin at different places.
const PATTERN_BYTES: usize = 65_521;

/// Any number will do, as long as it stays.
const PATTERN_SEED: u64 = 0xC0DE;

/// Keys that tell how long values are on average.
const MEAN_OF_KEYS: u64 = 1_000;

/// Sets the lot for times to live apart from that for sizes.
const TTL_SEED: u64 = 0x7711;

/// What all values are cut from, how long they are, and how long they live.
pub(super) struct Values {
    /// The pattern, once more than the longest value needs.
    bytes: Vec<u8>,
    lengths: ValueLengths,
    /// Seconds; none if no value has a time to live of its own.
    ttls: Option<Weighted<u32>>,
}

/// How long the value of a key is.
enum ValueLengths {
    Weighted(Weighted<usize>),
    Histogram(Sizes),
    Trace(Arc<Recorded>),
}

/// Things with the sum of the weights up to each, of 2^64.
struct Weighted<T>(Vec<(T, u64)>);

impl<T: Copy> Weighted<T> {
    /// At least one thing, all weights above 0.
    fn new(things: impl Iterator<Item = (T, f64)> + Clone) -> Self {
        let all: f64 = things.clone().map(|(_, weight)| weight).sum();
        let mut sum = 0.0;
        let up_to = things.map(|(thing, weight)| {
            sum += weight;
            (thing, (sum / all * u64::MAX as f64) as u64)
        });
        Self(up_to.collect())
    }

    /// What a number stands for that is even over 0 to 2^64.
    #[inline]
    fn of(&self, number: u64) -> T {
        let (last, _) = self.0[self.0.len() - 1];
        self.0.iter().find(|(_, up_to)| number < *up_to).map_or(last, |(thing, _)| *thing)
    }
}

impl Values {
    /// The values of a scenario that names no files.
    pub(super) fn new(said: &Said) -> Self {
        let alike = [(said.bytes, 1.0)];
        let weighted = if said.sizes.is_empty() { &alike[..] } else { &said.sizes };
        Self::of_lengths(said, ValueLengths::Weighted(Weighted::new(weighted.iter().copied())))
    }

    /// The values of a scenario; `trace` is the one it names.
    pub(super) fn read(said: &Said, trace: Option<&Arc<Recorded>>) -> Result<Self> {
        match (&said.histogram, trace) {
            (_, Some(trace)) if said.from_trace => Ok(Self::of_lengths(said, ValueLengths::Trace(Arc::clone(trace)))),
            (Some(path), _) => {
                let sizes = Sizes::read(path).context("values.histogram")?;
                ensure!(
                    sizes.largest() as usize <= VALUE_BYTES_MAX,
                    "values.histogram: {}: {} bytes; a value has up to {VALUE_BYTES_MAX}: take larger ones out",
                    path.display(),
                    sizes.largest()
                );
                Ok(Self::of_lengths(said, ValueLengths::Histogram(sizes)))
            }
            _ => Ok(Self::new(said)),
        }
    }

    fn of_lengths(said: &Said, lengths: ValueLengths) -> Self {
        let mut random = Random::new(PATTERN_SEED);
        let pattern: Vec<u8> = (0..PATTERN_BYTES).map(|_| b'!' + random.below(94) as u8).collect();
        let bytes = pattern.iter().copied().cycle().take(PATTERN_BYTES + lengths.longest()).collect();
        let ttls = said.ttls.iter().map(|(ttl, weight)| (ttl.0, *weight));
        Self { bytes, lengths, ttls: (!said.ttls.is_empty()).then(|| Weighted::new(ttls)) }
    }

    /// What is stored under a key.
    #[inline]
    pub(super) fn of(&self, key: u64) -> &[u8] {
        let start = (key.wrapping_mul(257) % PATTERN_BYTES as u64) as usize;
        &self.bytes[start..start + self.lengths.of(key)]
    }

    /// How long values are on average, in bytes: those of the first keys.
    pub(super) fn mean_bytes(&self, keys: u64) -> u64 {
        let sample = keys.clamp(1, MEAN_OF_KEYS);
        (0..sample).map(|key| self.lengths.of(key) as u64).sum::<u64>() / sample
    }

    /// How many seconds it lives; 0 if it has no time to live of its own.
    #[inline]
    pub(super) fn ttl_s(&self, key: u64) -> u32 {
        self.ttls.as_ref().map_or(0, |ttls| ttls.of(mixed(key ^ TTL_SEED)))
    }
}

impl ValueLengths {
    #[inline]
    fn of(&self, key: u64) -> usize {
        match self {
            Self::Weighted(Weighted(lengths)) if lengths.len() == 1 => lengths[0].0,
            Self::Weighted(lengths) => lengths.of(Random::new(key).next_u64()),
            Self::Histogram(sizes) => sizes.of(mixed(key)) as usize,
            Self::Trace(trace) => trace.value_bytes()[key as usize] as usize,
        }
    }

    fn longest(&self) -> usize {
        let longest = match self {
            Self::Weighted(Weighted(lengths)) => lengths.iter().map(|(length, _)| *length).max(),
            Self::Histogram(sizes) => Some(sizes.largest() as usize),
            Self::Trace(trace) => trace.value_bytes().iter().map(|bytes| *bytes as usize).max(),
        };
        longest.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::scenario::Keys;
    use super::super::trace::tests::File;
    use super::super::workload::Ttl;
    use super::*;
    use crate::system::stop::StopSignal;
    use perf_basis::trace::format::Format;

    #[test]
    fn values_have_the_lengths_asked_for_and_differ() {
        let said = Said { sizes: vec![(10, 3.0), (100_000, 1.0)], ..Said::default() };
        let values = Values::new(&said);
        let long = (0..10_000).filter(|key| values.of(*key).len() == 100_000).count();
        assert!((2_300..2_700).contains(&long), "{long} of a quarter");
        assert!(
            (20_000..30_000).contains(&values.mean_bytes(10_000)) && values.mean_bytes(1) == values.of(0).len() as u64
        );
        assert!((0..10_000).all(|key| [10, 100_000].contains(&values.of(key).len())));
        assert!((0..1_000).all(|key| values.of(key)[..10] != values.of(key + 1)[..10]));
        assert_eq!(values.of(77), Values::new(&said).of(77));
    }

    #[test]
    fn a_key_has_one_time_to_live_for_good_whatever_its_size() {
        let ttls = vec![(Ttl(60), 7.0), (Ttl(3600), 2.0), (Ttl(0), 1.0)];
        let said = Said { ttls, sizes: vec![(1, 1.0), (2, 1.0)], ..Said::default() };
        let (values, again) = (Values::new(&said), Values::new(&said));
        for (ttl, share) in [(60, 0.7), (3600, 0.2), (0, 0.1)] {
            for length in [1, 2] {
                let has = |key: &u64| values.ttl_s(*key) == ttl && values.of(*key).len() == length;
                let found = (0..100_000).filter(has).count() as f64 / 100_000.0;
                assert!((found - share / 2.0).abs() < 0.01, "{ttl} s, {length} bytes: {found}");
            }
        }
        assert!((0..1000).all(|key| values.ttl_s(key) == again.ttl_s(key)));
        assert_eq!(Values::new(&Said::default()).ttl_s(5), 0);
    }

    #[test]
    fn lengths_are_those_of_the_histogram() {
        let text = br#"{"valSizeRange": [100, 3000000, 10], "valSizeRangeProbability": [60, 1, 39]}"#;
        let file = File::new("histogram.json", text);
        let said = Said { histogram: Some(file.0.clone()), ..Said::default() };
        let values = Values::read(&said, None).unwrap();
        for (length, share) in [(10, 0.39), (100, 0.6), (3_000_000, 0.01)] {
            let found = (0..100_000).filter(|key| values.of(*key).len() == length).count() as f64 / 100_000.0;
            assert!((found - share).abs() < 0.005, "{length}: {found}");
        }
        assert_eq!(values.bytes.len(), PATTERN_BYTES + 3_000_000, "memory of the longest value, not of all");
    }

    #[test]
    fn bad_histograms_are_named_with_their_key() {
        let cut = File::new("cut.json", b"{\n");
        let huge = br#"{"valSizeRange": [100000000], "valSizeRangeProbability": [1]}"#;
        let huge = File::new("huge.json", huge);
        for (file, expected) in [(&cut, "line 2"), (&huge, "100000000 bytes")] {
            let said = Said { histogram: Some(file.0.clone()), ..Said::default() };
            let error = format!("{:#}", Values::read(&said, None).err().unwrap());
            let file = file.0.display().to_string();
            assert!(["values.histogram", &file, expected].iter().all(|text| error.contains(text)), "{error}");
        }
    }

    #[test]
    fn a_trace_of_large_values_takes_the_memory_of_one() {
        let records: Vec<u8> = (0..1000u64)
            .flat_map(|key| [&[0; 4], &key.to_le_bytes()[..], &(key as u32 * 2_000).to_le_bytes(), &[0xff; 8]].concat())
            .collect();
        let file = File::new("large", &records);
        let keys = Keys { trace: Some(file.0.clone()), format: Some(Format::Oracle), ..Keys::default() };
        let said = Said { from_trace: true, ..Said::default() };
        let trace = Arc::new(Recorded::read(&keys, &said, &StopSignal::never()).unwrap().unwrap());
        let values = Values::read(&said, Some(&trace)).unwrap();
        assert!((0..1000).all(|key| values.of(key).len() == key as usize * 2_000));
        assert_eq!(values.bytes.len(), PATTERN_BYTES + 999 * 2_000);
        assert_ne!(values.of(500)[..100], values.of(501)[..100], "each begins elsewhere");
    }
}
