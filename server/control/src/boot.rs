//! What both binaries do before their cores run: settings, topology, CPUs, a probe of io_uring.
//!
//! **Not** starting cores: the binary does, with what it gets here.
//!
//! **Invariants**: every refusal is written to standard error with its remedy, and ends in status 2, or in 75 where another try may
//! succeed; signals are blocked
//! before any thread exists.
//!
//! **Source**: docs/config.md.

mod host_checks;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use reactor::{block_signals, cpu, probe, raise_open_files};
use shardstore::placement::Topology;

use self::host_checks::{check_addresses, check_at_start, check_command_listen, check_host, check_reservation};
use crate::against;
use crate::context::ProcessContext;
use crate::cpus::{CpuPlan, CpuSettings};
use crate::descriptors::DescriptorPlan;
use crate::exit::Exit;
use crate::lifecycle::FILES_TIMEOUT;
use crate::log::writer::{self, LogQueue};
use crate::memory::{self, HostMemory, MemoryBound};
use crate::notify::NotifyPlan;
use crate::reading::{LookingAt, ReadingPlace};
use crate::refusal::exit_of;
use crate::reload::ConfigSource;
use crate::security::{SecurityAtStart, SecuritySource};
use crate::settings::origin::Origin;
use crate::settings::{Against, Invocation, ListenAddress, Loaded, Settings, SettingsErrors};
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
    /// What the process knows of itself.
    pub process: ProcessContext,
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
    /// Who it is.
    pub security: SecurityAtStart,
}

/// Where the settings of a binary keep what is looked at here.
pub trait Bootable: Settings + Send + 'static {
    /// The topology's file, if there is one.
    fn topology_file(&self) -> Option<&Path>;

    /// Where commands are taken, if anywhere.
    fn command_listen(&self) -> Option<&ListenAddress>;

    /// What they say of CPUs.
    fn cpus(&self) -> CpuSettings<'_>;

    /// What the process may take of the host's memory with so many data cores.
    fn memory_bound(&self, cores: usize) -> MemoryBound;

    /// Memory that all shards share, in bytes.
    fn memory(&self) -> u64;

    /// Memory that is taken before anything is served, in bytes.
    fn memory_at_start(&self) -> u64;

    /// The files of certificates, keys and authorities that they name, in a fixed order.
    fn security_files(&self) -> Vec<PathBuf>;

    /// Whether the process can be somebody with what these files hold.
    ///
    /// # Errors
    ///
    /// The operator's: all that is wrong, a line each.
    fn check_security(&self, security: &SecurityAtStart, topology: Option<&Topology>) -> Result<(), String>;

    /// Connections of each data core to nodes of this topology at most.
    fn node_connections_per_core(&self, topology: &Topology) -> usize {
        let _ = topology;
        0
    }

    /// Whether what the settings name can be used on this host. Looked at before a start, and by `--check`, on a file thread; `looking`
    /// is told every path first.
    ///
    /// # Errors
    ///
    /// The operator's: the first of it that cannot.
    fn check_host(&self, looking: &LookingAt) -> Result<(), HostFault> {
        let _ = looking;
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
            ExitCode::from(exit_of(&*refusal).status())
        }
    }
}

/// What is said of a start that failed.
fn refused<T: Bootable>(refusal: &StartError) -> String {
    format!("{}: {refusal}", T::SCHEMA.program)
}

fn start<T: Bootable>(serve: impl FnOnce(Booted<T>) -> Result<u8, StartError>) -> Result<u8, StartError> {
    let config = ConfigSource::<T>::of_process();
    // Ends with the start: threads that stay have the CPU of the control thread, which is not known yet.
    let files = reader("files-start")?;
    match config.load_within(&files, FILES_TIMEOUT)?? {
        Invocation::Print(text) => {
            print(&text)?;
            Ok(Exit::Clean.status())
        }
        Invocation::Check(loaded, against) => Prepared::of(*loaded, &files)?.report(against, &files),
        Invocation::Serve(loaded) => {
            let prepared = Prepared::of(*loaded, &files)?;
            drop(files);
            prepared.launch(config, serve)
        }
    }
}

/// What a start works with, once all of it was looked at. `--check` ends here.
struct Prepared<T> {
    loaded: Loaded<T>,
    topology: Option<(Topology, TopologySource)>,
    cpus: CpuPlan,
    descriptors: DescriptorPlan,
    host_memory: Option<HostMemory>,
    security: SecurityAtStart,
}

impl<T: Bootable> Prepared<T> {
    /// Looks at all that a start needs of this host.
    fn of(loaded: Loaded<T>, files: &ReadingPlace) -> Result<Self, StartError> {
        check_command_listen(&loaded)?;
        let loaded = check_host(loaded, files)?;
        let read_topology = |file| topology_file::read(file, files, FILES_TIMEOUT);
        let topology = loaded.settings.topology_file().map(read_topology).transpose()?;
        let names = loaded.settings.security_files();
        let security = SecurityAtStart::read(SecuritySource::of_host(), files, names, wall_ms())?;
        loaded.settings.check_security(&security, topology.as_ref().map(|(topology, _)| topology))?;
        let allowed =
            cpu::allowed().map_err(|error| format!("cores: cannot read the CPUs of this process: {error}"))?;
        let cpus = CpuPlan::new(loaded.settings.cpus(), allowed)?;
        let cores = cpus.data.len();
        loaded
            .settings
            .check_start(cores, topology.as_ref().map(|(topology, _)| topology))
            .map_err(|fault| loaded.unusable(fault.key, fault.reason))?;
        let host_memory = HostMemory::read();
        check_at_start(&loaded, host_memory.as_ref())?;
        let open_files =
            raise_open_files().map_err(|error| format!("cannot raise the limit on open files: {error}"))?;
        check_reservation(&loaded, cores)?;
        let admin_listeners = 1 + u64::from(loaded.settings.command_listen().is_some());
        let to_nodes = topology.as_ref().map_or(0, |(topology, _)| loaded.settings.node_connections_per_core(topology));
        let descriptors = DescriptorPlan::new(open_files, cores, to_nodes, admin_listeners)?;
        let descriptors = descriptors.asked_for(is_written(&loaded, "limits.connections_per_core"));
        probe()?;
        Ok(Self { loaded, topology, cpus, descriptors, host_memory, security })
    }

    /// Says that a start would succeed, and how the settings differ from those of the process that is asked.
    fn report(self, against: Option<Against>, files: &ReadingPlace) -> Result<u8, StartError> {
        if !self.loaded.warnings.is_empty() {
            return Err(SettingsErrors::new(self.loaded.warnings).into());
        }
        check_addresses(&self.loaded, files)?;
        let named = self.topology.as_ref().map(|(topology, source)| (topology, &*source.name));
        print(&format!("{}\n", verdict(T::SCHEMA.program, named)))?;
        let bound = self.loaded.settings.memory_bound(self.cpus.data.len());
        print(&memory_verdict(&bound, self.host_memory.as_ref()))?;
        let Some(against) = against else { return Ok(Exit::Clean.status()) };
        let (text, status) = against::compare(T::SCHEMA.program, &self.loaded.effective, &against)?;
        print(&text)?;
        Ok(status)
    }

    /// Starts what helps the process, and lets it serve.
    fn launch(
        self,
        config: ConfigSource<T>,
        serve: impl FnOnce(Booted<T>) -> Result<u8, StartError>,
    ) -> Result<u8, StartError> {
        if let Some(control) = self.cpus.control {
            // Data cores pin themselves; every other thread has the CPUs of this one.
            cpu::pin_to(control).map_err(|error| format!("control_cpu: {error}"))?;
        }
        let config = config.by(reader("files-config")?);
        let topology = match self.topology {
            Some((topology, source)) => Some((topology, source.by(reader("files-topology")?))),
            None => None,
        };
        let security = self.security.by(reader("files-security")?);
        let (log, writing) = writer::start(io::stderr())
            .map_err(|error| io::Error::new(error.kind(), format!("cannot start the log's thread: {error}")))?;
        let (notify, faults) = NotifyPlan::of(|name| config.variable(name), std::process::id());
        for fault in faults {
            writing.say(&format!("{}: warning: {fault}", T::SCHEMA.program));
        }
        for warning in &self.loaded.warnings {
            writing.say(&format!("{}: warning: {warning}", T::SCHEMA.program));
        }
        let served = serve(Booted {
            loaded: self.loaded,
            config,
            topology,
            cpus: self.cpus.data,
            process: ProcessContext { control_cpu: self.cpus.control, notify },
            incarnation: incarnation(),
            hash_seed: reactor::entropy()?,
            descriptors: self.descriptors,
            log,
            host_memory: self.host_memory,
            security,
        });
        // Behind what was logged, and bounded in time as that is.
        let status = served.unwrap_or_else(|refusal| {
            writing.say(&refused::<T>(&refusal));
            exit_of(&*refusal).status()
        });
        writing.finish();
        Ok(status)
    }
}

fn reader(name: &str) -> Result<ReadingPlace, StartError> {
    let refused = |error: io::Error| io::Error::new(error.kind(), format!("cannot start the thread {name}: {error}"));
    Ok(ReadingPlace::start(name).map_err(refused)?)
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

/// Milliseconds of Unix time.
#[expect(clippy::disallowed_methods, reason = "before any core runs there is no reactor to ask")]
fn wall_ms() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis() as u64
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
}
