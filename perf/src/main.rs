//! `coreperf`: what the product costs, beside what the kernel alone costs.
//!
//! **Not** linked into a server.
//!
//! **Invariants**: absolute figures are printed, never judged; what is judged is a ratio of one alternating run.

mod floor;

use clap::{Parser, Subcommand};

/// Measures Corelane.
#[derive(Parser)]
#[command(name = "coreperf", version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve the floor: a bare ring loop that answers 128 bytes without looking at the request.
    ///
    /// Point a load generator at it to learn what the kernel alone costs on this host; all requests must have the
    /// same length. Ends with Ctrl-C.
    Floor(floor::Options),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().verb {
        Verb::Floor(options) => floor::run(&options),
    }
}
