//! `/v1/status`: what the process is doing, for people and for scripts.
//!
//! **Invariants**: the numbers of a core have the names of their metrics: `corelane_http_requests_total` is
//! `cores[].http.requests`.

use std::collections::BTreeMap;
use std::sync::Arc;

use control::activity::{self, Totals};
use control::memory::CONNECTION_BYTES;
use control::metrics::{Build, add_to_status, latency_status};
use control::security::{certificate_status, ticket_key_status};
use serde_json::{Value, json};

use super::Supervisor;
use crate::metrics::CoreMetrics;
use crate::nodes::NodeState;

pub(super) const BUILD: Build = Build::of("corelane");

pub(super) fn render(supervisor: &Supervisor) -> Value {
    let snapshot = supervisor.snapshot();
    let topology = &snapshot.topology;
    let cores: Vec<Value> = supervisor.metrics.iter().enumerate().map(|(id, metrics)| core(id, metrics)).collect();
    let mut status = json!({
        "program": BUILD.program,
        "version": BUILD.version,
        "commit": BUILD.commit,
        "profile": BUILD.profile,
        "mode": if topology.is_some() { "clustered" } else { "embedded" },
        "control_cpu": supervisor.process.control_cpu,
        "drain": supervisor.duck.to_json(supervisor.reactor.now(), snapshot.settings.lame_duck),
        "state": supervisor.state.get().word(),
        "config_generation": supervisor.config.generation(),
        "totals": supervisor.activity.render(supervisor.reactor.now(), totals(&supervisor.metrics)),
        "latency": latency_status(&supervisor.latencies()),
        "memory": supervisor.memory_bound().to_json(supervisor.host_memory.as_ref()),
        "hot_keys": supervisor.hot_keys.borrow().to_json(snapshot.settings.hot_keys),
        "warnings": supervisor.log.recent(),
        "tls": {
            "certificates": certificate_status(snapshot.security.certificates()),
            "acme": snapshot.settings.orders().map(|orders| {
                supervisor.acme.status(|name| snapshot.security.is_temporary(name), &orders)
            }),
            "ticket_keys": snapshot.security.clients.as_ref().map(|clients| ticket_key_status(clients)),
        },
        "topology": topology.as_ref().map(|topology| json!({
            "cluster": topology.cluster(),
            "epoch": topology.epoch(),
            "nodes": topology.nodes().iter().map(|node| json!({
                "id": node.id.0,
                "address": node.address.to_string(),
                "slots": topology.owned_slots(node.id),
                "cores": seen_by_cores(&supervisor.nodes.borrow(), node.id.0),
            })).collect::<Vec<_>>(),
        })),
        "cores": cores,
    });
    if let Some(Ok(usage)) = supervisor.usage.map(|read| read()) {
        status["process"] = activity::process(&usage);
    }
    status
}

/// Sums over the cores.
pub(super) fn totals(metrics: &[Arc<CoreMetrics>]) -> Totals {
    let mut totals = Totals::default();
    for core in metrics {
        let hits = core.reads_own_core.value() + core.reads_other_core.value();
        totals.requests += core.requests.value();
        totals.errors += core.responses_5xx.value();
        totals.hits += hits;
        totals.reads += hits + core.reads_node.value() + core.reads_absent.value();
        totals.connections += core.connections.value();
        totals.items += core.shard.items.value();
        totals.memory_limit_bytes += core.shard.limit_bytes.value();
        totals.memory_used_bytes += core.shard.limit_bytes.value().saturating_sub(core.shard.free_bytes.value());
    }
    totals
}

/// What clients make the process hold, in bytes.
pub(super) fn held_bytes(metrics: &[Arc<CoreMetrics>]) -> u64 {
    let held = |core: &Arc<CoreMetrics>| {
        let connections = core.connections.value() * CONNECTION_BYTES;
        core.body_bytes.value() + core.reactor.queued_bytes.value() + connections
    };
    metrics.iter().map(held).sum()
}

/// How each core sees a node.
fn seen_by_cores(nodes: &BTreeMap<u16, Vec<NodeState>>, node: u32) -> Vec<Value> {
    let states = nodes.iter().flat_map(|(core, nodes)| nodes.iter().map(move |state| (core, state)));
    let of_node = states.filter(|(_, state)| state.id == node);
    of_node.map(|(core, state)| seen(*core, state)).collect()
}

fn seen(core: u16, state: &NodeState) -> Value {
    json!({"core": core, "up": state.up, "connections": state.connections, "behind": state.is_behind, "error": state.error})
}

fn core(id: usize, metrics: &CoreMetrics) -> Value {
    let mut core = serde_json::Map::from_iter([("id".to_owned(), id.into())]);
    add_to_status(metrics, &mut core);
    core.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::CallTimes;

    #[test]
    fn every_core_counts_in_every_sum() {
        let metrics = [1, 2].map(|times| {
            let core = CoreMetrics::default();
            core.requests.add(times);
            core.responses_5xx.add(2 * times);
            core.reads_own_core.add(3 * times);
            core.reads_other_core.add(10 * times);
            core.reads_node.add(100 * times);
            core.reads_absent.add(1_000 * times);
            core.connections.set(4 * times);
            core.shard.items.set(5 * times);
            core.shard.limit_bytes.set(1_000 * times);
            core.shard.free_bytes.set(400 * times);
            core.body_bytes.set(10 * times);
            core.reactor.queued_bytes.set(100 * times);
            Arc::new(core)
        });
        let totals = totals(&metrics);
        assert_eq!((totals.requests, totals.errors), (3, 6));
        assert_eq!((totals.hits, totals.reads), (39, 3_339));
        assert_eq!((totals.connections, totals.items), (12, 15));
        assert_eq!((totals.memory_limit_bytes, totals.memory_used_bytes), (3_000, 1_800));
        assert_eq!(held_bytes(&metrics), 330 + 12 * CONNECTION_BYTES);
    }

    #[test]
    fn a_node_is_shown_as_each_core_sees_it() {
        let state = |id, connections, error: Option<&str>| NodeState {
            id,
            up: error.is_none(),
            connections,
            error: error.map(str::to_owned),
            is_behind: id == 2,
            calls: CallTimes::default(),
        };
        let nodes = BTreeMap::from([
            (0, vec![state(1, 5, None), state(2, 8, None)]),
            (3, vec![state(1, 6, None), state(2, 0, Some("refused"))]),
        ]);
        let of_second = [
            json!({"core": 0, "up": true, "connections": 8, "behind": true, "error": null}),
            json!({"core": 3, "up": false, "connections": 0, "behind": true, "error": "refused"}),
        ];
        assert_eq!(seen_by_cores(&nodes, 2), of_second);
        assert_eq!(seen_by_cores(&nodes, 7), [Value::Null; 0]);
    }

    #[test]
    fn a_core_has_its_number_and_its_counts() {
        let metrics = CoreMetrics::default();
        metrics.requests.add(7);
        let shown = core(3, &metrics);
        assert_eq!((&shown["id"], &shown["http"]["requests"]), (&json!(3), &json!(7)), "{shown}");
    }
}
