//! `coreperf`: what the product costs, beside what the kernel alone costs.
//!
//! **Not** linked into a server.
//!
//! **Errors** of all verbs are their operator's, and say what to do: a file, a server or an option is not what it should be, or a
//! signal has ended the measurement. What is not says so.
//!
//! **Invariants**: absolute figures are printed, never judged unless a gate names them; what is judged is a ratio of
//! one alternating run.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a tool that starts servers and loads them needs the clock, sockets and a thread that data cores must not use"
)]

mod agents;
mod compare;
mod cores;
mod floor;
mod gate;
mod merge;
mod peers;
mod report;
mod results;
mod run;
mod search;
mod servers;
mod system;
mod truth;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// Measures Corelane.
#[derive(Parser)]
#[command(name = "coreperf", version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: CoreperfVerb,
}

#[derive(Subcommand)]
enum CoreperfVerb {
    /// Generate load for a coordinator on another host (coreperf run --agents).
    Agent(agents::Options),
    /// Compare two programs, or two folders of results: is B slower than A?
    ///
    /// Programs are run in turn under one scenario. For example: coreperf compare old/corelane target/dist/corelane
    Compare(compare::Options),
    /// Measure what a hit in another core's memory costs, beside one in the own core's.
    ///
    /// Exit status 0: the gates of docs/engine.md hold. 1: one does not. 2: it could not be measured.
    Cores(cores::Options),
    /// Serve the floor: a bare ring loop that answers without looking at the request.
    ///
    /// Point a load generator at it to learn what the kernel alone costs on this host; all requests must have the
    /// same length. Ends with Ctrl-C.
    Floor(floor::Options),
    /// Count the instructions of the pure paths, and compare them with the committed baselines.
    ///
    /// Exit status 0: no count grew by more than 2 %. 1: one did, and is named. 2: they could not be counted. Needs valgrind.
    /// With --ratios: what a request costs beside other servers, of results that coreperf peers wrote; exit status 1 when a ratio
    /// grew beyond its noise.
    Gate(gate::Options),
    /// Merge the latencies of several results, and print their percentiles.
    ///
    /// For example the rounds of one server: coreperf merge results/hit/corelane --out merged
    Merge(merge::Options),
    /// Run scenarios against the floor, Corelane and other servers in turn, and set them side by side.
    ///
    /// Each server has one core, in its best stated configuration; rounds alternate. Servers that are not installed are named
    /// and left out. With --gates the gates of docs/performance.md are judged.
    Peers(peers::Options),
    /// Make a page of results that is read in a browser: one HTML file that needs no other.
    Report(report::Options),
    /// Try whether the verdicts of compare are true on this host: the floor against itself, and against 5 % more work.
    ///
    /// Exit status 0: at most one of 20 verdicts of each kind was not true. 1: more were not. 2: it could not be tried.
    Truth(truth::Options),
    /// Load a server as a scenario says, and measure latency, rate and CPU time.
    ///
    /// The load is open: requests are due at instants fixed beforehand, and latencies count from there. Exit status 0: the run
    /// was valid. 1: it was not, and the reasons are printed instead of percentiles. 2: it could not be run.
    Run(run::Options),
    /// Find the highest rate at which a server still meets an objective, such as p99=1ms.
    Search(search::Options),
}

/// The command line, for manual pages and completions.
#[must_use]
pub fn command_line() -> clap::Command {
    Arguments::command()
}

/// Runs the program.
#[must_use]
pub fn run_program() -> ExitCode {
    // As where panics abort: a core that is gone must not leave the others waiting for it.
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        told(panic);
        std::process::abort();
    }));
    let outcome = match Arguments::parse().verb {
        CoreperfVerb::Agent(options) => agents::run(&options),
        CoreperfVerb::Compare(options) => compare::run(&options),
        CoreperfVerb::Cores(options) => cores::run(&options),
        CoreperfVerb::Floor(options) => floor::run(&options).map(|()| ExitCode::SUCCESS),
        CoreperfVerb::Gate(options) => gate::run(&options),
        CoreperfVerb::Merge(options) => merge::run(&options),
        CoreperfVerb::Peers(options) => peers::run(&options),
        CoreperfVerb::Report(options) => report::run(&options).map(|()| ExitCode::SUCCESS),
        CoreperfVerb::Truth(options) => truth::run(&options),
        CoreperfVerb::Run(options) => run::run(&options),
        CoreperfVerb::Search(options) => search::run(&options),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}
