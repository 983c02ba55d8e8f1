//! A data core of the edge: everything it owns, and the tasks that run on it.
//!
//! **Not** shared: other cores reach it by message only.
//!
//! **Invariants**: no borrow of its tables is held across an `await`.

pub(crate) mod listener;
mod mail;
pub(crate) mod metrics;
mod report;
pub(crate) mod sessions;

use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use corelane_http::h1::ResponseStart;
use corelane_http::h1::request::{FieldMemo, Resume};
use reactor::{CoreId, Instant, Listener, Mailbox, Reactor};
use shardstore::key::KeyHasher;

use crate::exchange::outbound::Copies;
use crate::message::Message;
use crate::nodes::{Cluster, ClusterOptions};
use crate::snapshot::Snapshot;
use crate::store::fills::{FillBounds, Fills};
use crate::store::route::Tickets;
use crate::store::writes::Writes;
use metrics::CoreMetrics;
use sessions::Sessions;
use store_runtime::budget::{Budget, Oversize};
use store_runtime::remote::Published;
use store_runtime::store::{ShardPlan, Store};

/// What a data core is made from. Crosses to the core's thread.
pub(crate) struct CorePlan {
    pub(crate) snapshot: Arc<Snapshot>,
    /// Data cores of this process.
    pub(crate) cores: u16,
    pub(crate) mailbox: Mailbox<Message>,
    pub(crate) metrics: Arc<CoreMetrics>,
    pub(crate) shard_bytes: u64,
    pub(crate) hasher: KeyHasher,
    pub(crate) incarnation: u64,
    /// Where the cores of this process put their shards' handles.
    pub(crate) shards: Published,
}

pub(crate) struct EdgeCore {
    pub(crate) reactor: Reactor,
    pub(crate) id: CoreId,
    snapshot: RefCell<Rc<Snapshot>>,
    pub(crate) hasher: KeyHasher,
    /// This core's shard, and the other cores'.
    pub(crate) store: Store,
    pub(crate) scratch: RefCell<Scratch>,
    pub(crate) head: RefCell<HeadScratch>,
    /// The second of `response_start`.
    response_start_s: Cell<u64>,
    response_start: RefCell<ResponseStart>,
    pub(crate) metrics: Arc<CoreMetrics>,
    pub(crate) mailbox: Mailbox<Message>,
    pub(crate) tickets: RefCell<Tickets>,
    pub(crate) fills: RefCell<Fills>,
    pub(crate) writes: RefCell<Writes>,
    /// `None` in embedded mode.
    pub(crate) cluster: Option<Rc<Cluster>>,
    /// Downstream connections, to end idle ones when draining.
    pub(crate) sessions: RefCell<Sessions>,
    /// Closed when draining begins.
    pub(crate) listeners: RefCell<Vec<Rc<Listener>>>,
    /// For request bodies.
    pub(crate) bodies: Rc<Budget>,
    /// For what clients have not taken yet.
    pub(crate) copies: Copies,
    pub(crate) draining: Cell<bool>,
}

/// What heads are read with; one for all connections of a core.
#[derive(Default)]
pub(crate) struct HeadScratch {
    /// The head that is being served, while it is.
    pub(crate) whole: Resume,
    /// The fields that came last.
    pub(crate) memo: FieldMemo,
}

/// Buffers that are reused for every request, so that the hit path allocates nothing.
pub(crate) struct Scratch {
    /// The stored key of the request at hand.
    pub(crate) key: Vec<u8>,
    /// A percent-decoded key.
    pub(crate) decoded: Vec<u8>,
    /// The body of an error.
    pub(crate) problem: Vec<u8>,
}

impl EdgeCore {
    /// Makes the core and starts its tasks.
    ///
    /// # Errors
    /// The operator's: no memory for the shard, or an address that cannot be listened on.
    pub(crate) fn start(reactor: &Reactor, plan: CorePlan) -> std::io::Result<()> {
        let settings = &plan.snapshot.settings;
        let shard = ShardPlan {
            limit_bytes: plan.shard_bytes,
            commit: settings.memory_commit,
            hasher: plan.hasher,
            region: settings.region,
            published: Arc::clone(&plan.shards),
        };
        let store = Store::start(reactor, shard)?;
        let core = Rc::new(EdgeCore::new(reactor.clone(), plan, store));
        listener::start(&core)?;
        mail::start(&core)?;
        report::start(&core)
    }

    fn new(reactor: Reactor, plan: CorePlan, store: Store) -> Self {
        let snapshot = Rc::new(Snapshot::clone(&plan.snapshot));
        let limits = &snapshot.settings.limits;
        let wall_s = reactor.wall_ms() / 1000;
        let cluster = snapshot.topology.as_ref().map(|topology| {
            let options = cluster_options(&snapshot, plan.cores, plan.incarnation);
            Cluster::new(reactor.clone(), options, Arc::clone(&plan.metrics), topology)
        });
        let bodies = Budget::new(limits.body_memory_bytes, Oversize::Refuse);
        let copies = Copies::new(limits.body_memory_bytes, &plan.metrics);
        let fills = Fills::new(fill_bounds(&snapshot));
        EdgeCore {
            id: reactor.core(),
            hasher: plan.hasher,
            snapshot: RefCell::new(snapshot),
            store,
            scratch: RefCell::new(Scratch {
                key: Vec::with_capacity(shardstore::key::STORED_KEY_BYTES_MAX),
                decoded: Vec::with_capacity(shardstore::key::KEY_BYTES_MAX),
                problem: Vec::with_capacity(512),
            }),
            head: RefCell::default(),
            response_start_s: Cell::new(wall_s),
            response_start: RefCell::new(ResponseStart::at_unix_seconds(wall_s)),
            metrics: plan.metrics,
            mailbox: plan.mailbox,
            tickets: RefCell::new(Tickets::default()),
            fills: RefCell::new(fills),
            writes: RefCell::new(Writes::default()),
            cluster,
            sessions: RefCell::default(),
            listeners: RefCell::new(Vec::new()),
            bodies,
            copies,
            draining: Cell::new(false),
            reactor,
        }
    }

    /// What this core decides by now. Not for use across an `await`, nor while a snapshot may come: see [`Self::hold`].
    #[inline(always)]
    pub(crate) fn snapshot(&self) -> Ref<'_, Snapshot> {
        Ref::map(self.snapshot.borrow(), |snapshot| &**snapshot)
    }

    /// The same for as long as the caller wants it.
    pub(crate) fn hold(&self) -> Rc<Snapshot> {
        Rc::clone(&self.snapshot.borrow())
    }

    /// Decides by another snapshot from now on.
    fn adopt(&self, next: &Arc<Snapshot>) {
        assert!(next.generation > self.snapshot().generation, "snapshots come in the order they were made in");
        let limits = &next.settings.limits;
        self.bodies.set_bytes_max(limits.body_memory_bytes);
        self.copies.set_bytes_max(limits.body_memory_bytes);
        self.fills.borrow_mut().set_bounds(fill_bounds(next));
        // Fields that were accepted under other limits are not known to be within these.
        self.head.take();
        if let (Some(cluster), Some(topology)) = (&self.cluster, &next.topology) {
            cluster.options.set(cluster_options(next, self.store.cores().cores(), cluster.options.get().incarnation));
            cluster.install(topology);
        }
        self.snapshot.replace(Rc::new(Snapshot::clone(next)));
    }

    /// How responses of this second begin.
    #[inline]
    pub(crate) fn response_start(&self) -> Ref<'_, ResponseStart> {
        let now_s = self.reactor.wall_ms() / 1000;
        if self.response_start_s.replace(now_s) != now_s {
            self.response_start.replace(ResponseStart::at_unix_seconds(now_s));
        }
        self.response_start.borrow()
    }

    /// By when a request must be answered whose value has `value_bytes` bytes, or may have: the time a node gets to show a
    /// sign of life (`upstream.request_time`), and the time that many bytes take on a slow way.
    pub(crate) fn request_deadline(&self, value_bytes: usize) -> Instant {
        self.reactor.now() + self.snapshot().settings.upstream.request_time + transfer_time(value_bytes)
    }

    /// The control core of this process.
    pub(crate) fn control(&self) -> CoreId {
        self.store.cores().control()
    }

    fn note_connections(&self) {
        self.metrics.connections.set(self.sessions.borrow().len() as u64);
    }
}

/// How long `bytes` bytes may take to or from a node: at least 8 MiB a second, which a gigabit link shared by a dozen
/// still gives.
pub(crate) fn transfer_time(bytes: usize) -> Duration {
    const BYTES_PER_MS: u64 = 8 * 1024 * 1024 / 1000;
    Duration::from_millis(bytes as u64 / BYTES_PER_MS)
}

fn fill_bounds(snapshot: &Snapshot) -> FillBounds {
    let Snapshot { settings, .. } = snapshot;
    FillBounds {
        fills_max: settings.limits.fills_per_core,
        waiters_max: settings.limits.waiters_per_fill,
        near_ttl: settings.near_ttl,
    }
}

fn cluster_options(snapshot: &Snapshot, cores: u16, incarnation: u64) -> ClusterOptions {
    let upstream = &snapshot.settings.upstream;
    ClusterOptions {
        connect_time: upstream.connect_time,
        connections_per_node: upstream.connections_per_node,
        queue_per_node: upstream.queue_per_node,
        breaker_failures: upstream.breaker_failures,
        breaker_probe_time: upstream.breaker_probe_time,
        request_time: upstream.request_time,
        cores,
        incarnation,
    }
}
