//! A histogram of latencies that one core writes and the control core reads.
//!
//! Buckets are log-linear in microseconds: every power of two is cut into eight, so that a bucket is at most an eighth of
//! its lower bound wide.
//!
//! ```text
//!  index   0 … 7      8 … 15     16 … 23       …   184 … 191          192
//!  us     (0,1]…(7,8] (8,9]…(15,16] (16,18]…(30,32]  …  (32.6 s, 37.7 s]…(62.3 s, 67.1 s]   beyond
//! ```
//!
//! **Not** merged on the hot path: the control core adds up those of all cores when it is asked.
//!
//! **Invariants**: [`Latency::record`] touches two counters and allocates nothing; a duration of exactly a bucket's upper
//! bound is in that bucket, as `le` says.
//!
//! **Source**: G. Tene, HdrHistogram (the log-linear layout); the Prometheus histogram (`le`, cumulative).

use std::time::Duration;

use super::counter::Counter;

/// Bits of a value below its highest one that choose the part of a power of two.
const PART_BITS: u32 = 3;

/// Parts of a power of two: an error of at most 12.5 %, which is finer than what is rendered and what anyone acts on.
const PARTS: usize = 1 << PART_BITS;

/// 2^26 us, 67 s: no response of ours has a deadline beyond a minute.
const HIGHEST_POWER: u32 = 26;

/// Buckets with an upper bound; one more takes what is beyond.
const BUCKETS: usize = (HIGHEST_POWER - PART_BITS + 1) as usize * PARTS;

const _: () = assert!(BUCKETS == 192 && upper_bound_us(BUCKETS - 1) == 1 << HIGHEST_POWER);
// A core keeps a handful of these; they must not push anything else out of its L1 cache.
const _: () = assert!(size_of::<Latency>() <= 2048);

/// A histogram of durations up to 67 s, to an eighth; longer ones are counted as beyond.
#[derive(Debug)]
pub struct Latency {
    buckets: [Counter; BUCKETS + 1],
    sum_ns: Counter,
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

impl Latency {
    /// Nothing recorded.
    #[must_use]
    pub const fn new() -> Self {
        Self { buckets: [const { Counter::new() }; BUCKETS + 1], sum_ns: Counter::new() }
    }

    /// Counts one duration. For the owner only.
    #[inline]
    pub fn record(&self, duration: Duration) {
        self.record_times(duration, 1);
    }

    /// Counts one duration so many times. For the owner only.
    #[inline]
    pub fn record_times(&self, duration: Duration, times: u64) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(nanos)].add(times);
        self.sum_ns.add(nanos.wrapping_mul(times));
    }

    /// Adds all that another has recorded. For the owner of this one only.
    pub fn merge(&self, other: &Self) {
        self.buckets.iter().zip(&other.buckets).for_each(|(bucket, other)| bucket.add(other.value()));
        self.sum_ns.add(other.sum_ns.value());
    }

    /// The duration in seconds that this part of all recorded ones, 0 to 1, does not exceed, to an eighth; `None` of nothing,
    /// and beyond the last bucket.
    #[must_use]
    pub fn quantile_s(&self, part: f64) -> Option<f64> {
        // One reading, so that a core that goes on recording cannot move the goal.
        let counts = self.buckets.each_ref().map(Counter::value);
        let goal = (counts.iter().sum::<u64>() as f64 * part).ceil().max(1.0) as u64;
        let mut count = 0;
        let reaches = |bucket: &u64| {
            count += bucket;
            count >= goal
        };
        let index = counts.iter().position(reaches).filter(|index| *index < BUCKETS)?;
        Some(upper_bound_us(index) as f64 / 1e6)
    }

    /// How many durations were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(Counter::value).sum()
    }

    /// The sum of all durations, in seconds.
    #[must_use]
    pub fn sum_s(&self) -> f64 {
        self.sum_ns.value() as f64 / 1e9
    }

    /// What a scraper gets: pairs of an upper bound in seconds and the count of durations up to it, in rising order, then
    /// the count of all. Two bounds to a power of two, since every bound is a time series of the scraper's.
    pub(super) fn cumulative(&self) -> (Vec<(f64, u64)>, u64) {
        let mut cumulative = Vec::new();
        let mut count = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            count += bucket.value();
            if index < BUCKETS && is_told(index) {
                cumulative.push((upper_bound_us(index) as f64 / 1e6, count));
            }
        }
        (cumulative, count)
    }
}

/// The bucket of a duration in nanoseconds.
#[inline]
fn bucket_of(nanos: u64) -> usize {
    // Of the half-open ranges (low, high] this makes [low, high), which the shifts below are good at.
    let micros = nanos.saturating_sub(1) / 1000;
    if micros < PARTS as u64 {
        return micros as usize;
    }
    let power = micros.ilog2();
    let part = (micros >> (power - PART_BITS)) as usize % PARTS;
    ((power - PART_BITS + 1) as usize * PARTS + part).min(BUCKETS)
}

/// The largest duration in a bucket, in microseconds.
const fn upper_bound_us(index: usize) -> u64 {
    if index < PARTS {
        return index as u64 + 1;
    }
    let shift = index / PARTS - 1;
    ((PARTS + index % PARTS + 1) as u64) << shift
}

/// Whether a bucket's upper bound is a power of two or one and a half of one; below 8 us, a power of two.
fn is_told(index: usize) -> bool {
    let bound = upper_bound_us(index);
    bound.is_power_of_two() || (index >= PARTS && index % PARTS == PARTS / 2 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first bucket whose bound is not below the duration, found by looking at all of them.
    fn naive_bucket_of(nanos: u64) -> usize {
        (0..BUCKETS).find(|&index| u128::from(nanos) <= u128::from(upper_bound_us(index)) * 1000).unwrap_or(BUCKETS)
    }

    #[test]
    fn every_duration_is_in_the_first_bucket_that_holds_it() {
        let mut random = reactor::Random::new(1);
        let edges = (0..BUCKETS).flat_map(|index| {
            let bound = upper_bound_us(index) * 1000;
            [bound - 1, bound, bound + 1]
        });
        let drawn = (0..20_000).map(|_| random.next_u64() >> random.below(64));
        for nanos in edges.chain(drawn).chain([0, 1, 999, u64::MAX]) {
            assert_eq!(bucket_of(nanos), naive_bucket_of(nanos), "{nanos} ns");
        }
    }

    #[test]
    fn bounds_rise_and_buckets_are_narrow() {
        for index in 1..BUCKETS {
            let (low, high) = (upper_bound_us(index - 1), upper_bound_us(index));
            assert!(low < high, "bucket {index}");
            assert!(high - low <= (low / 8).max(1), "bucket {index}");
        }
    }

    #[test]
    fn quantiles_are_of_all_that_was_merged() {
        let (merged, other) = (Latency::new(), Latency::new());
        assert_eq!(merged.quantile_s(0.5), None);
        merged.record_times(Duration::from_micros(5), 90);
        other.record_times(Duration::from_micros(100), 9);
        other.record(Duration::from_secs(100));
        merged.merge(&other);
        assert_eq!(merged.count(), 100);
        assert!((merged.sum_s() - 100.001_35).abs() < 1e-9);
        let quantiles = [0.0, 0.5, 0.9, 0.901, 0.99, 0.999].map(|part| merged.quantile_s(part));
        let (low, high) = (Some(0.000_005), Some(0.000_104));
        assert_eq!(quantiles, [low, low, low, high, high, None]);
    }

    #[test]
    fn what_is_told_adds_up() {
        let latency = Latency::new();
        for micros in [1, 8, 9, 12, 13, 1000, 100_000_000] {
            latency.record(Duration::from_micros(micros));
        }
        let (told, count) = latency.cumulative();
        assert_eq!((count, latency.count()), (7, 7));
        assert!((latency.sum_s() - 100.001_043).abs() < 1e-9);
        let up_to = |bound: f64| told.iter().find(|(le, _)| *le == bound).map(|(_, count)| *count);
        let expected = [(0.000_001, 1), (0.000_008, 2), (0.000_012, 4), (0.000_016, 5), (0.001_024, 6)];
        for (bound, count) in expected {
            assert_eq!(up_to(bound), Some(count), "{bound}");
        }
        assert_eq!(told.len(), 4 + 23 * 2);
        assert_eq!(told.last(), Some(&(67.108_864, 6)), "one is beyond");
    }
}
