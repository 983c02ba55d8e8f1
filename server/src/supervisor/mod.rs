//! The control core of an edge: its lifecycle, its topology, and what it reports to operators.
//!
//! **Not** on the path of a request.
//!
//! **Invariants**: a topology is checked here before any data core sees it; a bad one changes nothing and is logged with
//! its line.

pub(crate) mod acme;
pub(crate) mod admin;
mod explain_page;
mod key_page;
mod reachability;
mod status;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

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
use control::listening::SharedListen;
use control::log::{LineSink, Log, LogFields, LogLevel};
use control::memory::{HostMemory, MemoryBound, ReleaseRule};
use control::metrics::ReadUsage;
use control::notify::{ServiceManager, sentence};
use control::reading::PendingFiles;
use control::refusal::exit_of;
use control::reload::{ConfigRead, Reloader};
use control::security::{SecurityFault, SecurityFiles, SecurityReloader, SecurityUser, names_of};
use control::topology_file::TopologySource;
use control::topology_reload::{TopologyReloader, TopologyUser};
use control::watch::Mark;
use reactor::{Address, CoreId, Mailbox, Reactor};
use shardstore::key::KeyHasher;
use shardstore::placement::{Node, NodeAddress, Topology};

use self::acme::{AcmeControl, StartOrders};
use self::reachability::Reachability;
use crate::access_log::AccessLogControl;
use crate::hot_keys::HotKeyReports;
use crate::message::Message;
use crate::metrics::CoreMetrics;
use crate::nodes::NodeState;
use crate::security::{Security, SecurityReload};
use crate::settings::EdgeSettings;
use crate::snapshot::Snapshot;
use store_runtime::remote::Published;

/// What the control core is made from. Crosses to its thread.
pub(crate) struct Supervision {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) config: Reloader<EdgeSettings>,
    pub(crate) security: SecurityReloader,
    pub(crate) source: Option<TopologySource>,
    pub(crate) mailbox: Mailbox<Message>,
    pub(crate) metrics: Vec<Arc<CoreMetrics>>,
    pub(crate) log: Box<dyn LineSink + Send>,
    pub(crate) usage: Option<ReadUsage>,
    pub(crate) process: ProcessContext,
    pub(crate) host_memory: Option<HostMemory>,
    pub(crate) access_log: Option<AccessLogControl>,
    pub(crate) ending: Ending,
    pub(crate) hasher: KeyHasher,
    /// The shards of the data cores.
    pub(crate) shards: Published,
    pub(crate) listening: Arc<SharedListen>,
    pub(crate) descriptors: Option<DescriptorPlan>,
    pub(crate) acme: Option<StartOrders>,
}

pub(crate) struct Supervisor {
    reactor: Reactor,
    /// What data cores decide by.
    snapshot: RefCell<Arc<Snapshot>>,
    config: Reloader<EdgeSettings>,
    /// Cores whose mailbox had no room for the snapshot.
    behind: RefCell<Vec<CoreId>>,
    topology: TopologyReloader,
    security: SecurityReloader,
    mailbox: Mailbox<Message>,
    metrics: Vec<Arc<CoreMetrics>>,
    log: Log,
    access_log: Option<AccessLogControl>,
    usage: Option<ReadUsage>,
    process: ProcessContext,
    host_memory: Option<HostMemory>,
    state: Cell<LifecycleState>,
    /// Data cores that have nothing left to finish.
    drained: Cell<usize>,
    clock: ClockWatch,
    accepts: AcceptWatch,
    reachability: Reachability,
    activity: Activity,
    heartbeats: Heartbeats,
    duck: LameDuck,
    manager: ServiceManager,
    release: RefCell<ReleaseRule>,
    /// What data cores are told with each beat.
    closes_connections: Cell<bool>,
    /// Nodes as each core sees them.
    nodes: RefCell<BTreeMap<u16, Vec<NodeState>>>,
    hot_keys: RefCell<HotKeyReports>,
    hasher: KeyHasher,
    shards: Published,
    listening: Arc<SharedListen>,
    descriptors: Option<DescriptorPlan>,
    acme: AcmeControl,
}

/// Starts the control core's tasks.
pub(crate) fn start(reactor: &Reactor, supervision: Supervision) -> io::Result<()> {
    let ending = supervision.ending.clone();
    let manager = ServiceManager::connect(supervision.process.notify.as_ref(), reactor.now())?;
    let supervisor = Rc::new(Supervisor::new(reactor.clone(), supervision, manager));
    let snapshot = supervisor.snapshot();
    let settings = &snapshot.settings;
    let pages = Rc::clone(&supervisor) as Rc<dyn control::admin::Admin>;
    let tls = settings.admin_tls.then(|| supervisor.security.clock());
    let admin = control::admin::serve(reactor, &Address::from(&settings.admin), (settings.admin_mode, tls), pages)?;
    supervisor.log_start(&admin);
    if let Some(commands) = &settings.command_listen {
        let pages = Rc::clone(&supervisor) as Rc<dyn control::admin::Admin>;
        control::admin::serve_commands(reactor, &Address::from(commands), settings.command_mode, pages)?;
    }
    let receiving = Rc::clone(&supervisor);
    reactor.spawn(async move { receiving.receive().await }).map_err(io::Error::other)?;
    if supervisor.acme.is_possible() {
        let ordering = Rc::clone(&supervisor);
        reactor.spawn(async move { ordering.watch_orders().await }).map_err(io::Error::other)?;
    }
    let options = Options {
        topology_marks: supervisor.topology.marks_at_start(),
        config_marks: supervisor.config.source().read_marks(),
        security_marks: supervisor.security.marks_at_start(),
    };
    let living = async move {
        let ended = lifecycle::run(&supervisor.reactor, &*supervisor, options).await;
        let exit = ended.unwrap_or_else(|error| {
            supervisor.event(LogLevel::Error, "signals_refused", &[("error", &error)]);
            exit_of(&error)
        });
        supervisor.event(LogLevel::Info, "stopped", &[("status", &exit.status())]);
        ending.set(exit);
        supervisor.send_all(|| Message::Stop);
        supervisor.reactor.stop();
    };
    reactor.spawn(living).map_err(io::Error::other)
}

impl Supervisor {
    fn new(reactor: Reactor, supervision: Supervision, manager: ServiceManager) -> Self {
        let in_force = supervision.snapshot.topology.as_deref();
        let (settings, cores) = (&supervision.snapshot.settings, supervision.metrics.len());
        let acme = AcmeControl::new(supervision.acme, settings, cores, &reactor);
        let topology = TopologyReloader::new(&reactor, supervision.source, None, in_force);
        Supervisor {
            activity: Activity::new(reactor.now()),
            release: RefCell::new(ReleaseRule::new(reactor.now())),
            log: Log::new(supervision.snapshot.settings.log.clone(), supervision.log),
            snapshot: RefCell::new(supervision.snapshot),
            config: supervision.config,
            security: supervision.security,
            behind: RefCell::default(),
            topology,
            clock: ClockWatch::new(&reactor),
            duck: LameDuck::default(),
            manager,
            heartbeats: Heartbeats::new(supervision.metrics.len(), reactor.now()),
            accepts: AcceptWatch::default(),
            reachability: Reachability::default(),
            reactor,
            mailbox: supervision.mailbox,
            metrics: supervision.metrics,
            usage: supervision.usage,
            process: supervision.process,
            host_memory: supervision.host_memory,
            access_log: supervision.access_log,
            state: Cell::new(LifecycleState::Starting),
            drained: Cell::new(0),
            closes_connections: Cell::new(false),
            nodes: RefCell::new(BTreeMap::new()),
            hot_keys: RefCell::default(),
            hasher: supervision.hasher,
            shards: supervision.shards,
            listening: supervision.listening,
            descriptors: supervision.descriptors,
            acme,
        }
    }

    fn event(&self, level: LogLevel, event: &str, fields: LogFields<'_>) {
        self.log.event(self.reactor.wall_ms(), level, event, fields);
    }

    fn log_start(&self, admin: &Address) {
        let listen: Vec<String> = self.listening.addresses().iter().map(ToString::to_string).collect();
        let listen = listen.join(",");
        let mode = if self.topology.is_clustered() { "clustered" } else { "embedded" };
        let fields: [(&'static str, &dyn Display); 5] = [
            ("version", &control::build::VERSION),
            ("listen", &listen),
            ("admin", admin),
            ("cores", &self.metrics.len()),
            ("mode", &mode),
        ];
        self.event(LogLevel::Info, "started", &fields);
        if let Some(path) = &self.snapshot().settings.tls.key_log {
            let consequence =
                "whoever has this file reads all that clients send and get; take the key out when you have debugged";
            let fields: [(&'static str, &dyn Display); 2] = [("file", &path.display()), ("consequence", &consequence)];
            self.event(LogLevel::Warn, "key_log_open", &fields);
        }
        if let Some(descriptors) = self.descriptors {
            let wanted = self.snapshot().settings.limits.connections_per_core;
            descriptors.log(wanted, &|level, event, fields| self.event(level, event, fields));
        }
        if !self.snapshot().settings.admin_tls {
            exposure::warn("admin", exposure::ADMIN, [admin], &|level, event, fields| self.event(level, event, fields));
        }
        self.warn_of_plaintext();
        let event = |level, event: &str, fields: LogFields<'_>| self.event(level, event, fields);
        self.memory_bound().log(self.host_memory.as_ref(), &event);
    }

    /// Warns of nodes on other hosts to which it speaks in the clear, as the operator has allowed.
    fn warn_of_plaintext(&self) {
        let snapshot = self.snapshot();
        if snapshot.security.cluster.links.is_some() {
            return;
        }
        let address = |node: &Node| match &node.address {
            NodeAddress::Ip(address) => Some(Address::Tcp(*address)),
            _ => None,
        };
        let nodes: Vec<Address> =
            snapshot.topology.iter().flat_map(|topology| topology.nodes()).filter_map(address).collect();
        let consequence = "whoever is between reads and changes all values: there is no certificate (`cluster.chain`)";
        exposure::warn("links to nodes", consequence, &nodes, &|level, event, fields| self.event(level, event, fields));
    }

    fn open_connections(&self) -> u64 {
        self.metrics.iter().map(|metrics| metrics.connections.value()).sum()
    }

    /// Gives memory that has become free back to the kernel.
    fn release_memory(&self) {
        // Simulated processes share one allocator.
        if self.usage.is_some()
            && self.release.borrow_mut().is_due(self.reactor.now(), status::held_bytes(&self.metrics))
        {
            reactor::release_free_memory();
        }
    }

    /// What the process may take of the host's memory.
    fn memory_bound(&self) -> MemoryBound {
        self.snapshot().settings.memory_bound(self.metrics.len())
    }

    async fn receive(&self) {
        loop {
            while let Some((from, message)) = self.mailbox.try_receive() {
                self.handle(from, message);
            }
            self.mailbox.notified(&self.reactor).await;
        }
    }

    fn handle(&self, from: CoreId, message: Message) {
        match message {
            Message::TopologyHint(hint) => self.topology.follow_hint(hint, self),
            Message::Drained { cut } => {
                self.drained.set(self.drained.get() + 1);
                if cut > 0 {
                    self.event(LogLevel::Warn, "connections_cut", &[("core", &from.0), ("count", &cut)]);
                }
            }
            Message::Nodes(states) => {
                self.nodes.borrow_mut().insert(from.0, states);
                self.log_reachability();
            }
            Message::HotKeys(report) => self.hot_keys.borrow_mut().insert(from.0, report),
            Message::InForce(generation) => self.acme.note_in_force(from, generation),
            Message::Heartbeat { .. } => self.heartbeats.note(from, self.reactor.now()),
            // Messages between data cores, or from here to them.
            Message::Store(_) | Message::Snapshot(_) | Message::Drain(_) | Message::Stop | Message::Serve => {}
        }
    }

    /// Logs which nodes have gone out of reach, and which are back.
    fn log_reachability(&self) {
        let snapshot = self.snapshot();
        for change in self.reachability.changes(&self.nodes.borrow(), self.reactor.now()) {
            let nodes = snapshot.topology.iter().flat_map(|topology| topology.nodes());
            let address = nodes.into_iter().find(|node| node.id.0 == change.node).map(|node| node.address.to_string());
            let address = address.unwrap_or_default();
            match &change.error {
                Some(error) => {
                    let fields: [(&'static str, &dyn Display); 3] =
                        [("node", &change.node), ("address", &address), ("error", error)];
                    self.event(LogLevel::Warn, "node_unreachable", &fields);
                }
                None => {
                    let fields: [(&'static str, &dyn Display); 2] = [("node", &change.node), ("address", &address)];
                    self.event(LogLevel::Info, "node_reachable", &fields);
                }
            }
        }
    }

    /// What data cores decide by.
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    fn put_in_force(&self, settings: EdgeSettings, topology: Option<Arc<Topology>>, security: Arc<Security>) {
        let generation = self.config.next_generation();
        self.event(LogLevel::Info, "in_force", &[("generation", &generation)]);
        let next = self.snapshot().followed_by(generation, settings, topology, security);
        self.snapshot.replace(Arc::new(next));
        self.send_snapshot((0..self.metrics.len()).map(|core| CoreId(core as u16)).collect());
    }

    /// Sends data cores what they are to decide by; those without room get it with the next tick.
    fn send_snapshot(&self, cores: Vec<CoreId>) {
        let full = |core: &CoreId| self.mailbox.send(&self.reactor, *core, Message::Snapshot(self.snapshot())).is_err();
        self.behind.replace(cores.into_iter().filter(full).collect());
    }

    /// Puts settings in force that were read again.
    fn adopt_settings(&self, read: ConfigRead<EdgeSettings>, cause: ReloadCause) {
        let event = |level, event: &str, fields: LogFields<'_>| self.event(level, event, fields);
        if let Some(settings) = self.config.reload(read, cause, &event) {
            self.log.adopt(&settings.log);
            if let Some(access_log) = &self.access_log {
                access_log.adopt(&settings.access_log);
            }
            let before = self.snapshot();
            if Security::is_made_of_others(&before.settings, &settings) {
                self.security.want(self.reactor.now());
            }
            let orders_others = before.settings.orders() != settings.orders();
            self.put_in_force(settings, before.topology.clone(), Arc::clone(&before.security));
            if orders_others {
                self.acme.want(&self.snapshot().settings);
            }
        }
        if cause == ReloadCause::Signal {
            // What has failed is tried at once.
            self.acme.want(&self.snapshot().settings);
        }
        if let (Some(access_log), ReloadCause::Signal) = (&self.access_log, cause) {
            access_log.reopen();
        }
    }

    /// Logs what became of the access log.
    fn attend_access_log(&self) {
        let Some(access_log) = &self.access_log else { return };
        access_log.send();
        for report in access_log.reports() {
            let fields: [(&'static str, &dyn Display); 2] = [("file", &report.path), ("error", &report.error)];
            let fields = if report.error.is_empty() { &fields[..1] } else { &fields };
            self.event(report.level, report.event, fields);
        }
    }

    /// Keeps the time that certificates are judged by, and the keys of tickets fresh.
    fn attend_security(&self) {
        self.security.tell_time(self.reactor.wall_ms());
        let before = self.snapshot();
        if let Some(next) = before.security.with_rotated_tickets() {
            self.put_in_force(before.settings.clone(), before.topology.clone(), Arc::new(next));
        }
    }

    fn send_all(&self, message: impl Fn() -> Message) {
        for core in 0..self.metrics.len() {
            if self.mailbox.send(&self.reactor, CoreId(core as u16), message()).is_err() {
                self.event(LogLevel::Error, "mailbox_full", &[("core", &core)]);
            }
        }
    }
}

impl TopologyUser for Supervisor {
    fn topology(&self) -> Option<Arc<Topology>> {
        self.snapshot().topology.clone()
    }

    fn put_topology(&self, next: Arc<Topology>, _: u64) {
        let before = self.snapshot();
        self.put_in_force(before.settings.clone(), Some(next), Arc::clone(&before.security));
    }

    fn log_topology(&self, level: LogLevel, event: &str, fields: LogFields<'_>) {
        self.event(level, event, fields);
    }
}

impl SecurityUser for Supervisor {
    fn security_names(&self) -> Vec<PathBuf> {
        Security::files(&self.snapshot().settings)
    }

    fn put_security(&self, files: &SecurityFiles) -> Result<bool, Vec<SecurityFault>> {
        let before = self.snapshot();
        let SecurityReload { security, faults } =
            before.security.reload(&before.settings, files, before.topology.as_deref(), self.security.parts());
        let changed = security.is_some();
        if let Some(security) = security {
            self.put_in_force(before.settings.clone(), before.topology.clone(), Arc::new(security));
        }
        if faults.is_empty() { Ok(changed) } else { Err(faults) }
    }

    fn log_security(&self, level: LogLevel, event: &str, fields: LogFields<'_>) {
        self.event(level, event, fields);
    }
}

impl ControlledProcess for Supervisor {
    type Config = ConfigRead<EdgeSettings>;

    fn start(&self) -> Start {
        // Data cores listen before the control core is started.
        Start::Done
    }

    fn in_flight(&self) -> usize {
        in_flight(self.open_connections(), self.metrics.len(), self.drained.get())
    }

    fn end_times(&self) -> EndTimes {
        let settings = &self.snapshot().settings;
        EndTimes { lame_duck: settings.lame_duck, drain: settings.drain_timeout }
    }

    fn lame_duck(&self) -> &LameDuck {
        &self.duck
    }

    fn close_connections(&self, closes: bool) {
        self.closes_connections.set(closes);
        self.event(LogLevel::Info, if closes { "closing_connections" } else { "keeping_connections" }, &[]);
        self.send_all(|| Message::Heartbeat { closes_connections: closes });
    }

    fn manager(&self) -> &ServiceManager {
        &self.manager
    }

    fn summary(&self) -> String {
        let activity = self.activity.summary(self.reactor.now(), status::totals(&self.metrics));
        sentence(self.state.get(), &self.duck, self.cores_run(), &activity)
    }

    fn cores_run(&self) -> bool {
        self.heartbeats.all_answer(self.reactor.now())
    }

    fn look(&self, watched: Watched) -> PendingFiles<Vec<Mark>> {
        match watched {
            Watched::Config => self.config.source().look(),
            Watched::Topology => self.topology.look(),
            Watched::Security => self.security.look(self),
        }
    }

    fn read(&self, watched: Watched) -> PendingRead<ConfigRead<EdgeSettings>> {
        match watched {
            Watched::Config => self.config.source().read(),
            Watched::Topology => self.topology.read(),
            Watched::Security => self.security.read(self),
        }
    }

    fn adopt(&self, contents: Contents<ConfigRead<EdgeSettings>>, cause: ReloadCause) {
        match contents {
            Contents::Config(read) => self.adopt_settings(read, cause),
            Contents::Topology(text) => self.topology.adopt(text, cause, self),
            Contents::NoTopology => {}
            Contents::Security(files) => self.security.adopt(&files, cause, self, self.reactor.now()),
        }
    }

    fn wants_security(&self) -> bool {
        self.security.take_wanted(self.reactor.now())
    }

    fn wishes(&self) -> &TopologyWishes {
        self.topology.wishes()
    }

    fn files_name(&self, watched: Watched) -> String {
        match watched {
            Watched::Config => self.config.source().name(),
            Watched::Topology => self.topology.name().to_owned(),
            Watched::Security => names_of(&self.security_names()),
        }
    }

    fn log_event(&self, level: LogLevel, event: &str, fields: LogFields<'_>) {
        self.event(level, event, fields);
    }

    fn on_state_change(&self, state: LifecycleState) {
        self.state.set(state);
        match state {
            LifecycleState::Draining { .. } => {
                let time = self.snapshot().settings.drain_timeout;
                let open = self.open_connections();
                let seconds = time.as_secs_f64();
                let fields: [(&'static str, &dyn Display); 3] =
                    [("cause", &DRAIN_CAUSE), ("connections", &open), ("timeout_s", &seconds)];
                self.event(LogLevel::Info, "draining", &fields);
                self.send_all(|| Message::Drain(time));
            }
            LifecycleState::Serving => {
                self.send_all(|| Message::Serve);
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
        self.attend_security();
        self.clock.look(&self.reactor, &self.log);
        let failed = self.metrics.iter().map(|core| core.reactor.accept_errors.value()).sum();
        let errno = self.metrics.iter().map(|core| core.reactor.accept_errno.value()).max().unwrap_or_default();
        self.accepts.look(&self.reactor, &self.log, (failed, errno));
        self.log_reachability();
        self.log.flush(self.reactor.wall_ms());
        self.release_memory();
        let behind = self.behind.take();
        self.send_snapshot(behind);
        self.attend_access_log();
        let closes_connections = self.closes_connections.get();
        let send = |core| self.mailbox.send(&self.reactor, core, Message::Heartbeat { closes_connections }).is_ok();
        self.heartbeats.tick(self.reactor.now(), send, &|level, event, fields| self.event(level, event, fields));
        self.activity.note(self.reactor.now(), status::totals(&self.metrics));
    }
}
