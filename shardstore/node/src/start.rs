//! Starting a node: its data cores, then its control core, on whatever host runs cores.
//!
//! ```text
//!  core 0 .. N-1   a shard and the listeners each      pinned
//!  core N          supervisor: signals, topology, admin
//! ```
//!
//! **Not** reading files or the environment.
//!
//! **Invariants**: either every core has started, or an error says why; the control core starts last, when all listen.
//!
//! **Source**: ARCHITECTURE.md, "From above".

use std::io;
use std::sync::atomic::AtomicU32;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};

use reactor::{Address, CoreId, CoreSpec, Doorbells, Host, ListenOptions, Reactor, mailboxes};
use shardstore::wire::cluster_tag;
use store_runtime::remote::unpublished;
use store_runtime::shared_budget::SharedBudget;

use crate::budgets;
use crate::core::{CoreSeat, NodeCore};
use crate::message::{MAILBOX_CAPACITY, NodeMessage};
use crate::metrics::NodeMetrics;
use control::exit::Ending;
use control::listening::SharedListen;
use control::reload::Reloader;
use control::security::SecurityReloader;
use control::settings::value::SocketMode;

use crate::plan::{NodePlan, Shared, Started};
use crate::settings::check_listed;
use crate::supervisor::{self, NodeSupervision};

/// Starts a node on `host`. It runs until SIGTERM or SIGINT.
///
/// # Errors
/// The operator's, with what to do: the node is not in the topology, an address is in use, memory or io_uring is refused.
/// Cores that have started by then go on; the process is to exit.
///
/// # Panics
/// When the plan has no data core, or more than 65,534.
pub fn start(host: &mut dyn Host, plan: NodePlan) -> io::Result<Started> {
    let listed = check_listed(plan.loaded.settings.node_id, &plan.topology);
    listed.map_err(|fault| io::Error::other(plan.loaded.unusable(fault.key, fault.reason)))?;
    let cores = u16::try_from(plan.cpus.len()).expect("a machine has fewer than 65,535 CPUs");
    assert!(cores > 0 && cores < u16::MAX, "a node has at least one data core");
    let doorbells = host.doorbells(usize::from(cores) + 1)?;
    let mut mailboxes = mailboxes::<NodeMessage>(&doorbells, MAILBOX_CAPACITY);
    let control_mailbox = mailboxes.pop().expect("there is a mailbox for the control core");
    let metrics = Arc::new(NodeMetrics::new(usize::from(cores)));
    let topology = Arc::new(plan.topology);
    let security = plan.loaded.settings.security(topology.cluster(), &plan.security).map_err(io::Error::other)?;
    let security = Arc::new(security);
    let shared = Arc::new(Shared {
        incarnation: plan.incarnation,
        connections_max: plan.descriptors.map_or(usize::MAX, |plan| plan.connections_per_core),
        cores,
        hash_seed: topology.hash_seed(),
        cluster: topology.cluster().into(),
        cluster_tag: cluster_tag(topology.cluster()),
        batch_answers: SharedBudget::new(budgets::BATCH_BYTES_MAX * usize::from(cores)),
        settled: (0..cores).map(|_| AtomicU32::new(topology.epoch())).collect(),
        settings: plan.loaded.settings,
    });
    let shards = unpublished(cores);
    let mut starting = Starting::new(host, doorbells);
    for (mailbox, cpu) in mailboxes.into_iter().zip(&plan.cpus) {
        let id = mailbox.core();
        let seat = CoreSeat {
            shared: Arc::clone(&shared),
            topology: Arc::clone(&topology),
            security: Arc::clone(&security),
            clock: Arc::clone(&plan.security.clock),
            node_metrics: Arc::clone(&metrics),
            mailbox,
            shards: Arc::clone(&shards),
        };
        let listening = Arc::clone(&starting.listening);
        starting.start(id, *cpu, move |reactor| start_data_core(reactor, seat, &listening))?;
    }
    let listen = starting.listening.addresses();
    let ending = Ending::default();
    let supervision = NodeSupervision {
        shared,
        config: Reloader::new(plan.config, plan.loaded.effective),
        topology,
        source: plan.source,
        security,
        security_files: SecurityReloader::new(plan.security),
        mailbox: control_mailbox,
        metrics,
        log: plan.log,
        usage: plan.usage,
        process: plan.process,
        host_memory: plan.host_memory,
        descriptors: plan.descriptors,
        listen: listen.clone(),
        ending: ending.clone(),
        shards,
    };
    let admin = Arc::new(OnceLock::new());
    let bound = Arc::clone(&admin);
    starting.start(CoreId(cores), None, move |reactor| {
        let address = supervisor::start(reactor, supervision)?;
        bound.set(address).map_err(|_| io::Error::other("the control core starts once"))
    })?;
    let admin = admin.get().cloned().ok_or_else(|| io::Error::other("the control core has not started"))?;
    Ok(Started { listen, admin, ending })
}

/// Cores on their way.
struct Starting<'h> {
    host: &'h mut dyn Host,
    doorbells: Doorbells,
    failed: Sender<io::Error>,
    failures: Receiver<io::Error>,
    listening: Arc<SharedListen>,
}

impl<'h> Starting<'h> {
    fn new(host: &'h mut dyn Host, doorbells: Doorbells) -> Self {
        let (failed, failures) = channel();
        Starting { host, doorbells, failed, failures, listening: Arc::default() }
    }

    /// Starts one core and waits until its first tasks are there.
    fn start(
        &mut self,
        id: CoreId,
        cpu: Option<usize>,
        body: impl FnOnce(&Reactor) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let is_control = usize::from(id.0) + 1 == self.doorbells.cores();
        let name = if is_control { "control".to_owned() } else { format!("core-{}", id.0) };
        let spec = CoreSpec { id, cpu, name, doorbells: self.doorbells.clone() };
        let failed = self.failed.clone();
        let first = move |reactor: Reactor| {
            if let Err(error) = body(&reactor) {
                // `Starting::start` reads this next; if it has returned already, the error has no reader.
                let _ = failed.send(error);
                reactor.stop();
            }
        };
        self.host.start_core(spec, Box::new(first))?;
        self.failures.try_recv().map_or(Ok(()), Err)
    }
}

fn start_data_core(reactor: &Reactor, seat: CoreSeat, listening: &SharedListen) -> io::Result<()> {
    let wanted: Vec<Address> = seat.shared.settings.listen.iter().map(Address::from).collect();
    let unix_mode = seat.shared.settings.listen_mode.map(SocketMode::bits);
    let options = ListenOptions { unix_mode, ..ListenOptions::default() };
    let core = NodeCore::new(reactor, seat)?;
    // A Unix socket has one listener; its connections reach other cores by their HELLO.
    let listeners = listening.open(reactor, &wanted, &options)?;
    core.run(listeners.into_iter().flatten().collect())
}
