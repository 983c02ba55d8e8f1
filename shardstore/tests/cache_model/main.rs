//! The cache against a naive model, under seeded random operations with virtual time.
//!
//! The model is a `HashMap` and the exact rules. The only difference it allows: a key may be absent because it was evicted, and
//! no more often than the cache's own counters admit.
//!
//! Under Miri (`cargo xtask miri`) a small mix runs; the others would take days.
//!
//! Each case is a mix of sizes and operations; a failure prints the case and the seed, and running the case again with that
//! seed repeats it.

mod model;
mod random;

use model::{Mix, Run};
use shardstore::cache::CacheStats;

const MIB: u64 = 1 << 20;

/// Tiny values, many keys: pages of the index grow large, tags collide, segments hold thousands of records.
const TINY: Mix = Mix { name: "tiny", limit_bytes: 2 * MIB, keys: 40_000, value_bytes: &[0, 1, 8, 24], ..Mix::BASE };

/// What an edge sees: hundreds of bytes to some KiB, time to live from nothing to minutes.
const USUAL: Mix = Mix {
    name: "usual",
    limit_bytes: 8 * MIB,
    keys: 20_000,
    value_bytes: &[64, 224, 1_000, 4_000],
    ttl_ms: &[0, 1, 500, 1_000, 60_000],
    ..Mix::BASE
};

/// Values around every boundary of the layout, and many segments long.
const LARGE: Mix = Mix {
    name: "large",
    limit_bytes: 16 * MIB,
    keys: 300,
    value_bytes: &[100, 8_000, 8_200, 65_000, 65_536, 300_000, 3_000_000],
    pins: true,
    stages: true,
    ..Mix::BASE
};

/// A few keys written over and over beside many that are only read: dead space everywhere, so compaction works, and more than fits.
const REWRITTEN: Mix =
    Mix { name: "rewritten", limit_bytes: 2 * MIB, keys: 8_000, value_bytes: &[500, 1_500], skewed: true, ..Mix::BASE };

/// Everything at once, while the shard grows and shrinks.
const RESIZED: Mix = Mix {
    name: "resized",
    limit_bytes: 8 * MIB,
    keys: 6_000,
    value_bytes: &[10, 300, 5_000, 20_000, 400_000],
    ttl_ms: &[0, 0, 2_000, 100_000],
    pins: true,
    resizes: true,
    stages: true,
    ..Mix::BASE
};

/// Small values, of which nobody waits for a segment, beside large ones that come slice by slice.
const STAGED: Mix = Mix {
    name: "staged",
    limit_bytes: 16 * MIB,
    keys: 3_000,
    value_bytes: &[100, 1_000, 5_000, 1_000_000],
    ttl_ms: &[0, 0, 2_000, 100_000],
    stages: true,
    ..Mix::BASE
};

/// The largest values, beside the smallest.
const HUGE: Mix = Mix {
    name: "huge",
    limit_bytes: 128 * MIB,
    keys: 60,
    value_bytes: &[1, 100_000, 16 << 20],
    pins: true,
    stages: true,
    ..Mix::BASE
};

/// A little of everything in the smallest shard, so that it is full soon.
const SMALL: Mix = Mix {
    name: "small",
    limit_bytes: 2 * MIB,
    keys: 80,
    value_bytes: &[10, 1_000, 20_000, 70_000],
    ttl_ms: &[0, 0, 2_000, 100_000],
    pins: true,
    resizes: true,
    stages: true,
    ..Mix::BASE
};

/// Large segments.
const WIDE: Mix = Mix {
    name: "wide",
    limit_bytes: 128 * MIB,
    keys: 4_000,
    value_bytes: &[30_000, 33_000, 262_144, 2_000_000],
    pins: true,
    stages: true,
    ..Mix::BASE
};

/// Tiny values and large ones in turn: the index's memory becomes the data's, and comes back.
const SHIFTED: Mix = Mix {
    name: "shifted",
    limit_bytes: 4 * MIB,
    keys: 60_000,
    value_bytes: &[0, 8, 24, 64],
    later_bytes: &[2_000, 100_000, 400_000],
    turn_steps: [150_000, 3_000],
    ttl_ms: &[0, 0, 0, 1_000_000],
    ..Mix::BASE
};

/// The same, while the shard grows and shrinks.
const SHIFTED_AND_RESIZED: Mix = Mix { name: "shifted and resized", resizes: true, ..SHIFTED };

/// How many times as many steps as usual the runs take: `CACHE_MODEL_FACTOR=100 cargo test --release --test cache_model`.
#[expect(clippy::disallowed_methods, reason = "a test is told so how long to run")]
fn factor() -> u32 {
    std::env::var("CACHE_MODEL_FACTOR").map_or(1, |factor| factor.parse().expect("a factor is a number"))
}

fn check(mix: &Mix, seeds: std::ops::Range<u64>, operations: u32) -> CacheStats {
    let (mut evicted, mut last) = (0, CacheStats::default());
    for seed in seeds {
        let mut run = Run::new(mix, seed);
        (0..operations * factor()).for_each(|_| run.step());
        last = run.finish();
        evicted += last.evicted_for_room + last.evicted_for_slot;
    }
    assert!(evicted > 0, "{}: the mix never filled the cache, so it tested little", mix.name);
    last
}

#[test]
#[cfg_attr(miri, ignore = "days under Miri; the small mix runs")]
fn tiny_values_behave_as_the_model() {
    check(&TINY, 0..4, 250_000);
}

#[test]
#[cfg_attr(miri, ignore = "days under Miri; the small mix runs")]
fn usual_values_behave_as_the_model() {
    check(&USUAL, 0..8, 100_000);
}

#[test]
#[cfg_attr(miri, ignore = "days under Miri; the small mix runs")]
fn large_values_behave_as_the_model() {
    check(&LARGE, 0..4, 4_000);
}

#[test]
#[cfg_attr(miri, ignore = "days under Miri; the small mix runs")]
fn rewritten_keys_behave_as_the_model() {
    check(&REWRITTEN, 0..4, 100_000);
}

#[test]
#[cfg_attr(miri, ignore = "days under Miri; the small mix runs")]
fn a_resized_shard_behaves_as_the_model() {
    check(&RESIZED, 0..8, 20_000);
}

#[test]
#[cfg_attr(miri, ignore = "days under Miri; the small mix runs")]
fn values_that_come_slice_by_slice_behave_as_the_model() {
    let stats = check(&STAGED, 0..8, 20_000);
    assert!(stats.staged_bytes > 100 << 20, "{stats:?}");
}

#[test]
#[cfg_attr(miri, ignore = "days under Miri; the small mix runs")]
fn an_index_that_grows_and_shrinks_behaves_as_the_model() {
    for mix in [&SHIFTED, &SHIFTED_AND_RESIZED] {
        let stats = check(mix, 0..2, 480_000);
        let renewed = [stats.pages_grown, stats.pages_shrunk, stats.pages_moved];
        assert!(renewed.iter().all(|&pages| pages > 200), "{}: {stats:?}", mix.name);
    }
}

#[test]
#[cfg_attr(miri, ignore = "days under Miri; the small mix runs")]
fn wide_segments_behave_as_the_model() {
    check(&WIDE, 0..1, 3_000);
}

#[test]
#[cfg_attr(miri, ignore = "days under Miri; the small mix runs")]
fn the_largest_values_behave_as_the_model() {
    check(&HUGE, 0..1, 800);
}

#[test]
fn a_small_shard_behaves_as_the_model() {
    let (seeds, operations) = if cfg!(miri) { (1, 300) } else { (8, 40_000) };
    check(&SMALL, 0..seeds, operations);
}
