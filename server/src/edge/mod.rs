//! A data core of the edge: everything it owns, and the tasks that run on it.
//!
//! **Not** shared: other cores reach it by message only.
//!
//! **Invariants**: no borrow of its tables is held across an `await`.

mod mail;
pub(crate) mod metrics;
mod report;
pub(crate) mod sessions;

use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use reactor::{CoreId, Instant, Listener, Mailbox, Reactor};
use shardstore::key::KeyHasher;

use crate::frontend::h1::H1;
use crate::message::Message;
use crate::nodes::{Cluster, ClusterOptions};
use crate::services::Services;
use crate::services::kv::KvService;
use crate::snapshot::{CurrentSnapshot, Snapshot};
use metrics::CoreMetrics;
use sessions::Sessions;
use store_runtime::budget::{Budget, Oversize};
use store_runtime::fills::FillBounds;
use store_runtime::mail::CoreMail;
use store_runtime::remote::Published;
use store_runtime::store::{ShardPlan, Store};
use store_runtime::tiers::{StoreEvent, TierBounds, TierPlan, Tiers};

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
    pub(crate) snapshot: Rc<CurrentSnapshot>,
    pub(crate) hasher: KeyHasher,
    /// This core's shard, and the other cores'.
    pub(crate) store: Rc<Store>,
    /// The store as requests see it that take more than a poll.
    pub(crate) tiers: Rc<Tiers<Cluster, Message>>,
    pub(crate) metrics: Arc<CoreMetrics>,
    pub(crate) mail: Rc<CoreMail<Message>>,
    /// `None` in embedded mode.
    pub(crate) cluster: Option<Rc<Cluster>>,
    /// Downstream connections, to end idle ones when draining.
    pub(crate) sessions: RefCell<Sessions>,
    /// Closed when draining begins.
    pub(crate) listeners: RefCell<Vec<Rc<Listener>>>,
    /// For request bodies.
    pub(crate) bodies: Rc<Budget>,
    /// For what clients have not taken yet.
    pub(crate) outbound: Rc<Budget>,
    pub(crate) draining: Rc<Cell<bool>>,
}

/// Requests of one core that may wait for others. A connection has one of them at a time, and no core has this many.
const HOPS_MAX: usize = 1 << 20;

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
        let core = Rc::new(EdgeCore::new(reactor.clone(), plan, store)?);
        let services = Services { kv: KvService::new(&core) };
        let h1 = Rc::new(H1::new(&core, services));
        crate::listener::start(&core, &h1)?;
        mail::start(&core)?;
        report::start(&core)
    }

    fn new(reactor: Reactor, plan: CorePlan, store: Store) -> std::io::Result<Self> {
        let snapshot = &*plan.snapshot;
        let limits = &snapshot.settings.limits;
        let cluster = snapshot.topology.as_ref().map(|topology| {
            let options = cluster_options(snapshot, plan.cores, plan.incarnation);
            Cluster::new(reactor.clone(), options, Arc::clone(&plan.metrics), topology)
        });
        let bodies = Budget::new(limits.body_memory_bytes, Oversize::Refuse);
        let outbound = Budget::new(limits.body_memory_bytes, Oversize::Refuse);
        let (store, mail) = (Rc::new(store), CoreMail::start(&reactor, plan.mailbox)?);
        let tiers = TierPlan {
            store: Rc::clone(&store),
            mail: Rc::clone(&mail),
            behind: cluster.clone(),
            bounds: tier_bounds(snapshot),
            hops_max: HOPS_MAX,
            note: note_into(&plan.metrics),
        };
        Ok(EdgeCore {
            id: reactor.core(),
            hasher: plan.hasher,
            snapshot: Rc::new(CurrentSnapshot::new(snapshot)),
            store,
            tiers: Tiers::new(&reactor, tiers),
            metrics: plan.metrics,
            mail,
            cluster,
            sessions: RefCell::default(),
            listeners: RefCell::new(Vec::new()),
            bodies,
            outbound,
            draining: Rc::default(),
            reactor,
        })
    }

    /// What this core decides by now; as [`CurrentSnapshot::get`].
    #[inline(always)]
    pub(crate) fn snapshot(&self) -> Ref<'_, Snapshot> {
        self.snapshot.get()
    }

    /// Decides by another snapshot from now on.
    fn adopt(&self, next: &Arc<Snapshot>) {
        assert!(next.generation > self.snapshot().generation, "snapshots come in the order they were made in");
        let limits = &next.settings.limits;
        self.bodies.set_bytes_max(limits.body_memory_bytes);
        self.outbound.set_bytes_max(limits.body_memory_bytes);
        self.tiers.set_bounds(tier_bounds(next));
        if let (Some(cluster), Some(topology)) = (&self.cluster, &next.topology) {
            cluster.options.set(cluster_options(next, self.store.cores().cores(), cluster.options.get().incarnation));
            cluster.install(topology);
        }
        self.snapshot.replace(next);
    }

    /// By when a request must be answered whose value has `value_bytes` bytes, or may have: the time a node gets to show a
    /// sign of life (`upstream.request_timeout`), and the time that many bytes take on a slow way.
    pub(crate) fn request_deadline(&self, value_bytes: usize) -> Instant {
        self.reactor.now() + self.snapshot().settings.upstream.request_timeout + transfer_time(value_bytes)
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

fn tier_bounds(snapshot: &Snapshot) -> TierBounds {
    let Snapshot { settings, .. } = snapshot;
    TierBounds {
        fills: FillBounds {
            fills_max: settings.limits.fills_per_core,
            waiters_max: settings.limits.waiters_per_fill,
            edge_ttl: settings.edge_ttl,
        },
        retry_time: settings.upstream.request_timeout / 2,
    }
}

/// Counts what happens to requests.
fn note_into(metrics: &Arc<CoreMetrics>) -> Box<dyn Fn(StoreEvent)> {
    let metrics = Arc::clone(metrics);
    Box::new(move |event| match event {
        StoreEvent::Hop => metrics.hops.increment(),
        StoreEvent::HopRefused => metrics.mailbox_full.increment(),
        StoreEvent::Fill => metrics.fills.increment(),
        StoreEvent::FillCoalesced => metrics.fills_joined.increment(),
    })
}

fn cluster_options(snapshot: &Snapshot, cores: u16, incarnation: u64) -> ClusterOptions {
    let upstream = &snapshot.settings.upstream;
    ClusterOptions {
        connect_timeout: upstream.connect_timeout,
        connections_per_node: upstream.connections_per_node,
        queue_per_node: upstream.queue_per_node,
        breaker_failures: upstream.breaker_failures,
        breaker_probe_time: upstream.breaker_probe_time,
        request_timeout: upstream.request_timeout,
        cores,
        incarnation,
    }
}
