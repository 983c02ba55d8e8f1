//! A cache's numbers where other threads can read them.
//!
//! **Not**: names of metrics; those are the processes' own.
//!
//! **Invariants**: one writer, the core that owns the cache; a reader may see numbers of two publications side by side.

use control::metrics::Gauge;
use shardstore::cache::CacheStats;

macro_rules! gauges {
    ($($name:ident,)*) => {
        /// A copy of [`CacheStats`], refreshed every so often.
        #[derive(Debug, Default)]
        pub struct CacheGauges {
            $($name: Gauge,)*
            bytes_by_group: [Gauge; CacheStats::GROUPS.len()],
        }

        impl CacheGauges {
            /// Copies the numbers of the cache in; by its owner core.
            pub fn publish(&self, stats: &CacheStats) {
                $(self.$name.set(stats.$name);)*
                self.bytes_by_group.iter().zip(stats.bytes_by_group).for_each(|(gauge, bytes)| gauge.set(bytes));
            }

            /// The numbers as they were last published.
            #[must_use]
            pub fn stats(&self) -> CacheStats {
                // Without `..`: a number of the cache that is not listed does not compile.
                CacheStats {
                    $($name: self.$name.value(),)*
                    bytes_by_group: std::array::from_fn(|index| self.bytes_by_group[index].value()),
                }
            }
        }
    };
}

gauges! {
    items,
    bytes_limit,
    bytes_committed,
    bytes_index,
    bytes_pages,
    bytes_live,
    bytes_free,
    bytes_pinned,
    bytes_held,
    hits,
    misses,
    inserts,
    replaced,
    removed,
    expired,
    evicted_for_room,
    evicted_for_slot,
    moved_items,
    moved_bytes,
    promoted_items,
    ghost_hits,
    noted_hits,
    bytes_small,
    bytes_main,
    oldest_small_ms,
    oldest_main_ms,
    segments_reclaimed,
    stalls,
    pins_refused,
    pages_grown,
    pages_shrunk,
    pages_moved,
    work_units,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_what_is_read() {
        let mut stats =
            CacheStats { items: 1, hits: 2, misses: 3, evicted_for_slot: 4, work_units: 5, ..Default::default() };
        for (index, bytes) in stats.bytes_by_group.iter_mut().enumerate() {
            *bytes = 100 + index as u64;
        }
        let gauges = CacheGauges::default();
        gauges.publish(&stats);
        assert_eq!(gauges.stats(), stats);
        let later = CacheStats { hits: 7, ..CacheStats::default() };
        gauges.publish(&later);
        assert_eq!(gauges.stats(), later, "nothing of the earlier numbers is left");
    }
}
