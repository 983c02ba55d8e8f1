//! The `shardstored` binary: settings, topology, cores.
//!
//! **Not** deciding anything but the order of these steps.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use control::drain::Exit;
use control::metrics::ProcessUsage;
use control::settings::{Cores, Invocation, NodeSettings, from_process};
use reactor::{Threads, block_signals, cpu, probe};
use shardstore::placement::Topology;
use shardstored::{NodePlan, TopologySource, start};

fn main() -> ExitCode {
    block_signals();
    match run() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("shardstored: {error:#}");
            ExitCode::from(Exit::Refused.status())
        }
    }
}

fn run() -> anyhow::Result<u8> {
    let loaded = match from_process::<NodeSettings>()? {
        Invocation::Print(text) => {
            print!("{text}");
            return Ok(Exit::Clean.status());
        }
        Invocation::Serve(loaded) => *loaded,
    };
    let topology = read_topology(&loaded.settings.topology)?;
    let source = source_of(&loaded.settings.topology);
    let cpus = data_cpus(&loaded.settings.cores)?;
    probe()?;
    let plan = NodePlan {
        settings: loaded.settings,
        effective: loaded.effective,
        topology,
        source,
        incarnation: incarnation(),
        cpus: cpus.into_iter().map(Some).collect(),
        log: Box::new(io::stderr()),
        usage: Some(ProcessUsage::read),
    };
    let mut threads = Threads::new(None);
    let started = start(&mut threads, plan)?;
    threads.join();
    // A node that has ended without saying how has lost its connections.
    Ok(started.ending.status().unwrap_or(Exit::Cut.status()))
}

fn read_topology(file: &Path) -> anyhow::Result<Topology> {
    let name = file.display();
    let text = fs::read_to_string(file)
        .with_context(|| format!("{name}: cannot read the topology; `topology` names the file"))?;
    Topology::parse(&text).map_err(|error| {
        let text = error.to_string();
        // The error names its line too; in front it is where editors and terminals look for it.
        let rest = text.strip_prefix(&format!("line {}: ", error.line())).unwrap_or(&text);
        anyhow::anyhow!("{name}:{}: {rest}", error.line())
    })
}

fn source_of(file: &Path) -> TopologySource {
    let (marked, read) = (file.to_owned(), file.to_owned());
    TopologySource {
        name: file.display().to_string(),
        read: Box::new(move || fs::read_to_string(&read)),
        mark: Box::new(move || fs::metadata(&marked).ok().map(|metadata| (&metadata).into())),
    }
}

/// One data core per CPU this process may use, or the CPUs that were named.
fn data_cpus(cores: &Cores) -> anyhow::Result<Vec<usize>> {
    match cores {
        Cores::Auto => cpu::allowed().context("cores: cannot tell which CPUs this process may use"),
        Cores::Cpus(cpus) => Ok(cpus.iter().map(|cpu| usize::from(*cpu)).collect()),
    }
}

/// Differs between two starts: the time, and the process in case two start at once.
#[expect(clippy::disallowed_methods, reason = "before any core runs there is no reactor to ask")]
fn incarnation() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since_epoch.as_nanos() as u64 ^ u64::from(std::process::id()) << 48
}
