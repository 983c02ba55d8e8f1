//! `coreperf truth`: whether the verdicts of `compare` are true on this host.
//!
//! ```text
//!  a few runs of the floor ─▶ CPU time of a request ─▶ 5 % of it ─▶ a floor that computes as much more
//!  try: compare(floor, floor)             ─▶ must be "cannot tell"
//!       compare(floor, floor with work)   ─▶ must be "slower"
//! ```
//!
//! The floor computes a while for each request on both sides, so that the server is the limit and not the generator. A server with
//! time to spare does not become slower by the work it is given: it falls asleep less often and finds more to do per pass, which
//! saves as much.
//!
//! It holds if at most one of 20 tries of each kind came out otherwise.
//!
//! **Not** for a busy host: it shows what `compare` is worth where it runs, and other load is part of that.
//!
//! **Invariants**: a try is what `compare` does, by the same code; what was tried before an error or Ctrl-C is still told.

mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::compare::pairs::{PairedRun, Start, about};
use crate::compare::{Figure, PAIRS};
use crate::floor::work::step_ns_here;
use crate::run::scenario::Scenario;
use crate::servers::TestBed;
use crate::system::cpus::Cpus;
use crate::system::scratch::Scratch;
use crate::system::stop::Stop;
use perf_basis::judge::Spread;
use perf_basis::judge::{PAIRS_MIN, compare_pairs};
use report::{Report, Subject, Try};

/// Runs that find out what a request costs the floor: an odd number, so that the median is one of them.
const FIRST_RUNS: u16 = 5;

/// How many tries, and how each is made.
#[derive(Args)]
pub(crate) struct Options {
    /// Tries of each kind
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    tries: u16,
    /// Pairs of runs in a try
    #[arg(long, default_value_t = PAIRS, value_parser = clap::value_parser!(u16).range(PAIRS_MIN as i64..=1000))]
    pairs: u16,
    /// How long each floor of a pair is measured, in seconds, in three turns
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
    /// How much more work the slower server does for a request, in percent of what one costs
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0)]
    more: f64,
    /// Work of the floor for a request on both sides, in nanoseconds: so much that the server is the limit
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(..=100_000))]
    base_ns: u64,
    /// Scenario; its url's host and port are replaced
    #[arg(long, default_value = "perf/scenarios/hit.toml")]
    scenario: PathBuf,
    #[command(flatten)]
    cpus: Cpus,
    /// Write everything to this file as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs the verb. Exit status 1 when more than one of 20 verdicts was not true.
///
/// # Errors
/// The floor does not start, no run of it can be believed, or the host is too busy for a try.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    options.cpus.check()?;
    ensure!((0.5..=1_000.0).contains(&options.more), "--more {}: it is from 0.5 to 1000 percent", options.more);
    if cfg!(debug_assertions) {
        bail!("this is a debug build, whose floor is no floor; use: cargo run --release --bin coreperf -- truth");
    }
    let scenario = options.scenario()?;
    let bed = TestBed {
        binaries: PathBuf::new(),
        scratch: Scratch::new("truth")?,
        server_cpu: options.cpus.server,
        client_cpu: options.cpus.clients[0],
        stop: Stop::on_signals()?,
    };
    let paired_run = PairedRun::new(&bed, &scenario, Figure::Cpu, &options.cpus.clients);
    let step_ns = step_ns_here();
    eprintln!("{}", options.estimate(paired_run.pair_seconds()));
    let floor_us = cost(&paired_run, &scenario, (options.base_ns, step_ns))?;
    let work_ns = (floor_us * 1e3 * options.more / 100.0).round().max(1.0) as u64;
    println!(
        "a request costs the floor {floor_us:.3} us, {} ns of work included; {:.1} % of that is {work_ns} ns more",
        options.base_ns, options.more
    );
    let mut report = Report::new((floor_us, options.base_ns, work_ns, options.more), options.pairs, scenario.clone());
    let ended = try_all(options, &paired_run, (work_ns, step_ns), &mut report);
    print!("{}", report.sum());
    if let Some(path) = &options.out {
        perf_basis::files::write_json(path, &report)?;
    }
    ended?;
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Options {
    fn scenario(&self) -> Result<Scenario> {
        let mut scenario = Scenario::read(&self.scenario)?;
        scenario.duration = Duration::from_secs(self.seconds.into());
        ensure!(
            scenario.keys.count == 1 && scenario.mix.put == 0.0 && scenario.mix.delete == 0.0,
            "{} writes or has several keys; the floor answers reads of one value only",
            self.scenario.display()
        );
        // The floor stores nothing, and its bytes are not those that would have been stored.
        scenario.values.fill = false;
        scenario.expect.body = crate::run::scenario::Body::Length;
        Ok(scenario)
    }

    /// What is to come, with how long it takes.
    fn estimate(&self, pair_seconds: f64) -> String {
        let pairs = 2.0 * f64::from(self.pairs) * f64::from(self.tries);
        format!(
            "{} tries of {} pairs, twice: {pairs:.0} pairs, {}; Ctrl-C ends it, and what was tried is told",
            self.tries,
            self.pairs,
            about(pairs * pair_seconds)
        )
    }
}

/// Microseconds of CPU that a request costs the floor: the median of a few runs.
fn cost(paired_run: &PairedRun<'_>, scenario: &Scenario, work: (u64, f64)) -> Result<f64> {
    let body_bytes = scenario.values.bytes;
    let mut figures = Vec::new();
    let mut why = String::new();
    for _ in 0..FIRST_RUNS {
        let outcome = paired_run.alone(&|bed| bed.start_floor_with_work(body_bytes, work))?;
        why = outcome.invalid_reasons.line();
        figures.extend(Figure::Cpu.of(&outcome));
    }
    let spread = Spread::of(figures).with_context(|| format!("no run of the floor can be believed: {why}"))?;
    Ok(spread.median)
}

/// Makes the tries, and notes each in the report as it ends.
fn try_all(
    options: &Options,
    paired_run: &PairedRun<'_>,
    (work_ns, step_ns): (u64, f64),
    report: &mut Report,
) -> Result<()> {
    let (bytes, base_ns) = (report.scenario.values.bytes, options.base_ns);
    let floor: Start<'_> = &|bed: &TestBed| bed.start_floor_with_work(bytes, (base_ns, step_ns));
    let slower: Start<'_> = &|bed: &TestBed| bed.start_floor_with_work(bytes, (base_ns + work_ns, step_ns));
    for number in 1..=options.tries {
        for (subject, second) in [(Subject::Itself, floor), (Subject::MoreWork, slower)] {
            let pairs = paired_run.pairs([floor, second], options.pairs, |_, _| {})?;
            // A try without enough pairs has no verdict, and `compare` would say so instead of judging.
            let judged = (pairs.len() >= PAIRS_MIN).then(|| compare_pairs(&pairs));
            let one = Try { number, subject, judged, pairs };
            println!("{}", one.line(options.tries));
            report.tries.push(one);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        options: Options,
    }

    fn options(arguments: &[&str]) -> Options {
        Arguments::try_parse_from(["truth"].iter().chain(arguments)).expect("they are right").options
    }

    #[test]
    fn how_long_it_takes_is_told_beforehand() {
        let text = options(&["--tries", "3", "--pairs", "10"]).estimate(6.0);
        assert!(text.contains("60 pairs, about 6 min"), "{text}");
    }

    #[test]
    fn what_the_floor_cannot_answer_is_refused() {
        let scratch = Scratch::new("truth-scenario").expect("the temporary folder is writable");
        for (more, is_refused) in [("", false), ("[keys]\ncount = 2\n", true), ("[mix]\nput = 1\n", true)] {
            let text = format!("url = \"http://127.0.0.1:1/k\"\n{more}");
            let path = scratch.write("s.toml", &text).expect("the temporary folder is writable");
            let scenario = options(&["--scenario", path.to_str().expect("it is plain")]).scenario();
            assert_eq!(scenario.is_err(), is_refused, "{more}");
            assert!(scenario.is_err_and(|error| error.to_string().contains("s.toml")) == is_refused, "{more}");
        }
    }
}
