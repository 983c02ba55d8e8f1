//! `/v1/status`: what the process is doing, for people and for scripts.
//!
//! **Invariants**: keys are added, never renamed.

use control::drain::State;
use serde_json::{Value, json};
use shardstore::cache::CacheStats;

use super::Supervisor;
use crate::edge::metrics::CoreMetrics;
use crate::message::NodeState;

pub(super) fn render(supervisor: &Supervisor) -> Value {
    let snapshot = supervisor.snapshot();
    let topology = &snapshot.topology;
    let cores: Vec<Value> = supervisor.metrics.iter().enumerate().map(|(id, metrics)| core(id, metrics)).collect();
    let mut status = json!({
        "program": "corelane",
        "version": env!("CARGO_PKG_VERSION"),
        "mode": if topology.is_some() { "clustered" } else { "embedded" },
        "state": state(supervisor.state.get()),
        "cores": cores,
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
    });
    if let Some(Ok(usage)) = supervisor.usage.map(|read| read()) {
        status["process"] = json!({
            "resident_bytes": usage.resident_bytes,
            "cpu_seconds": usage.cpu_s(),
            "threads": usage.thread_count,
            "open_file_descriptors": usage.descriptor_count,
        });
    }
    status
}

fn state(state: State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Serving => "serving",
        State::Draining { .. } => "draining",
        State::Stopped(_) => "stopped",
    }
}

/// How each core sees a node.
fn seen_by_cores(supervisor: &Supervisor, node: u32) -> Vec<Value> {
    let nodes = supervisor.nodes.borrow();
    let states = nodes.iter().flat_map(|(core, nodes)| nodes.iter().map(move |state| (core, state)));
    let of_node = states.filter(|(_, state)| state.id == node);
    of_node.map(|(core, state)| seen(*core, state)).collect()
}

fn seen(core: u16, state: &NodeState) -> Value {
    json!({"core": core, "up": state.up, "connections": state.connections, "error": state.error})
}

fn core(id: usize, metrics: &CoreMetrics) -> Value {
    let counters: serde_json::Map<String, Value> =
        metrics.counters().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    json!({
        "id": id,
        "connections": metrics.connections.value(),
        "body_bytes": metrics.body_bytes.value(),
        "fills": metrics.fills_open.value(),
        "cache": cache(&metrics.shard.stats()),
        "counters": counters,
    })
}

fn cache(shard: &CacheStats) -> Value {
    let bytes = CacheStats::BYTE_KINDS.iter().map(|kind| format!("bytes_{kind}")).zip(shard.bytes());
    let events = CacheStats::EVENTS.iter().map(|event| (*event).to_owned()).zip(shard.events());
    let others = [
        ("items", shard.items),
        ("oldest_small_seconds", shard.oldest_small_ms / 1000),
        ("oldest_main_seconds", shard.oldest_main_ms / 1000),
    ];
    let all = others.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(bytes).chain(events);
    let mut cache: serde_json::Map<String, Value> = all.map(|(name, value)| (name, Value::from(value))).collect();
    let groups = CacheStats::GROUPS.iter().zip(shard.bytes_by_group).filter(|(_, bytes)| *bytes > 0);
    let by_ttl = groups.map(|(ttl, bytes)| ((*ttl).to_owned(), Value::from(bytes))).collect();
    cache.insert("bytes_by_ttl_seconds".to_owned(), Value::Object(by_ttl));
    Value::Object(cache)
}
