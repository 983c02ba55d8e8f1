//! What operators are told of all cores in one number.
//!
//! **Invariants**: reads counters only.

use control::activity::Totals;
use control::memory::CONNECTION_BYTES;
use control::metrics::Counter;

use crate::metrics::NodeMetrics;

impl NodeMetrics {
    /// Sums over the cores. A request that was BUSY or not served is an error; a hit is a lookup that found its key.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for core in &*self.cores {
            totals.requests += core.requests.iter().map(Counter::value).sum::<u64>();
            totals.errors += core.over_credit.value() + core.hop_refused.value() + core.deadline_missed.value();
            totals.hits += core.cache.hits.value();
            totals.reads += core.cache.hits.value() + core.cache.misses.value();
            totals.connections += core.connections.value();
            totals.items += core.cache.items.value();
            totals.memory_limit_bytes += core.cache.limit_bytes.value();
            totals.memory_used_bytes += core.cache.limit_bytes.value().saturating_sub(core.cache.free_bytes.value());
        }
        totals
    }

    /// What clients make the process hold, in bytes.
    pub(super) fn held_bytes(&self) -> u64 {
        self.sum(|core| {
            let connections = core.connections.value() * CONNECTION_BYTES;
            let values = core.copied_bytes.value() + core.assembling_bytes.value();
            values + core.reactor.queued_bytes.value() + connections
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two cores, of which the second has twice of everything.
    fn metrics() -> NodeMetrics {
        let metrics = NodeMetrics::new(2);
        for (core, times) in metrics.cores.iter().zip([1, 2]) {
            core.requests[0].add(times);
            core.requests[3].add(10 * times);
            core.over_credit.add(100 * times);
            core.hop_refused.add(1_000 * times);
            core.deadline_missed.add(10_000 * times);
            core.cache.hits.set(7 * times);
            core.cache.misses.set(70 * times);
            core.cache.items.set(5 * times);
            core.cache.limit_bytes.set(1_000 * times);
            core.cache.free_bytes.set(400 * times);
            core.connections.set(3 * times);
            core.copied_bytes.set(10 * times);
            core.assembling_bytes.set(100 * times);
            core.reactor.queued_bytes.set(1_000 * times);
        }
        metrics
    }

    #[test]
    fn every_core_counts_in_every_sum() {
        let metrics = metrics();
        let totals = metrics.totals();
        assert_eq!((totals.requests, totals.errors), (33, 33_300));
        assert_eq!((totals.hits, totals.reads), (21, 231));
        assert_eq!((totals.connections, totals.items), (9, 15));
        assert_eq!((totals.memory_limit_bytes, totals.memory_used_bytes), (3_000, 1_800));
        assert_eq!(metrics.held_bytes(), 3_330 + 9 * CONNECTION_BYTES);
        // Memory that is free beyond the limit, as while that shrinks, is not used.
        metrics.cores[0].cache.free_bytes.set(2_000);
        assert_eq!(metrics.totals().memory_used_bytes, 1_200);
    }
}
