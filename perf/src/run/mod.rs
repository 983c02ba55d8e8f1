//! `coreperf run`: loads a server as a scenario says and measures what it does.
//!
//! ```text
//!  scenario.toml ─▶ Scenario ─▶ RunPlan ─▶ cores: dispatch ─▶ generator ─▶ lanes ═══▶ server
//!                  trace, sizes ─┘        │ windows, results
//!                    result.json ◀─ Outcome ◀─ validity ◀─ conduct
//! ```
//!
//! The load is open: requests are due at instants fixed beforehand, and latencies count from there, so that a server that
//! stalls is charged for all that it kept waiting. A closed loop is there for those who want it.
//!
//! **Invariants**: a run that is not valid has no percentiles, only reasons.

mod arrivals;
mod choice;
mod conduct;
#[cfg(test)]
mod credit_tests;
pub(crate) mod dispatch;
pub(crate) mod fill;
pub(crate) mod generator;
mod lane;
mod live;
pub(crate) mod outcome;
pub(crate) mod phases;
mod plan;
pub(crate) mod protocol;
pub(crate) mod reason;
pub(crate) mod scenario;
mod steady;
pub(crate) mod tally;
pub(crate) mod timeline;
mod trace;
#[cfg(test)]
mod trace_tests;
#[cfg(test)]
mod truth_tests;
mod validity;
mod values;
mod workload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::agents::coordinator::Agents;
use crate::results::log;
use crate::system::fingerprint::Fingerprint;
use crate::system::stop::StopSignal;
pub(crate) use conduct::LoadCores;
use conduct::{Conducted, Workers};
pub(crate) use generator::WINDOW;
use generator::{RunPlan, Team};
use live::Live;
use outcome::{Outcome, TimelineSample};
use perf_basis::files::{write_json, write_whole};
pub(crate) use plan::KeysPart;
use scenario::Scenario;

/// What to run, and what of the scenario to change.
#[derive(Args)]
pub(crate) struct Options {
    /// The scenario; perf/scenarios has some, docs/perf-scenarios.md tells all keys
    #[arg(value_name = "SCENARIO.toml")]
    scenario: PathBuf,
    /// Requests per second, instead of the scenario's
    #[arg(long, conflicts_with = "closed")]
    rate: Option<f64>,
    /// A closed loop: the next request when the last one is answered; latencies then hide what waits
    #[arg(long)]
    closed: bool,
    /// Length of the measured span, such as 30s
    #[arg(long, value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Connections, instead of the scenario's
    #[arg(long)]
    connections: Option<usize>,
    /// Where requests go, instead of the scenario's url
    #[arg(long)]
    url: Option<String>,
    /// CPUs of the generator, one core each, such as 1 or 2,3
    #[arg(long, value_delimiter = ',')]
    cpus: Vec<usize>,
    /// Folder for result.json and latency.hlog; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Agents that load instead of this process, such as load1:7700,load2:7700; each has its share
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    agents: Vec<String>,
    /// Let the generator's cores sleep when nothing is due, at the price of tens of microseconds of lateness
    #[arg(long)]
    sleep: bool,
}

/// Runs the verb. Exit status 1 when the run was not valid.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let scenario = options.apply(Scenario::read(&options.scenario)?);
    scenario.check().context("what was given on the command line does not fit")?;
    if let Some(folder) = &options.out {
        std::fs::create_dir_all(folder).with_context(|| format!("{} could not be made", folder.display()))?;
    }
    let stop = StopSignal::on_signals()?;
    let cpus = cpus_of(&scenario)?;
    let run_options = RunOptions {
        agents: &options.agents,
        spins: !options.sleep,
        is_shown: true,
        ..RunOptions::unseen(&cpus, WINDOW)
    };
    let measured = measure(scenario, &run_options, &stop)?;
    if let Some(folder) = &options.out {
        measured.write(folder)?;
    }
    let outcome = &measured.outcome;
    print!("{}", summary(outcome));
    Ok(if outcome.valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Options {
    fn apply(&self, mut scenario: Scenario) -> Scenario {
        scenario.rate = if self.closed { None } else { self.rate.or(scenario.rate) };
        scenario.duration = self.duration.unwrap_or(scenario.duration);
        scenario.connections = self.connections.unwrap_or(scenario.connections);
        if let Some(url) = &self.url {
            scenario.url.clone_from(url);
        }
        if !self.cpus.is_empty() {
            scenario.cpus.clone_from(&self.cpus);
        }
        scenario
    }
}

/// The CPUs of the generator: the scenario's, or the last one of the host.
pub(crate) fn cpus_of(scenario: &Scenario) -> Result<Vec<usize>> {
    let count = std::thread::available_parallelism().context("the number of CPUs is unknown")?.get();
    let cpus = if scenario.cpus.is_empty() { vec![count - 1] } else { scenario.cpus.clone() };
    ensure!(
        cpus.len() <= scenario.connections,
        "{} CPUs share {} connections: each needs one at least",
        cpus.len(),
        scenario.connections
    );
    Ok(cpus)
}

/// How a scenario is run.
#[derive(Clone, Copy)]
pub(crate) struct RunOptions<'a> {
    /// CPUs of the generator, a core each.
    pub(crate) cpus: &'a [usize],
    /// Agents that load instead, if there are any.
    pub(crate) agents: &'a [String],
    /// Whether its cores spin while nothing is due.
    pub(crate) spins: bool,
    /// Length of a window; a warm-up is over when two in a row show the same.
    pub(crate) window: Duration,
    /// Whether every second is shown as it passes.
    pub(crate) is_shown: bool,
    /// Processes that are the server's beside those that listen at its address.
    pub(crate) beside: &'a [u32],
}

impl<'a> RunOptions<'a> {
    /// From these CPUs of this host, which spin, and without a line of progress.
    pub(crate) const fn unseen(cpus: &'a [usize], window: Duration) -> Self {
        Self { cpus, agents: &[], spins: true, window, is_shown: false, beside: &[] }
    }
}

/// What a run brought, with all latencies.
pub(crate) struct Measured {
    pub(crate) outcome: Outcome,
    conducted: Conducted,
}

/// Runs a scenario.
pub(crate) fn measure(scenario: Scenario, run_options: &RunOptions<'_>, stop: &StopSignal) -> Result<Measured> {
    let (started, host) =
        (humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string(), Fingerprint::take());
    let (plan, workers) = prepare(scenario, run_options, stop)?;
    let mut live = Live::default();
    let conducted = conduct::run(&plan, workers, (run_options.beside, stop), |second, conduct| {
        if run_options.is_shown {
            live.show(conduct.elapsed().as_secs_f64(), &TimelineSample::of(second));
        }
    })?;
    let outcome = Outcome::of(&plan.scenario, run_options.cpus, (started, host), &conducted);
    Ok(Measured { outcome, conducted })
}

/// Reads what the scenario names, and gets those ready who load.
fn prepare<'a>(
    scenario: Scenario,
    run_options: &RunOptions<'a>,
    stop: &StopSignal,
) -> Result<(Arc<RunPlan>, Workers<'a>)> {
    let RunOptions { cpus, agents, spins, window, is_shown, beside: _ } = *run_options;
    if !agents.is_empty() {
        let agents = Agents::prepare(agents, &scenario)?;
        return Ok((RunPlan::for_others(scenario)?, Workers::Agents(agents)));
    }
    let plan = RunPlan::read(scenario, Team { window, ..Team::alone(cpus.len(), spins) }, stop)?;
    if let Some((requests, keys)) = plan.trace_counts().filter(|_| is_shown) {
        eprintln!("the trace has {requests} requests for {keys} keys");
    }
    reach(&plan)?;
    if plan.scenario.values.fill {
        fill::run(&plan, KeysPart::Present, cpus[0], stop)?;
    }
    Ok((plan, Workers::Here(cpus)))
}

/// Stores values of a scenario, without running it.
pub(crate) fn fill(scenario: Scenario, part: KeysPart, cpu: usize, stop: &StopSignal) -> Result<()> {
    let plan = RunPlan::read(scenario, Team::alone(1, false), stop)?;
    reach(&plan)?;
    fill::run(&plan, part, cpu, stop)
}

/// Fails early, with a remedy, if nobody is there; learns what requests must say.
pub(crate) fn reach(plan: &Arc<RunPlan>) -> Result<()> {
    let reactor::Address::Tcp(address) = plan.address else { return Ok(()) };
    std::net::TcpStream::connect_timeout(&address, plan.scenario.timeout)
        .with_context(|| format!("nobody answers at {address}; start the server first, or give --url"))?;
    plan.requests.learn(address, plan.scenario.timeout)
}

impl Measured {
    /// Writes `result.json` and `latency.hlog` into a folder, which is made if it is not there; each is whole or not there.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder).with_context(|| format!("{} could not be made", folder.display()))?;
        write_json(&folder.join("result.json"), &self.outcome)?;
        let latency = &self.conducted.measured.latency;
        let bytes = log::write(latency, self.conducted.span, "corelane latencies, in nanoseconds")?;
        write_whole(&folder.join("latency.hlog"), &bytes)
    }
}

/// What a person reads first.
fn summary(outcome: &Outcome) -> String {
    let mut text = format!(
        "{}{:.0} requests/s due, {:.0} answered; {} errors\n",
        if outcome.title.is_empty() { String::new() } else { format!("{}\n", outcome.title) },
        outcome.rate_due,
        outcome.rate_answered,
        outcome.errors.total
    );
    match &outcome.latency {
        Some(latency) => text.push_str(&format!(
            "latency from the instant due: p50 {:.1} us, p90 {:.1}, p99 {:.1}, p99.9 {:.1}, max {:.1}\n",
            latency.p50_us, latency.p90_us, latency.p99_us, latency.p999_us, latency.max_us
        )),
        None => {
            text.push_str("NOT VALID, so no percentiles:\n");
            outcome.invalid_reasons.iter().for_each(|reason| text.push_str(&format!("- {reason}\n")));
        }
    }
    if let Some(ratio) = outcome.hit_ratio {
        text.push_str(&format!("hits: {:.2} % of the GETs\n", ratio * 100.0));
    }
    if let Some(cpu) = &outcome.cpu_us_per_request {
        text.push_str(&format!(
            "server: {:.3} us of CPU per request ({:.3} user, {:.3} system), {:.0} % of a CPU\n",
            cpu.total,
            cpu.user,
            cpu.system,
            outcome.server_busy.unwrap_or_default() * 100.0
        ));
    }
    text.push_str(&format!(
        "generator: {:.3} us per request, {:.0} % busy, p99 {:.1} us late\n",
        outcome.generator_us_per_request,
        outcome.generator_busy * 100.0,
        outcome.lateness.p99_us
    ));
    text
}
