//! Counters and gauges of one cache.
//!
//! **Not**: rendering, names of metrics.
//!
//! **Invariants**: `items` = inserts - (replaced + removed + disowned + expired + evicted for room + evicted for a slot).
//!
//! **Source**: docs/metrics.md for what becomes of them.

use super::segments::Queue;
use super::ttl::TtlGroup;
use super::{Cache, Reason};

/// What the cache counts as it works.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) inserts: u64,
    replaced: u64,
    removed: u64,
    pub(super) disowned: u64,
    expired: u64,
    evicted_for_room: u64,
    evicted_for_slot: u64,
    pub(super) moved_items: u64,
    pub(super) moved_bytes: u64,
    pub(super) promoted_items: u64,
    pub(super) ghost_hits: u64,
    pub(super) noted_hits: u64,
    pub(super) segments_reclaimed: u64,
    pub(super) stalls: u64,
    pub(super) work_units: u64,
    pub(super) bytes_live: u64,
    pub(super) staged_bytes: u64,
    pub(super) pages_grown: u64,
    pub(super) pages_shrunk: u64,
    pub(super) pages_moved: u64,
}

impl Counters {
    pub(super) const fn count(&mut self, reason: Reason) {
        match reason {
            Reason::Replaced => self.replaced += 1,
            Reason::Removed => self.removed += 1,
            Reason::Disowned => self.disowned += 1,
            Reason::Expired => self.expired += 1,
            Reason::EvictedForRoom => self.evicted_for_room += 1,
            Reason::EvictedForSlot => self.evicted_for_slot += 1,
        }
    }

    /// How many items were removed or moved so far: while it stays, every item is where it was.
    pub(super) const fn changes(&self) -> u64 {
        let gone = self.replaced + self.removed + self.disowned + self.expired;
        gone + self.evicted_for_room + self.evicted_for_slot + self.moved_items
    }
}

/// The state of a cache at one moment: gauges, then counters since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Items in the index; expired ones that nothing has touched yet included.
    pub items: u64,
    /// The limit in force, index and data together.
    pub bytes_limit: u64,
    /// Memory that may be in use: the limit, or what is left of a larger one while shrinking.
    pub bytes_committed: u64,
    /// Memory of the index and the ghost, in whole segments.
    pub bytes_index: u64,
    /// Of the index: pages in use. They have a slot for every 8 bytes, of which [`CacheStats::items`] are in use.
    pub bytes_pages: u64,
    /// Records of living items, with headers and padding.
    pub bytes_live: u64,
    /// Segments that are free.
    pub bytes_free: u64,
    /// Segments with at least one pinned value.
    pub bytes_pinned: u64,
    /// Segments whose items are gone and that wait for their pins.
    pub bytes_held: u64,
    /// Segments that large values are being copied into, slice by slice.
    pub bytes_filling: u64,
    /// Lookups that found a living item.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Items stored.
    pub inserts: u64,
    /// Items that left because their key was stored again.
    pub replaced: u64,
    /// Items that left by [`Cache::remove`].
    pub removed: u64,
    /// Items that left because their slot went to another node: [`Cache::remove_from_page`].
    pub disowned: u64,
    /// Items that left because their time had passed.
    pub expired: u64,
    /// Items that left because their segment was needed.
    pub evicted_for_room: u64,
    /// Items that left because both of their buckets were full, and their page could not grow.
    pub evicted_for_slot: u64,
    /// Items moved: promoted, kept in the main queue, or out of sparse segments.
    pub moved_items: u64,
    /// Bytes of them.
    pub moved_bytes: u64,
    /// Items that came from the small queue into the main one.
    pub promoted_items: u64,
    /// Items stored that had been evicted from the small queue shortly before.
    pub ghost_hits: u64,
    /// Uses that readers of other threads have noted, and that were taken into account.
    pub noted_hits: u64,
    /// Sealed segments of the small queue.
    pub bytes_small: u64,
    /// Sealed segments of the main queue.
    pub bytes_main: u64,
    /// Segments that hold items, by the times to live they were opened for; see [`CacheStats::GROUPS`].
    pub bytes_by_group: [u64; Self::GROUPS.len()],
    /// How long ago the first segment of the small queue was opened, in milliseconds: about the age at which items that nobody reads
    /// leave. 0 for an empty queue.
    pub oldest_small_ms: u64,
    /// How long ago the first segment of the main queue came into it.
    pub oldest_main_ms: u64,
    /// Segments drained.
    pub segments_reclaimed: u64,
    /// Inserts of small items that found no free segment and had to reclaim a whole one.
    pub stalls: u64,
    /// Pins refused because 5 % of the shard was pinned.
    pub pins_refused: u64,
    /// Bytes of values copied slice by slice, also of those that were not stored in the end.
    pub staged_bytes: u64,
    /// Pages of the index laid out anew, with more buckets.
    pub pages_grown: u64,
    /// Pages of the index laid out anew, with fewer buckets.
    pub pages_shrunk: u64,
    /// Pages of the index moved out of segments with much dead space.
    pub pages_moved: u64,
    /// Work of reclaiming, see [`Cache::maintain`].
    pub work_units: u64,
}

impl CacheStats {
    /// Groups of items whose segments are counted apart: by time to live, each named by its longest in seconds ("longer": than 97 days;
    /// "never": that they end), and "large" values, whatever theirs.
    pub const GROUPS: [&str; TtlGroup::COUNT] = TtlGroup::NAMES;

    pub(super) fn of(cache: &Cache) -> Self {
        let Counters { hits, misses, inserts, replaced, removed, disowned, expired, .. } = cache.counters;
        let Counters { evicted_for_room, evicted_for_slot, moved_items, moved_bytes, .. } = cache.counters;
        let Counters {
            segments_reclaimed, stalls, work_units, bytes_live, promoted_items, ghost_hits, noted_hits, ..
        } = cache.counters;
        let Counters { pages_grown, pages_shrunk, pages_moved, staged_bytes, .. } = cache.counters;
        let bytes_of = |segments| cache.geometry.bytes_of(segments);
        Self {
            items: cache.index.items(),
            bytes_limit: bytes_of(cache.geometry.target),
            bytes_committed: bytes_of(cache.geometry.present),
            bytes_index: bytes_of(cache.geometry.front_segments + cache.geometry.page_segments),
            bytes_pages: cache.index.space().live_bytes(),
            bytes_live,
            bytes_free: bytes_of(cache.segments.free()),
            bytes_pinned: bytes_of(cache.arena.held_segments()),
            bytes_held: bytes_of(cache.segments.held()),
            bytes_filling: bytes_of(cache.segments.filling()),
            hits,
            misses,
            inserts,
            replaced,
            removed,
            disowned,
            expired,
            evicted_for_room,
            evicted_for_slot,
            moved_items,
            moved_bytes,
            promoted_items,
            ghost_hits,
            noted_hits,
            bytes_small: bytes_of(cache.segments.sealed(Queue::Small)),
            bytes_main: bytes_of(cache.segments.sealed(Queue::Main)),
            bytes_by_group: cache.segments.groups().map(bytes_of),
            oldest_small_ms: oldest_ms(cache, Queue::Small),
            oldest_main_ms: oldest_ms(cache, Queue::Main),
            segments_reclaimed,
            stalls,
            pins_refused: cache.arena.refused(),
            staged_bytes,
            pages_grown,
            pages_shrunk,
            pages_moved,
            work_units,
        }
    }
}

/// How long ago the first segment of a queue was marked.
fn oldest_ms(cache: &Cache, queue: Queue) -> u64 {
    let Some(id) = cache.segments.oldest_sealed(queue) else { return 0 };
    cache.latest_ms.saturating_sub(cache.opened_ms(id))
}
