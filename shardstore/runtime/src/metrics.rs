//! The metrics of a shard's cache, the same at an edge and at a node.
//!
//! **Not** counted here: a core copies what its cache has counted, a few times in a second.
//!
//! **Invariants**: one writer, the core that owns the cache; a reader may see numbers of two publications side by side.
//!
//! **Source**: [`CacheStats`]; docs/metrics.md.

use control::metrics::reference::ReferenceTable;
use control::metrics::{Counter, Gauge};
use shardstore::cache::CacheStats;

control::metrics! {
    /// What the cache of a core's shard holds and has done.
    pub struct CacheMetrics from CacheStats {
        /// Items, including expired ones that have not been removed yet.
        items: Gauge = "corelane_cache_items" => |stats| stats.items,
        /// The memory limit, index and data together.
        limit_bytes: Gauge = "corelane_cache_limit_bytes" => |stats| stats.bytes_limit,
        /// Memory that may be in use: the limit, or what is left of a larger one while shrinking.
        committed_bytes: Gauge = "corelane_cache_committed_bytes" => |stats| stats.bytes_committed,
        /// The index and the ghost, in whole segments.
        index_bytes: Gauge = "corelane_cache_index_bytes" => |stats| stats.bytes_index,
        /// Of the index: pages in use. They have a slot for every 8 bytes, so `8 * corelane_cache_items` over this is how
        /// full they are; usually 0.85 to 0.95.
        pages_bytes: Gauge = "corelane_cache_pages_bytes" => |stats| stats.bytes_pages,
        /// Living items, with headers and padding.
        live_bytes: Gauge = "corelane_cache_live_bytes" => |stats| stats.bytes_live,
        /// Free segments.
        free_bytes: Gauge = "corelane_cache_free_bytes" => |stats| stats.bytes_free,
        /// Sealed segments of the small queue, where new items wait to be read.
        small_bytes: Gauge = "corelane_cache_small_bytes" => |stats| stats.bytes_small,
        /// Sealed segments of the main queue.
        main_bytes: Gauge = "corelane_cache_main_bytes" => |stats| stats.bytes_main,
        /// Segments with a value that is being sent in place.
        pinned_bytes: Gauge = "corelane_cache_pinned_bytes" => |stats| stats.bytes_pinned,
        /// Of these: segments without any other living item.
        held_bytes: Gauge = "corelane_cache_held_bytes" => |stats| stats.bytes_held,
        /// Segments that large values are being copied into; nobody sees those values yet.
        filling_bytes: Gauge = "corelane_cache_filling_bytes" => |stats| stats.bytes_filling,
        /// Segments with items, by the items' time to live in seconds: at most the label, and more than the label before it.
        /// `longer` is beyond 97 days; `large` is for large values of any time to live.
        ttl_bytes: [Gauge; CacheStats::GROUPS.len()] = "corelane_cache_ttl_bytes" by "ttl" in CacheStats::GROUPS
            => |stats| stats.bytes_by_group,
        /// Age of the small queue's oldest segment: about the age at which items that are not read are evicted.
        oldest_small_seconds: Gauge = "corelane_cache_oldest_small_seconds" => |stats| stats.oldest_small_ms / 1000,
        /// Time since the main queue's oldest segment entered the queue.
        oldest_main_seconds: Gauge = "corelane_cache_oldest_main_seconds" => |stats| stats.oldest_main_ms / 1000,
        /// Lookups that found a living item.
        hits: Counter = "corelane_cache_hits_total" => |stats| stats.hits,
        /// Lookups that did not. At an edge with nodes, a miss leads to a fill.
        misses: Counter = "corelane_cache_misses_total" => |stats| stats.misses,
        /// Items stored.
        inserts: Counter = "corelane_cache_inserts_total" => |stats| stats.inserts,
        /// Items replaced because their key was stored again.
        replaced: Counter = "corelane_cache_replaced_total" => |stats| stats.replaced,
        /// Items that were deleted.
        removed: Counter = "corelane_cache_removed_total" => |stats| stats.removed,
        /// Items dropped because a change of the topology gave their slot to another node. None at an edge.
        disowned: Counter = "corelane_cache_disowned_total" => |stats| stats.disowned,
        /// Items removed because they had expired; at an edge with nodes, also copies older than `edge_ttl`.
        expired: Counter = "corelane_cache_expired_total" => |stats| stats.expired,
        /// Items evicted because their segment was needed.
        evicted_for_room: Counter = "corelane_cache_evicted_for_room_total" => |stats| stats.evicted_for_room,
        /// Items evicted because their buckets in the index were full and the page could not grow.
        evicted_for_slot: Counter = "corelane_cache_evicted_for_slot_total" => |stats| stats.evicted_for_slot,
        /// Items that were read twice in the small queue, and kept for the main one.
        promoted: Counter = "corelane_cache_promoted_total" => |stats| stats.promoted_items,
        /// Items stored that had been evicted from the small queue shortly before; they go to the main one.
        ghost_hits: Counter = "corelane_cache_ghost_hits_total" => |stats| stats.ghost_hits,
        /// Hits by other cores that this shard took into account for eviction; some are dropped on the way.
        noted_hits: Counter = "corelane_cache_noted_hits_total" => |stats| stats.noted_hits,
        /// Items copied within the shard to keep them while their segment was reclaimed.
        moved: Counter = "corelane_cache_moved_total" => |stats| stats.moved_items,
        /// Bytes of the items copied within the shard.
        moved_bytes: Counter = "corelane_cache_moved_bytes_total" => |stats| stats.moved_bytes,
        /// Bytes of large values copied slice by slice, including those of writes that were not applied.
        staged_bytes: Counter = "corelane_cache_staged_bytes_total" => |stats| stats.staged_bytes,
        /// Index pages replaced by larger ones.
        pages_grown: Counter = "corelane_cache_pages_grown_total" => |stats| stats.pages_grown,
        /// Index pages replaced by smaller ones.
        pages_shrunk: Counter = "corelane_cache_pages_shrunk_total" => |stats| stats.pages_shrunk,
        /// Index pages copied out of segments with much dead space.
        pages_moved: Counter = "corelane_cache_pages_moved_total" => |stats| stats.pages_moved,
        /// Segments reclaimed.
        segments_reclaimed: Counter = "corelane_cache_segments_reclaimed_total" => |stats| stats.segments_reclaimed,
        /// Inserts that found no free segment and had to reclaim one themselves.
        stalls: Counter = "corelane_cache_stalls_total" => |stats| stats.stalls,
        /// Work of reclaiming: an item visited, or about as much work, counts 1.
        work_units: Counter = "corelane_cache_work_units_total" => |stats| stats.work_units,
        /// Pins refused because 5 % of the shard was pinned already; those values were copied.
        pins_refused: Counter = "corelane_cache_pins_refused_total" => |stats| stats.pins_refused,
    }
}

/// What the cache of a core counts, as docs/metrics.md lists it.
#[must_use]
pub fn metric_tables() -> Vec<ReferenceTable> {
    vec![ReferenceTable::of::<CacheMetrics>("cache", true)]
}

#[cfg(test)]
mod tests {
    use control::metrics::MetricGroup;
    use control::metrics::audit::{self, CopyChecks};
    use control::metrics::reference::{assert_same, refreshed};

    use super::*;

    #[test]
    fn every_number_of_a_cache_has_its_own_sample() {
        let sources: CopyChecks<CacheStats> = &[
            (|s| s.items = 7, "corelane_cache_items"),
            (|s| s.bytes_limit = 7, "corelane_cache_limit_bytes"),
            (|s| s.bytes_committed = 7, "corelane_cache_committed_bytes"),
            (|s| s.bytes_index = 7, "corelane_cache_index_bytes"),
            (|s| s.bytes_pages = 7, "corelane_cache_pages_bytes"),
            (|s| s.bytes_live = 7, "corelane_cache_live_bytes"),
            (|s| s.bytes_free = 7, "corelane_cache_free_bytes"),
            (|s| s.bytes_small = 7, "corelane_cache_small_bytes"),
            (|s| s.bytes_main = 7, "corelane_cache_main_bytes"),
            (|s| s.bytes_pinned = 7, "corelane_cache_pinned_bytes"),
            (|s| s.bytes_held = 7, "corelane_cache_held_bytes"),
            (|s| s.bytes_filling = 7, "corelane_cache_filling_bytes"),
            (|s| s.bytes_by_group[3] = 7, "corelane_cache_ttl_bytes{ttl=\"4\"}"),
            (|s| s.oldest_small_ms = 7000, "corelane_cache_oldest_small_seconds"),
            (|s| s.oldest_main_ms = 7000, "corelane_cache_oldest_main_seconds"),
            (|s| s.hits = 7, "corelane_cache_hits_total"),
            (|s| s.misses = 7, "corelane_cache_misses_total"),
            (|s| s.inserts = 7, "corelane_cache_inserts_total"),
            (|s| s.replaced = 7, "corelane_cache_replaced_total"),
            (|s| s.removed = 7, "corelane_cache_removed_total"),
            (|s| s.disowned = 7, "corelane_cache_disowned_total"),
            (|s| s.expired = 7, "corelane_cache_expired_total"),
            (|s| s.evicted_for_room = 7, "corelane_cache_evicted_for_room_total"),
            (|s| s.evicted_for_slot = 7, "corelane_cache_evicted_for_slot_total"),
            (|s| s.promoted_items = 7, "corelane_cache_promoted_total"),
            (|s| s.ghost_hits = 7, "corelane_cache_ghost_hits_total"),
            (|s| s.noted_hits = 7, "corelane_cache_noted_hits_total"),
            (|s| s.moved_items = 7, "corelane_cache_moved_total"),
            (|s| s.moved_bytes = 7, "corelane_cache_moved_bytes_total"),
            (|s| s.staged_bytes = 7, "corelane_cache_staged_bytes_total"),
            (|s| s.pages_grown = 7, "corelane_cache_pages_grown_total"),
            (|s| s.pages_shrunk = 7, "corelane_cache_pages_shrunk_total"),
            (|s| s.pages_moved = 7, "corelane_cache_pages_moved_total"),
            (|s| s.segments_reclaimed = 7, "corelane_cache_segments_reclaimed_total"),
            (|s| s.stalls = 7, "corelane_cache_stalls_total"),
            (|s| s.work_units = 7, "corelane_cache_work_units_total"),
            (|s| s.pins_refused = 7, "corelane_cache_pins_refused_total"),
        ];
        audit::assert_copied(sources, CacheMetrics::publish);
        let numbers = size_of::<CacheStats>() / size_of::<u64>();
        let listed = CacheMetrics::families().len() - 1 + CacheStats::GROUPS.len();
        assert_eq!(numbers, listed, "a number of the cache has no metric");
    }

    #[test]
    fn the_reference_is_up_to_date() {
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
        let found = std::fs::read_to_string(document).unwrap();
        let expected = refreshed(&found, &metric_tables()).expect("docs/metrics.md has all markers");
        assert_same(document, &found, &expected);
    }
}
