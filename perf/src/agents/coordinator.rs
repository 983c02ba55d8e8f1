//! The coordinator's side: agents as if they were cores of this process.
//!
//! **Invariants**: every agent has its share of rate and connections, and a seed of its own; all measure the same span, as far
//! as the network's delay lets them.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc::Sender;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reactor::{CoreId, Instant};

use super::line::{FromAgent, Lines, ToAgent, say};
use crate::run::dispatch::Report;
use crate::run::generator::share;
use crate::run::scenario::Scenario;
use crate::system::clock::now;

/// How long an agent may take to be reached.
const REACH_LIMIT: Duration = Duration::from_secs(5);

/// An agent that is ready.
struct CoordinatedAgent {
    name: String,
    stream: TcpStream,
    lines: Option<Lines>,
    cores: usize,
}

/// All agents of a run.
pub(crate) struct Agents(Vec<CoordinatedAgent>);

impl Agents {
    /// Connects to all of them and hands each its share.
    pub(crate) fn prepare(names: &[String], scenario: &Scenario) -> Result<Self> {
        let mut agents = Vec::new();
        // One after the other: the first one fills, and the others must find what it has stored.
        for (index, name) in names.iter().enumerate() {
            let agent = CoordinatedAgent::prepare(name, scenario, (index, names.len()));
            agents.push(agent.with_context(|| format!("agent {name}"))?);
        }
        Ok(Self(agents))
    }

    /// Cores of all agents together.
    pub(crate) fn cores(&self) -> usize {
        self.0.iter().map(|agent| agent.cores).sum()
    }

    /// Lets all begin; what they tell goes to `reports`.
    pub(crate) fn begin(&mut self, reports: &Sender<Report>) -> Result<()> {
        let mut first_core = 0;
        for agent in &mut self.0 {
            say(&agent.stream, &ToAgent::Begin).with_context(|| format!("agent {}", agent.name))?;
            let (lines, name) = (agent.lines.take().expect("an agent begins once"), agent.name.clone());
            let (reports, core, cores) = (reports.clone(), first_core, agent.cores);
            std::thread::spawn(move || {
                let outcome = listen(lines, (core, cores), &reports);
                if let Err(error) = &outcome {
                    eprintln!("agent {name}: {error:#}");
                }
                if !outcome.is_ok_and(|is_whole| is_whole) {
                    // Nobody listens once the run was given up.
                    let _ = reports.send(Report::Lost(name));
                }
            });
            first_core += agent.cores;
        }
        Ok(())
    }

    /// Sets the measured span of all.
    pub(crate) fn measure(&self, from: Instant, until: Instant) {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        for agent in &self.0 {
            let line = ToAgent::Measure { in_ns: nanos(from.since(now())), span_ns: nanos(until.since(from)) };
            // One that is gone brings no result, which ends the run.
            let _ = say(&agent.stream, &line);
        }
    }

    /// Ends the run on all.
    pub(crate) fn end(&self) {
        self.0.iter().for_each(|agent| drop(say(&agent.stream, &ToAgent::End)));
    }
}

impl CoordinatedAgent {
    fn prepare(name: &str, scenario: &Scenario, (index, count): (usize, usize)) -> Result<Self> {
        let addresses = name.to_socket_addrs().context("it is written HOST:PORT")?;
        let address = addresses.into_iter().next().context("it has no address")?;
        let stream = TcpStream::connect_timeout(&address, REACH_LIMIT)
            .with_context(|| format!("cannot be reached; start it there: coreperf agent --listen {name}"))?;
        stream.set_nodelay(true).context("the connection could not be prepared")?;
        let share_of = Scenario {
            rate: scenario.rate.map(|rate| rate / count as f64),
            connections: share(scenario.connections, index, count).max(1),
            seed: scenario.seed.wrapping_add(index as u64 * 1_000),
            ..scenario.clone()
        };
        let fills = scenario.values.fill && index == 0;
        say(&stream, &ToAgent::Start { scenario: Box::new(share_of), fills, index, count })?;
        let mut lines = Lines::new(stream.try_clone().context("the connection could not be shared")?);
        match lines.next()?.context("it hung up")? {
            FromAgent::Ready { cores } => Ok(Self { name: name.to_owned(), stream, lines: Some(lines), cores }),
            FromAgent::Refused { why } => bail!("{why}"),
            FromAgent::Window { .. } | FromAgent::Result { .. } => bail!("it tells of a run that has not begun"),
        }
    }
}

/// Hands on what an agent tells, its cores numbered from `first_core` on; says whether all of them told their result.
fn listen(mut lines: Lines, (first_core, cores): (usize, usize), reports: &Sender<Report>) -> Result<bool> {
    let mut results = 0;
    while let Some(line) = lines.next()? {
        let report = match line {
            FromAgent::Window { core, tally } => {
                let core = u16::try_from(first_core + usize::from(core)).context("too many cores")?;
                Report::Window(CoreId(core), tally)
            }
            FromAgent::Result { tally } => {
                results += 1;
                Report::Result(tally)
            }
            FromAgent::Ready { .. } | FromAgent::Refused { .. } => continue,
        };
        if reports.send(report).is_err() {
            break;
        }
    }
    Ok(results == cores)
}
