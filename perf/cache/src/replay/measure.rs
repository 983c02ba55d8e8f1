//! One measurement: a trace through one engine of one size.
//!
//! Shards share nothing, so that they are replayed one after the other, each with its own requests.
//!
//! **Invariants**: only requests are timed; neither reading the trace, nor making an engine.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::engine::{Capacity, Held, Kind};
use super::fit::Fits;
use super::shardstore::Details;
use perf_basis::progress::ProgressLine;
use perf_basis::trace::Trace;

/// Requests between two readings of the clock.
const STRIDE: usize = 1 << 16;

/// What a measurement found, of all shards together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// Count of requests.
    pub(crate) requests: u64,
    /// Those that found their key.
    pub(crate) hits: u64,
    /// What is held at the end.
    pub(crate) held: Held,
    /// What the product's cache tells beyond that.
    pub(crate) details: Option<Details>,
    /// Time the requests took.
    pub(crate) elapsed: Duration,
}

impl Outcome {
    /// Requests that did not find their key, per request.
    pub(crate) fn miss_ratio(&self) -> f64 {
        1.0 - self.hits as f64 / self.requests as f64
    }

    /// Nanoseconds per request.
    pub(crate) fn ns_per_op(&self) -> f64 {
        self.elapsed.as_nanos() as f64 / self.requests as f64
    }
}

/// Replays the requests of all shards.
///
/// # Errors
/// The capacity cannot be spread over the shards, or the product's cache refuses its part.
pub(crate) fn replay(parts: &[Trace], kind: Kind, capacity: Capacity, fits: &mut Fits) -> Result<Outcome> {
    let shards = parts.len() as u64;
    let (amount, unit) = (capacity.amount(), capacity.unit());
    ensure!(amount >= shards, "{amount} {unit} cannot be spread over {shards} shards; give more, or fewer --shards");
    let total = parts.iter().map(|part| part.request_count() as u64).sum();
    let mut progress = ProgressLine::on_stderr(format!("{}, {amount} {unit}", kind.name()));
    let mut outcome = Outcome::default();
    for (index, part) in parts.iter().enumerate() {
        // The first shards take what does not divide.
        let share = amount / shards + u64::from((index as u64) < amount % shards);
        let mut engine = kind.make(capacity.with(share), part, fits)?;
        let mut requests = part.requests();
        let mut done = 0;
        while done < part.request_count() {
            let count = STRIDE.min(part.request_count() - done);
            let began = Instant::now();
            let hits = requests.by_ref().take(count).filter(|request| engine.request(*request)).count();
            outcome.elapsed += began.elapsed();
            outcome.hits += hits as u64;
            outcome.requests += count as u64;
            done += count;
            progress.tick(outcome.requests, Some(total));
        }
        let held = engine.held();
        outcome.held.objects += held.objects;
        outcome.held.bytes += held.bytes;
        if let Some(details) = engine.details() {
            outcome.details.get_or_insert_default().add(&details);
        }
    }
    Ok(outcome)
}
