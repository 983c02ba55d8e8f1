//! `corectl tune ab`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use corectl::ab::{
    AbBench, AbReport, AbResult, AbRow, BenchOptions, Candidate, CoreperfBench, StopFlag, Trial, TrialOptions,
    candidates, markdown,
};
use corectl::facts::Facts;
use corectl::transaction::ApplyOptions;

use super::plan::PlanOptions;
use super::session::TuneSession;

/// Runs that one change is in force for at most.
const RUNS_OF_B: u64 = 2;

/// Beyond these runs: writes and read-backs.
const WRITES_SECONDS: u64 = 10;

/// A start and an end of a server, as long as they may take.
const SERVER_SECONDS: u64 = 40;

/// The longest that a run may take.
const RUN_SECONDS_MAX: u64 = 3600;

/// Rounds at most; more are asked for by mistake.
const ROUNDS_MAX: i64 = 64;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    plan: PlanOptions,
    /// A knob to try; all that the profile turns when none is said
    #[arg(long = "knob", value_name = "NAME")]
    knobs: Vec<String>,
    /// The load; docs/perf-scenarios.md tells all keys
    #[arg(long, value_name = "FILE")]
    scenario: PathBuf,
    /// Rounds of four runs: two of A, two of B. Four are the fewest that are judged
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=ROUNDS_MAX))]
    rounds: u32,
    /// Where requests go, instead of the scenario's url
    #[arg(long)]
    url: Option<String>,
    /// Agents that load from other hosts (`coreperf agent`); without them this host loads itself
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    agents: Vec<String>,
    /// CPUs of a generator on this host
    #[arg(long)]
    cpus: Option<String>,
    /// A server to start for every run; some settings count only when a server begins to listen. Without it, the one that is there
    #[arg(long, value_name = "COMMAND")]
    server: Option<String>,
    /// The load generator, with words before it if need be
    #[arg(long, value_name = "COMMAND", default_value = "coreperf")]
    coreperf: String,
    /// Times that a run is made at most, until one is valid: somebody else's work on the host disturbs
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10))]
    attempts: u32,
    /// A run that takes longer is given up; should this program be killed, B takes itself back when two runs were over for sure
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = humantime::parse_duration)]
    run_timeout: Duration,
    /// Who has agreed, and why, to try knobs that give up a protection; kept with each change. Without it they are not tried
    #[arg(long, value_name = "TEXT")]
    acknowledge: Option<String>,
    /// Folder for the table (ab-PROFILE.md, ab-PROFILE.json) and the results of all runs; beside the confirmed profile when not said
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(session: &TuneSession, options: &Options) -> Result<ExitCode> {
    let run_seconds_max = options.run_timeout.as_secs();
    if !(1..=RUN_SECONDS_MAX).contains(&run_seconds_max) {
        bail!("--run-timeout: found {run_seconds_max} s, allowed: 1 s to 1 h");
    }
    if session.is_fake() {
        bail!("--root: nothing can be measured on a folder");
    }
    let stop = StopFlag::on_signals().context("signal handlers")?;
    let (store, _lock) = session.begin()?;
    if let Some(waiting) = store.pending()? {
        bail!("a change waits to be confirmed or rolled back first: profile {}", waiting.profile);
    }
    let facts = Facts::gather(session.host());
    let profile = options.plan.profile(session)?;
    let chosen = candidates(&facts, &profile, &options.plan.limits(), &options.knobs)?;
    let out = options.out.clone().unwrap_or_else(|| PathBuf::from(store.folder()).join("ab"));
    std::fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    let mut bench = CoreperfBench::new(session.host(), options.bench(&out, run_seconds_max), stop);
    let server_seconds = if options.server.is_some() { SERVER_SECONDS } else { 0 };
    let revert_after_seconds =
        RUNS_OF_B * u64::from(options.attempts) * (run_seconds_max + server_seconds) + WRITES_SECONDS;
    let acknowledgement = options.acknowledge.clone();
    let apply =
        ApplyOptions { revert_after_seconds, revert: session.revert_command()?, acknowledgement, is_trial: true };
    let trial_options = TrialOptions { rounds: options.rounds, apply };
    let trial = Trial::new(&store, &facts, &trial_options);
    let mut report = AbReport::begun(&facts, &profile.name, &options.scenario, options.rounds, session.host().now());
    let tried = try_all(&trial, &chosen, &mut bench, &mut report.rows);
    (report.commit, report.cpu_model) = bench.commit_and_cpu();
    // What there is is kept, also when the rest could not be tried.
    let text = markdown(&report);
    let file = |end: &str| out.join(format!("ab-{}.{end}", profile.name)).display().to_string();
    session.host().store(&file("md"), &text)?;
    session.host().store(&file("json"), &(serde_json::to_string_pretty(&report)? + "\n"))?;
    print!("{text}");
    println!("\nwritten to {} and {}", file("md"), file("json"));
    tried?;
    let is_tried = |row: &AbRow| matches!(row.result, AbResult::Tried { .. });
    Ok(if report.rows.iter().any(is_tried) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn try_all(trial: &Trial<'_>, chosen: &[Candidate], bench: &mut dyn AbBench, rows: &mut Vec<AbRow>) -> Result<()> {
    let count = chosen.len();
    for (number, candidate) in (1..).zip(chosen) {
        eprintln!("{number} of {count}: {}", candidate.knob.name);
        rows.push(trial.knob(candidate, bench).with_context(|| candidate.knob.name)?);
    }
    Ok(())
}

impl Options {
    fn bench(&self, out: &std::path::Path, run_seconds_max: u64) -> BenchOptions {
        BenchOptions {
            coreperf: self.coreperf.clone(),
            scenario: self.scenario.clone(),
            url: self.url.clone(),
            agents: self.agents.clone(),
            cpus: self.cpus.clone(),
            server: self.server.clone(),
            attempts: self.attempts,
            run_seconds_max,
            folder: out.join("runs"),
        }
    }
}
