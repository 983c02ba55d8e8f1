//! `coreperf compare`: is B slower than A, faster, or can it not be told?
//!
//! A and B are programs, asked in turns under the same scenario, or folders of results that were taken so.
//! Whether its verdicts are true here is tried by `coreperf truth`.
//!
//! **Invariants**: a run that was not valid takes its pair with it.

pub(crate) mod pairs;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use perf_basis::files::write_json;
use perf_basis::judge::{ComparisonVerdict, PAIRS_MIN, PairComparison, compare_pairs};
use serde::Serialize;

use crate::results;
use crate::run::outcome::{Outcome, SCHEMA};
use crate::run::scenario::Scenario;
use crate::servers::client::accepts;
use crate::servers::{TestBed, TestServer, free_addresses};
use crate::system::cpus::Cpus;
use pairs::{PairedRun, StartServer, about};

/// Pairs unless told otherwise: 5 % more is seen in 97 of 100 comparisons on a shared host (the tests of perf_basis::judge).
pub(crate) const PAIRS: u16 = 20;

/// The two programs, as lines of progress call them.
const NAMES: [&str; 2] = ["A", "B"];

/// What is compared, and by which figure.
#[derive(Args)]
pub(crate) struct Options {
    /// A program, a command with {address}, or a folder of results
    #[arg(value_name = "A")]
    first: String,
    /// The same, to be set beside it
    #[arg(value_name = "B")]
    second: String,
    /// Scenario for programs; its url's host and port are replaced
    #[arg(long, default_value = "perf/scenarios/hit.toml")]
    scenario: PathBuf,
    /// What is compared
    #[arg(long, value_enum, default_value = "cpu")]
    figure: ComparedFigure,
    /// Pairs of runs; 8 see 5 % more in about half of the comparisons on a shared host, 20 nearly always
    #[arg(long, default_value_t = PAIRS, value_parser = clap::value_parser!(u16).range(PAIRS_MIN as i64..=1000))]
    pairs: u16,
    /// How long each program of a pair is measured, in seconds, in three turns, instead of the scenario's duration
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: Option<u16>,
    #[command(flatten)]
    cpus: Cpus,
    /// Write the judgement to this file as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A figure of a run; smaller is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ComparedFigure {
    /// CPU time of the server per request
    Cpu,
    /// Median latency
    P50,
    /// 99th percentile of the latency
    P99,
}

impl ComparedFigure {
    /// The figure of a run that can be believed as far as it goes.
    pub(crate) fn of(self, outcome: &Outcome) -> Option<f64> {
        let latency = outcome.latency.filter(|_| outcome.valid);
        match self {
            // What a server spends on a request stands also where the generator was the limit.
            Self::Cpu => outcome.cpu_believed().map(|cpu| cpu.total),
            Self::P50 => latency.map(|latency| latency.p50_us),
            Self::P99 => latency.map(|latency| latency.p99_us),
        }
        .filter(|figure| *figure > 0.0)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU per request",
            Self::P50 => "p50",
            Self::P99 => "p99",
        }
    }
}

/// A judgement as the file has it.
#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    first: &'a str,
    second: &'a str,
    figure: ComparedFigure,
    pairs: Vec<(f64, f64)>,
    #[serde(flatten)]
    comparison: PairComparison,
}

/// Runs the verb. Exit status 1 when B is slower.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let folders = [&options.first, &options.second].map(|name| Path::new(name).is_dir());
    let pairs = match folders {
        [true, true] => of_folders(options)?,
        [false, false] => of_programs(options)?,
        _ => bail!("{} and {} are a folder and a program; give two of a kind", options.first, options.second),
    };
    ensure!(
        pairs.len() >= PAIRS_MIN,
        "only {} pairs of valid runs; it takes {PAIRS_MIN}: quiet the host, or measure more with --pairs",
        pairs.len()
    );
    let comparison = compare_pairs(&pairs);
    println!("{}", words(options, &comparison, pairs.len()));
    if let Some(path) = &options.out {
        let report = Report {
            schema: SCHEMA,
            first: &options.first,
            second: &options.second,
            figure: options.figure,
            pairs,
            comparison,
        };
        write_json(path, &report)?;
    }
    Ok(if comparison.verdict == ComparisonVerdict::Slower { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn words(options: &Options, comparison: &PairComparison, pairs: usize) -> String {
    let begin = if comparison.verdict == ComparisonVerdict::CannotTell { "" } else { "B is " };
    format!(
        "{begin}{}: {} of B to A's {:.4} (95 % between {:.4} and {:.4}); chance alone {:.4}; {pairs} pairs",
        comparison.verdict.words(),
        options.figure.name(),
        comparison.ratio,
        comparison.interval.0,
        comparison.interval.1,
        comparison.chance.unwrap_or_default()
    )
}

/// Runs two programs in turn.
fn of_programs(options: &Options) -> Result<Vec<(f64, f64)>> {
    let mut scenario = Scenario::read(&options.scenario)?;
    scenario.duration = options.seconds.map_or(scenario.duration, |seconds| Duration::from_secs(seconds.into()));
    let bed = TestBed::new("compare", &options.cpus, None)?;
    let paired_run = PairedRun::new(&bed, &scenario, options.figure, &options.cpus.clients);
    eprintln!("{} pairs take {}", options.pairs, about(paired_run.pair_seconds() * f64::from(options.pairs)));
    let starts: [StartServer<'_>; 2] =
        [&|bed| start(bed, NAMES[0], &options.first), &|bed| start(bed, NAMES[1], &options.second)];
    paired_run.pairs(starts, options.pairs, |number, pair| {
        let words = match pair {
            Ok((first, second)) => format!("{} {first:.3} us, {} {second:.3} us", NAMES[0], NAMES[1]),
            Err(why) => format!("not valid: {why}"),
        };
        eprintln!("pair {} of {}: {words}", number + 1, options.pairs);
    })
}

/// Starts what an operand says: a command as it stands, or Corelane's edge with its addresses and core.
fn start(bed: &TestBed, name: &'static str, text: &str) -> Result<TestServer> {
    let [address, admin] = free_addresses()?;
    let text = if text.contains("{address}") {
        text.to_owned()
    } else {
        format!("{text} --cores {{cpu}} --listen {{address}} --admin {{admin}}")
    };
    let text = text
        .replace("{address}", &address.to_string())
        .replace("{admin}", &admin.to_string())
        .replace("{cpu}", &bed.server_cpu.to_string());
    let mut words = text.split_whitespace();
    let mut command = Command::new(words.next().context("a program has a name")?);
    command.args(words);
    bed.serve(name, &mut command, address, accepts)
}

/// The runs of two folders, paired in the order in which they were begun.
fn of_folders(options: &Options) -> Result<Vec<(f64, f64)>> {
    let figures = |folder: &str| -> Result<Vec<Option<f64>>> {
        let found = results::under(&[PathBuf::from(folder)])?;
        let mut outcomes: Vec<Outcome> = found.into_iter().map(|one| one.outcome).collect();
        outcomes.sort_by(|a, b| a.started.cmp(&b.started));
        Ok(outcomes.iter().map(|outcome| options.figure.of(outcome)).collect())
    };
    let (first, second) = (figures(&options.first)?, figures(&options.second)?);
    Ok(first.into_iter().zip(second).filter_map(|(first, second)| first.zip(second)).collect())
}
