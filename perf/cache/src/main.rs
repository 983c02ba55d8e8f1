//! `cacheperf`: the cache by itself: its speed and memory beside other caches, its miss ratios on recorded traces.
//!
//! **Not** linked into a server, and not beside one: whoever measures servers is `coreperf`.
//!
//! **Invariants**: absolute figures are printed, never judged unless a gate names them.

#![expect(
    clippy::disallowed_methods,
    reason = "a tool that measures needs the clock and files that data cores must not use"
)]

mod engine;
mod replay;
mod shift;
mod ttl;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures Corelane's cache without a server around it.
#[derive(Parser)]
#[command(name = "cacheperf", version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: CacheperfVerb,
}

#[derive(Subcommand)]
enum CacheperfVerb {
    /// Measure single calls of the cache on one core, beside hashbrown with an LRU list, moka, quick_cache and foyer.
    ///
    /// Rates by rounds that alternate between the stores, then the latency of single calls, as a table; judges the gates of
    /// docs/engine.md. Exit status 0: every gate holds. 1: one does not. 2: it could not be measured.
    Engine(engine::Options),
    /// Replay a trace against the product's cache and other engines, and print miss ratios as JSON.
    ///
    /// For example: cacheperf replay --trace web.trace.xz --format i32be --objects 1000,10000 --engine shardstore,lru,belady
    Replay(replay::Options),
    /// Measure the memory of the process while the sizes of values shift from small to large and back.
    ///
    /// Exit status 0: the process stays within the limit, and small values get their memory back. 1: it does not, or they do
    /// not. 2: it could not be measured.
    Shift(shift::Options),
    /// Measure how much memory expired items hold, under the times to live of real clusters, in virtual time.
    ///
    /// For example: cacheperf ttl --clusters 2020Mar.md --only cluster12,cluster26 --plot ttl.svg
    /// Exit status 0: the gate holds. 1: it does not. 2: it could not be measured.
    Ttl(ttl::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().verb {
        CacheperfVerb::Engine(options) => engine::run(&options),
        CacheperfVerb::Replay(options) => replay::run(&options).map(|()| ExitCode::SUCCESS),
        CacheperfVerb::Shift(options) => shift::run(&options),
        CacheperfVerb::Ttl(options) => ttl::run(&options),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}
