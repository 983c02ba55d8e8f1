//! The `corelane` binary: settings, topology, cores.
//!
//! **Not** deciding anything but the order of these steps.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use control::drain::Exit;
use control::settings::{Cores, EdgeSettings, Invocation, from_process};
use corelane::{EdgePlan, TopologySource, start};
use reactor::{Threads, block_signals, cpu, probe};
use shardstore::placement::Topology;

fn main() -> ExitCode {
    block_signals();
    match run() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("corelane: {error:#}");
            ExitCode::from(Exit::Refused.status())
        }
    }
}

fn run() -> anyhow::Result<u8> {
    let loaded = match from_process::<EdgeSettings>()? {
        Invocation::Print(text) => {
            print!("{text}");
            return Ok(0);
        }
        Invocation::Serve(loaded) => *loaded,
    };
    let topology = loaded.settings.topology.as_deref().map(read_topology).transpose()?;
    let cpus = data_cpus(&loaded.settings.cores)?;
    probe()?;
    let plan = EdgePlan {
        settings: loaded.settings,
        effective: loaded.effective,
        topology,
        cpus: cpus.into_iter().map(Some).collect(),
        incarnation: incarnation(),
        log: Box::new(io::stderr()),
    };
    let mut threads = Threads::new(None);
    let ending = start(&mut threads, plan)?;
    threads.join();
    Ok(ending.status().unwrap_or(Exit::Cut.status()))
}

fn read_topology(file: &Path) -> anyhow::Result<(Topology, TopologySource)> {
    let name = file.display().to_string();
    let text = fs::read_to_string(file).with_context(|| {
        format!("{name}: cannot read the topology; `topology` names the file, leave it out to run embedded")
    })?;
    let topology = Topology::parse(&text).map_err(|error| anyhow::anyhow!("{name}:{}: {error}", error.line()))?;
    let (marked, read) = (file.to_owned(), file.to_owned());
    let source = TopologySource {
        mark: Box::new(move || fs::metadata(&marked).ok().map(|metadata| (&metadata).into())),
        read: Box::new(move || fs::read_to_string(&read)),
        name,
    };
    Ok((topology, source))
}

/// One data core per CPU this process may use, or the CPUs that were named.
fn data_cpus(cores: &Cores) -> anyhow::Result<Vec<usize>> {
    match cores {
        Cores::Auto => cpu::allowed().context("cannot tell which CPUs this process may use"),
        Cores::Cpus(cpus) => Ok(cpus.iter().map(|cpu| usize::from(*cpu)).collect()),
    }
}

/// Differs between two starts: the time, and the process in case two start at once.
#[expect(clippy::disallowed_methods, reason = "before any core runs there is no reactor to ask")]
fn incarnation() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.as_nanos() as u64 ^ u64::from(std::process::id()) << 48
}
