//! `coreperf agent`: a load generator on another host, for `coreperf run --agents`.
//!
//! **Not** a daemon with a memory: it serves one coordinator after the other and keeps nothing.
//!
//! **Invariants**: when the coordinator goes away, the load ends.

pub(crate) mod coordinator;
pub(crate) mod line;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::run::dispatch::Report;
use crate::run::generator::{RunPlan, Team};
use crate::run::scenario::Scenario;
use crate::run::{KeysPart, LoadCores, cpus_of, fill, reach};
use crate::system::clock::now;
use crate::system::cpu::CpuTime;
use crate::system::stop::StopSignal;
use line::{FromAgent, Lines, ToAgent, say};

/// Where an agent listens.
#[derive(Args)]
pub(crate) struct Options {
    /// Address for the coordinator; whoever reaches it can make this host load any other, so keep it private
    #[arg(long, default_value = "127.0.0.1:7700")]
    listen: SocketAddr,
    /// CPUs of this agent, one core each, instead of the scenario's
    #[arg(long, value_delimiter = ',')]
    cpus: Vec<usize>,
    /// Let its cores sleep when nothing is due, as for coreperf run
    #[arg(long)]
    sleep: bool,
}

/// Between looks whether to stop while nobody coordinates.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Serves coordinators until it is stopped.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let stop = StopSignal::on_signals()?;
    let listener = TcpListener::bind(options.listen).with_context(|| format!("cannot listen on {}", options.listen))?;
    listener.set_nonblocking(true).context("the listener could not be prepared")?;
    println!("agent listens on {}; Ctrl-C ends it", listener.local_addr().context("it is bound")?);
    loop {
        let accepted = stop.until(LOOK_INTERVAL * 20, || listener.accept().ok());
        if stop.check().is_err() {
            return Ok(ExitCode::SUCCESS);
        }
        let Some((stream, coordinator)) = accepted else { continue };
        match serve(&stream, options, &stop) {
            Ok(()) => println!("a run for {coordinator} is over"),
            Err(error) => eprintln!("a run for {coordinator} has failed: {error:#}"),
        }
    }
}

fn serve(stream: &TcpStream, options: &Options, stop: &StopSignal) -> Result<()> {
    stream.set_nonblocking(false).context("the connection could not be prepared")?;
    let mut lines = Lines::new(stream.try_clone().context("the connection could not be shared")?);
    let Some(ToAgent::Start { scenario, fills, index, count }) = lines.next()? else {
        bail!("a coordinator begins with start")
    };
    ensure!(index < count, "agent {index} of {count}; is the coordinator of another version?");
    let scenario = options.apply(*scenario);
    let plan = cpus_of(&scenario).and_then(|cpus| {
        let team = Team { agent: index, agents: count, ..Team::alone(cpus.len(), !options.sleep) };
        prepare(scenario, team, fills.then(|| cpus[0]), stop)
    });
    let plan = match plan {
        Ok(plan) => plan,
        Err(error) => return say(stream, &FromAgent::Refused { why: format!("{error:#}") }),
    };
    say(stream, &FromAgent::Ready { cores: plan.team.cores })?;
    let Some(ToAgent::Begin) = lines.next()? else { return Ok(()) };
    let (began, cpu_before) = (now(), own_cpu());
    let (sender, reports) = channel();
    let cores = LoadCores::start(&plan, &cpus_of(&plan.scenario)?, &sender)?;
    drop(sender);
    let listening = Arc::clone(&plan);
    let listener = std::thread::spawn(move || obey(lines, &listening));
    let outcome = reports.iter().try_for_each(|report| {
        let line = match report {
            Report::Window(core, tally) => FromAgent::Window { core: core.0, tally },
            Report::Lost(_) => return Ok(()),
            Report::Result(mut tally) => {
                let elapsed_ns = now().since(began).as_nanos().max(1) as f64 * plan.team.cores as f64;
                tally.cpu_waited = (own_cpu() - cpu_before).waited_ns as f64 / elapsed_ns;
                tally.cpu_waited = tally.cpu_waited.min(1.0);
                FromAgent::Result { tally }
            }
        };
        if stop.check().is_err() {
            plan.phases.end();
        }
        say(stream, &line)
    });
    plan.phases.end();
    cores.join();
    // Ends the reader, if the coordinator has not.
    let _ = stream.shutdown(std::net::Shutdown::Both);
    let _ = listener.join();
    outcome
}

impl Options {
    fn apply(&self, mut scenario: Scenario) -> Scenario {
        if !self.cpus.is_empty() {
            scenario.cpus.clone_from(&self.cpus);
        }
        scenario
    }
}

fn own_cpu() -> CpuTime {
    CpuTime::of_process(std::process::id()).unwrap_or_default()
}

/// Gets ready for a run, and stores the values on `fill_cpu` if they are to be stored.
fn prepare(scenario: Scenario, team: Team, fill_cpu: Option<usize>, stop: &StopSignal) -> Result<Arc<RunPlan>> {
    scenario.check()?;
    let plan = RunPlan::read(scenario, team, stop)?;
    reach(&plan)?;
    if let Some(cpu) = fill_cpu {
        fill::run(&plan, KeysPart::Present, cpu, stop)?;
    }
    Ok(plan)
}

/// Does what the coordinator says until it ends the run or is gone.
fn obey(mut lines: Lines, plan: &RunPlan) {
    loop {
        match lines.next() {
            Ok(Some(ToAgent::Measure { in_ns, span_ns })) => {
                let from = now() + Duration::from_nanos(in_ns);
                plan.phases.measure(from, from + Duration::from_nanos(span_ns.max(1)));
            }
            Ok(Some(ToAgent::Start { .. } | ToAgent::Begin)) => {}
            Ok(Some(ToAgent::End) | None) | Err(_) => return plan.phases.end(),
        }
    }
}
