//! The whole cluster by seed: 2 edges and 3 nodes under faults, with every answer checked.
//!
//! `cargo xtask sim` runs 1,000 seeds; `cargo xtask sim --seed S` replays one, event by event.
//!
//! **Invariants** that are checked (see `history`): a read returns a value that was written and is no older than the
//! staleness bound; an acknowledged write is readable until it expires, is deleted or its node dies; nothing outlives its
//! deadline; after everything has stopped, no task, connection or endpoint is left; a seed goes the same way every time.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a test driver that shares its seeds among threads of its own and measures how long it took"
)]

mod certificates;
mod client;
mod cluster;
mod faults;
mod history;
mod liar;
mod scenario;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use shardstore::planted::PlantedBug;

/// With one seed in so many the number of nodes changes as well.
const RESIZED_EVERY: u64 = 10;

/// One seed in so many is run twice, and must go the same way to the last event.
const REPLAYED_EVERY: u64 = 8;

/// Runs the simulated cluster.
#[derive(Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 20)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// One seed only, and tell what happens.
    #[arg(long)]
    seed: Option<u64>,
    /// Plant this bug, and succeed only if an invariant is found broken: for the build with planted bugs.
    #[arg(long, value_parser = bug_named)]
    bug: Option<PlantedBug>,
    /// Ignored: what the test runner passes to every test.
    #[arg(hide = true)]
    rest: Vec<String>,
}

fn bug_named(name: &str) -> Result<PlantedBug, String> {
    let found = PlantedBug::NAMED.into_iter().find(|(known, _)| *known == name);
    found
        .map(|(_, bug)| bug)
        .ok_or_else(|| format!("the bugs are {}", PlantedBug::NAMED.map(|(name, _)| name).join(", ")))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    #[cfg(feature = "planted_bug")]
    if let Some(bug) = arguments.bug {
        bug.plant();
    }
    if let Some(seed) = arguments.seed {
        let outcome = scenario::run(seed, true);
        println!("seed {seed}: {}", outcome.summary);
        let mut violations = vec![(seed, outcome.violation)];
        if is_resized(seed) {
            let outcome = scenario::resize::run(seed, true);
            println!("seed {seed}, other nodes: {}", outcome.summary);
            violations.push((seed, outcome.violation));
        }
        return report(&violations, violations.len(), &arguments);
    }
    let began = std::time::Instant::now();
    let next = Arc::new(AtomicU64::new(arguments.from));
    let end = arguments.from + arguments.seeds;
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let handles: Vec<_> = (0..workers)
        .map(|_| {
            let next = Arc::clone(&next);
            let stop_early = arguments.bug.is_some();
            std::thread::spawn(move || run_seeds(&next, end, stop_early))
        })
        .collect();
    let outcomes: Vec<(u64, Option<String>)> = handles
        .into_iter()
        .flat_map(|handle| handle.join().expect("a worker reports its panics as violations"))
        .collect();
    println!("{} seeds in {:.1} s", outcomes.len(), began.elapsed().as_secs_f64());
    report(&outcomes, outcomes.len(), &arguments)
}

fn run_seeds(next: &AtomicU64, end: u64, stop_early: bool) -> Vec<(u64, Option<String>)> {
    let mut outcomes = Vec::new();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return outcomes;
        }
        let run = std::panic::catch_unwind(|| run_seed(seed));
        let violation = run.unwrap_or_else(|panic| Some(format!("panicked: {}", panic_text(&*panic))));
        let found = violation.is_some();
        outcomes.push((seed, violation));
        if found && stop_early {
            next.store(end, Ordering::Relaxed);
        }
    }
}

/// What was found in one seed. Some are run twice: what cannot be replayed cannot be mended.
fn run_seed(seed: u64) -> Option<String> {
    if is_resized(seed)
        && let Some(violation) = scenario::resize::run(seed, false).violation
    {
        return Some(format!("with other nodes: {violation}"));
    }
    let outcome = scenario::run(seed, false);
    if outcome.violation.is_some() || !seed.is_multiple_of(REPLAYED_EVERY) {
        return outcome.violation;
    }
    let again = scenario::run(seed, false).summary;
    (again != outcome.summary).then(|| format!("it does not replay: {}, then {again}", outcome.summary))
}

fn is_resized(seed: u64) -> bool {
    seed % RESIZED_EVERY == RESIZED_EVERY - 1
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text")
}

fn report(outcomes: &[(u64, Option<String>)], count: usize, arguments: &Arguments) -> ExitCode {
    let found: Vec<_> = outcomes.iter().filter_map(|(seed, violation)| Some((seed, violation.as_ref()?))).collect();
    for (seed, violation) in &found {
        println!("seed {seed}: VIOLATION: {violation}");
        println!("  replay it: cargo xtask sim --seed {seed}");
    }
    if arguments.bug.is_some() {
        let verdict = if found.is_empty() { "was NOT found" } else { "was found" };
        println!("the planted bug {verdict} in {count} seeds");
        println!("{} passed, {} failed", u8::from(!found.is_empty()), u8::from(found.is_empty()));
        return if found.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    println!("{} passed, {} failed", count - found.len(), found.len());
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
