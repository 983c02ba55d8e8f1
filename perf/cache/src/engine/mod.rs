//! `cacheperf engine`: what single calls of the cache cost on one core, beside other caches in the same run.
//!
//! ```text
//!  sizes ─▶ load: mixes of calls ─▶ measure ◀─ stores ─┬─ shardstore
//!                                     │                └─ hashbrown with an LRU list, moka, quick_cache, foyer
//!                                     ▼
//!                    rate by rounds that alternate, then the latency of single calls ─▶ report, gates
//! ```
//!
//! **Not**: misses that could have been hits (that is `replay`); requests and networks (that is `wrk`).
//!
//! **Invariants**: one thread on one CPU; all stores get the same calls, have the same budget, and copy what they find to
//! the same buffer.

mod latency;
mod load;
mod measure;
mod report;
mod store;
mod stores;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Args;
use shardstore::cache::{Commit, LOOKAHEAD};

use load::{CallMix, Scale};
use measure::{MeasuredExtent, Row};
use report::Report;
use store::{KEY_BYTES, Kind};

use perf_basis::judge;
use perf_basis::machine;
use perf_basis::sizes::Sizes;

/// Working set of `get-hit` in multiples of the last cache, where memory allows: then nearly every access to an item misses it.
const WORKING_SET_CACHES: u64 = 10;

/// Memory is given in the unit in which the product's cache takes it.
const CHUNK_BYTES: u64 = 2 << 20;

/// Room for the clock, the machine and others: all stores together are made for half of what is available. Most of them take
/// more than their budget.
const AVAILABLE_SHARE: u64 = 2;

/// What to compare, under which loads, and how long.
#[derive(Args)]
pub(crate) struct Options {
    /// Stores; several separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "shardstore,hashbrown,moka,quick_cache,foyer")]
    store: Vec<Kind>,
    /// Loads; several separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_value = "get-hit,delete,zipf,set")]
    mix: Vec<CallMix>,
    /// Memory of each store in MiB. shardstore: all of it, index and headers included; the others: keys and values, what
    /// they need beside comes on top (see RSS in the table). Left out: so much that get-hit works on 10 times the last
    /// level of cache, at most half of the memory available divided by the number of stores
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(2..=1 << 20))]
    memory: Option<u64>,
    /// shardstore takes its memory as items come, and in the pages that `shmem_enabled` gives it, instead of all at the start in
    /// huge pages (`memory_commit`). The others' memory is the allocator's, in huge pages where `enabled` is `always`
    #[arg(long)]
    commit_as_needed: bool,
    /// Bytes of every value; with the 36 of the key, 300
    #[arg(long, value_name = "N", default_value_t = 264, value_parser = clap::value_parser!(u32).range(0..=64 << 20))]
    value_bytes: u32,
    /// Draw the sizes of values from this histogram: JSON with `valSizeRange`, a list of sizes in bytes, and
    /// `valSizeRangeProbability`, how often each comes (cachebench's format; .gz, .xz and .zst are decompressed)
    #[arg(long, value_name = "FILE", conflicts_with = "value_bytes")]
    sizes: Option<PathBuf>,
    /// Alternating rounds; fewer than 5 give an indication only
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Calls of every round
    #[arg(long, value_name = "N", default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(1..1 << 32))]
    calls: u64,
    /// Calls of a round that are known at once, as from requests that arrive together; shardstore asks for the memory of all of them
    /// before the first, the others have nothing of the kind. 1: each by itself
    #[arg(long, value_name = "N", default_value_t = LOOKAHEAD as u16, value_parser = clap::value_parser!(u16).range(1..=4096))]
    ahead: u16,
    /// Calls that are timed one by one after the rounds
    #[arg(long, value_name = "N", default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(1..1 << 32))]
    timed: u64,
    /// The CPU
    #[arg(long, value_name = "CPU", default_value_t = 0)]
    cpu: usize,
    /// Write everything to this file as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs the verb. Exit status 1 when a gate failed.
///
/// # Errors
/// A file cannot be read or written, the CPU is not ours, or a store cannot be made.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    ensure!(
        !cfg!(debug_assertions),
        "this is a debug build, whose figures mean nothing; use: cargo run --release --bin cacheperf -- engine"
    );
    machine::pin_to(options.cpu)?;
    let report = measure_all(options)?;
    print!("{}", report.text());
    if let Some(path) = &options.out {
        let json = serde_json::to_string_pretty(&report).context("the report could not be written as JSON")?;
        std::fs::write(path, json + "\n").with_context(|| format!("{} could not be written", path.display()))?;
    }
    Ok(if judge::all_hold(&report.gates) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure_all(options: &Options) -> Result<Report> {
    let sizes = match &options.sizes {
        Some(path) => Sizes::read(path)?,
        None => Sizes::Fixed(options.value_bytes),
    };
    let cache_bytes = machine::last_cache_bytes();
    let memory_bytes = match options.memory {
        Some(mib) => mib << 20,
        None => default_memory(cache_bytes, machine::available_bytes()?, options.store.len() as u64, &sizes)?,
    };
    let value_bytes_mean = sizes.mean();
    let scale = Scale::of(memory_bytes, sizes);
    let working_set_caches = scale.working_set_bytes() / cache_bytes as f64;
    eprintln!(
        "{} MiB for each of {} stores, {} items of {:.0} B held in get-hit: {working_set_caches:.1} x the last cache of {} MiB",
        memory_bytes >> 20,
        options.store.len(),
        scale.held,
        KEY_BYTES as f64 + value_bytes_mean,
        cache_bytes >> 20,
    );
    let rows = measure_mixes(options, memory_bytes, &scale)?;
    Ok(Report {
        memory_bytes,
        working_set_caches,
        cache_bytes,
        value_bytes_mean,
        calls: options.calls,
        ahead: options.ahead,
        commit_as_needed: options.commit_as_needed,
        clock_ns: latency::clock_ns(),
        gates: report::judge(&rows, working_set_caches),
        rows,
    })
}

/// Mixes that are filled alike share their stores.
fn measure_mixes(options: &Options, memory_bytes: u64, scale: &Scale) -> Result<Vec<Row>> {
    let extent =
        MeasuredExtent { rounds: options.rounds, calls: options.calls, ahead: options.ahead, timed: options.timed };
    let commit = if options.commit_as_needed { Commit::AsNeeded } else { Commit::AtStart };
    let mut rows: Vec<Row> = Vec::new();
    for filled_alike in [[CallMix::GetHit, CallMix::Delete], [CallMix::Zipf, CallMix::Set]] {
        let mixes: Vec<CallMix> = filled_alike.into_iter().filter(|mix| options.mix.contains(mix)).collect();
        let Some(first) = mixes.first() else { continue };
        let mut contenders = Vec::new();
        for kind in &options.store {
            eprintln!("{}: filling {}", first.name(), kind.name());
            contenders.push(measure::fill(*kind, *first, (memory_bytes, commit), scale)?);
        }
        // Memory that stores before them gave back may not have left the process.
        let first_stores = rows.is_empty();
        for mix in mixes {
            let measured = measure::measure(&mut contenders, mix, scale, extent);
            rows.extend(
                measured
                    .into_iter()
                    .map(|row| Row { resident_bytes: row.resident_bytes.filter(|_| first_stores), ..row }),
            );
        }
    }
    Ok(rows)
}

/// Memory of each store when none is given.
///
/// # Errors
/// There is too little memory for a measurement.
fn default_memory(cache_bytes: u64, available_bytes: u64, stores: u64, sizes: &Sizes) -> Result<u64> {
    let wanted = Scale::memory_for(cache_bytes * WORKING_SET_CACHES, sizes);
    let most = available_bytes / AVAILABLE_SHARE / stores.max(1);
    let memory = wanted.min(most) / CHUNK_BYTES * CHUNK_BYTES;
    ensure!(
        memory >= CHUNK_BYTES,
        "{} MiB of memory are available, too few for {stores} stores; name fewer with --store, or give --memory",
        available_bytes >> 20
    );
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn memory_is_ten_times_the_cache_where_there_is_enough() {
        let sizes = Sizes::Fixed(264);
        let ample = default_memory(32 << 20, 1 << 40, 5, &sizes).unwrap();
        let scale = Scale::of(ample, sizes.clone());
        assert!((scale.working_set_bytes() / f64::from(320 << 20) - 1.0).abs() < 0.01);
        assert_eq!(default_memory(32 << 20, 1 << 30, 5, &sizes).unwrap(), 102 << 20);
        let error = default_memory(32 << 20, 1 << 20, 5, &sizes).unwrap_err().to_string();
        assert!(error.contains("--store") && error.contains("--memory"), "{error}");
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (arguments, expected) in [
            (["x", "--store", "redis"], "redis"),
            (["x", "--mix", "gets"], "gets"),
            (["x", "--memory", "1"], "--memory"),
            (["x", "--rounds", "0"], "--rounds"),
        ] {
            let error = Line::try_parse_from(arguments).err().expect("it is wrong").to_string();
            assert!(error.contains(expected), "{error}");
        }
        let both = ["x", "--sizes", "a.json", "--value-bytes", "3"];
        let error = Line::try_parse_from(both).err().expect("one or the other").to_string();
        assert!(error.contains("--sizes") && error.contains("--value-bytes"), "{error}");
        assert_eq!(Line::try_parse_from(["x"]).expect("all have defaults").options.store.len(), 5);
    }
}
