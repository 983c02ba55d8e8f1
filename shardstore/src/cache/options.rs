//! What a cache is made with, what it refuses, and the sizes that follow.
//!
//! **Not**: anything that changes per item.
//!
//! **Invariants**: limit and ceiling are whole chunks; at least three quarters of the smallest shard are for data.
//!
//! **Source**: docs/engine.md (2 MiB chunks, 256 KiB segments, 64 KiB below 128 MiB, pins at 5 %).

use std::io;

use thiserror::Error;

use super::arena::{self, CHUNK_BYTES, LINE_WORDS, WORD_BYTES};
use super::index;
use super::item::{EXTENT_HEADER_BYTES, ITEM_HEADER_BYTES, LINK_BYTES, Location, METADATA_BYTES_MAX};
use super::segments::SegmentId;
use crate::key::{KeyHasher, STORED_KEY_BYTES_MAX};

/// Largest value in bytes, as the HTTP API and the protocol promise.
pub const VALUE_BYTES_MAX: usize = 64 << 20;

/// Smallest limit in bytes: one chunk.
pub const LIMIT_BYTES_MIN: u64 = CHUNK_BYTES as u64;

/// From this size of the shard on, segments are large: then 256 KiB is below 0.2 % of it.
const LARGE_SHARD_BYTES: u64 = 128 << 20;
const LARGE_SEGMENT_SHIFT: u32 = 18;
const SMALL_SEGMENT_SHIFT: u32 = 16;

/// The ghost has this part of the limit: one entry of two bytes per 256 bytes, nine tenths of the items or more where they are
/// at least that large.
const GHOST_SHARE: u64 = 128;

/// What the index takes of a shard, where it must be said before there are items: a sixteenth, as for items of 150 bytes.
const INDEX_SHARE: u32 = 16;

/// How much a shard may grow while it runs, if nothing else is said: address space, and 0.1 % to 0.4 % of the limit for
/// the segment table.
const CEILING_FACTOR: u64 = 4;

/// Highest ceiling of one core's shard: far above what a core can serve, and within 40 bits of location and 34 of page.
const CEILING_BYTES_MAX: u64 = 1 << 40;

/// Fewest data segments of a shard: room for the open one, the one being reclaimed, the reserve, a pinned one, and items.
const DATA_SEGMENTS_MIN: u32 = 24;

/// Pinned segments per hundred of the shard.
const PINNED_PERCENT: u32 = 5;

/// An item larger than this fraction of a segment is chained, so that the unused end of a segment stays below it.
const INLINE_SHARE: usize = 8;

const HEAD_BYTES_MAX: usize = ITEM_HEADER_BYTES + LINK_BYTES + STORED_KEY_BYTES_MAX + 1 + METADATA_BYTES_MAX;

const _: () = assert!(HEAD_BYTES_MAX < (1 << SMALL_SEGMENT_SHIFT) / INLINE_SHARE, "a head fits where an item does");
const _: () = assert!(CHUNK_BYTES.is_multiple_of(1 << LARGE_SEGMENT_SHIFT));
const _: () = assert!(CEILING_BYTES_MAX / 8 <= 1 << Location::BITS, "a location reaches every record");
const _: () = assert!(index::roots_for(CEILING_BYTES_MAX) <= u32::MAX as u64, "32 bits of hash reach every root");

/// What a cache is made with.
#[derive(Clone, Debug)]
pub struct CacheOptions {
    /// Memory for index and data together, in bytes; rounded down to whole chunks of 2 MiB.
    pub limit_bytes: u64,
    /// The most [`super::Cache::resize`] may ever set, in bytes, at most 1 TiB (more is cut to that); reserves address space.
    pub ceiling_bytes: u64,
    /// The cluster's hash function. The callers of a lookup hand the hash in; the cache itself hashes only to find the slot
    /// of an item it reclaims.
    pub hasher: KeyHasher,
    /// Threads that may read in place; see [`super::SharedCache::reader`].
    pub readers: usize,
    /// When the kernel is asked for the memory.
    pub commit: Commit,
}

/// When a cache's memory is committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commit {
    /// As items come, in the pages that the kernel gives shared memory: of 4 KiB, or huge ones where
    /// `/sys/kernel/mm/transparent_hugepage/shmem_enabled` is `advise` or `always`.
    #[default]
    AsNeeded,
    /// All of it by [`super::Cache::new`], in huge pages as far as the kernel has them, whatever `shmem_enabled` says (but
    /// `deny`). Takes some 0.2 s per GiB; nothing is left to be committed later but what [`super::Cache::resize`] adds.
    AtStart,
}

/// Whether a cache of so many bytes can be made.
///
/// # Errors
///
/// [`CacheError::LimitTooSmall`]: the operator's.
pub fn check_limit(limit_bytes: u64) -> Result<(), CacheError> {
    Geometry::of(&CacheOptions::new(limit_bytes, KeyHasher::new(0))).map(drop)
}

/// Whether the kernel lets this process have the address space of `count` caches of so many bytes each, as limits of the process
/// (`RLIMIT_AS`, `RLIMIT_FSIZE`) may not. It is taken and given back; no memory is committed.
///
/// # Errors
///
/// Those of [`check_limit`], and [`CacheError::Map`]: the operator's.
pub fn check_reservation(limit_bytes: u64, count: usize) -> Result<(), CacheError> {
    let geometry = Geometry::of(&CacheOptions::new(limit_bytes, KeyHasher::new(0)))?;
    arena::try_reserve(geometry.ceiling_bytes(), count).map_err(CacheError::Map)
}

impl CacheOptions {
    /// A cache of `limit_bytes` that may grow to four times that, and that only its owner reads.
    #[must_use]
    pub const fn new(limit_bytes: u64, hasher: KeyHasher) -> Self {
        Self {
            limit_bytes,
            ceiling_bytes: limit_bytes.saturating_mul(CEILING_FACTOR),
            hasher,
            readers: 0,
            commit: Commit::AsNeeded,
        }
    }
}

/// Why the cache refused something. Nothing was changed.
#[derive(Debug, Error)]
pub enum CacheError {
    /// The operator asked for less memory than the smallest shard needs.
    #[error("a shard of {limit_bytes} bytes is too small; give it at least {minimum_bytes}")]
    LimitTooSmall {
        /// What was asked for.
        limit_bytes: u64,
        /// What it takes; after [`super::Cache::new`] this includes the ghost and the roots of the index, which keep their size.
        minimum_bytes: u64,
    },
    /// The operator asked for more than the ceiling the cache was made with.
    #[error("a shard of {limit_bytes} bytes exceeds its ceiling of {ceiling_bytes}; restart with a higher ceiling")]
    LimitAboveCeiling {
        /// What was asked for.
        limit_bytes: u64,
        /// What was reserved.
        ceiling_bytes: u64,
    },
    /// The kernel refused the memory; see memfd_create(2), mmap(2) and madvise(2), RLIMIT_AS and RLIMIT_NOFILE.
    #[error("the kernel refused the shard's memory: {0}")]
    Map(#[source] io::Error),
    /// The value is larger than this shard takes; the client is at fault, or the operator who made shards this small.
    #[error("a value of {value_bytes} bytes is too large; this shard takes up to {value_bytes_max}")]
    ValueTooLarge {
        /// Bytes of the value.
        value_bytes: usize,
        /// What [`super::Cache::value_bytes_max`] says.
        value_bytes_max: usize,
    },
    /// The key is longer than [`STORED_KEY_BYTES_MAX`]; the client is at fault.
    #[error("a key of {0} bytes is too long; a stored key has up to {STORED_KEY_BYTES_MAX}")]
    KeyTooLong(usize),
    /// The metadata is longer than [`METADATA_BYTES_MAX`]; the client is at fault.
    #[error("metadata of {0} bytes is too long; it has up to {METADATA_BYTES_MAX}")]
    MetadataTooLong(usize),
    /// There is no room that could be reclaimed now, because values are pinned or the shard is shrinking; try again later.
    #[error("no memory can be reclaimed now: too much of the shard is pinned")]
    NoRoom,
}

/// Sizes of a cache; `target` changes with its limit, the rest is fixed.
#[derive(Clone, Debug)]
pub(super) struct Geometry {
    pub(super) segment_shift: u32,
    /// Roots of the index.
    pub(super) roots: u64,
    pub(super) ghost_bytes: usize,
    /// Segments of roots and ghost; those that come and go start behind them.
    pub(super) front_segments: SegmentId,
    /// Those of these that are taken for pages of the index.
    pub(super) page_segments: SegmentId,
    /// Segments below this number may be used.
    pub(super) target: SegmentId,
    /// Segments below this number are committed: `target`, or one chunk more while that chunk is being vacated.
    pub(super) present: SegmentId,
    /// Where `target` is going, chunk by chunk.
    pub(super) goal: SegmentId,
    ceiling_chunks: usize,
}

impl Geometry {
    pub(super) fn of(options: &CacheOptions) -> Result<Self, CacheError> {
        let limit_bytes = options.limit_bytes;
        let ceiling_bytes = options.ceiling_bytes.min(CEILING_BYTES_MAX);
        if limit_bytes < LIMIT_BYTES_MIN {
            return Err(CacheError::LimitTooSmall { limit_bytes, minimum_bytes: LIMIT_BYTES_MIN });
        }
        if limit_bytes > ceiling_bytes {
            return Err(CacheError::LimitAboveCeiling { limit_bytes, ceiling_bytes });
        }
        let segment_shift = if limit_bytes < LARGE_SHARD_BYTES { SMALL_SEGMENT_SHIFT } else { LARGE_SEGMENT_SHIFT };
        let chunks = limit_bytes / CHUNK_BYTES as u64;
        let target = Self::segments_in(chunks, segment_shift);
        let mut geometry = Self {
            segment_shift,
            roots: index::roots_for(chunks * CHUNK_BYTES as u64),
            ghost_bytes: (chunks * CHUNK_BYTES as u64 / GHOST_SHARE) as usize,
            front_segments: 0,
            page_segments: 0,
            target,
            present: target,
            goal: target,
            ceiling_chunks: (ceiling_bytes / CHUNK_BYTES as u64) as usize,
        };
        geometry.front_segments = geometry.front_bytes().div_ceil(geometry.segment_bytes()) as SegmentId;
        Ok(geometry)
    }

    /// Bytes of the roots of the index, which a line of the ghost follows.
    pub(super) const fn roots_bytes(&self) -> usize {
        (self.roots as usize * index::ROOT_BYTES).next_multiple_of(LINE_WORDS * WORD_BYTES)
    }

    /// Bytes of the arena's front: roots and ghost.
    pub(super) const fn front_bytes(&self) -> usize {
        self.roots_bytes() + self.ghost_bytes
    }

    /// Segments that the pages of an index without items take, and one that is being emptied.
    const fn page_segments_min(&self) -> SegmentId {
        (self.roots as usize * index::PAGE_BYTES_MIN).div_ceil(self.segment_bytes()) as SegmentId + 1
    }

    /// Where `goal` would be for a new limit.
    pub(super) fn goal_of(&self, limit_bytes: u64) -> Result<SegmentId, CacheError> {
        let chunk = CHUNK_BYTES as u64;
        let least = self.front_segments + self.page_segments_min() + DATA_SEGMENTS_MIN;
        let minimum_bytes = self.bytes_of(least).next_multiple_of(chunk);
        if limit_bytes < minimum_bytes {
            return Err(CacheError::LimitTooSmall { limit_bytes, minimum_bytes });
        }
        let ceiling_bytes = self.ceiling_bytes() as u64;
        if limit_bytes > ceiling_bytes {
            return Err(CacheError::LimitAboveCeiling { limit_bytes, ceiling_bytes });
        }
        Ok(Self::segments_in(limit_bytes / chunk, self.segment_shift))
    }

    const fn segments_in(chunks: u64, segment_shift: u32) -> SegmentId {
        ((chunks * CHUNK_BYTES as u64) >> segment_shift) as SegmentId
    }

    pub(super) const fn ceiling_bytes(&self) -> usize {
        self.ceiling_chunks * CHUNK_BYTES
    }

    pub(super) const fn segments_max(&self) -> usize {
        self.ceiling_bytes() >> self.segment_shift
    }

    pub(super) const fn segment_bytes(&self) -> usize {
        1 << self.segment_shift
    }

    pub(super) const fn segments_per_chunk(&self) -> SegmentId {
        (CHUNK_BYTES >> self.segment_shift) as SegmentId
    }

    pub(super) const fn bytes_of(&self, segments: SegmentId) -> u64 {
        (segments as u64) << self.segment_shift
    }

    pub(super) const fn data_segments(&self) -> u32 {
        // While a shrink is being carried out, segments above the target may have pages.
        self.target.saturating_sub(self.front_segments + self.page_segments)
    }

    /// Largest record that is stored in one piece.
    pub(super) const fn inline_bytes_max(&self) -> usize {
        self.segment_bytes() / INLINE_SHARE
    }

    /// Bytes of a value that one extent in an empty segment holds.
    pub(super) const fn extent_payload(&self) -> usize {
        self.segment_bytes() - EXTENT_HEADER_BYTES
    }

    /// Free segments that reclaiming keeps ahead of need: 1/128 of the shard, 3 to 8. New items may need one while those
    /// that are kept need another.
    pub(super) fn reserve(&self) -> u32 {
        (self.data_segments() / 128).clamp(3, 8)
    }

    /// Free segments below which those that are sparse are compacted, so that what is dead goes before what lives.
    pub(super) fn roomy(&self) -> u32 {
        (self.data_segments() / 16).max(2 * self.reserve())
    }

    /// Segments that may be pinned at once, at least one.
    pub(super) fn pinned_max(&self) -> u32 {
        (self.data_segments() * PINNED_PERCENT / 100).max(1)
    }

    pub(super) fn value_bytes_max(&self) -> usize {
        // A quarter stays for the open segment, the one being reclaimed, and those pinned.
        let whole = self.target.min(self.goal);
        let segments = (whole - whole / INDEX_SHARE - self.front_segments) as usize * 3 / 4;
        // One segment is left for the head, and for what the open segment has no room for.
        (segments.saturating_sub(2) * self.extent_payload()).min(VALUE_BYTES_MAX)
    }
}
