//! What both binaries do before their cores run: settings, topology, CPUs, a probe of io_uring.
//!
//! **Not** starting cores: the binary does, with what it gets here.
//!
//! **Invariants**: every refusal is written to standard error with its remedy, and ends in status 2; signals are blocked
//! before any thread exists.
//!
//! **Source**: docs/config.md.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use reactor::{block_signals, cpu, probe, raise_open_files};
use shardstore::placement::Topology;

use crate::against;
use crate::descriptors::DescriptorPlan;
use crate::drain::Exit;
use crate::log::writer::{self, LogQueue};
use crate::memory::{self, HostMemory, MemoryBound, MemoryLimit};
use crate::reading::ReadingPlace;
use crate::reload::ConfigSource;
use crate::settings::origin::Origin;
use crate::settings::{Cores, Invocation, Loaded, Settings, SettingsErrors};
use crate::topology_file::{self, TopologySource};

/// What a process is started with.
pub struct Booted<T> {
    /// The settings, valid, with their origins.
    pub loaded: Loaded<T>,
    /// Where they came from.
    pub config: ConfigSource<T>,
    /// The topology and where it came from, if the settings name one.
    pub topology: Option<(Topology, TopologySource)>,
    /// The CPU of each data core, at least one.
    pub cpus: Vec<usize>,
    /// Differs between two starts of the process.
    pub incarnation: u64,
    /// Seed of the hash of keys where no topology names one: unknown to clients, who could choose keys that meet.
    pub hash_seed: u64,
    /// How its open files are shared out.
    pub descriptors: DescriptorPlan,
    /// Where log lines go: on their way to standard error nobody waits.
    pub log: LogQueue,
    /// The memory that it finds, where the kernel says it.
    pub host_memory: Option<HostMemory>,
}

/// Where the settings of a binary keep what is looked at here.
pub trait Bootable: Settings + Send + 'static {
    /// The topology's file, if there is one.
    fn topology_file(&self) -> Option<&Path>;

    /// The CPUs for data cores.
    fn cores(&self) -> &Cores;

    /// What the process may take of the host's memory with so many data cores.
    fn memory_bound(&self, cores: usize) -> MemoryBound;

    /// Memory that is taken before anything is served, in bytes.
    fn memory_at_start(&self) -> u64;

    /// Connections of each data core to nodes of this topology at most.
    fn node_connections_per_core(&self, topology: &Topology) -> usize {
        let _ = topology;
        0
    }

    /// Whether what the settings name can be used on this host. Looked at before a start, and by `--check`.
    ///
    /// # Errors
    ///
    /// The operator's: the first of it that cannot.
    fn check_host(&self) -> Result<(), HostFault> {
        Ok(())
    }

    /// Whether a process with so many data cores and this topology can be started. Looked at as [`Bootable::check_host`] is.
    ///
    /// # Errors
    ///
    /// The operator's: the first of the keys that do not go together.
    fn check_start(&self, cores: usize, topology: Option<&Topology>) -> Result<(), HostFault>;
}

/// Why a start would fail on this host though the settings are valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFault {
    /// The path of the key at fault.
    pub key: &'static str,
    /// What is wrong with what its value names, and what to do.
    pub reason: String,
}

/// Anything that can keep a process from starting.
type StartError = Box<dyn std::error::Error>;

/// Runs a binary: `serve` starts its cores, waits for their end and gives the exit status.
pub fn run<T: Bootable>(serve: impl FnOnce(Booted<T>) -> Result<u8, StartError>) -> ExitCode {
    block_signals();
    match start(serve) {
        Ok(status) => ExitCode::from(status),
        Err(refusal) => {
            // Where standard error takes nothing the status alone has to tell.
            let _ = writeln!(io::stderr(), "{}", refused::<T>(&refusal));
            ExitCode::from(Exit::Refused.status())
        }
    }
}

/// What is said of a start that failed.
fn refused<T: Bootable>(refusal: &StartError) -> String {
    format!("{}: {refusal}", T::SCHEMA.program)
}

fn start<T: Bootable>(serve: impl FnOnce(Booted<T>) -> Result<u8, StartError>) -> Result<u8, StartError> {
    let config = ConfigSource::<T>::of_process();
    let (loaded, check) = match config.load()? {
        Invocation::Print(text) => {
            print(&text)?;
            return Ok(Exit::Clean.status());
        }
        Invocation::Check(loaded, against) => (*loaded, Some(against)),
        Invocation::Serve(loaded) => (*loaded, None),
    };
    loaded.settings.check_host().map_err(|fault| loaded.unusable(fault.key, fault.reason))?;
    let topology = loaded.settings.topology_file().map(topology_file::read).transpose()?;
    let allowed = cpu::allowed().map_err(|error| format!("cores: cannot read the CPUs of this process: {error}"))?;
    let cpus = data_cpus(loaded.settings.cores(), allowed)?;
    loaded
        .settings
        .check_start(cpus.len(), topology.as_ref().map(|(topology, _)| topology))
        .map_err(|fault| loaded.unusable(fault.key, fault.reason))?;
    let host_memory = HostMemory::read();
    check_at_start(&loaded, host_memory.as_ref())?;
    let open_files = raise_open_files().map_err(|error| format!("cannot raise the limit on open files: {error}"))?;
    let to_nodes = topology.as_ref().map_or(0, |(topology, _)| loaded.settings.node_connections_per_core(topology));
    let descriptors = DescriptorPlan::new(open_files, cpus.len(), to_nodes)?;
    let descriptors = descriptors.asked_for(is_written(&loaded, "limits.connections_per_core"));
    if let Some(against) = check {
        if !loaded.warnings.is_empty() {
            return Err(SettingsErrors::new(loaded.warnings).into());
        }
        let named = topology.as_ref().map(|(topology, source)| (topology, &*source.name));
        print(&format!("{}\n", verdict(T::SCHEMA.program, named)))?;
        print(&memory_verdict(&loaded.settings.memory_bound(cpus.len()), host_memory.as_ref()))?;
        let Some(admin) = against else { return Ok(Exit::Clean.status()) };
        let (text, status) = against::compare(T::SCHEMA.program, &loaded.effective, &admin)?;
        print(&text)?;
        return Ok(status);
    }
    probe()?;
    let reader = |name| ReadingPlace::start(name).map_err(|error| format!("cannot start the thread {name}: {error}"));
    let config = config.by(reader("files-config")?);
    let topology = match topology {
        Some((topology, source)) => Some((topology, source.by(reader("files-topology")?))),
        None => None,
    };
    let (log, writing) =
        writer::start(io::stderr()).map_err(|error| format!("cannot start the log's thread: {error}"))?;
    for warning in &loaded.warnings {
        writing.say(&format!("{}: warning: {warning}", T::SCHEMA.program));
    }
    let served = serve(Booted {
        loaded,
        config,
        topology,
        cpus,
        incarnation: incarnation(),
        hash_seed: reactor::entropy()?,
        descriptors,
        log,
        host_memory,
    });
    // Behind what was logged, and bounded in time as that is.
    let status = served.unwrap_or_else(|refusal| {
        writing.say(&refused::<T>(&refusal));
        Exit::Refused.status()
    });
    writing.finish();
    Ok(status)
}

/// Writes to standard output.
///
/// # Errors
/// The operator's: it is closed, or its disk is full.
fn print(text: &str) -> Result<(), StartError> {
    let mut output = io::stdout();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        // Whoever read it has seen enough, as `head` has.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(|error| format!("cannot write to standard output: {error}").into()),
    }
}

/// Whether the shards of so many cores get memory enough to exist.
///
/// # Errors
///
/// The operator's, under the key `memory`.
pub fn check_memory(memory: u64, cores: usize) -> Result<(), HostFault> {
    let each = memory / cores.max(1) as u64;
    shardstore::cache::check_limit(each).map_err(|error| HostFault {
        key: "memory",
        reason: format!("{error}; {cores} cores share it: give more, or name fewer cores"),
    })
}

/// Whether the operator has set this key.
fn is_written<T>(loaded: &Loaded<T>, key: &str) -> bool {
    loaded.effective.entries().any(|(path, entry)| path == key && entry.origin != Origin::Default)
}

/// Refuses to take memory that is not there: the kernel would end the process while it takes it.
fn check_at_start<T: Bootable>(loaded: &Loaded<T>, host: Option<&HostMemory>) -> Result<(), StartError> {
    let taken = loaded.settings.memory_at_start();
    let Some(MemoryLimit { bytes, of }) = host.map(|host| &host.available).filter(|limit| taken > limit.bytes) else {
        return Ok(());
    };
    let available = memory::readable(*bytes);
    let reason = format!(
        "memory_commit = \"at-start\" takes all of it at once, and {of} has {available} for it; lower it, or set memory_commit = \"as-needed\""
    );
    Err(loaded.unusable("memory", reason).into())
}

/// What `--check` says of the memory.
fn memory_verdict(bound: &MemoryBound, host: Option<&HostMemory>) -> String {
    let text = format!("memory: at most {}: {bound}", memory::readable(bound.total()));
    match host.and_then(|host| bound.excess(host)) {
        None => format!("{text}\n"),
        Some(excess) => format!("{text}\nwarning: {excess}\n"),
    }
}

/// What `--check` says when all is well.
fn verdict(program: &str, topology: Option<(&Topology, &str)>) -> String {
    let settings = format!("{program}: the settings are valid");
    match topology {
        None => settings,
        Some((topology, name)) => format!(
            "{settings}\n{name}: cluster {:?}, epoch {}, nodes: {}",
            topology.cluster(),
            topology.epoch(),
            topology.nodes().len()
        ),
    }
}

/// The CPUs of the data cores: those that are named, or all that are `allowed` to this process.
///
/// # Errors
/// The operator's: a CPU that this process may not use.
fn data_cpus(cores: &Cores, allowed: Vec<usize>) -> Result<Vec<usize>, StartError> {
    match cores {
        Cores::Auto => Ok(allowed),
        Cores::Cpus(cpus) => {
            let cpus: Vec<usize> = cpus.iter().map(|cpu| usize::from(*cpu)).collect();
            match cpus.iter().find(|cpu| !allowed.contains(cpu)) {
                None => Ok(cpus),
                Some(cpu) => Err(format!("cores: found {cpu}, allowed: the CPUs of this process, {allowed:?}").into()),
            }
        }
    }
}

/// Differs between two starts: the time, and the process in case two start at once.
#[expect(clippy::disallowed_methods, reason = "before any core runs there is no reactor to ask")]
fn incarnation() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since_epoch.as_nanos() as u64 ^ u64::from(std::process::id()) << 48
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_reports_the_topology_too() {
        assert_eq!(verdict("corelane", None), "corelane: the settings are valid");
        let text = "cluster = \"blue\"\nepoch = 7\n[[node]]\nid = 1\naddress = \"127.0.0.1:1\"\n";
        let topology = Topology::parse(text).unwrap();
        let text = verdict("corelane", Some((&topology, "t.toml")));
        assert_eq!(text, "corelane: the settings are valid\nt.toml: cluster \"blue\", epoch 7, nodes: 1");
    }

    #[test]
    fn named_cpus_are_taken_in_their_order_if_they_are_allowed() {
        let cpus = |cores: Cores| data_cpus(&cores, vec![1, 2, 3]).map_err(|error| error.to_string());
        assert_eq!(cpus(Cores::Cpus(vec![3, 1])), Ok(vec![3, 1]));
        assert_eq!(cpus(Cores::Auto), Ok(vec![1, 2, 3]));
        let refused = "cores: found 4, allowed: the CPUs of this process, [1, 2, 3]";
        assert_eq!(cpus(Cores::Cpus(vec![1, 4])), Err(refused.to_owned()));
    }
}
