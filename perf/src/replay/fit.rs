//! Finds a shape of the product's cache, memory and value size, that holds a given count of equal items.
//!
//! The cache has a limit in bytes, and replays that are compared with other engines need one in objects. Two numbers can be
//! chosen: the memory, in chunks, and the size of the values. What a shape holds follows from the engine's geometry
//! only nearly (free segments kept ahead of need, unused ends of segments, whatever its index takes), so that it is
//! measured: a cache of the shape is filled with keys that are all different until it is full and has been for a
//! while, and its items are counted. From that the next guess follows.
//!
//! ```text
//!  guess ──▶ fill and count ──▶ close enough? ──▶ the shape
//!    ▲                              │ no
//!    └── segments that are not ◀────┘        (values in one piece: whole items per segment, so it is a search)
//!        available, or bytes per item        (values in chains: any size fits anywhere, so it is a proportion)
//! ```
//!
//! Values that lie in one piece are preferred, in as many segments as can be: with [`SEGMENTS_MIN`] or more the
//! measurement is about the policy and not about the grain of segments. Where one piece cannot fill that many segments, for
//! fewer than about 1,500 objects, values are chained: segments are no coarser then, but an engine that treats chains
//! otherwise shows that.
//!
//! **Not**: a promise that the count is met while another mix of requests runs; what is held at the end is reported.
//!
//! **Invariants**: the shape returned was measured within [`NEAR`] of the count, or no shape is returned.
//!
//! **Source**: `shardstore::cache::options` (chunks, segments, the largest item in one piece).

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::engine::Engine as _;
use super::shardstore::Shardstore;
use super::trace::{KEY_BYTES, Request};

/// Fewest objects: below, one segment more or less decides.
pub(crate) const OBJECTS_MIN: u64 = 64;

/// How near to the count the measured one must be.
pub(crate) const NEAR: f64 = 0.01;

/// At this distance the search stops early.
const NEAR_ENOUGH: f64 = 0.004;

const CHUNK_BYTES: u64 = 2 << 20;
/// Below this much memory segments are small.
const LARGE_SHARD_CHUNKS: u64 = 64;
const SMALL_SEGMENT_BYTES: u64 = 64 << 10;
const LARGE_SEGMENT_BYTES: u64 = 256 << 10;
/// The share of the memory that the index takes at first guess.
const INDEX_SHARE: u64 = 16;
/// A record in one piece is at most this part of a segment.
const INLINE_SHARE: u64 = 8;
/// Of a record: header and key.
const RECORD_FIXED_BYTES: u64 = 24 + KEY_BYTES as u64;

/// Fewest segments that a shape should have.
const SEGMENTS_MIN: u64 = 128;

/// Smallest record: the index has a slot per 128 bytes of memory, and is 40 % full then; pairs of buckets overflow for fewer
/// than 1 in 1000 items.
const RECORD_BYTES_MIN: u64 = 320;

/// Chunks of a shape with chained values: 150 segments.
const CHAINED_CHUNKS: u64 = 5;

/// Shapes measured before the search is given up.
const TRIALS_MAX: usize = 12;

/// Times a trial counts the items of a full cache.
const COUNTS: u64 = 64;

/// What a cache is made with so that it holds a count of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Memory for index and data together.
    pub(crate) memory_bytes: u64,
    /// Bytes of every value.
    pub(crate) value_bytes: u32,
}

/// Shapes found so far, by count of objects: shards of one replay need the same one or two.
#[derive(Debug, Default)]
pub(crate) struct Fits {
    found: BTreeMap<u64, Shape>,
    chunks_max: Option<u64>,
}

impl Fits {
    /// Shapes of at most so many chunks of memory, where the least value size allows it.
    #[cfg(test)]
    pub(crate) fn within_chunks(chunks_max: u64) -> Self {
        Self { chunks_max: Some(chunks_max), ..Self::default() }
    }

    /// A shape that holds `objects` items.
    ///
    /// # Errors
    /// There are too few objects for any shape, or the kernel refused memory.
    pub(crate) fn shape_for(&mut self, objects: u64) -> Result<Shape> {
        if let Some(shape) = self.found.get(&objects) {
            return Ok(*shape);
        }
        if objects < OBJECTS_MIN {
            bail!("engine shardstore: {objects} objects in a shard; give at least {OBJECTS_MIN}, or fewer --shards");
        }
        let shape = search(objects, self.chunks_max.unwrap_or(LARGE_SHARD_CHUNKS - 1))?;
        self.found.insert(objects, shape);
        Ok(shape)
    }
}

fn search(objects: u64, chunks_max: u64) -> Result<Shape> {
    let mut guess = Guess { unavailable: 3.0, stretch: 1.0 };
    let mut best: Option<(f64, Shape)> = None;
    let mut tried = Vec::new();
    for _ in 0..TRIALS_MAX {
        let whole = guess.whole(objects, chunks_max, &tried);
        let shape = whole.map_or_else(|| guess.chained(objects), |whole| whole.shape());
        let count = measure(shape, objects)?;
        let off = (count / objects as f64 - 1.0).abs();
        if best.is_none_or(|(least, _)| off < least) {
            best = Some((off, shape));
        }
        if off <= NEAR_ENOUGH {
            break;
        }
        match whole {
            Some(whole) => {
                guess.unavailable = whole.segments() as f64 - count / whole.per_segment as f64;
                tried.push(whole);
            }
            None => guess.stretch *= count / objects as f64,
        }
    }
    match best {
        Some((off, shape)) if off <= NEAR => Ok(shape),
        _ => bail!("engine shardstore: no shape found that holds {objects} objects; try a count a few percent away"),
    }
}

/// What is believed of the engine, corrected by every trial.
#[derive(Clone, Copy, Debug)]
struct Guess {
    /// Segments that hold nothing, on average.
    unavailable: f64,
    /// How many times more room there is for chained values than their bytes say.
    stretch: f64,
}

/// A shape whose values lie in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Whole {
    chunks: u64,
    per_segment: u64,
}

impl Whole {
    const fn segment_bytes(self) -> u64 {
        if self.chunks < LARGE_SHARD_CHUNKS { SMALL_SEGMENT_BYTES } else { LARGE_SEGMENT_BYTES }
    }

    /// Data segments.
    const fn segments(self) -> u64 {
        let memory = self.chunks * CHUNK_BYTES;
        (memory - memory / INDEX_SHARE) / self.segment_bytes()
    }

    /// The largest record of which that many fit into a segment.
    const fn record_bytes(self) -> u64 {
        self.segment_bytes() / self.per_segment / 8 * 8
    }

    const fn is_possible(self) -> bool {
        let record = self.record_bytes();
        let fits = record <= self.segment_bytes() / INLINE_SHARE && self.segment_bytes() / record == self.per_segment;
        fits && record >= RECORD_BYTES_MIN && self.segments() >= SEGMENTS_MIN
    }

    const fn shape(self) -> Shape {
        let value_bytes = (self.record_bytes() - RECORD_FIXED_BYTES) as u32;
        Shape { memory_bytes: self.chunks * CHUNK_BYTES, value_bytes }
    }
}

impl Guess {
    /// The shape with values in one piece and the most segments that should hold the count; the nearest when none does
    /// nearly. `None` when values in one piece are too small for the count.
    fn whole(self, objects: u64, chunks_max: u64, tried: &[Whole]) -> Option<Whole> {
        let least = (objects * RECORD_BYTES_MIN).div_ceil(CHUNK_BYTES).max(1);
        let end = chunks_max.max(least + least / 4 + 2);
        let shapes = (least..=end).flat_map(|chunks| {
            let segments = Whole { chunks, per_segment: 1 }.segments();
            let per_segment = objects as f64 / (segments as f64 - self.unavailable).max(1.0);
            [per_segment.floor(), per_segment.ceil()].map(|count| Whole { chunks, per_segment: (count as u64).max(1) })
        });
        let possible = shapes.filter(|shape| shape.is_possible() && !tried.contains(shape));
        let off = |shape: Whole| {
            let holds = (shape.segments() as f64 - self.unavailable) * shape.per_segment as f64;
            (holds / objects as f64 - 1.0).abs()
        };
        let near: Vec<_> = possible.map(|shape| (off(shape), shape)).filter(|(off, _)| *off <= NEAR).collect();
        let close = near.iter().filter(|(off, _)| *off <= NEAR_ENOUGH / 2.0).map(|(_, shape)| *shape);
        close.max_by_key(|shape| shape.segments()).or_else(|| {
            let nearest = near.iter().min_by(|(one, _), (other, _)| one.total_cmp(other));
            nearest.map(|(_, shape)| *shape)
        })
    }

    /// The shape with chained values that should hold the count.
    fn chained(self, objects: u64) -> Shape {
        let shape = Whole { chunks: CHAINED_CHUNKS, per_segment: 1 };
        let room = (shape.segments() as f64 - self.unavailable) * shape.segment_bytes() as f64 * self.stretch;
        let value_bytes = (room / objects as f64) as u64 - RECORD_FIXED_BYTES;
        Shape { value_bytes: value_bytes as u32, ..shape.shape() }
    }
}

/// How many items a cache of a shape holds once it is full, on average. Fills it with about twice the count.
fn measure(shape: Shape, objects: u64) -> Result<f64> {
    let mut store = Shardstore::of_shape(shape)?;
    let mut name = 0;
    let mut fill = |store: &mut Shardstore, count: u64| {
        for _ in 0..count {
            store.request(Request { at: name, id: name, name, value_bytes: 0 });
            name += 1;
        }
    };
    fill(&mut store, objects + objects / 2);
    let mut sum = 0;
    for turn in 0..COUNTS {
        fill(&mut store, objects * (turn + 1) / 2 / COUNTS - objects * turn / 2 / COUNTS);
        sum += store.stats().items;
    }
    Ok(sum as f64 / COUNTS as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fitted_holds_the_count() {
        // Few chunks, so that it is quick; the shapes with values in one piece, and the chained ones.
        let mut fits = Fits::within_chunks(12);
        for objects in [64, 101, 204, 777, 1024, 1868, 2583, 9046, 20_000] {
            let shape = fits.shape_for(objects).unwrap();
            let count = measure(shape, objects).unwrap();
            assert!((count / objects as f64 - 1.0).abs() <= NEAR, "{objects}: {shape:?} holds {count}");
            assert_eq!(fits.shape_for(objects).unwrap(), shape, "found once");
        }
    }

    #[test]
    fn too_few_objects_are_refused() {
        let error = Fits::default().shape_for(OBJECTS_MIN - 1).unwrap_err().to_string();
        assert!(error.contains("fewer --shards"), "{error}");
    }
}
