//! `coreperf search`: the highest rate at which a server still meets an objective.
//!
//! **Invariants**: a run in which the generator was the limit ends the search with an error, not with a figure.

mod bisection;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use clap::Args;
use perf_basis::files::write_json;
use serde::Serialize;

use crate::run::outcome::{LatencyPercentiles, Outcome, SCHEMA};
use crate::run::scenario::Scenario;
use crate::run::{RunOptions, WINDOW, cpus_of, measure};
use crate::system::stop::StopSignal;
use bisection::{Bisection, FoundRate};

/// Rate of the first run if the scenario has none: any server on any host answers that many.
const FIRST_RATE: f64 = 1_000.0;

/// What to search for.
#[derive(Args)]
pub(crate) struct Options {
    /// The scenario; its rate is where the search begins
    #[arg(value_name = "SCENARIO.toml")]
    scenario: PathBuf,
    /// The objective: p50, p90, p99, p999 or max, and a duration, such as p99=1ms
    #[arg(long, value_name = "OBJECTIVE")]
    slo: Objective,
    /// How close the answer must be, as a share of the rate
    #[arg(long, default_value_t = 0.02)]
    precision: f64,
    /// Where requests go, instead of the scenario's url
    #[arg(long)]
    url: Option<String>,
    /// Write the answer to this file as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// One of the latencies, in microseconds.
type OneLatency = fn(&LatencyPercentiles) -> f64;

/// Latencies that an objective may name.
const PERCENTILES: [(&str, OneLatency); 5] = [
    ("p50", |latency| latency.p50_us),
    ("p90", |latency| latency.p90_us),
    ("p99", |latency| latency.p99_us),
    ("p999", |latency| latency.p999_us),
    ("max", |latency| latency.max_us),
];

/// A latency that must not be exceeded.
#[derive(Clone, Copy, Debug)]
struct Objective {
    name: &'static str,
    us: OneLatency,
    limit: Duration,
}

impl FromStr for Objective {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (said, limit) = text.split_once('=').ok_or("an objective is written p99=1ms")?;
        let known = PERCENTILES.into_iter().find(|(name, _)| *name == said.replace("99.9", "999"));
        let (name, us) = known.ok_or_else(|| format!("{said} is none of p50, p90, p99, p999, max"))?;
        let limit = humantime::parse_duration(limit).map_err(|error| error.to_string())?;
        Ok(Self { name, us, limit })
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, humantime::format_duration(self.limit))
    }
}

impl Objective {
    fn is_met(self, latency: &LatencyPercentiles) -> bool {
        (self.us)(latency) <= self.limit.as_secs_f64() * 1e6
    }
}

/// The answer as the file has it.
#[derive(Serialize)]
struct Report {
    schema: u32,
    objective: String,
    #[serde(flatten)]
    found: FoundRate,
    runs: Vec<(f64, bool)>,
}

/// Runs the verb. Exit status 1 when no rate met the objective.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    ensure!((0.001..1.0).contains(&options.precision), "--precision {}: it is from 0.001 to 1", options.precision);
    let mut scenario = Scenario::read(&options.scenario)?;
    if let Some(url) = &options.url {
        scenario.url.clone_from(url);
    }
    scenario.check()?;
    let (stop, cpus) = (StopSignal::on_signals()?, cpus_of(&scenario)?);
    let run_options = RunOptions::unseen(&cpus, WINDOW);
    let mut search = Bisection::new(scenario.rate.unwrap_or(FIRST_RATE), options.precision);
    let mut runs = Vec::new();
    while let Some(rate) = search.next() {
        scenario.rate = Some(rate);
        let outcome = measure(scenario.clone(), &run_options, &stop)?.outcome;
        stop.check()?;
        scenario.values.fill = false;
        let met = judge(options.slo, &outcome)?;
        eprintln!("{}", line(rate, &outcome, met));
        runs.push((rate, met));
        search.note(met);
    }
    let found = search.found();
    println!("{}", words(options.slo, found));
    if let Some(path) = &options.out {
        let report = Report { schema: SCHEMA, objective: options.slo.to_string(), found, runs };
        write_json(path, &report)?;
    }
    Ok(if found.met > 0.0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether a run met the objective; a server that cannot keep up has missed it, one that was kept from its CPU has not.
fn judge(objective: Objective, outcome: &Outcome) -> Result<bool> {
    if let Some(reason) = outcome.invalid_reasons.iter().find(|reason| reason.kind.spares_the_server()) {
        bail!("the generator or the host is the limit, not the server: {reason}");
    }
    Ok(outcome.latency.is_some_and(|latency| objective.is_met(&latency)))
}

fn line(rate: f64, outcome: &Outcome, met: bool) -> String {
    let verdict = if met { "met" } else { "missed" };
    let reason = outcome.invalid_reasons.first().map_or_else(String::new, |reason| format!(" ({reason})"));
    let p99 = outcome.latency.map_or_else(|| "-".to_owned(), |latency| format!("{:.1}", latency.p99_us));
    format!("{rate:>12.0} requests/s: {verdict}; p99 {p99} us{reason}")
}

fn words(objective: Objective, found: FoundRate) -> String {
    match found {
        FoundRate { met: 0.0, .. } => format!("no rate met {objective}"),
        FoundRate { met, missed: Some(missed) } => {
            format!("{met:.0} requests/s is the highest rate with {objective}; {missed:.0} is too many")
        }
        FoundRate { met, missed: None } => format!("{met:.0} requests/s, and no rate was too many"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::result;

    #[test]
    fn objectives_are_read_and_judged() {
        let objective: Objective = "p99=1ms".parse().expect("it is one");
        let latency = |p99_us| LatencyPercentiles { p99_us, ..LatencyPercentiles::default() };
        assert_eq!(objective.to_string(), "p99=1ms");
        assert!(objective.is_met(&latency(1_000.0)) && !objective.is_met(&latency(1_000.1)));
        for (text, expected) in [("p99", "p99=1ms"), ("p98=1ms", "p98"), ("p99=1", "unit")] {
            let error = text.parse::<Objective>().expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    /// The kind decides, whatever the text says.
    #[test]
    fn what_is_not_the_servers_fault_ends_the_search() {
        let objective: Objective = "p99=1s".parse().expect("it is one");
        for (kind, expected) in [
            ("generator_busy", None),
            ("generator_late", None),
            ("generator_waited", None),
            ("server_waited", None),
            ("errors", Some(false)),
            ("not_steady", Some(false)),
        ] {
            let mut written = result("t", 1.0, &["why"]);
            written["invalid_kinds"] = serde_json::json!([kind]);
            let outcome: Outcome = serde_json::from_value(written).expect("it is a result");
            assert_eq!(judge(objective, &outcome).ok(), expected, "{kind}");
        }
        let good: Outcome = serde_json::from_value(result("t", 1.0, &[])).expect("it is a result");
        assert_eq!(judge(objective, &good).ok(), Some(true));
    }
}
