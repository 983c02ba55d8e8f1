//! Starting an edge: its data cores and its control core, on whatever host runs cores.
//!
//! **Not** reading files or the environment: the binary does, and so does a simulation in its own way.
//!
//! **Invariants**: cores are numbered from 0, the control core is the last; either all cores start, or an error says why.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use crate::settings::EdgeSettings;
use control::context::ProcessContext;
use control::descriptors::DescriptorPlan;
use control::exit::Ending;
use control::listening::SharedListen;
use control::log::LineSink;
use control::memory::HostMemory;
use control::metrics::ReadUsage;
use control::reload::{ConfigSource, Reloader};
use control::security::{SecurityAtStart, SecurityReloader};
use control::settings::Loaded;
use control::topology_file::TopologySource;
use corelane_tls::crypto::{KeyLog, WallClock};
use reactor::{CoreId, CoreSpec, Host, Mailbox, Reactor, mailboxes};
use shardstore::key::KeyHasher;
use shardstore::placement::Topology;

use crate::access_log::{AccessLogPort, CorePort};
use crate::edge::{self, CorePlan};
use crate::message::Message;
use crate::metrics::CoreMetrics;
use crate::nodes::NameLookup;
use crate::security::Security;
use crate::snapshot::Snapshot;
use crate::supervisor::acme::StartOrders;
use crate::supervisor::{self, Supervision};
use store_runtime::remote::{Published, unpublished};

/// Messages under way from one core to one other. One for each request in flight between them, and those are bounded by
/// the connections; beyond it a request is shed with 503.
const MAILBOX_MESSAGES: usize = 4096;

/// An edge to be started.
pub struct EdgePlan {
    /// Checked settings.
    pub loaded: Loaded<EdgeSettings>,
    /// Where they are read again.
    pub config: ConfigSource<EdgeSettings>,
    /// The topology, and where it is read again; `None` is embedded mode.
    pub topology: Option<(Topology, TopologySource)>,
    /// The CPU of each data core; `None` leaves a core to the scheduler.
    pub cpus: Vec<Option<usize>>,
    /// What the process knows of itself.
    pub process: ProcessContext,
    /// Differs between two starts of the process.
    pub incarnation: u64,
    /// Seed of the hash of keys in embedded mode, where no topology names one. Random at each start of a process: a client that
    /// knows it can choose keys that evict another.
    pub hash_seed: u64,
    /// How the open files are shared out; `None` in a simulation, which has none.
    pub descriptors: Option<DescriptorPlan>,
    /// Where log lines go.
    pub log: Box<dyn LineSink + Send>,
    /// How the process's own use of memory and CPU is read; `None` in a simulation, whose processes share one.
    pub usage: Option<ReadUsage>,
    /// The memory that the process finds; `None` where the kernel does not say, and in a simulation.
    pub host_memory: Option<HostMemory>,
    /// Where responses are recorded; `None` records none whatever the settings say.
    pub access_log: Option<AccessLogPort>,
    /// Who it is, and whom it trusts.
    pub security: SecurityAtStart,
    /// Where the secrets of clients' connections go, for debugging.
    pub key_log: Option<Arc<dyn KeyLog>>,
    /// Where names of nodes are resolved; without it only nodes with addresses are reached.
    pub names: Option<NameLookup>,
    /// How certificates are ordered; `None` orders none whatever the settings say.
    pub acme: Option<StartOrders>,
}

/// Starts the cores of an edge.
///
/// # Errors
/// The operator's: an address in use, no memory, a CPU that is not there, io_uring refused, or a certificate that cannot be used.
///
/// # Panics
/// When the plan has no data core, or an access log for another number of them.
pub fn start(host: &mut dyn Host, plan: EdgePlan) -> io::Result<Ending> {
    let cores = u16::try_from(plan.cpus.len()).map_err(|_| io::Error::other("more than 65535 cores"))?;
    assert!(cores > 0, "an edge has at least one data core");
    let doorbells = host.doorbells(usize::from(cores) + 1)?;
    let mut ends = mailboxes::<Message>(&doorbells, MAILBOX_MESSAGES);
    let control_end = ends.pop().expect("there is an end for the control core");
    let metrics: Vec<Arc<CoreMetrics>> = (0..cores).map(|_| Arc::default()).collect();
    let (failed, failures) = channel();

    let (access_cores, access_log) = match plan.access_log {
        Some(port) => (port.cores, Some(port.control)),
        None => (Vec::new(), None),
    };
    assert!(access_log.is_none() || access_cores.len() == usize::from(cores), "every core has its end");
    let mut access_cores = access_cores.into_iter();
    let (topology, source) =
        plan.topology.map_or((None, None), |(topology, source)| (Some(Arc::new(topology)), Some(source)));
    let security = Security::at_start(&plan.loaded.settings, &plan.security, topology.as_deref(), plan.key_log);
    let security = security.map_err(io::Error::other)?;
    let seed = topology.as_ref().map_or(plan.hash_seed, |topology| topology.hash_seed());
    let shared = Shared {
        snapshot: Arc::new(Snapshot::new(1, plan.loaded.settings, topology, Arc::new(security))),
        cores,
        hasher: KeyHasher::new(seed),
        incarnation: plan.incarnation,
        shards: unpublished(cores),
        names: plan.names,
        clock: Arc::clone(&plan.security.clock),
        listening: Arc::default(),
        cpus: plan
            .cpus
            .iter()
            .map(|cpu| cpu.and_then(|cpu| u32::try_from(cpu).ok()))
            .collect::<Option<_>>()
            .unwrap_or_default(),
        connections_max: plan.descriptors.map_or(usize::MAX, |plan| plan.connections_per_core),
    };
    for (index, (mailbox, cpu)) in ends.into_iter().zip(plan.cpus).enumerate() {
        let id = CoreId(index as u16);
        let spec = CoreSpec { id, cpu, name: format!("core-{index}"), doorbells: doorbells.clone() };
        let core_plan = shared.core_plan(mailbox, Arc::clone(&metrics[index]), access_cores.next());
        host.start_core(spec, data_core(core_plan, failed.clone()))?;
        if let Ok(error) = failures.try_recv() {
            return Err(error);
        }
    }
    let ending = Ending::default();
    let supervision = Supervision {
        snapshot: shared.snapshot,
        config: Reloader::new(plan.config, plan.loaded.effective),
        security: SecurityReloader::new(plan.security),
        source,
        mailbox: control_end,
        metrics,
        log: plan.log,
        usage: plan.usage,
        process: plan.process,
        host_memory: plan.host_memory,
        access_log,
        ending: ending.clone(),
        hasher: shared.hasher,
        shards: shared.shards,
        listening: shared.listening,
        descriptors: plan.descriptors,
        acme: plan.acme,
    };
    let spec = CoreSpec { id: CoreId(cores), cpu: None, name: "control".to_owned(), doorbells };
    host.start_core(spec, control_core(supervision, failed))?;
    failures.try_recv().map_or(Ok(ending), Err)
}

/// What all data cores are made from.
struct Shared {
    snapshot: Arc<Snapshot>,
    cores: u16,
    hasher: KeyHasher,
    incarnation: u64,
    shards: Published,
    names: Option<NameLookup>,
    clock: Arc<WallClock>,
    listening: Arc<SharedListen>,
    cpus: Arc<[u32]>,
    connections_max: usize,
}

impl Shared {
    fn core_plan(
        &self,
        mailbox: Mailbox<Message>,
        metrics: Arc<CoreMetrics>,
        access_log: Option<CorePort>,
    ) -> CorePlan {
        CorePlan {
            snapshot: Arc::clone(&self.snapshot),
            cores: self.cores,
            mailbox,
            metrics,
            access_log,
            shard_bytes: self.snapshot.settings.memory / u64::from(self.cores),
            hasher: self.hasher,
            incarnation: self.incarnation,
            shards: Arc::clone(&self.shards),
            names: self.names.clone(),
            clock: Arc::clone(&self.clock),
            listening: Arc::clone(&self.listening),
            cpus: Arc::clone(&self.cpus),
            connections_max: self.connections_max,
        }
    }
}

fn data_core(plan: CorePlan, failed: Sender<io::Error>) -> Box<dyn FnOnce(Reactor) + Send> {
    Box::new(move |reactor| {
        if let Err(error) = edge::start(&reactor, plan) {
            // `start` reads this next; if it has returned already, the error has no reader.
            let _ = failed.send(error);
            reactor.stop();
        }
    })
}

fn control_core(supervision: Supervision, failed: Sender<io::Error>) -> Box<dyn FnOnce(Reactor) + Send> {
    Box::new(move |reactor| {
        if let Err(error) = supervisor::start(&reactor, supervision) {
            let _ = failed.send(error);
            reactor.stop();
        }
    })
}

#[cfg(test)]
mod tests {
    use reactor::sim::{NetworkOptions, World};

    use super::*;

    #[test]
    fn cores_share_the_memory() {
        let mut world = World::new(1, NetworkOptions::default());
        let process = world.add_process("edge");
        let doorbells = world.host(process).doorbells(4).unwrap();
        let snapshot = Arc::new(crate::snapshot::fixture::snapshot(1, "memory = \"64MiB\"\n"));
        let shared = Shared {
            snapshot,
            cores: 4,
            hasher: KeyHasher::new(1),
            incarnation: 7,
            shards: unpublished(4),
            listening: Arc::default(),
            cpus: Arc::default(),
            connections_max: 9,
            names: None,
            clock: Arc::default(),
        };
        for mailbox in mailboxes(&doorbells, 1) {
            let plan = shared.core_plan(mailbox, Arc::default(), None);
            assert_eq!((plan.shard_bytes, plan.cores, plan.incarnation), (16 << 20, 4, 7));
        }
    }
}
