//! The numbers of a node as text for `/metrics` and as values for STATS.
//!
//! **Not**: counting. **Invariants**: both views are made from the same table where they overlap, so that they agree.
//!
//! **Source**: docs/metrics.md; docs/wire.md, "STATS".

use control::metrics::{Family, Text};
use shardstore::cache::CacheStats;
use shardstore::wire::stats::{Stat, StatKind, Stats};
use shardstore::wire::{Opcode, Status};

use super::{CoreMetrics, EVENTS, NodeMetrics};

const REQUESTS: Family = Family::counter("corelane_node_requests_total", "Requests received, by operation.");
const ANSWERS: Family = Family::counter("corelane_node_answers_total", "Answers given, by status.");
const FAULTS: Family = Family::counter(
    "corelane_node_faults_total",
    "Frames and HELLOs that were refused, by reason; most of them end their connection.",
);
const HAPPENED: Family =
    Family::counter("corelane_node_events_total", "What happened to connections and requests beside answers.");

const TTL_BYTES: Family = Family::gauge(
    "corelane_cache_ttl_bytes",
    "Memory by the times to live, in seconds, of the items that segments were opened for.",
);

/// A number of each core.
struct PerCore {
    name: &'static str,
    family: Family,
    kind: StatKind,
    read: fn(&CoreMetrics) -> u64,
}

const fn counter(name: &'static str, help: &'static str, read: fn(&CoreMetrics) -> u64) -> PerCore {
    PerCore { name, family: Family::counter(name, help), kind: StatKind::Counter, read }
}

const fn gauge(name: &'static str, help: &'static str, read: fn(&CoreMetrics) -> u64) -> PerCore {
    PerCore { name, family: Family::gauge(name, help), kind: StatKind::Gauge, read }
}

/// All of them; STATS gives their sums over the cores.
const PER_CORE: &[PerCore] = &[
    gauge("corelane_node_connections", "Open connections.", |core| core.connections.value()),
    gauge("corelane_node_hops_waiting", "Requests that wait for another core.", |core| core.hops_waiting.value()),
    gauge("corelane_node_copied_bytes", "Copies of large values being sent.", |core| core.copied_bytes.value()),
    gauge("corelane_node_assembling_bytes", "Claimed by values that arrive in chunks.", |core| {
        core.assembling_bytes.value()
    }),
    counter("corelane_node_received_bytes_total", "Bytes received.", |core| core.received_bytes.value()),
    counter("corelane_node_sent_bytes_total", "Bytes sent.", |core| core.sent_bytes.value()),
    gauge("corelane_cache_items", "Items in the cache.", |core| core.cache.stats().items),
    gauge("corelane_cache_limit_bytes", "Memory limit.", |core| core.cache.stats().bytes_limit),
    gauge("corelane_cache_live_bytes", "Memory of living items.", |core| core.cache.stats().bytes_live),
    gauge("corelane_cache_free_bytes", "Memory that is free.", |core| core.cache.stats().bytes_free),
    gauge("corelane_cache_index_bytes", "Memory of the index.", |core| core.cache.stats().bytes_index),
    gauge("corelane_cache_pages_bytes", "Of the index: pages in use.", |core| core.cache.stats().bytes_pages),
    gauge("corelane_cache_pinned_bytes", "Memory pinned by values being sent.", |core| core.cache.stats().bytes_pinned),
    counter("corelane_cache_hits_total", "Lookups that found the key.", |core| core.cache.stats().hits),
    counter("corelane_cache_misses_total", "Lookups that did not.", |core| core.cache.stats().misses),
    counter("corelane_cache_inserts_total", "Items stored.", |core| core.cache.stats().inserts),
    counter("corelane_cache_expired_total", "Items whose time was over.", |core| core.cache.stats().expired),
    counter("corelane_cache_evicted_total", "Items evicted for room.", |core| {
        core.cache.stats().evicted_for_room + core.cache.stats().evicted_for_slot
    }),
    gauge("corelane_cache_small_bytes", "Memory of the small queue.", |core| core.cache.stats().bytes_small),
    gauge("corelane_cache_main_bytes", "Memory of the main queue.", |core| core.cache.stats().bytes_main),
    counter("corelane_cache_promoted_total", "Items kept for the main queue.", |core| {
        core.cache.stats().promoted_items
    }),
    counter("corelane_cache_ghost_hits_total", "Items stored soon after their eviction.", |core| {
        core.cache.stats().ghost_hits
    }),
    counter("corelane_cache_stalls_total", "Inserts that had to reclaim a segment.", |core| core.cache.stats().stalls),
    gauge("corelane_cache_oldest_small_seconds", "Age of the small queue's oldest segment.", |core| {
        core.cache.stats().oldest_small_ms / 1000
    }),
    gauge("corelane_cache_oldest_main_seconds", "Age of the main queue's oldest segment.", |core| {
        core.cache.stats().oldest_main_ms / 1000
    }),
    counter("corelane_cache_pins_refused_total", "Pins refused for the bound on pinned memory.", |core| {
        core.cache.stats().pins_refused
    }),
];

/// Writes every family.
pub(crate) fn render(metrics: &NodeMetrics, text: &mut Text) {
    for (index, core) in metrics.cores.iter().enumerate() {
        for (opcode, counter) in Opcode::ALL.iter().zip(&core.requests) {
            if *opcode != Opcode::Hello {
                text.sample(&REQUESTS, &[("core", &index), ("operation", &opcode.name())], counter.value());
            }
        }
        for (status, counter) in Status::ALL.iter().zip(&core.answers) {
            text.sample(&ANSWERS, &[("core", &index), ("status", &status.name())], counter.value());
        }
        for (reason, count) in core.faults.iter() {
            text.sample(&FAULTS, &[("core", &index), ("reason", &reason)], count);
        }
        for (event, counter) in EVENTS.iter().zip(&core.events) {
            text.sample(&HAPPENED, &[("core", &index), ("event", event)], counter.value());
        }
        for (ttl, bytes) in CacheStats::GROUPS.iter().zip(core.cache.stats().bytes_by_group) {
            text.sample(&TTL_BYTES, &[("core", &index), ("ttl", &ttl)], bytes);
        }
        for per_core in PER_CORE {
            text.sample(&per_core.family, &[("core", &index)], (per_core.read)(core));
        }
    }
}

/// The payload of an answer to STATS: sums over the cores.
pub(crate) fn stats(metrics: &NodeMetrics) -> Vec<u8> {
    let requests = Opcode::ALL.iter().enumerate().map(|(index, opcode)| {
        let sum = metrics.sum(|core| core.requests[index].value());
        (format!("corelane_node_requests_total{{operation={:?}}}", opcode.name()), StatKind::Counter, sum)
    });
    let events = EVENTS.iter().enumerate().map(|(index, event)| {
        let sum = metrics.sum(|core| core.events[index].value());
        (format!("corelane_node_events_total{{event={event:?}}}"), StatKind::Counter, sum)
    });
    let per_core =
        PER_CORE.iter().map(|per_core| (per_core.name.to_owned(), per_core.kind, metrics.sum(per_core.read)));
    let values: Vec<_> = requests.chain(events).chain(per_core).collect();
    let listed: Vec<Stat<'_>> =
        values.iter().map(|(name, kind, value)| Stat { name, kind: *kind, value: *value }).collect();
    let mut payload = Vec::new();
    Stats::write(&mut payload, &listed).expect("the names are ours: short, printable, and few");
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_are_sums_over_the_cores() {
        let metrics = NodeMetrics::new(3);
        metrics.cores[0].connections.set(2);
        metrics.cores[2].connections.set(5);
        metrics.cores[1].note_request(Opcode::Get);
        let payload = stats(&metrics);
        let found: Vec<_> = Stats::parse(&payload).unwrap().iter().filter(|stat| stat.value > 0).collect();
        let expected = [
            Stat { name: "corelane_node_requests_total{operation=\"get\"}", kind: StatKind::Counter, value: 1 },
            Stat { name: "corelane_node_connections", kind: StatKind::Gauge, value: 7 },
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn every_number_is_rendered_for_every_core() {
        let metrics = NodeMetrics::new(2);
        let mut text = Text::new();
        render(&metrics, &mut text);
        let text = text.finish();
        for per_core in PER_CORE {
            assert_eq!(text.matches(&format!("\n{}{{core=", per_core.name)).count(), 2, "{}", per_core.name);
        }
        assert_eq!(text.matches("reason=\"header_crc\"").count(), 2);
    }
}
