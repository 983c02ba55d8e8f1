//! A load in virtual time against the product's cache, and what of its memory expired items hold.
//!
//! **Which figure is exact**: all items of a run are of one size, so that their share of items is their share of record bytes.
//! `CacheStats::items` counts every item that has a place, whether it has expired or not. The driver knows when each key it stored
//! expires, and asks the cache (`peek`, which counts no use and removes nothing) which of those that have not are still there. The
//! rest has expired. Records that are dead, because their key was stored again or removed, are neither.
//!
//! **Not**: real time; a run takes as long as its calls.
//!
//! **Invariants**: maintenance comes as the servers give it: a node by its timer alone, an edge by its tick and after every write.

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;
use shardstore::cache::{Cache, CacheOptions, Insert};
use shardstore::key::KeyHasher;
use shardstore::version::Version;

use super::clusters::TraceCluster;
use super::load::{ClusterLoad, Step};
use perf_basis::random::mixed;

/// Any seed does; a fixed one makes runs repeat.
const HASH_SEED: u64 = 0x636f_7265_6c61_6e65;

/// When a run begins, steady milliseconds. Any time does.
const START_MS: u64 = 1_000_000_000_000;

/// Keys are told apart by eight bytes; shorter ones are made that long.
const KEY_BYTES_MIN: usize = 8;

/// Samples of a run, evenly over its time; the first `WARM_UP` of them come before its steady state.
const SAMPLES: u32 = 30;
const WARM_UP: u32 = 18;

/// Length of a run in multiples of the longest length of life: one and a half until the steady state, one in it.
const LIVES: f64 = 2.5;

/// Whose maintenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Schedule {
    /// A shard node's: by its timer, every 500 ms, 20 ms while there is work
    Node,
    /// An edge's: every 250 ms, and after every write
    Edge,
}

impl Schedule {
    /// What it is called on the command line and in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Edge => "edge",
        }
    }

    /// One turn of the timer; returns the milliseconds until the next.
    fn turn(self, cache: &mut Cache, now_ms: u64) -> u64 {
        match self {
            Self::Node => {
                let busy = (0..64).take_while(|_| cache.maintain(now_ms, 64) >= 64).count();
                if busy > 0 { 20 } else { 500 }
            }
            Self::Edge => {
                cache.maintain(now_ms, 2048);
                250
            }
        }
    }

    fn after_write(self, cache: &mut Cache, now_ms: u64) {
        if self == Self::Edge {
            cache.maintain(now_ms, 64);
        }
    }
}

/// One look at the cache.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct MemorySample {
    /// Virtual time since the beginning, in seconds.
    pub(crate) at_s: f64,
    /// Share of the items, and so of their bytes, that has expired, 0 to 1.
    pub(crate) expired: f64,
    /// The same bytes as a share of all segments that are not free.
    pub(crate) expired_of_occupied: f64,
    /// Items, expired ones included.
    pub(crate) items: u64,
}

/// What a run found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    /// All samples in order.
    pub(crate) samples: Vec<MemorySample>,
    /// How many of them come before the steady state.
    pub(crate) warm_up: u32,
    /// Requests made.
    pub(crate) requests: u64,
    /// Length of the run in multiples of the longest length of life; below 2.5, the bound on requests cut it short.
    pub(crate) lives: f64,
    /// Items that left because of room; none means that the cache was never full.
    pub(crate) evicted: u64,
}

impl Outcome {
    /// Samples of the steady state.
    pub(crate) fn steady(&self) -> &[MemorySample] {
        &self.samples[self.warm_up as usize..]
    }
}

/// The cache and what is known of what it was given.
pub(crate) struct ClusterDriver {
    cache: Cache,
    hasher: KeyHasher,
    schedule: Schedule,
    value: Vec<u8>,
    key_bytes: usize,
    /// By number of the key: when it expires, steady milliseconds; 0 when it was never stored, or was removed.
    expiries_ms: Vec<u64>,
    turn_due_ms: u64,
    version: u64,
}

/// Runs a load.
///
/// # Errors
/// The cache cannot be made, or it refused an item; the message says what to do.
pub(crate) fn run(
    cluster: &TraceCluster,
    schedule: Schedule,
    limit_bytes: u64,
    amount: f64,
    requests_max: u64,
) -> Result<Outcome> {
    let key_bytes = cluster.key_bytes.max(KEY_BYTES_MIN);
    let record_bytes = record_bytes(key_bytes, cluster.value_bytes)?;
    let mut driver = ClusterDriver::new(limit_bytes, schedule, key_bytes, cluster.value_bytes)?;
    let stats = driver.cache.stats();
    let capacity = (stats.bytes_limit - stats.bytes_index) / record_bytes;
    let mut load = ClusterLoad::new(cluster, capacity.max(1), amount);
    driver.expiries_ms = vec![0; load.keys as usize];
    let span_s = (cluster.longest_s() * LIVES).min(load.interval_s * requests_max as f64);
    let mut samples = Vec::new();
    let mut requests = 0u64;
    for sample in 1..=SAMPLES {
        let until_s = span_s * f64::from(sample) / f64::from(SAMPLES);
        while (requests as f64) * load.interval_s < until_s {
            let (step, key) = load.next_step();
            requests += 1;
            let now_ms = START_MS + (requests as f64 * load.interval_s * 1e3) as u64;
            driver.step(step, key, now_ms, &load)?;
        }
        samples.push(driver.sample(START_MS + (until_s * 1e3) as u64));
    }
    let lives = span_s / cluster.longest_s();
    Ok(Outcome { samples, warm_up: WARM_UP, requests, lives, evicted: driver.cache.stats().evicted_for_room })
}

/// What an item of this size takes in a segment, by putting one into a cache.
fn record_bytes(key_bytes: usize, value_bytes: usize) -> Result<u64> {
    let limit_bytes = (value_bytes as u64 * 4).next_power_of_two().max(256 << 20);
    let mut probe = ClusterDriver::new(limit_bytes, Schedule::Edge, key_bytes, value_bytes)?;
    probe.expiries_ms = vec![0];
    probe.store(0, START_MS, 1000)?;
    Ok(probe.cache.stats().bytes_live)
}

impl ClusterDriver {
    /// An empty cache.
    fn new(limit_bytes: u64, schedule: Schedule, key_bytes: usize, value_bytes: usize) -> Result<Self> {
        let hasher = KeyHasher::new(HASH_SEED);
        let options = CacheOptions { ceiling_bytes: limit_bytes, ..CacheOptions::new(limit_bytes, hasher) };
        let cache = Cache::new(&options).context("the cache could not be made; choose another --limit")?;
        let value = vec![0x5a; value_bytes];
        let expiries_ms = Vec::new();
        Ok(Self { cache, hasher, schedule, value, key_bytes, expiries_ms, turn_due_ms: START_MS, version: 0 })
    }

    /// One operation, after the maintenance that was due before it.
    fn step(&mut self, step: Step, key: u64, now_ms: u64, load: &ClusterLoad) -> Result<()> {
        self.pass(now_ms);
        let life_ms = load.life_ms(key);
        match step {
            Step::Set => self.store(key, now_ms, life_ms)?,
            Step::Get => {
                let bytes = self.key(key);
                let missed = self.cache.get(self.hasher.hash(&bytes), &bytes, now_ms).is_none();
                if missed && load.fills {
                    self.store(key, now_ms, life_ms)?;
                }
            }
            Step::Delete => {
                let bytes = self.key(key);
                self.cache.remove(self.hasher.hash(&bytes), &bytes, now_ms);
                self.expiries_ms[key as usize] = 0;
                self.schedule.after_write(&mut self.cache, now_ms);
            }
        }
        Ok(())
    }

    /// Lets time pass: all turns of the timer until `now_ms`.
    fn pass(&mut self, now_ms: u64) {
        while self.turn_due_ms <= now_ms {
            self.turn_due_ms += self.schedule.turn(&mut self.cache, self.turn_due_ms);
        }
    }

    fn store(&mut self, key: u64, now_ms: u64, life_ms: u64) -> Result<()> {
        self.version += 1;
        let bytes = self.key(key);
        let expire_ms = now_ms + life_ms;
        let insert = Insert { expire_ms, ..Insert::new(self.value.as_slice(), Version::from_bits(self.version), 0) };
        let inserted = self.cache.insert(self.hasher.hash(&bytes), &bytes, &insert, now_ms);
        inserted.context("the cache refused an item; give more --limit")?;
        self.expiries_ms[key as usize] = expire_ms;
        self.schedule.after_write(&mut self.cache, now_ms);
        Ok(())
    }

    /// Looks at what the cache holds at an instant.
    fn sample(&mut self, now_ms: u64) -> MemorySample {
        self.pass(now_ms);
        let unexpired = (0..self.expiries_ms.len()).filter(|key| self.expiries_ms[*key] > now_ms);
        let living = unexpired.filter(|key| {
            let bytes = self.key(*key as u64);
            self.cache.peek(self.hasher.hash(&bytes), &bytes, now_ms).is_some()
        });
        let living = living.count() as u64;
        let stats = self.cache.stats();
        assert!(living <= stats.items, "what is found is counted");
        let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let expired = share(stats.items - living, stats.items);
        let occupied = stats.bytes_committed - stats.bytes_index - stats.bytes_free;
        MemorySample {
            at_s: (now_ms - START_MS) as f64 / 1e3,
            expired,
            expired_of_occupied: expired * share(stats.bytes_live, occupied),
            items: stats.items,
        }
    }

    /// The key of a number: told apart by its first eight bytes.
    fn key(&self, number: u64) -> Vec<u8> {
        let mut key = vec![b'k'; self.key_bytes];
        key[..KEY_BYTES_MIN].copy_from_slice(&mixed(number).to_le_bytes());
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn driver(schedule: Schedule) -> ClusterDriver {
        let mut driver = ClusterDriver::new(64 << 20, schedule, 20, 1000).unwrap();
        driver.expiries_ms = vec![0; 100_000];
        // No turns but those that a test asks for.
        driver.turn_due_ms = u64::MAX;
        driver
    }

    fn expired(driver: &mut ClusterDriver, after_ms: u64) -> (u64, f64) {
        let sample = driver.sample(START_MS + after_ms);
        (sample.items, sample.expired)
    }

    #[test]
    fn expired_items_count_until_they_are_removed() {
        let mut driver = driver(Schedule::Node);
        (0..30).for_each(|key| driver.store(key, START_MS, 10_000).unwrap());
        (30..40).for_each(|key| driver.store(key, START_MS, 1_000_000).unwrap());
        assert_eq!(expired(&mut driver, 9_999), (40, 0.0));
        assert_eq!(expired(&mut driver, 10_000), (40, 0.75));
        // One is removed, one lives on, one is found to have expired on the way.
        let key = driver.key(31);
        driver.cache.remove(driver.hasher.hash(&key), &key, START_MS + 10_000);
        driver.expiries_ms[31] = 0;
        driver.store(0, START_MS + 10_000, 1_000_000).unwrap();
        let key = driver.key(1);
        assert!(driver.cache.get(driver.hasher.hash(&key), &key, START_MS + 10_001).is_none());
        assert_eq!(expired(&mut driver, 10_001), (38, 28.0 / 38.0));
        // Maintenance takes whole segments; all that is left lives.
        let mut turn = || driver.schedule.turn(&mut driver.cache, START_MS + 14_000);
        while turn() < 500 {}
        (0..60).for_each(|_| assert!(turn() > 0));
        assert_eq!(expired(&mut driver, 14_000), (10, 0.0));
    }

    #[test]
    fn evicted_items_are_neither_alive_nor_expired() {
        let mut driver = driver(Schedule::Edge);
        (0..100_000).for_each(|key| driver.store(key, START_MS, 10_000).unwrap());
        let (items, share) = expired(&mut driver, 1);
        assert!((57_000..67_000).contains(&items), "{items}");
        assert!(share.abs() < 1e-9, "{share}");
        let sample = driver.sample(START_MS + 10_000);
        assert!(sample.expired > 0.999 && (0.9..=1.0).contains(&sample.expired_of_occupied), "{sample:?}");
    }

    #[test]
    fn virtual_time_lets_the_timer_turn() {
        let mut driver = driver(Schedule::Node);
        (0..100).for_each(|key| driver.store(key, START_MS, 1_000).unwrap());
        driver.turn_due_ms = START_MS;
        let (items, share) = expired(&mut driver, 20_000);
        assert_eq!((items, share), (0, 0.0));
        assert!(driver.turn_due_ms > START_MS + 20_000);
    }
}
