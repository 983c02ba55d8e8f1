//! What a replay prints: JSON, one object for one measurement, an array for several.

use anyhow::{Context, Result};
use serde::Serialize;

use super::engine::Kind;
use super::shardstore::Details;
use perf_basis::trace::format::Format;

/// One measurement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    /// The engine.
    pub(crate) engine: Kind,
    /// File name of the trace, without its folder.
    pub(crate) trace: String,
    /// Its format.
    pub(crate) format: Format,
    /// Shards the keys were spread over.
    pub(crate) shards: u16,
    /// Of all shards together.
    pub(crate) capacity: u64,
    /// What the capacity counts: objects or bytes.
    pub(crate) capacity_unit: &'static str,
    /// Count of requests.
    pub(crate) requests: u64,
    /// Those that found their key.
    pub(crate) hits: u64,
    /// The others, per request.
    pub(crate) miss_ratio: f64,
    /// Held at the end.
    pub(crate) objects: u64,
    /// Of what is held at the end: keys and values; in the product's cache whole records.
    pub(crate) bytes: u64,
    /// Nanoseconds per request. Of reference engines, which keep no keys and no values, it says how long a replay takes.
    pub(crate) ns_per_op: f64,
    /// What only the product's cache can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shardstore: Option<Details>,
}

/// The measurements as JSON.
///
/// # Errors
/// None that can be provoked.
pub(crate) fn json(rows: &[Row]) -> Result<String> {
    let text = match rows {
        [row] => serde_json::to_string_pretty(row),
        rows => serde_json::to_string_pretty(rows),
    };
    Ok(text.context("the result could not be written as JSON")? + "\n")
}
