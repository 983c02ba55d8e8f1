//! `/v1/status`: what the process is doing, for people and for scripts.
//!
//! **Invariants**: the numbers of a core have the names of their metrics: `corelane_http_requests_total` is
//! `cores[].http.requests`.

use control::activity::{self, Totals};
use control::metrics::{Build, add_to_status, latency_status};
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
        "totals": supervisor.activity.render(supervisor.reactor.now(), totals(supervisor)),
        "latency": latency_status(&supervisor.latencies()),
        "memory": supervisor.memory_bound().to_json(supervisor.host_memory.as_ref()),
        "hot_keys": supervisor.hot_keys.borrow().to_json(snapshot.settings.hot_keys),
        "warnings": supervisor.log.recent(),
        "topology": topology.as_ref().map(|topology| json!({
            "cluster": topology.cluster(),
            "epoch": topology.epoch(),
            "nodes": topology.nodes().iter().map(|node| json!({
                "id": node.id.0,
                "address": node.address.to_string(),
                "slots": topology.owned_slots(node.id),
                "cores": seen_by_cores(supervisor, node.id.0),
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
pub(super) fn totals(supervisor: &Supervisor) -> Totals {
    let mut totals = Totals::default();
    for core in &supervisor.metrics {
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

/// How each core sees a node.
fn seen_by_cores(supervisor: &Supervisor, node: u32) -> Vec<Value> {
    let nodes = supervisor.nodes.borrow();
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
