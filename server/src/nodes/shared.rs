//! What all connections of one core to its nodes have in common.
//!
//! **Not** the nodes themselves, nor who owns what.
//!
//! **Invariants**: knows neither [`super::Cluster`] nor a connection: both use it.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use control::topology_reload::TopologyHint;
use reactor::Reactor;
use reactor::local::Notify;
use shardstore::key::{HASH_ID_RAPIDHASH_V3, SlotId};
use shardstore::placement::{NodeId, Topology};
use shardstore::session::SpareBuffers;
use shardstore::wire::hello::{self, Hello, HelloExtension, Role};
use shardstore::wire::terms::SessionTerms;

use super::agreement::Agreement;
use super::fault::ConnectionFault;
use super::links::Links;
use super::names::NameLookup;
use crate::metrics::CoreMetrics;

/// What calls are bounded by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClusterOptions {
    pub(crate) connect_timeout: Duration,
    pub(crate) connections_per_node: usize,
    pub(crate) queue_per_node: usize,
    pub(crate) breaker_failures: u32,
    pub(crate) breaker_probe_time: Duration,
    /// How long a node may take to show a sign of life.
    pub(crate) request_timeout: Duration,
    /// Data cores of this process.
    pub(crate) cores: u16,
    /// Differs between two starts of this process.
    pub(crate) incarnation: u64,
}

/// The core's part of every connection.
pub(crate) struct ClusterShared {
    pub(crate) reactor: Reactor,
    pub(crate) options: Cell<ClusterOptions>,
    pub(crate) metrics: Arc<CoreMetrics>,
    pub(super) topology: RefCell<Arc<Topology>>,
    /// A node knows a newer map, and the control core has not been told.
    pub(super) hint: Cell<Option<TopologyHint>>,
    /// There is such a hint.
    pub(crate) hinted: Notify,
    /// Where names of hosts are resolved; none where there are none.
    pub(super) names: Option<NameLookup>,
    /// How connections to nodes are protected.
    pub(crate) links: Links,
    /// What nodes have told of their maps of its epoch.
    pub(super) agreement: RefCell<Agreement>,
    /// Buffers for frames that are cut, of all connections.
    pub(super) spares: RefCell<SpareBuffers>,
}

impl ClusterShared {
    pub(super) fn new(
        reactor: Reactor,
        options: ClusterOptions,
        metrics: Arc<CoreMetrics>,
        (topology, names, links): (&Arc<Topology>, Option<NameLookup>, Links),
    ) -> Self {
        ClusterShared {
            hint: Cell::new(None),
            hinted: Notify::new(&reactor),
            reactor,
            options: Cell::new(options),
            metrics,
            topology: RefCell::new(Arc::clone(topology)),
            names,
            links,
            agreement: RefCell::new(Agreement::of_epoch(topology.epoch())),
            spares: RefCell::default(),
        }
    }

    pub(super) fn hello(&self) -> Hello {
        let topology = self.topology.borrow();
        Hello {
            version_min: shardstore::wire::VERSION_MIN,
            version_max: shardstore::wire::VERSION_MAX,
            role: Role::Edge,
            hash_id: HASH_ID_RAPIDHASH_V3,
            hash_seed: topology.hash_seed(),
            cores: self.options.get().cores,
            wanted_core: hello::WANTED_CORE_ANY,
            features: hello::FEATURE_READ,
            node_id: 0,
            topology_epoch: topology.epoch(),
            incarnation: self.options.get().incarnation,
            frame_value_bytes_max: hello::FRAME_VALUE_BYTES_DEFAULT,
            value_bytes_max: shardstore::wire::VALUE_BYTES_MAX,
            credit_requests: hello::CREDIT_REQUESTS_DEFAULT,
            credit_bytes: hello::CREDIT_BYTES_DEFAULT,
            batch_entries_max: shardstore::wire::batch::BATCH_ENTRIES_MAX,
            key_bytes_max: shardstore::key::STORED_KEY_BYTES_MAX as u16,
            cluster: topology.cluster().to_owned(),
            extension: Some(HelloExtension {
                clock_us: self.reactor.read_clock().as_nanos() / 1000,
                map: Arc::clone(topology.digest()),
                owners: None,
                wanted_node: 0,
            }),
        }
    }

    /// A node knows a newer map: the control core is to read our file again.
    pub(super) fn note_hint(&self, node: NodeId, epoch: u32) {
        if epoch > self.topology.borrow().epoch() {
            self.hint.set(Some(TopologyHint { node: Some(node), epoch }));
            self.hinted.notify();
        }
    }

    /// A node has said HELLO, and has not refused ours.
    pub(super) fn note_met(&self, node: NodeId, ours: u32, terms: &SessionTerms) {
        if terms.peer_epoch != ours {
            self.forget(node);
            self.note_hint(node, terms.peer_epoch);
        } else if terms.peer_map.is_some() {
            self.note_agrees(node, ours);
        }
    }

    /// What a node has told of its map counts no more.
    pub(super) fn forget(&self, node: NodeId) {
        self.agreement.borrow_mut().forget(node);
    }

    /// Whether a slot has another owner by most of the nodes that have told their maps of our epoch.
    pub(super) fn is_disputed(&self, slot: SlotId) -> bool {
        self.agreement.borrow().is_disputed(slot)
    }

    /// A node has the map of this epoch that we have.
    pub(super) fn note_agrees(&self, node: NodeId, epoch: u32) {
        self.agreement.borrow_mut().note(node, epoch, 0);
    }

    /// A node has another map of an epoch than was told in `ours`.
    pub(super) fn note_differs(&self, node: NodeId, ours: &Hello, theirs: &Hello) {
        if let (Some(our), Some(their)) = (&ours.extension, &theirs.extension) {
            let differing = our.map.differences(&their.map);
            self.agreement.borrow_mut().note(node, ours.topology_epoch, differing);
        }
    }

    pub(super) fn note_connection_fault(&self, error: &ConnectionFault) {
        match error {
            ConnectionFault::Ended
            | ConnectionFault::Silent(_)
            | ConnectionFault::Connection(_)
            | ConnectionFault::Unresolved(_) => {
                self.metrics.upstream_connections_ended.add(1);
            }
            ConnectionFault::Frame(_) | ConnectionFault::Chunk(_) => self.metrics.upstream_frame_errors.add(1),
            ConnectionFault::Tls(_)
            | ConnectionFault::Plaintext(_)
            | ConnectionFault::HelloFormat(_)
            | ConnectionFault::Hello(_)
            | ConnectionFault::OtherNode { .. } => {
                self.metrics.upstream_hellos_refused.add(1);
            }
        }
    }
}
