//! `/v1/status`: what the process is doing, for people and for scripts.
//!
//! **Invariants**: the numbers of a core have the names of their metrics: `corelane_http_requests_total` is
//! `cores[].http.requests`.

use control::drain::State;
use control::metrics::add_to_status;
use serde_json::{Value, json};

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
        "config_generation": supervisor.config.generation(),
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
    let mut core = serde_json::Map::from_iter([("id".to_owned(), id.into())]);
    add_to_status(metrics, &mut core);
    core.into()
}
