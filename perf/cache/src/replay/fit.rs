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
//! measurement is about the policy and not about the grain of segments. Where pieces cannot fill that many segments, for
//! fewer than about 1,000 objects and for some counts up to 2,000, values are chained: segments are no coarser then, but if
//! the engine treats chains otherwise, that is measured too.
//!
//! **Not**: a promise that the count is met while another mix of requests runs; what is held at the end is reported.
//!
//! **Invariants**: the shape returned was measured within [`NEAR`] of the count, or no shape is returned.
//!
//! **Source**: `shardstore::cache::options` (chunks, segments, the largest item in one piece).

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::engine::Engine as _;
use super::shardstore::ShardstoreEngine;
use perf_basis::progress::ProgressLine;
use perf_basis::trace::{KEY_BYTES, TraceRequest};

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
/// Of the memory, what is no segment's whatever the items: the ghost and the roots of the index.
const FRONT_SHARE: u64 = 126;
/// What an item takes of the index at first guess.
const INDEX_BYTES: u64 = 10;
/// A record in one piece is at most this part of a segment.
const INLINE_SHARE: u64 = 8;
/// Of a record: header and key.
const RECORD_FIXED_BYTES: u64 = 24 + KEY_BYTES as u64;

/// Fewest segments of a shape with values in one piece; the second when none has the first.
const SEGMENTS_MIN: [u64; 2] = [128, 90];

/// Segments that hold nothing, at first guess: those kept free, and what is not filled yet.
const USELESS_SEGMENTS: f64 = 3.0;

/// Smallest record: the ghost has an entry for every 256 bytes of memory, so that with smaller ones it would be shorter than
/// it is to be.
const RECORD_BYTES_MIN: u64 = 320;

/// Chunks of a shape with chained values: 150 segments.
const CHAINED_CHUNKS: u64 = 5;

/// Shapes measured before the search is given up.
const TRIALS_MAX: usize = 24;

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
    let mut trials = Trials::default();
    let mut best: Option<(f64, Shape)> = None;
    let mut coarsest = None;
    let mut progress = ProgressLine::on_stderr(format!("finding memory that holds {objects} objects"));
    for _ in 0..TRIALS_MAX {
        let whole = trials.whole(objects, chunks_max);
        // No other shape of this grain is in sight; a coarser one, or chained values, would be nearer but not better.
        let grain = grain(whole, objects);
        if best.is_some_and(|(off, _)| off <= NEAR) && grain > *coarsest.get_or_insert(grain) {
            break;
        }
        coarsest = Some(grain);
        let shape = whole.map_or_else(|| trials.chained(objects), Whole::shape);
        let count = measure(shape, objects, &mut progress)?;
        let off = (count / objects as f64 - 1.0).abs();
        if best.is_none_or(|(least, _)| off < least) {
            best = Some((off, shape));
        }
        if off <= NEAR_ENOUGH {
            break;
        }
        match whole {
            Some(whole) => trials.of_whole.push((whole, count)),
            // Less than all of the difference: what is held changes in steps, and the whole would swing around them.
            None => trials.stretch *= (count / objects as f64).powf(0.7),
        }
    }
    match best {
        Some((off, shape)) if off <= NEAR => Ok(shape),
        _ => bail!("engine shardstore: no shape found that holds {objects} objects; try a count a few percent away"),
    }
}

/// How good a kind of shape is for measuring a policy; the smaller, the better.
fn grain(whole: Option<Whole>, objects: u64) -> usize {
    let of_whole = |whole: Whole| {
        let fine_enough = |segments_min: &u64| data_segments(whole.chunks, objects) >= *segments_min;
        SEGMENTS_MIN.iter().position(fine_enough).unwrap_or(SEGMENTS_MIN.len())
    };
    whole.map_or(SEGMENTS_MIN.len() + 1, of_whole)
}

/// A shape whose values lie in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Whole {
    chunks: u64,
    record_bytes: u64,
}

impl Whole {
    /// The shape with the largest record of which at least that many fit into a segment.
    const fn with_records(chunks: u64, per_segment: u64) -> Self {
        Self { chunks, record_bytes: segment_bytes(chunks) / per_segment / 8 * 8 }
    }

    const fn per_segment(self) -> u64 {
        segment_bytes(self.chunks) / self.record_bytes
    }

    const fn shape(self) -> Shape {
        let value_bytes = (self.record_bytes - RECORD_FIXED_BYTES) as u32;
        Shape { memory_bytes: self.chunks * CHUNK_BYTES, value_bytes }
    }
}

const fn segment_bytes(chunks: u64) -> u64 {
    if chunks < LARGE_SHARD_CHUNKS { SMALL_SEGMENT_BYTES } else { LARGE_SEGMENT_BYTES }
}

/// Segments that are not the index's when it has so many objects, at first guess.
const fn data_segments(chunks: u64, objects: u64) -> u64 {
    let memory = chunks * CHUNK_BYTES;
    (memory - memory / FRONT_SHARE).saturating_sub(objects * INDEX_BYTES) / segment_bytes(chunks)
}

/// What was tried, and what it says of the engine.
#[derive(Clone, Debug)]
struct Trials {
    /// Shapes with values in one piece, and the items they held.
    of_whole: Vec<(Whole, f64)>,
    /// How many times more room there is for chained values than their bytes say.
    stretch: f64,
}

impl Default for Trials {
    fn default() -> Self {
        Self { of_whole: Vec::new(), stretch: 1.0 }
    }
}

impl Trials {
    /// Segments that hold something of so many objects, on average: what the trial of the most similar memory says.
    fn useful_segments(&self, chunks: u64, objects: u64) -> f64 {
        let nearest = self.of_whole.iter().min_by_key(|(whole, _)| whole.chunks.abs_diff(chunks));
        let useless = nearest.map_or(USELESS_SEGMENTS, |(whole, count)| {
            data_segments(whole.chunks, *count as u64) as f64 - count / whole.per_segment() as f64
        });
        (data_segments(chunks, objects) as f64 - useless).max(1.0)
    }

    /// The shape with values in one piece that should hold the count: of those that should nearly exactly, the one with the
    /// most segments, else the nearest. `None` when no such shape should hold it within [`NEAR`].
    fn whole(&self, objects: u64, chunks_max: u64) -> Option<Whole> {
        let least = (objects * RECORD_BYTES_MIN).div_ceil(CHUNK_BYTES).max(1);
        let chunks = least..=chunks_max.max(least + least / 4 + 2);
        let off = |shape: &Whole| {
            let holds = self.useful_segments(shape.chunks, objects) * shape.per_segment() as f64;
            (holds / objects as f64 - 1.0).abs()
        };
        let near: Vec<_> = chunks
            .flat_map(|chunks| {
                let per_segment = objects as f64 / self.useful_segments(chunks, objects);
                [per_segment.floor(), per_segment.ceil()]
                    .map(|count| Whole::with_records(chunks, count.max(1.0) as u64))
            })
            .filter(|shape| {
                (RECORD_BYTES_MIN..=segment_bytes(shape.chunks) / INLINE_SHARE).contains(&shape.record_bytes)
            })
            .filter(|shape| self.of_whole.iter().all(|(tried, _)| tried != shape))
            .map(|shape| (off(&shape), shape))
            .filter(|(off, _)| *off <= NEAR)
            .collect();
        SEGMENTS_MIN.into_iter().find_map(|segments_min| {
            let enough = near.iter().filter(|(_, shape)| data_segments(shape.chunks, objects) >= segments_min);
            let exact = enough.clone().filter(|(off, _)| *off <= NEAR_ENOUGH / 2.0);
            let finest = exact.max_by_key(|(_, shape)| data_segments(shape.chunks, objects));
            let nearest = || enough.min_by(|(one, _), (other, _)| one.total_cmp(other));
            finest.or_else(nearest).map(|(_, shape)| *shape)
        })
    }

    /// The shape with chained values that should hold the count.
    fn chained(&self, objects: u64) -> Shape {
        // The least memory in which values are too large for one piece.
        let least = (objects * SMALL_SEGMENT_BYTES / INLINE_SHARE).div_ceil(CHUNK_BYTES) * 9 / 8 + 1;
        let chunks = least.max(CHAINED_CHUNKS);
        let segments = data_segments(chunks, objects) as f64 - USELESS_SEGMENTS;
        let room = segments * segment_bytes(chunks) as f64 * self.stretch;
        Shape { memory_bytes: chunks * CHUNK_BYTES, value_bytes: (room / objects as f64) as u32 }
    }
}

/// How many items a cache of a shape holds once it is full, on average. Fills it with about twice the count.
fn measure(shape: Shape, objects: u64, progress: &mut ProgressLine) -> Result<f64> {
    let mut store = ShardstoreEngine::of_shape(shape)?;
    let mut name = 0;
    let mut fill = |store: &mut ShardstoreEngine, count: u64| {
        for _ in 0..count {
            store.request(TraceRequest { at: name, id: name, name, value_bytes: 0 });
            name += 1;
            progress.tick(name.into(), Some(2 * objects));
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
            let count = measure(shape, objects, &mut ProgressLine::silent()).unwrap();
            assert!((count / objects as f64 - 1.0).abs() <= NEAR, "{objects}: {shape:?} holds {count}");
            assert_eq!(fits.shape_for(objects).unwrap(), shape, "found once");
        }
    }

    #[test]
    fn values_lie_in_one_piece_where_that_can_hold_the_count() {
        let mut fits = Fits::within_chunks(12);
        for objects in [1868, 2048, 2583, 4897, 7000, 10_000] {
            let shape = fits.shape_for(objects).unwrap();
            let record_bytes = u64::from(shape.value_bytes) + RECORD_FIXED_BYTES;
            assert!(record_bytes <= SMALL_SEGMENT_BYTES / INLINE_SHARE, "{objects}: {shape:?}");
            let segments = data_segments(shape.memory_bytes / CHUNK_BYTES, objects);
            assert!(segments >= SEGMENTS_MIN[usize::from(objects == 2583)], "{objects}: {shape:?}");
        }
    }

    #[test]
    fn too_few_objects_are_refused() {
        let error = Fits::default().shape_for(OBJECTS_MIN - 1).unwrap_err().to_string();
        assert!(error.contains("fewer --shards"), "{error}");
    }
}
