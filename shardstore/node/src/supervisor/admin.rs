//! What a node tells on its admin listener.
//!
//! **Not**: HTTP. **Invariants**: everything here is read from counters and from the control core's own state.
//!
//! **Source**: the design's HTTP chapter, "Admin listener"; docs/metrics.md.

use control::admin::{Admin, Readiness};
use control::drain::State;
use control::metrics::{Build, Family, Text};
use serde_json::{Value, json};
use shardstore::cache::CacheStats;
use shardstore::placement::NodeId;

use super::Supervisor;
use crate::metrics;

const EPOCH: Family = Family::gauge("corelane_topology_epoch", "Epoch of the topology in force.");
const SLOTS: Family = Family::gauge("corelane_topology_slots_owned", "Slots this node owns.");
const RELOADS: Family = Family::counter("corelane_topology_reloads_total", "Topologies put in force.");
const REFUSED: Family = Family::counter("corelane_topology_refused_total", "Topologies refused.");

const BUILD: Build = Build { program: "shardstored", version: env!("CARGO_PKG_VERSION") };

impl Supervisor {
    fn me(&self) -> NodeId {
        NodeId(u32::from(self.shared.settings.node_id))
    }

    fn core_status(&self, index: usize) -> Value {
        let core = &self.metrics.cores[index];
        let cache = core.cache.stats();
        json!({
            "core": index,
            "connections": core.connections.value(),
            "requests": core.requests.iter().map(control::metrics::Counter::value).sum::<u64>(),
            "hops_waiting": core.hops_waiting.value(),
            "received_bytes": core.received_bytes.value(),
            "sent_bytes": core.sent_bytes.value(),
            "cache": {
                "items": cache.items,
                "limit_bytes": cache.bytes_limit,
                "live_bytes": cache.bytes_live,
                "free_bytes": cache.bytes_free,
                "index_bytes": cache.bytes_index,
                "small_bytes": cache.bytes_small,
                "main_bytes": cache.bytes_main,
                "oldest_small_seconds": cache.oldest_small_ms / 1000,
                "oldest_main_seconds": cache.oldest_main_ms / 1000,
                "bytes_by_ttl_seconds": bytes_by_ttl(&cache),
                "hits": cache.hits,
                "misses": cache.misses,
                "expired": cache.expired,
                "evicted": cache.evicted_for_room + cache.evicted_for_slot,
                "ghost_hits": cache.ghost_hits,
            },
        })
    }
}

/// Bytes of the groups that have any.
fn bytes_by_ttl(cache: &CacheStats) -> Value {
    let groups = CacheStats::GROUPS.iter().zip(cache.bytes_by_group).filter(|(_, bytes)| *bytes > 0);
    groups.map(|(ttl, bytes)| ((*ttl).to_owned(), Value::from(bytes))).collect::<serde_json::Map<_, _>>().into()
}

impl Admin for Supervisor {
    fn readiness(&self) -> Readiness {
        match self.state.get() {
            State::Serving => Readiness::Ready,
            State::Starting => Readiness::NotReady(vec!["the node is starting".to_owned()]),
            State::Draining { .. } | State::Stopped(_) => Readiness::NotReady(vec!["the node is draining".to_owned()]),
        }
    }

    fn metrics(&self, text: &mut Text) {
        let topology = self.topology.borrow();
        text.sample(&EPOCH, &[], u64::from(topology.epoch()));
        text.sample(&SLOTS, &[], topology.owned_slots(self.me()));
        text.sample(&RELOADS, &[], self.reloads.get());
        text.sample(&REFUSED, &[], self.reloads_refused.get());
        metrics::render(&self.metrics, text);
        if let Some(Ok(usage)) = self.usage.map(|read| read()) {
            usage.render(&BUILD, text);
        }
    }

    fn status(&self) -> Value {
        let topology = self.topology.borrow();
        let cores: Vec<Value> = (0..self.metrics.cores.len()).map(|index| self.core_status(index)).collect();
        json!({
            "program": BUILD.program,
            "version": BUILD.version,
            "node": self.shared.settings.node_id,
            "cluster": &*self.shared.cluster,
            "incarnation": self.shared.incarnation.to_string(),
            "listen": self.listen.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "topology": {
                "epoch": topology.epoch(),
                "nodes": topology.nodes().len(),
                "slots_owned": topology.owned_slots(self.me()),
            },
            "connections": self.open_connections(),
            "cores": cores,
        })
    }

    fn config(&self) -> Value {
        self.effective.to_json()
    }
}
