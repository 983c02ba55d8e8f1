//! A data core: its shard, its connections, and its part in the node.
//!
//! ```text
//!  listener ─▶ hello ─▶ session ─▶ serve ─▶ operate ─▶ Shard
//!                │         │         ├────▶ in_place ─▶ another core's shard, read
//!                │         │         ├────▶ batch, batch_part: several keys, slice by slice
//!                │         │         ├────▶ hop ──▶ another core
//!                │         │         ├────▶ collect: a large value part by part
//!                │         │         └────▶ staging: a large value slice by slice
//!                │         ├─ ahead: what frames that came together ask for is waited for together
//!                │         └─ link, stream, respond: bytes in, bytes out
//!                └─ handed over to the core the peer wants
//!  inbox: messages of other cores     maintenance: background work     disown: slots that leave     drain: the end
//! ```
//!
//! **Not**: files, clocks or threads; time comes from the reactor, everything else by message.
//!
//! **Invariants**: only this core writes its shard; no borrow of the core's state is held across an await.
//!
//! **Source**: docs/wire.md.

mod ahead;
pub(crate) mod answer;
mod batch;
mod batch_part;
mod collect;
mod context;
mod disown;
mod drain;
mod gather;
mod hello;
mod hop;
mod identity;
mod in_place;
mod inbox;
mod link;
mod listener;
mod maintenance;
mod operate;
mod permit;
mod place;
mod respond;
mod serve;
mod session;
mod staging;
mod stream;
mod waiting;

use std::cell::{Cell, Ref, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use control::metrics::Sampler;
use control::security::ClusterSecurity;
use corelane_tls::crypto::WallClock;
use corelane_tls::handshake::drive::Handshakes;
use corelane_tls::handshake::gate::GateLimits;
use reactor::local::{Notify, StartGate};
use reactor::{Instant, Listener, Mailbox, Reactor};
use shardstore::cache::LOOKAHEAD;
use shardstore::key::{KeyHash, KeyHasher};
use shardstore::placement::{NodeId, Topology};
use shardstore::session::SpareBuffers;
use shardstore::wire::Op;
use shardstore::wire::ext::Moved;
use store_runtime::budget::{Budget, Oversize};
use store_runtime::hop::Hops;
use store_runtime::mail::CoreMail;
use store_runtime::remote::Published;
use store_runtime::send_queue;
use store_runtime::store::{ShardPlan, Store};

use crate::budgets;
use crate::message::NodeMessage;
use crate::metrics::{NodeCoreMetrics, NodeMetrics};
use crate::plan::Shared;
use crate::settings::NodeLimits;
use crate::snapshot::NodeSnapshot;
use hop::HOPS_MAX;
use waiting::Waiting;

/// What a data core is made of.
pub(crate) struct NodeCore {
    pub(crate) reactor: Reactor,
    pub(crate) shared: Arc<Shared>,
    limits: RefCell<NodeLimits>,
    /// Who this node is to those that connect.
    security: RefCell<Arc<ClusterSecurity>>,
    handshakes: Handshakes,
    pub(crate) node_metrics: Arc<NodeMetrics>,
    /// This core's shard, and the other cores'.
    pub(crate) store: Store,
    pub(crate) copies: Rc<Budget>,
    assembling: Rc<Budget>,
    pub(crate) frames_in_part: Rc<Budget>,
    hasher: KeyHasher,
    me: NodeId,
    topology: RefCell<Arc<Topology>>,
    /// Epoch and checksum of the map in force.
    map: Cell<(u32, u32)>,
    /// The last range that was answered MOVED, of the topology in force.
    moved_last: Cell<Option<Moved>>,
    mail: Rc<CoreMail<NodeMessage>>,
    hops: Hops<Waiting>,
    /// What wakes each connection, by number.
    attention: RefCell<BTreeMap<u64, Rc<Notify>>>,
    connections_begun: Cell<u64>,
    spares: RefCell<SpareBuffers>,
    /// Of the frames that are looked at ahead of need.
    hashes_ahead: RefCell<Vec<KeyHash>>,
    listeners: RefCell<Vec<Rc<Listener>>>,
    /// Opened when all of the process has started: a start that fails has served nobody.
    gate: StartGate,
    phase: Cell<drain::Phase>,
    /// The control core was asked to read the topology again, and is not to be before then.
    topology_wanted_until: Cell<Instant>,
    disowning: disown::Disowning,
    /// Which buffers of connections are measured.
    rounds: Sampler,
}

/// Buffers of which one is measured: two clock reads, some 50 ns, are then below a thousandth of a request. Prime, so that no pattern of requests hides.
const BUFFERS_PER_SAMPLE: u32 = 61;

/// What a data core is given at its start, on its own thread.
pub(crate) struct CoreSeat {
    pub(crate) shared: Arc<Shared>,
    pub(crate) topology: Arc<Topology>,
    pub(crate) security: Arc<ClusterSecurity>,
    /// The wall time by which certificates are valid.
    pub(crate) clock: Arc<WallClock>,
    pub(crate) node_metrics: Arc<NodeMetrics>,
    pub(crate) mailbox: Mailbox<NodeMessage>,
    pub(crate) shards: Published,
}

impl NodeCore {
    /// Makes the core and its shard.
    ///
    /// # Errors
    /// The operator's: the shard's memory is refused or too small.
    pub(crate) fn new(reactor: &Reactor, seat: CoreSeat) -> std::io::Result<Rc<Self>> {
        let CoreSeat { shared, topology, security, clock, node_metrics, mailbox, shards } = seat;
        let hasher = KeyHasher::new(shared.hash_seed);
        let plan = ShardPlan {
            limit_bytes: shared.settings.memory / u64::from(shared.cores),
            commit: shared.settings.memory_commit,
            hasher,
            region: shared.settings.region,
            published: shards,
        };
        let store = Store::start(reactor, plan)?;
        let mail = CoreMail::start(reactor, mailbox)?;
        Ok(Rc::new(NodeCore {
            reactor: reactor.clone(),
            me: NodeId(u32::from(shared.settings.node_id)),
            limits: RefCell::new(shared.settings.limits.clone()),
            security: RefCell::new(security),
            handshakes: Handshakes::new(reactor, GateLimits::default(), &clock),
            shared,
            node_metrics,
            store,
            copies: Budget::new(budgets::COPIES_BYTES_MAX, Oversize::GrantAlone),
            assembling: Budget::new(budgets::ASSEMBLING_BYTES_MAX, Oversize::GrantAlone),
            frames_in_part: Budget::new(budgets::FRAMES_IN_PART_BYTES_MAX, Oversize::Refuse),
            hasher,
            map: Cell::new((topology.epoch(), topology.digest().sum())),
            topology: RefCell::new(topology),
            moved_last: Cell::new(None),
            mail,
            hops: Hops::new(HOPS_MAX),
            attention: RefCell::default(),
            connections_begun: Cell::new(0),
            spares: RefCell::default(),
            hashes_ahead: RefCell::new(Vec::with_capacity(LOOKAHEAD)),
            listeners: RefCell::default(),
            gate: StartGate::new(reactor),
            phase: Cell::new(drain::Phase::Serving),
            topology_wanted_until: Cell::new(reactor.now()),
            disowning: disown::Disowning::new(reactor),
            rounds: Sampler::new(BUFFERS_PER_SAMPLE),
        }))
    }

    /// Starts the core's tasks; `listeners` are open already.
    ///
    /// # Errors
    /// Ours: a core that has just started has no room for a few tasks.
    pub(crate) fn run(self: &Rc<Self>, listeners: Vec<Listener>) -> std::io::Result<()> {
        let listeners: Vec<Rc<Listener>> = listeners.into_iter().map(Rc::new).collect();
        self.listeners.borrow_mut().clone_from(&listeners);
        let spawned = listeners
            .into_iter()
            .try_for_each(|listener| {
                let core = Rc::clone(self);
                self.reactor.spawn(async move {
                    core.gate.pass().await;
                    reactor::accept(&listener, &core).await;
                })
            })
            .and_then(|()| self.reactor.spawn(inbox::receive(Rc::clone(self))))
            .and_then(|()| self.reactor.spawn(maintenance::maintain(Rc::clone(self))));
        spawned.map_err(std::io::Error::other)
    }

    /// The limits in force; not for use across an `await`.
    #[inline]
    pub(crate) fn limits(&self) -> Ref<'_, NodeLimits> {
        self.limits.borrow()
    }

    /// Bytes of answers that one peer may have queued now.
    #[inline]
    fn queue_bytes_max(&self) -> usize {
        send_queue::bytes_max(session::QUEUE_BYTES_MAX, budgets::SEND_BYTES_MAX, self.reactor.queued_bytes())
    }

    /// Decides by another snapshot from now on.
    fn adopt(&self, next: &NodeSnapshot) {
        self.limits.replace(next.limits.clone());
        self.security.replace(Arc::clone(&next.security));
        self.set_topology(Arc::clone(&next.topology));
    }

    /// Whether nobody waits for an operation any more. Of a write that is asked of the clock, not of the time of the pass: the
    /// process may have stood still since, and a write that comes too late undoes what came after it.
    #[inline]
    pub(crate) fn is_late(&self, deadline: Instant, op: &Op<'_>) -> bool {
        let now = match op {
            Op::Set(_) | Op::Delete { .. } | Op::Touch { .. } | Op::Mset(_) if deadline != Instant::NEVER => {
                self.reactor.read_clock()
            }
            _ => self.reactor.now(),
        };
        now > deadline
    }

    /// This core's numbers.
    #[inline]
    pub(crate) fn metrics(&self) -> &NodeCoreMetrics {
        &self.node_metrics.cores[self.reactor.core().index()]
    }

    /// Copies what the cache and the reactor count to where other cores can read it.
    pub(crate) fn publish(&self) {
        let metrics = self.metrics();
        metrics.cache.publish(&self.store.shard().stats());
        metrics.handshakes.publish(&self.handshakes.accepted(), self.handshakes.waiting());
        metrics.reactor.publish(&(self.reactor.counters(), self.reactor.holdings()));
        metrics.copied_bytes.set(self.copies.leased_bytes() as u64);
        metrics.assembling_bytes.set(self.assembling.leased_bytes() as u64);
        metrics.hops_waiting.set(self.hops.waiting() as u64);
    }
}

/// Counts one of the core's events; for use where the core is at hand.
pub(crate) fn note(core: &NodeCore, event: crate::metrics::Event) {
    core.metrics().note(event);
}
