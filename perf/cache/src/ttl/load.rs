//! A cluster's load: which key comes next, what is done to it, and how much time passes in between.
//!
//! The table says what share of operations does what, how popular keys are, and how long they live; it does not say how many of
//! them a cache of a given size is to hold. So the rate is chosen: that at which the items that are alive would take so many
//! times the cache's memory, if none was evicted.
//!
//! ```text
//!  key i, asked p(i) of the time at rate r, lives for T:
//!    a get that misses stores it    alive  r p g / (r p g + 1/T)
//!    writes alone store it          alive  w / (w + d) (1 - e^(-r p (w + d) T))        w writes, d deletes
//! ```
//!
//! **Not**: sizes that differ within a cluster: the table has their mean only, and equal ones let items be counted for bytes.
//!
//! **Invariants**: a key has one length of life, for ever; a load is a function of its cluster and its seed.

use super::clusters::TraceCluster;
use perf_basis::random::mixed;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::{Distribution as _, Zipf};

/// Keys in multiples of what the cache holds.
const KEYS: f64 = 8.0;

/// Highest exponent of popularity that is taken. With steeper ones the many requests go to so few keys that filling a cache with
/// different ones would take billions.
const ALPHA_MAX: f64 = 1.0;

/// Below this share of writes a get that misses stores its key: then the table's writes are what follows misses, rounded away.
const WRITES_MIN: f64 = 0.05;

/// What is done to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Look it up.
    Get,
    /// Store it anew.
    Set,
    /// Remove it.
    Delete,
}

/// The load of a cluster on a cache of a given size.
#[derive(Clone, Debug)]
pub(crate) struct ClusterLoad {
    gets: f64,
    sets: f64,
    /// Whether a get that misses stores its key.
    pub(crate) fills: bool,
    /// Lengths of life in seconds, each with the part of 2^64 up to which keys have it.
    lives: Vec<(f64, u64)>,
    /// Count of keys.
    pub(crate) keys: u64,
    /// Between two operations, in seconds.
    pub(crate) interval_s: f64,
    zipf: Zipf<f64>,
    random: Xoshiro256PlusPlus,
}

impl ClusterLoad {
    /// The load under which `load` times `capacity` items would be alive.
    pub(crate) fn new(cluster: &TraceCluster, capacity: u64, load: f64) -> Self {
        let operations = cluster.operations;
        let keys = (capacity as f64 * KEYS) as u64;
        let alpha = cluster.alpha.min(ALPHA_MAX);
        let mut sum = 0.0;
        let lives = cluster.ttls.iter().map(|(ttl_s, share)| {
            sum += share;
            (*ttl_s, (sum * 2f64.powi(64)) as u64)
        });
        let mut all = Self {
            gets: operations.reads,
            sets: operations.writes,
            fills: operations.writes < WRITES_MIN,
            lives: lives.collect(),
            keys,
            interval_s: 0.0,
            zipf: Zipf::new(keys.max(1) as f64, alpha).expect("there is a key, and the exponent is not negative"),
            random: Xoshiro256PlusPlus::seed_from_u64(keys),
        };
        all.interval_s = 1.0 / all.rate_for(cluster, alpha, capacity as f64 * load);
        all
    }

    /// The next operation and the number of its key.
    pub(crate) fn next_step(&mut self) -> (Step, u64) {
        let part = self.random.random::<f64>();
        let step = if part < self.gets {
            Step::Get
        } else if part < self.gets + self.sets {
            Step::Set
        } else {
            Step::Delete
        };
        (step, self.zipf.sample(&mut self.random) as u64 - 1)
    }

    /// How long a key lives, in milliseconds.
    pub(crate) fn life_ms(&self, key: u64) -> u64 {
        let place = mixed(!key);
        let life = self.lives.iter().find(|(_, up_to)| place < *up_to).or(self.lives.last());
        (life.expect("a cluster has a length of life").0 * 1000.0) as u64
    }

    /// Operations per second at which `alive` items live.
    fn rate_for(&self, cluster: &TraceCluster, alpha: f64, alive: f64) -> f64 {
        let (mut low, mut high) = (1e-9, 1e12);
        // Halving the ratio of the two 100 times leaves no digit open.
        for _ in 0..100 {
            let middle = f64::sqrt(low * high);
            if self.alive_at(cluster, alpha, middle) < alive { low = middle } else { high = middle }
        }
        high
    }

    /// Items alive at a rate: over ranks in groups that double in size, as within a group they are nearly alike.
    fn alive_at(&self, cluster: &TraceCluster, alpha: f64, rate: f64) -> f64 {
        let groups = groups(self.keys);
        let weight = |rank: f64| rank.powf(-alpha);
        let total: f64 = groups.iter().map(|(rank, count)| weight(*rank) * count).sum();
        let alive = |(rank, count): &(f64, f64)| {
            let asked = rate * weight(*rank) / total;
            let share = cluster.ttls.iter().map(|(ttl_s, share)| share * self.alive_share(cluster, asked, *ttl_s));
            count * share.sum::<f64>()
        };
        groups.iter().map(alive).sum()
    }

    /// The share of time in which a key is alive that is asked `asked` times a second.
    fn alive_share(&self, cluster: &TraceCluster, asked: f64, ttl_s: f64) -> f64 {
        let operations = cluster.operations;
        if self.fills {
            let fills = asked * (operations.reads + operations.writes);
            return fills / (fills + 1.0 / ttl_s);
        }
        let changes = operations.writes + operations.deletes;
        operations.writes / changes * -f64::exp_m1(-asked * changes * ttl_s)
    }
}

/// Ranks 1 to `keys` in groups: a middle rank and how many there are.
fn groups(keys: u64) -> Vec<(f64, f64)> {
    let mut groups = Vec::new();
    let mut first = 1u64;
    while first <= keys {
        // An eighth more each time.
        let end = (first + first / 8 + 1).min(keys + 1);
        groups.push((f64::sqrt(first as f64 * (end - 1) as f64), (end - first) as f64));
        first = end;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::super::clusters::Operations;
    use super::*;

    pub(crate) fn cluster(ttls: &[(f64, f64)], [reads, writes, deletes]: [f64; 3], alpha: f64) -> TraceCluster {
        let operations = Operations { reads, writes, deletes };
        TraceCluster { name: "a".into(), key_bytes: 20, value_bytes: 100, ttls: ttls.to_vec(), operations, alpha }
    }

    /// How many keys are alive after a while, by doing it.
    fn alive(cluster: &TraceCluster, capacity: u64, load: f64) -> f64 {
        let mut load = ClusterLoad::new(cluster, capacity, load);
        let mut expiry_s = vec![0.0; load.keys as usize];
        let (mut now_s, end_s) = (0.0, cluster.longest_s() * 4.0);
        while now_s < end_s {
            now_s += load.interval_s;
            let (step, key) = load.next_step();
            let absent = expiry_s[key as usize] <= now_s;
            match step {
                Step::Delete => expiry_s[key as usize] = 0.0,
                Step::Set => expiry_s[key as usize] = now_s + load.life_ms(key) as f64 / 1e3,
                Step::Get if load.fills && absent => {
                    expiry_s[key as usize] = now_s + load.life_ms(key) as f64 / 1e3;
                }
                Step::Get => {}
            }
        }
        expiry_s.iter().filter(|expiry_s| **expiry_s > now_s).count() as f64
    }

    #[test]
    fn as_many_items_live_as_were_asked_for() {
        for (ttls, operations, alpha) in [
            (&[(60.0, 1.0)][..], [0.0, 1.0, 0.0], 0.0),
            (&[(60.0, 0.7), (600.0, 0.3)], [1.0, 0.0, 0.0], 0.9),
            (&[(60.0, 1.0)], [0.5, 0.4, 0.1], 2.5),
        ] {
            for load in [0.5, 1.5] {
                let alive = alive(&cluster(ttls, operations, alpha), 2000, load);
                assert!((alive / 2000.0 / load - 1.0).abs() < 0.06, "{ttls:?} {operations:?} {load}: {alive}");
            }
        }
    }

    #[test]
    fn lengths_of_life_come_in_their_shares_and_stay() {
        let load = ClusterLoad::new(&cluster(&[(1.0, 0.25), (2.0, 0.75)], [0.0, 1.0, 0.0], 0.0), 10_000, 1.0);
        let short = (0..load.keys).filter(|key| load.life_ms(*key) == 1000).count() as f64 / load.keys as f64;
        assert!((short - 0.25).abs() < 0.01, "{short}");
        assert!((0..100).all(|key| load.life_ms(key) == load.life_ms(key)));
    }
}
