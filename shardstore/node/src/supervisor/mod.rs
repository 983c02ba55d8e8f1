//! The control core of a node: its lifecycle, its topology, and what it reports to operators.
//!
//! **Not** on the path of a request.
//!
//! **Invariants**: a topology is checked here before any data core sees it; a bad one is logged with line and remedy, counted,
//! and changes nothing.
//!
//! **Source**: docs/config.md (`topology`, `drain_timeout`).

mod admin;
mod dropped;
mod reload;
mod snapshots;
mod sums;

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use control::accept_watch::AcceptWatch;
use control::activity::Activity;
use control::boot::Bootable;
use control::clock::ClockWatch;
use control::context::ProcessContext;
use control::descriptors::DescriptorPlan;
use control::exit::Ending;
use control::exposure;
use control::heartbeat::Heartbeats;
use control::lame_duck::LameDuck;
use control::lifecycle::{
    self, Contents, ControlledProcess, DRAIN_CAUSE, EndTimes, LifecycleState, Options, PendingRead, ReloadCause, Start,
    TopologyWishes, Watched, in_flight,
};
use control::log::{LineSink, Log, LogFields, LogLevel};
use control::memory::{HostMemory, MemoryBound, ReleaseRule};
use control::metrics::ReadUsage;
use control::notify::{ServiceManager, sentence};
use control::reading::PendingFiles;
use control::refusal::exit_of;
use control::reload::{ConfigRead, Reloader};
use control::security::{ClusterSecurity, Refusals, SecurityReloader, SecurityUser, names_of};
use control::topology_file::TopologySource;
use control::topology_reload::{TopologyHint, TopologyReloader};
use control::watch::Mark;
use reactor::{Address, CoreId, Mailbox, Reactor};
use shardstore::key::KeyHasher;
use shardstore::placement::{NodeId, Topology};
use store_runtime::remote::Published;

use crate::message::{NodeMessage, PeerRefused};
use crate::metrics::NodeMetrics;
use crate::plan::Shared;
use crate::settings::NodeSettings;
use crate::snapshot::NodeSnapshot;
use dropped::Dropped;
use snapshots::SnapshotQueue;

/// A peer that never stops asking is served for this part of `drain_timeout`; then its requests fail with UNAVAILABLE.
const GRACE_PARTS: u32 = 2;

/// Longest time that such a peer is served: an edge finds another way within a second.
const GRACE_MAX: Duration = Duration::from_secs(5);

/// How long a peer that never stops asking is served while the node drains.
fn grace(drain_timeout: Duration) -> Duration {
    (drain_timeout / GRACE_PARTS).min(GRACE_MAX)
}

/// What the control core is made from. Crosses to its thread.
pub(crate) struct NodeSupervision {
    pub(crate) shared: Arc<Shared>,
    pub(crate) config: Reloader<NodeSettings>,
    pub(crate) topology: Arc<Topology>,
    pub(crate) source: TopologySource,
    pub(crate) security: Arc<ClusterSecurity>,
    pub(crate) security_files: SecurityReloader,
    pub(crate) mailbox: Mailbox<NodeMessage>,
    pub(crate) metrics: Arc<NodeMetrics>,
    pub(crate) log: Box<dyn LineSink + Send>,
    pub(crate) usage: Option<ReadUsage>,
    pub(crate) process: ProcessContext,
    pub(crate) host_memory: Option<HostMemory>,
    pub(crate) descriptors: Option<DescriptorPlan>,
    pub(crate) listen: Vec<Address>,
    pub(crate) ending: Ending,
    pub(crate) shards: Published,
}

struct NodeSupervisor {
    reactor: Reactor,
    shared: Arc<Shared>,
    config: Reloader<NodeSettings>,
    /// The settings in force.
    settings: RefCell<NodeSettings>,
    /// The topology in force.
    topology: RefCell<Arc<Topology>>,
    topology_file: TopologyReloader,
    /// Who it is, in force.
    security: RefCell<Arc<ClusterSecurity>>,
    security_files: SecurityReloader,
    mailbox: Mailbox<NodeMessage>,
    metrics: Arc<NodeMetrics>,
    log: Log,
    usage: Option<ReadUsage>,
    process: ProcessContext,
    host_memory: Option<HostMemory>,
    listen: Vec<Address>,
    state: Cell<LifecycleState>,
    /// Data cores that have no connection left.
    drained: Cell<u16>,
    clock: ClockWatch,
    refusals: RefCell<Refusals>,
    /// What became of the slots that have left.
    dropped: RefCell<Dropped>,
    /// What cores are to decide by, in order, where a mailbox had no room.
    behind: RefCell<SnapshotQueue<NodeSnapshot>>,
    hasher: KeyHasher,
    shards: Published,
    accepts: AcceptWatch,
    activity: Activity,
    heartbeats: Heartbeats,
    duck: LameDuck,
    manager: ServiceManager,
    release: RefCell<ReleaseRule>,
}

/// Starts the control core's tasks; returns the address of the admin listener.
///
/// # Errors
/// The operator's: the admin address is in use or not permitted.
pub(crate) fn start(reactor: &Reactor, supervision: NodeSupervision) -> io::Result<Address> {
    let (ending, descriptors) = (supervision.ending.clone(), supervision.descriptors);
    let manager = ServiceManager::connect(supervision.process.notify.as_ref(), reactor.now())?;
    let supervisor = Rc::new(NodeSupervisor::new(reactor, supervision, manager));
    let settings = &supervisor.shared.settings;
    let pages = Rc::clone(&supervisor) as Rc<dyn control::admin::Admin>;
    let tls = settings.admin_tls.then(|| supervisor.security_files.clock());
    let admin = control::admin::serve(reactor, &Address::from(&settings.admin), (settings.admin_mode, tls), pages)?;
    supervisor.log_start(&admin);
    if let Some(commands) = &settings.command_listen {
        let pages = Rc::clone(&supervisor) as Rc<dyn control::admin::Admin>;
        control::admin::serve_commands(reactor, &Address::from(commands), settings.command_mode, pages)?;
    }
    if let Some(descriptors) = descriptors {
        let wanted = supervisor.settings.borrow().limits.connections_per_core;
        descriptors.log(wanted, &|level, event, fields| supervisor.event(level, event, fields));
    }
    let receiving = Rc::clone(&supervisor);
    reactor.spawn(async move { receiving.receive().await }).map_err(io::Error::other)?;
    reactor.spawn(async move { supervisor.live(&ending).await }).map_err(io::Error::other)?;
    Ok(admin)
}

impl NodeSupervisor {
    fn new(reactor: &Reactor, supervision: NodeSupervision, manager: ServiceManager) -> Self {
        let (me, source) = (NodeId(u32::from(supervision.shared.settings.node_id)), Some(supervision.source));
        NodeSupervisor {
            topology_file: TopologyReloader::new(reactor, source, Some(me), Some(&supervision.topology)),
            security: RefCell::new(supervision.security),
            security_files: supervision.security_files,
            reactor: reactor.clone(),
            settings: RefCell::new(supervision.shared.settings.clone()),
            activity: Activity::new(reactor.now()),
            duck: LameDuck::default(),
            manager,
            heartbeats: Heartbeats::new(usize::from(supervision.shared.cores), reactor.now()),
            release: RefCell::new(ReleaseRule::new(reactor.now())),
            log: Log::new(supervision.shared.settings.log.clone(), supervision.log),
            hasher: KeyHasher::new(supervision.shared.hash_seed),
            shards: supervision.shards,
            shared: supervision.shared,
            config: supervision.config,
            clock: ClockWatch::new(reactor),
            refusals: RefCell::default(),
            dropped: RefCell::default(),
            behind: RefCell::default(),
            accepts: AcceptWatch::default(),
            topology: RefCell::new(supervision.topology),
            mailbox: supervision.mailbox,
            metrics: supervision.metrics,
            usage: supervision.usage,
            process: supervision.process,
            host_memory: supervision.host_memory,
            listen: supervision.listen,
            state: Cell::new(LifecycleState::Starting),
            drained: Cell::new(0),
        }
    }

    fn event(&self, level: LogLevel, event: &str, fields: LogFields<'_>) {
        self.log.event(self.reactor.wall_ms(), level, event, fields);
    }

    fn log_start(&self, admin: &Address) {
        let listen: Vec<String> = self.listen.iter().map(ToString::to_string).collect();
        let topology = self.topology.borrow();
        let fields: [(&'static str, &dyn Display); 7] = [
            ("version", &control::build::VERSION),
            ("node", &self.shared.settings.node_id),
            ("cluster", &self.shared.cluster),
            ("epoch", &topology.epoch()),
            ("listen", &listen.join(",")),
            ("admin", admin),
            ("cores", &self.shared.cores),
        ];
        self.event(LogLevel::Info, "started", &fields);
        let event = |level, event: &str, fields: LogFields<'_>| self.event(level, event, fields);
        if !self.shared.settings.admin_tls {
            exposure::warn("admin", exposure::ADMIN, [admin], &event);
        }
        if self.security.borrow().listener.is_none() {
            let consequence =
                "whoever reaches it reads and writes all values: there is no certificate (`cluster.chain`)";
            exposure::warn("node", consequence, &self.listen, &event);
        }
        self.memory_bound().log(self.host_memory.as_ref(), &event);
    }

    /// Gives memory that has become free back to the kernel.
    fn release_memory(&self) {
        // Simulated processes share one allocator.
        if self.usage.is_some() && self.release.borrow_mut().is_due(self.reactor.now(), self.metrics.held_bytes()) {
            reactor::release_free_memory();
        }
    }

    /// What the process may take of the host's memory.
    fn memory_bound(&self) -> MemoryBound {
        self.settings.borrow().memory_bound(usize::from(self.shared.cores))
    }

    async fn receive(&self) {
        loop {
            while let Some((from, message)) = self.mailbox.try_receive() {
                match message {
                    NodeMessage::Stale { epoch } => {
                        self.topology_file.follow_hint(TopologyHint { node: None, epoch }, self);
                    }
                    NodeMessage::Dropped { epoch, items } => self.note_dropped(from, epoch, items),
                    NodeMessage::PeerRefused(refused) => self.log_refused(&refused),
                    NodeMessage::Heartbeat => self.heartbeats.note(from, self.reactor.now()),
                    NodeMessage::Drained => self.drained.set(self.drained.get() + 1),
                    // Between data cores, or from here to them.
                    NodeMessage::Handover(_) | NodeMessage::Hop(_) => {}
                    NodeMessage::Snapshot(_) | NodeMessage::Drain { .. } | NodeMessage::Stop | NodeMessage::Serve => {}
                }
            }
            self.mailbox.notified(&self.reactor).await;
        }
    }

    /// Logs a peer that was refused: one that tries again and again is told once in a while.
    fn log_refused(&self, PeerRefused { peer, fault }: &PeerRefused) {
        let peer = peer.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
        if self.refusals.borrow_mut().is_repeated(&peer, fault, self.reactor.now()) {
            return;
        }
        self.event(LogLevel::Error, "peer_refused", &[("peer", &peer), ("error", fault)]);
    }

    /// Attends to the process until its end, then ends the cores.
    async fn live(&self, ending: &Ending) {
        let options = Options {
            topology_marks: self.topology_file.marks_at_start(),
            config_marks: self.config.source().read_marks(),
            security_marks: self.security_files.marks_at_start(),
        };
        let ended = lifecycle::run(&self.reactor, self, options).await;
        let exit = ended.unwrap_or_else(|error| {
            self.event(LogLevel::Error, "signals_refused", &[("error", &error)]);
            exit_of(&error)
        });
        let open = self.open_connections();
        self.event(LogLevel::Info, "stopped", &[("status", &exit.status()), ("connections_left", &open)]);
        ending.set(exit);
        self.send_all(|| NodeMessage::Stop);
        self.reactor.stop();
    }

    fn open_connections(&self) -> u64 {
        self.metrics.sum(|core| core.connections.value())
    }

    fn send_all(&self, message: impl Fn() -> NodeMessage) {
        for core in 0..self.shared.cores {
            // The control core says little: a full mailbox means that a core has not run for a long time.
            if self.mailbox.send(&self.reactor, CoreId(core), message()).is_err() {
                self.event(LogLevel::Error, "mailbox_full", &[("core", &core)]);
            }
        }
    }
}

impl ControlledProcess for NodeSupervisor {
    type Config = ConfigRead<NodeSettings>;

    fn start(&self) -> Start {
        // Data cores listen before the control core is started.
        Start::Done
    }

    fn in_flight(&self) -> usize {
        in_flight(self.open_connections(), usize::from(self.shared.cores), usize::from(self.drained.get()))
    }

    fn end_times(&self) -> EndTimes {
        let settings = self.settings.borrow();
        EndTimes { lame_duck: settings.lame_duck, drain: settings.drain_timeout }
    }

    fn lame_duck(&self) -> &LameDuck {
        &self.duck
    }

    fn close_connections(&self, _: bool) {
        // Edges go where the topology sends them, whether they keep their connections or not.
    }

    fn manager(&self) -> &ServiceManager {
        &self.manager
    }

    fn summary(&self) -> String {
        let activity = self.activity.summary(self.reactor.now(), self.metrics.totals());
        sentence(self.state.get(), &self.duck, self.cores_run(), &activity)
    }

    fn cores_run(&self) -> bool {
        self.heartbeats.all_answer(self.reactor.now())
    }

    fn look(&self, watched: Watched) -> PendingFiles<Vec<Mark>> {
        match watched {
            Watched::Config => self.config.source().look(),
            Watched::Topology => self.topology_file.look(),
            Watched::Security => self.security_files.look(self),
        }
    }

    fn read(&self, watched: Watched) -> PendingRead<ConfigRead<NodeSettings>> {
        match watched {
            Watched::Config => self.config.source().read(),
            Watched::Topology => self.topology_file.read(),
            Watched::Security => self.security_files.read(self),
        }
    }

    fn adopt(&self, contents: Contents<ConfigRead<NodeSettings>>, cause: ReloadCause) {
        match contents {
            Contents::Config(read) => self.adopt_settings(read, cause),
            Contents::Topology(text) => self.topology_file.adopt(text, cause, self),
            Contents::NoTopology => {}
            Contents::Security(files) => self.security_files.adopt(&files, cause, self, self.reactor.now()),
        }
    }

    fn files_name(&self, watched: Watched) -> String {
        match watched {
            Watched::Config => self.config.source().name(),
            Watched::Topology => self.topology_file.name().to_owned(),
            Watched::Security => names_of(&self.security_names()),
        }
    }

    fn log_event(&self, level: LogLevel, event: &str, fields: LogFields<'_>) {
        self.event(level, event, fields);
    }

    fn wants_security(&self) -> bool {
        self.security_files.take_wanted(self.reactor.now())
    }

    fn wishes(&self) -> &TopologyWishes {
        self.topology_file.wishes()
    }

    fn on_state_change(&self, state: LifecycleState) {
        self.state.set(state);
        match state {
            LifecycleState::Draining { deadline } => {
                let drain_timeout = deadline.since(self.reactor.now());
                let refuse_at = self.reactor.now() + grace(drain_timeout);
                let seconds = drain_timeout.as_secs_f64();
                let fields: [(&'static str, &dyn Display); 3] =
                    [("cause", &DRAIN_CAUSE), ("connections", &self.open_connections()), ("timeout_s", &seconds)];
                self.event(LogLevel::Info, "draining", &fields);
                self.send_all(|| NodeMessage::Drain { refuse_at });
            }
            LifecycleState::Serving => {
                self.send_all(|| NodeMessage::Serve);
                self.event(LogLevel::Info, "serving", &[]);
            }
            LifecycleState::LameDuck { until } => {
                let (open, seconds) = (self.open_connections(), until.since(self.reactor.now()).as_secs_f64());
                let fields: [(&'static str, &dyn Display); 3] =
                    [("cause", &DRAIN_CAUSE), ("connections", &open), ("seconds", &seconds)];
                self.event(LogLevel::Info, "lame_duck", &fields);
            }
            LifecycleState::Starting | LifecycleState::Stopped(_) => {}
        }
    }

    fn tick(&self) {
        self.security_files.tell_time(self.reactor.wall_ms());
        self.clock.look(&self.reactor, &self.log);
        let failed = self.metrics.sum(|core| core.reactor.accept_errors.value());
        let errno = self.metrics.cores.iter().map(|core| core.reactor.accept_errno.value()).max().unwrap_or_default();
        self.accepts.look(&self.reactor, &self.log, (failed, errno));
        self.log.flush(self.reactor.wall_ms());
        self.send_behind();
        self.release_memory();
        self.activity.note(self.reactor.now(), self.metrics.totals());
        let send = |core| self.mailbox.send(&self.reactor, core, NodeMessage::Heartbeat).is_ok();
        self.heartbeats.tick(self.reactor.now(), send, &|level, event, fields| self.event(level, event, fields));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_never_stops_is_served_for_half_of_the_drain_and_five_seconds_at_most() {
        for (drain_ms, expected_ms) in [(0, 0), (1_000, 500), (10_000, 5_000), (10_002, 5_000), (3_600_000, 5_000)] {
            assert_eq!(grace(Duration::from_millis(drain_ms)), Duration::from_millis(expected_ms), "{drain_ms}");
        }
    }
}
