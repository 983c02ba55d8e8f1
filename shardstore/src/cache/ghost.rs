//! The ghost: fingerprints of items that were evicted before they were read often, so that those that come back soon go
//! straight to the main queue.
//!
//! ```text
//!  bucket = one cache line of 32 fingerprints of 16 bits, newest first
//!  ├ fp ┼ fp ┼ fp ┼ … 32 ┤     remember: shift all by one, the oldest falls out      0 = none
//!   ◀── depth looked at ──▶     depth = nine tenths of the items the cache holds, over the buckets in use
//! ```
//!
//! The order of eviction is kept within a bucket, not over all; keys spread evenly, so that a bucket's depth stands for the
//! length of the queue. For that it must not be small: a cache of few, large items uses a part of the buckets, a power of
//! two. When items become so many or so few that another part is used, the ghost begins anew.
//! Two bytes an entry, in the arena behind the roots of the index, inside the shard's memory limit.
//!
//! **Not** exact: one key in two thousand is taken for one that it is not, and goes to the main queue a turn early.
//!
//! **Invariants**: what is found is forgotten; what was evicted longer ago than the depth says is not found.
//!
//! **Source**: Yang, Zhang, Qiu, Yue, Rashmi, "FIFO queues are all you need for cache eviction", SOSP 2023 (the ghost queue
//! of S3-FIFO, as long as the main queue).

use super::arena::{Arena, LINE_WORDS, WORD_BYTES};

const BUCKET_BYTES: usize = LINE_WORDS * WORD_BYTES;
const LANE_BITS: u32 = 16;
const LANES_PER_WORD: usize = (u64::BITS / LANE_BITS) as usize;
/// Fingerprints of a bucket.
const LANES: u64 = (LINE_WORDS * LANES_PER_WORD) as u64;
/// Fewest fingerprints that a bucket is looked at for, where there is more than one bucket: with these its depth is within a
/// third of the queue's length, mostly.
const DEPTH_MIN: u64 = 12;
/// Length of the ghost to the items of the cache, in tenths.
const LENGTH_TENTHS: u64 = 9;

const _: () = assert!(LANES == 32, "the bucket of the drawing");

/// The ghost's shape; its content lies in the arena from `start` on.
#[derive(Debug)]
pub(super) struct Ghost {
    start: usize,
    buckets: u64,
}

impl Ghost {
    /// A ghost over `bytes` bytes of the arena from `start` on, which read as zeros.
    pub(super) const fn new(start: usize, bytes: usize) -> Self {
        assert!(start.is_multiple_of(BUCKET_BYTES) && bytes >= BUCKET_BYTES, "buckets are whole lines");
        Self { start, buckets: (bytes / BUCKET_BYTES) as u64 }
    }

    /// Remembers the index hash of an item that a cache of `items` items evicts.
    pub(super) fn remember(&self, arena: &mut Arena, hash: u64, items: u64) {
        let at = self.at(hash, self.active(items));
        let mut carry = fingerprint(hash);
        for (n, word) in arena.line(at).into_iter().enumerate() {
            arena.store(at + n * WORD_BYTES, word << LANE_BITS | carry);
            carry = word >> (u64::BITS - LANE_BITS);
        }
    }

    /// Whether a hash is remembered by a cache of `items` items; forgets it.
    pub(super) fn take(&self, arena: &mut Arena, hash: u64, items: u64) -> bool {
        let active = self.active(items);
        let (at, wanted) = (self.at(hash, active), fingerprint(hash));
        let line = arena.line(at);
        let depth = length(items).div_ceil(active).min(LANES) as usize;
        for lane in 0..depth {
            let (n, shift) = (lane / LANES_PER_WORD, (lane % LANES_PER_WORD) as u32 * LANE_BITS);
            if line[n] >> shift & LANE_MASK == wanted {
                arena.store(at + n * WORD_BYTES, line[n] & !(LANE_MASK << shift));
                return true;
            }
        }
        false
    }

    /// Buckets in use.
    fn active(&self, items: u64) -> u64 {
        let deep_enough = (length(items) / DEPTH_MIN).max(1);
        if deep_enough >= self.buckets { self.buckets } else { 1 << deep_enough.ilog2() }
    }

    const fn at(&self, hash: u64, active: u64) -> usize {
        self.start + (((hash >> 32) * active) >> 32) as usize * BUCKET_BYTES
    }
}

/// How many evictions a cache of so many items looks back.
const fn length(items: u64) -> u64 {
    items * LENGTH_TENTHS / 10
}

const LANE_MASK: u64 = (1 << LANE_BITS) - 1;

/// 16 bits of an index hash that do not choose the bucket, and of which only four are the index's tag's; never 0.
const fn fingerprint(hash: u64) -> u64 {
    let bits = hash >> LANE_BITS & LANE_MASK;
    if bits == 0 { 1 } else { bits }
}

#[cfg(test)]
mod tests {
    use super::super::arena::CHUNK_BYTES;
    use super::*;
    use crate::key::KeyHasher;

    const BUCKETS: u64 = 64;

    fn ghost() -> (Arena, Ghost, impl Fn(u64) -> u64) {
        let mut arena = Arena::reserve(CHUNK_BYTES, 16).unwrap();
        arena.commit(1);
        let hasher = KeyHasher::new(5);
        let start = BUCKET_BYTES * 3;
        let hash = move |id: u64| hasher.hash(&id.to_le_bytes()).index();
        (arena, Ghost::new(start, BUCKETS as usize * BUCKET_BYTES), hash)
    }

    #[test]
    fn the_last_evicted_are_known_once_and_the_others_are_not() {
        let (mut arena, ghost, hash) = ghost();
        // A depth of 15: a bucket that has got that many of the last 640 would be far from the usual 10.
        let items = 15 * BUCKETS * 10 / LENGTH_TENTHS;
        (0..10_000).for_each(|id| ghost.remember(&mut arena, hash(id), items));
        let strangers = (20_000..30_000).filter(|&id| ghost.take(&mut arena, hash(id), items)).count();
        assert!(strangers < 20, "{strangers} of 10,000 that were never evicted");
        let known = (9_360..10_000).filter(|&id| ghost.take(&mut arena, hash(id), items)).count();
        assert!(known > 580, "{known} of the last 640");
        let again = (9_360..10_000).filter(|&id| ghost.take(&mut arena, hash(id), items)).count();
        assert!(again < 5, "{again} are known twice");
        let old = (0..7_000).filter(|&id| ghost.take(&mut arena, hash(id), items)).count();
        assert!(old < 20, "{old} were evicted long ago");
    }

    /// However many items the cache has, it looks back about nine tenths of as many evictions.
    #[test]
    fn a_ghost_is_as_long_as_the_cache_is_large() {
        for items in [40, 100, 300, 1_000, 2_200] {
            let (mut arena, ghost, hash) = ghost();
            (0..10_000).for_each(|id| ghost.remember(&mut arena, hash(id), items));
            let known = (0..10_000).filter(|&id| ghost.take(&mut arena, hash(id), items)).count() as u64;
            assert!((items * 7 / 10..=items).contains(&known), "{known} of {items}");
            let recent = 10_000 - items / 2..10_000;
            (recent.clone()).for_each(|id| ghost.remember(&mut arena, hash(id), items));
            let known = recent.filter(|&id| ghost.take(&mut arena, hash(id), items)).count() as u64;
            assert!(known >= items * 4 / 10, "{known} of the last {}", items / 2);
        }
        let (mut arena, ghost, hash) = ghost();
        ghost.remember(&mut arena, hash(1), 0);
        assert!(!ghost.take(&mut arena, hash(1), 0), "an empty cache has no past");
    }
}
