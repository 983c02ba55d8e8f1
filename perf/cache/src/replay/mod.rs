//! `cacheperf replay`: how often a cache misses under a recorded trace, beside other engines and the offline optimum.
//!
//! ```text
//!  file ─ compressed ─ format ─▶ trace ─ split by key hash ─▶ measure ◀─ engine ─┬─ fifo, lru, sieve, s3fifo, belady
//!                                                               │                └─ shardstore ◀─ fit
//!                                                               ▼
//!                                                         report, picture
//! ```
//!
//! **Not**: a measurement of speed beside other caches; reference engines store neither keys nor values.
//!
//! **Invariants**: a run is a function of its arguments and the trace, but for the time it takes.

mod belady;
mod engine;
mod fit;
mod measure;
mod one_queue;
mod picture;
mod queues;
mod report;
mod s3fifo;
mod shardstore;
mod sieve;

#[cfg(all(test, feature = "recorded-traces"))]
mod baseline_tests;
#[cfg(test)]
mod model_tests;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use engine::{Capacity, Kind};
use fit::Fits;
use perf_basis::progress::ProgressLine;
use perf_basis::trace::format::{self, Format};
use perf_basis::trace::{Builder, Trace};
use perf_basis::{compressed, plot};
use report::Row;

/// What to replay, against what.
#[derive(Args)]
#[command(group(clap::ArgGroup::new("size").required(true).args(["objects", "bytes"])))]
pub(crate) struct Options {
    /// The trace; .gz, .xz and .zst are decompressed
    #[arg(long, value_name = "FILE")]
    trace: PathBuf,
    /// How its requests are written
    #[arg(long, value_enum)]
    format: Format,
    /// Capacity as a count of objects, all taken to be of the same size; several separated by commas
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..))]
    objects: Vec<u64>,
    /// Capacity in bytes: keys and values, of shardstore all its memory; several separated by commas
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..))]
    bytes: Vec<u64>,
    /// Bytes of every value when the trace does not tell
    #[arg(long, value_name = "N", default_value_t = 256)]
    item_bytes: u32,
    /// Engines; several separated by commas
    #[arg(long, value_enum, value_delimiter = ',', required = true)]
    engine: Vec<Kind>,
    /// Spread keys over this many shards by their hash, each with its part of the capacity
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=4096))]
    shards: u16,
    /// Write the JSON to this file too
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Draw miss ratio by size into this file, as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// Runs the verb.
///
/// # Errors
/// The trace cannot be read, a capacity is out of range, or a result cannot be written.
pub(crate) fn run(options: &Options) -> Result<()> {
    let parts = read(options)?.split(options.shards);
    let rows = measure_all(options, &parts)?;
    let json = report::json(&rows)?;
    print!("{json}");
    if let Some(path) = &options.out {
        write(path, &json)?;
    }
    if let Some(path) = &options.plot {
        write(path, &plot::svg(&picture::chart(&rows)))?;
    }
    Ok(())
}

fn read(options: &Options) -> Result<Trace> {
    let name = file_name(&options.trace);
    let mut source = compressed::open(&options.trace)?;
    let mut builder = Builder::new(options.item_bytes);
    let mut progress = ProgressLine::on_stderr(format!("reading {name}"));
    let mut tick = |requests| {
        progress.tick(requests, None);
        Ok(())
    };
    format::read(options.format, &mut source, &mut builder, &mut tick)
        .with_context(|| options.trace.display().to_string())?;
    Ok(builder.finish())
}

/// A row for every engine and size; all sizes of an engine, then the next one.
fn measure_all(options: &Options, parts: &[Trace]) -> Result<Vec<Row>> {
    let objects = options.objects.iter().map(|&count| Capacity::Objects(count));
    let capacities: Vec<_> = objects.chain(options.bytes.iter().map(|&bytes| Capacity::Bytes(bytes))).collect();
    let mut fits = Fits::default();
    let mut rows = Vec::new();
    for &kind in &options.engine {
        for &capacity in &capacities {
            let outcome = measure::replay(parts, kind, capacity, &mut fits)?;
            rows.push(Row {
                engine: kind,
                trace: file_name(&options.trace),
                format: options.format,
                shards: options.shards,
                capacity: capacity.amount(),
                capacity_unit: capacity.unit(),
                requests: outcome.requests,
                hits: outcome.hits,
                miss_ratio: rounded(outcome.miss_ratio(), 1e6),
                objects: outcome.held.objects,
                bytes: outcome.held.bytes,
                ns_per_op: rounded(outcome.ns_per_op(), 1e2),
                shardstore: outcome.details,
            });
        }
    }
    Ok(rows)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn write(path: &Path, content: &str) -> Result<()> {
    std::fs::write(path, content).with_context(|| format!("{} could not be written", path.display()))
}

fn rounded(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}
