//! What a process says of itself at one moment.
//!
//! **Invariants**: what a release does not say is absent here, and no error.
//!
//! **Source**: docs/metrics.md (`/v1/status` has the numbers of `/metrics`).

use std::collections::BTreeMap;

use serde_json::Value;
use thiserror::Error;

use super::histogram::{self, LatencyFamilies};
use crate::printable::printable;

/// Why the answers of an admin listener are no sample.
#[derive(Debug, Error)]
pub enum SampleError {
    /// Not JSON.
    #[error("/v1/status is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON of something else.
    #[error("/v1/status has no `{0}`: it is not the admin listener of corelane or shardstored")]
    NotAProcess(&'static str),
}

/// What a process says of itself at one moment.
#[derive(Clone, Debug)]
pub struct Sample {
    pub(super) title: String,
    pub(super) state: String,
    pub(super) totals: ServiceTotals,
    pub(super) cores: Vec<CoreSample>,
    pub(super) nodes: Vec<NodeSample>,
    pub(super) keys: Vec<KeySample>,
    pub(super) key_note: String,
    pub(super) resident_bytes: Option<u64>,
    pub(super) warnings: Vec<String>,
    pub(super) histograms: LatencyFamilies,
}

/// Of all cores.
#[derive(Clone, Debug, Default)]
pub(super) struct ServiceTotals {
    pub(super) uptime_s: f64,
    pub(super) requests: u64,
    pub(super) errors: u64,
    pub(super) connections: u64,
    pub(super) items: u64,
    pub(super) hit_ratio: Option<f64>,
    pub(super) memory_used_bytes: u64,
    pub(super) memory_limit_bytes: u64,
}

/// A data core.
#[derive(Clone, Debug)]
pub(super) struct CoreSample {
    pub(super) id: u64,
    pub(super) requests: u64,
    pub(super) connections: u64,
    pub(super) items: u64,
    pub(super) live_bytes: u64,
    pub(super) sent_bytes: u64,
    /// CPU time since the start, in seconds.
    pub(super) cpu_s: Option<f64>,
}

/// A node of the topology.
#[derive(Clone, Debug)]
pub(super) struct NodeSample {
    pub(super) id: u64,
    pub(super) address: String,
    pub(super) slots: u64,
    pub(super) reach: NodeReach,
    pub(super) error: Option<String>,
}

/// How the process that was asked reaches a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeReach {
    /// It is that node.
    Itself,
    /// It is a node, and asks no other.
    NeverAsked,
    /// No core has asked it yet.
    NotYetAsked,
    /// So many of the cores that have asked it say that it is up.
    Asked { up: usize, cores: usize },
}

/// A key that is asked for often.
#[derive(Clone, Debug)]
pub(super) struct KeySample {
    pub(super) name: String,
    pub(super) share: f64,
}

impl Sample {
    /// Of the bodies of `/v1/status` and `/metrics`.
    ///
    /// # Errors
    /// They are not those of a process of ours.
    pub fn of(status: &[u8], metrics: &[u8]) -> Result<Self, SampleError> {
        let status: Value = serde_json::from_slice(status)?;
        let program = status["program"].as_str().ok_or(SampleError::NotAProcess("program"))?;
        let totals =
            status["totals"].as_object().map(|_| &status["totals"]).ok_or(SampleError::NotAProcess("totals"))?;
        let own = status["node"].as_u64();
        let node = own.map_or_else(String::new, |node| format!(" node {node}"));
        let words = [&status["version"], &status["commit"], &status["mode"]];
        let words: Vec<&str> = words.into_iter().filter_map(Value::as_str).collect();
        let hot = &status["hot_keys"];
        Ok(Sample {
            title: text(&format!("{program}{node} {}", words.join(" "))),
            state: text(status["state"].as_str().unwrap_or("?")),
            totals: ServiceTotals::of(totals),
            cores: list(&status["cores"]).map(|core| CoreSample::of(core, &status["process"])).collect(),
            nodes: list(&status["topology"]["nodes"]).map(|node| NodeSample::of(node, own)).collect(),
            keys: list(&hot["keys"]).map(KeySample::of).collect(),
            key_note: format!("{} samples in {} s", whole(&hot["samples"]), whole(&hot["window_seconds"])),
            resident_bytes: status["process"]["resident_bytes"].as_u64(),
            warnings: list(&status["warnings"]).filter_map(Value::as_str).map(text).collect(),
            histograms: histogram::parse(&String::from_utf8_lossy(metrics)),
        })
    }
}

impl ServiceTotals {
    fn of(totals: &Value) -> Self {
        ServiceTotals {
            uptime_s: totals["uptime_seconds"].as_f64().unwrap_or_default(),
            requests: whole(&totals["requests"]),
            errors: whole(&totals["errors"]),
            connections: whole(&totals["connections"]),
            items: whole(&totals["items"]),
            hit_ratio: totals["hit_ratio_recent"].as_f64().or(totals["hit_ratio"].as_f64()),
            memory_used_bytes: whole(&totals["memory_used_bytes"]),
            memory_limit_bytes: whole(&totals["memory_limit_bytes"]),
        }
    }
}

impl CoreSample {
    fn of(core: &Value, process: &Value) -> Self {
        let id = whole(&core["id"]);
        let by_operation: BTreeMap<_, _> = core["node"]["requests"].as_object().into_iter().flatten().collect();
        let of_node = by_operation.values().map(|count| whole(count)).sum();
        let group = if core["http"].is_object() { &core["http"] } else { &core["node"] };
        CoreSample {
            id,
            requests: core["http"]["requests"].as_u64().unwrap_or(of_node),
            connections: whole(&group["connections"]),
            items: whole(&core["cache"]["items"]),
            live_bytes: whole(&core["cache"]["live_bytes"]),
            sent_bytes: whole(&core["reactor"]["sent_bytes"]),
            cpu_s: process["cpu_seconds_by_thread"][format!("core-{id}")].as_f64(),
        }
    }
}

impl NodeSample {
    /// Of what a process says of a node; `own` is its number, where it is a node itself.
    fn of(node: &Value, own: Option<u64>) -> Self {
        let seen: Vec<&Value> = list(&node["cores"]).collect();
        let id = whole(&node["id"]);
        let reach = match (own, seen.len()) {
            (Some(own), _) if own == id => NodeReach::Itself,
            (Some(_), _) => NodeReach::NeverAsked,
            (None, 0) => NodeReach::NotYetAsked,
            (None, cores) => NodeReach::Asked { up: seen.iter().filter(|core| core["up"] == true).count(), cores },
        };
        NodeSample {
            id,
            reach,
            address: text(node["address"].as_str().unwrap_or("?")),
            slots: whole(&node["slots"]),
            error: seen.iter().find_map(|core| core["error"].as_str()).map(text),
        }
    }
}

impl KeySample {
    fn of(key: &Value) -> Self {
        let cut = if key["cut"] == true { "…" } else { "" };
        KeySample {
            name: text(key["key"].as_str().unwrap_or("?")) + cut,
            share: key["share"].as_f64().unwrap_or_default(),
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn whole(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

/// As a terminal may show it in one line, whatever clients and peers wrote.
pub(super) fn text(value: &str) -> String {
    printable(value).replace('\n', "\u{fffd}")
}
