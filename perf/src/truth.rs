//! `coreperf truth`: whether the verdicts of `compare` are true on this host.
//!
//! A server that is slower by a known amount is a floor that computes for every request. The floor is compared with itself, of
//! which nothing can be told, and with one that computes 5 % of a request more, which is slower.
//!
//! **Not** a judge of its own: `perf_basis::judge` decides, over pairs that `compare` takes.
//!
//! **Invariants**: a try without a verdict counts as neither right nor wrong, and without a try of each kind nothing holds.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use perf_basis::files::write_json;
use perf_basis::judge::{ComparisonVerdict, PAIRS_MIN, PairComparison, Spread, compare_pairs};
use serde::Serialize;

use crate::compare::pairs::{PairedRun, StartServer, about};
use crate::compare::{ComparedFigure, PAIRS};
use crate::floor::work::step_ns_here;
use crate::run::outcome::SCHEMA;
use crate::run::scenario::{ExpectedBody, Scenario};
use crate::servers::{TestBed, ensure_optimized};
use crate::system::cpus::Cpus;
use crate::system::fingerprint::{Fingerprint, commit};

/// Runs that find out what a request costs the floor: an odd number, so that the median is one of them.
const FIRST_RUNS: u16 = 5;

/// Of so many tries of a kind one may come out otherwise.
const TRIES_PER_MISS: usize = 20;

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

/// What the floor was compared with, each with what is true of it.
const SUBJECTS: [(&str, ComparisonVerdict); 2] =
    [("the floor and itself", ComparisonVerdict::CannotTell), ("the floor and more work", ComparisonVerdict::Slower)];

/// One comparison.
#[derive(Clone, Debug, Serialize)]
struct Try {
    subject: &'static str,
    truth: ComparisonVerdict,
    /// None when too few of its pairs could be believed.
    comparison: Option<PairComparison>,
    pairs: Vec<(f64, f64)>,
}

/// All tries, as the file has them.
#[derive(Debug, Serialize)]
struct Report {
    schema: u32,
    /// CPU time of a request of the floor, in microseconds.
    floor_us: f64,
    /// What both compute for each, in nanoseconds, and what the slower one computes beyond that.
    base_ns: u64,
    work_ns: u64,
    scenario: Scenario,
    host: Fingerprint,
    commit: String,
    tries: Vec<Try>,
}

/// Runs the verb. Exit status 1 when more than one of 20 verdicts was not true.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    ensure!((0.5..=1_000.0).contains(&options.more), "--more {}: it is from 0.5 to 1000 percent", options.more);
    ensure_optimized("truth")?;
    let scenario = options.scenario()?;
    let bed = TestBed::new("truth", &options.cpus, None)?;
    let paired_run = PairedRun::new(&bed, &scenario, ComparedFigure::Cpu, &options.cpus.clients);
    let step_ns = step_ns_here();
    eprintln!("{}", options.estimate(paired_run.pair_seconds()));
    let floor_us = cost(&paired_run, &scenario, (options.base_ns, step_ns))?;
    let work_ns = (floor_us * 1e3 * options.more / 100.0).round().max(1.0) as u64;
    println!(
        "a request costs the floor {floor_us:.3} us, {} ns of work included; {:.1} % of that is {work_ns} ns more",
        options.base_ns, options.more
    );
    let (base_ns, bytes) = (options.base_ns, scenario.values.bytes);
    let (host, commit) = (Fingerprint::take(), commit());
    let mut report = Report { schema: SCHEMA, floor_us, base_ns, work_ns, scenario, host, commit, tries: Vec::new() };
    let floor: StartServer<'_> = &|bed: &TestBed| bed.start_floor_with_work(bytes, (base_ns, step_ns));
    let slower: StartServer<'_> = &|bed: &TestBed| bed.start_floor_with_work(bytes, (base_ns + work_ns, step_ns));
    let ended = (0..options.tries).try_for_each(|_| {
        SUBJECTS.iter().zip([floor, slower]).try_for_each(|((subject, truth), second)| {
            let one = Try::of(subject, *truth, paired_run.pairs([floor, second], options.pairs, |_, _| {})?);
            println!("{}", one.line());
            report.tries.push(one);
            Ok(())
        })
    });
    print!("{}", sum(&report.tries));
    if let Some(path) = &options.out {
        write_json(path, &report)?;
    }
    ended.map(|()| if holds(&report.tries) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
        scenario.expect.body = ExpectedBody::Length;
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
        figures.extend(ComparedFigure::Cpu.of(&outcome));
    }
    let spread = Spread::of(figures).with_context(|| format!("no run of the floor can be believed: {why}"))?;
    Ok(spread.median)
}

impl Try {
    /// A try without enough pairs has no verdict; `compare` would say so instead of judging.
    fn of(subject: &'static str, truth: ComparisonVerdict, pairs: Vec<(f64, f64)>) -> Self {
        let comparison = (pairs.len() >= PAIRS_MIN).then(|| compare_pairs(&pairs));
        Self { subject, truth, comparison, pairs }
    }

    fn is_true(&self) -> Option<bool> {
        self.comparison.map(|comparison| comparison.verdict == self.truth)
    }

    fn line(&self) -> String {
        let Some(PairComparison { verdict, ratio, interval: (low, high), .. }) = self.comparison else {
            return format!("{}: only {} pairs of valid runs, so no verdict", self.subject, self.pairs.len());
        };
        let mark = if self.is_true() == Some(true) { "" } else { "  NOT TRUE" };
        format!("{:<23}: {:<11} {ratio:.4} ({low:.4} to {high:.4}){mark}", self.subject, verdict.words())
    }
}

/// Tries of a subject that have a verdict, and those whose verdict is not true.
fn counts(tries: &[Try], subject: &str) -> (usize, usize) {
    let truths = tries.iter().filter(|one| one.subject == subject).filter_map(Try::is_true);
    truths.fold((0, 0), |(all, wrong), is_true| (all + 1, wrong + usize::from(!is_true)))
}

/// Whether `compare` tells the truth here, as far as was tried.
fn holds(tries: &[Try]) -> bool {
    SUBJECTS.iter().all(|(subject, _)| {
        let (all, wrong) = counts(tries, subject);
        all > 0 && wrong <= all / TRIES_PER_MISS
    })
}

/// What the tries show, in lines.
fn sum(tries: &[Try]) -> String {
    let mut text = String::new();
    for (subject, truth) in SUBJECTS {
        let (all, wrong) = counts(tries, subject);
        text += &format!("{subject}: {:?} in {} of {all} tries\n", truth.words(), all - wrong);
    }
    let fewest = SUBJECTS.iter().map(|(subject, _)| counts(tries, subject).0).min().unwrap_or_default();
    text += match (holds(tries), fewest) {
        (true, TRIES_PER_MISS..) => "compare tells the truth here.\n",
        (true, _) => "No verdict was wrong; fewer than 20 tries of each kind are an indication only.\n",
        (false, 0) => "Not both kinds have a verdict: nothing is shown.\n",
        (false, _) => "compare does NOT tell the truth here: quiet the host, or use more --pairs or --seconds.\n",
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::scratch::ScratchFolder;

    fn tries(itself: &[f64], more: &[f64]) -> Vec<Try> {
        let of = |(subject, truth): (&'static str, ComparisonVerdict), ratios: &[f64]| {
            ratios.iter().map(|ratio| Try::of(subject, truth, vec![(1.0, *ratio); PAIRS_MIN])).collect::<Vec<_>>()
        };
        [of(SUBJECTS[0], itself), of(SUBJECTS[1], more)].concat()
    }

    #[test]
    fn one_of_twenty_may_be_wrong() {
        let with = |count: usize, wrong: usize, right_is: f64, wrong_is: f64| -> Vec<f64> {
            (0..count).map(|index| if index < wrong { wrong_is } else { right_is }).collect()
        };
        for (count, wrong_itself, wrong_more, expected, words) in [
            (20, 0, 0, true, "\"slower\" in 20 of 20 tries\ncompare tells the truth"),
            (20, 1, 1, true, "\"cannot tell\" in 19 of 20 tries"),
            (20, 2, 0, false, "NOT tell the truth"),
            (20, 0, 2, false, "NOT tell the truth"),
            (19, 1, 0, false, "NOT tell the truth"),
            (3, 0, 0, true, "an indication only"),
            (0, 0, 0, false, "Not both kinds have a verdict"),
        ] {
            let tries = tries(&with(count, wrong_itself, 1.0, 1.05), &with(count, wrong_more, 1.05, 1.0));
            assert_eq!(holds(&tries), expected, "{count} {wrong_itself} {wrong_more}");
            assert!(sum(&tries).contains(words), "{words} is not in\n{}", sum(&tries));
        }
    }

    #[test]
    fn lines_say_what_was_wrong() {
        let lines: Vec<String> = tries(&[1.0, 1.05], &[1.05]).iter().map(Try::line).collect();
        assert!(lines[0].contains("cannot tell") && !lines[0].contains("NOT TRUE"), "{lines:?}");
        assert!(lines[1].contains("slower") && lines[1].contains("NOT TRUE"), "{lines:?}");
        let few = Try::of(SUBJECTS[0].0, SUBJECTS[0].1, vec![(1.0, 1.0)]);
        assert!(few.line().contains("only 1 pairs") && !holds(&[few]));
    }

    #[test]
    fn what_the_floor_cannot_answer_is_refused() {
        use clap::Parser as _;

        #[derive(clap::Parser)]
        struct Arguments {
            #[command(flatten)]
            options: Options,
        }

        let scratch = ScratchFolder::new("truth-scenario").expect("the temporary folder is writable");
        for (more, is_refused) in [("", false), ("[keys]\ncount = 2\n", true), ("[mix]\nput = 1\n", true)] {
            let path = scratch.write("s.toml", &format!("url = \"http://127.0.0.1:1/k\"\n{more}")).expect("writable");
            let arguments =
                ["truth", "--tries", "3", "--pairs", "10", "--scenario", path.to_str().expect("it is plain")];
            let options = Arguments::try_parse_from(arguments).expect("they are right").options;
            let refusal = options.scenario().err().map(|error| format!("{error:#}"));
            assert_eq!(refusal.is_some_and(|error| error.contains("s.toml")), is_refused, "{more}");
            assert!(options.estimate(6.0).contains("60 pairs, about 6 min"));
        }
    }
}
