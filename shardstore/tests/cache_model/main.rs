//! The cache against a naive model, under seeded random operations with virtual time.
//!
//! The model is a `HashMap` and the exact rules. The only difference it allows: a key may be absent because it was evicted, and
//! no more often than the cache's own counters admit.
//!
//! Each case is a mix of sizes and operations; a failure prints the case and the seed, and running the case again with that
//! seed repeats it.

mod model;
mod random;

use model::{Mix, Run};

const MIB: u64 = 1 << 20;

/// Tiny values, many keys: both buckets of many keys are full, tags collide, segments hold thousands of records.
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
    ..Mix::BASE
};

/// A few keys written over and over beside many that are only read: dead space everywhere, so compaction works.
const REWRITTEN: Mix =
    Mix { name: "rewritten", limit_bytes: 4 * MIB, keys: 8_000, value_bytes: &[500, 1_500], skewed: true, ..Mix::BASE };

/// Everything at once, while the shard grows and shrinks.
const RESIZED: Mix = Mix {
    name: "resized",
    limit_bytes: 8 * MIB,
    keys: 6_000,
    value_bytes: &[10, 300, 5_000, 20_000, 400_000],
    ttl_ms: &[0, 0, 2_000, 100_000],
    pins: true,
    resizes: true,
    ..Mix::BASE
};

/// Large segments.
const WIDE: Mix = Mix {
    name: "wide",
    limit_bytes: 128 * MIB,
    keys: 4_000,
    value_bytes: &[30_000, 33_000, 262_144, 2_000_000],
    pins: true,
    ..Mix::BASE
};

fn check(mix: &Mix, seeds: std::ops::Range<u64>, operations: u32) {
    let mut evicted = 0;
    for seed in seeds {
        let mut run = Run::new(mix, seed);
        (0..operations).for_each(|_| run.step());
        evicted += run.finish();
    }
    assert!(evicted > 0, "{}: the mix never filled the cache, so it tested little", mix.name);
}

#[test]
fn tiny_values_behave_as_the_model() {
    check(&TINY, 0..4, 250_000);
}

#[test]
fn usual_values_behave_as_the_model() {
    check(&USUAL, 0..8, 100_000);
}

#[test]
fn large_values_behave_as_the_model() {
    check(&LARGE, 0..4, 4_000);
}

#[test]
fn rewritten_keys_behave_as_the_model() {
    check(&REWRITTEN, 0..4, 100_000);
}

#[test]
fn a_resized_shard_behaves_as_the_model() {
    check(&RESIZED, 0..8, 20_000);
}

#[test]
fn wide_segments_behave_as_the_model() {
    check(&WIDE, 0..1, 3_000);
}
