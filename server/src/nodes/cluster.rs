//! The cluster as one core sees it: the topology, the nodes, and calls that follow a key to its owner.
//!
//! **Not** deciding who owns what: the topology's file does. What nodes say of it is a hint: to read the file again, and to ask
//! another node of the map for this one key.
//!
//! **Invariants**: a call is sent to at most [`HOPS_MAX`] nodes; a write whose connection ended is `Unknown` and never
//! sent twice; only nodes of the map in force are asked, at the addresses it gives; nothing that a node says changes the map.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use control::topology_reload::TopologyHint;
use reactor::Reactor;
use shardstore::key::SlotId;
use shardstore::placement::{Node, NodeId, Topology};
use shardstore::version::Version;
use shardstore::wire::code::Status;
use shardstore::wire::ext::WantedPart;
use shardstore::wire::request::{Op as WireOp, Set as WireSet};
use shardstore::wire::{Flags, Request};
use store_runtime::cores::owner_core;
use store_runtime::request::{Outcome, ReadPart, Refusal, Source, StoreOp, StoreRequest, StoreResponse};
use store_runtime::tiers::Behind;

use super::agreement::Agreement;
use super::client::NodeClient;
use super::connection::{CallError, CallTime};
use super::links::Links;
use super::names::NameLookup;
use super::response::NodeResponse;
use super::shared::{ClusterOptions, ClusterShared};
use super::state::NodeState;
use super::transfer::transfer_time;
use crate::metrics::CoreMetrics;

/// Nodes asked for one call: the owner as we know it, the one it names, and once more in case that moved too.
const HOPS_MAX: usize = 3;

/// Longest value that comes along with what is known of it: it costs about as much as the rest of the answer.
const SMALL_BYTES: u32 = 16 * 1024;

/// How long to wait before asking a node again whose topology is older than ours.
const STALE_PAUSE: Duration = Duration::from_millis(30);

/// Whom a node has named instead of itself.
#[derive(Clone, Copy, Debug)]
struct Redirect {
    node: NodeId,
    /// The map in force when it did; a newer one knows better.
    epoch: u32,
}

pub(crate) struct Cluster {
    pub(crate) shared: Rc<ClusterShared>,
    nodes: RefCell<BTreeMap<NodeId, Rc<NodeClient>>>,
}

impl Cluster {
    pub(crate) fn new(
        reactor: Reactor,
        options: ClusterOptions,
        metrics: Arc<CoreMetrics>,
        (topology, names, links): (&Arc<Topology>, Option<NameLookup>, Links),
    ) -> Rc<Cluster> {
        let cluster = Rc::new(Cluster {
            shared: Rc::new(ClusterShared::new(reactor, options, metrics, (topology, names, links))),
            nodes: RefCell::new(BTreeMap::new()),
        });
        cluster.install(topology);
        cluster
    }

    /// Puts a topology in force, unless a newer one is.
    pub(crate) fn install(self: &Rc<Self>, topology: &Arc<Topology>) {
        if topology.epoch() < self.shared.topology.borrow().epoch() {
            return;
        }
        let kept = |node: &NodeClient| {
            topology.node(node.health.id).is_some_and(|listed| listed.address == node.health.address)
        };
        let now = self.shared.reactor.now();
        self.nodes.borrow_mut().retain(|_, node| {
            kept(node) || {
                node.retire(now);
                false
            }
        });
        let before = self.shared.topology.replace(Arc::clone(topology));
        if before.epoch() < topology.epoch() {
            *self.shared.agreement.borrow_mut() = Agreement::of_epoch(topology.epoch());
        }
        for listed in topology.nodes() {
            let node = self.node(listed);
            if before.epoch() < topology.epoch() {
                node.announce_map(&self.shared);
            }
        }
        assert_eq!(self.nodes.borrow().len(), topology.nodes().len(), "there is one client for each node in force");
    }

    fn node(self: &Rc<Self>, listed: &Node) -> Rc<NodeClient> {
        if let Some(node) = self.nodes.borrow().get(&listed.id)
            && node.health.address == listed.address
        {
            return Rc::clone(node);
        }
        let node = NodeClient::start(&self.shared, listed.id, listed.address.clone());
        if let Some(old) = self.nodes.borrow_mut().insert(node.health.id, Rc::clone(&node)) {
            old.retire(self.shared.reactor.now());
        }
        node
    }

    /// The topology in force.
    pub(crate) fn topology(&self) -> Arc<Topology> {
        Arc::clone(&self.shared.topology.borrow())
    }

    /// Whether each node is up, as this core sees it, with its connections.
    pub(crate) fn node_states(&self) -> Vec<NodeState> {
        let state = |node: &Rc<NodeClient>| NodeState {
            id: node.health.id.0,
            up: !node.health.breaker.borrow().is_open(),
            connections: node.connected(),
            error: node.health.last_error.borrow().clone(),
            is_behind: node.health.is_behind.get(),
            calls: node.calls.clone(),
        };
        self.nodes.borrow().values().map(state).collect()
    }

    /// Asks the owner of the key, wherever it has moved to.
    pub(crate) async fn call(self: &Rc<Self>, ask: &StoreRequest) -> StoreResponse {
        let is_read = ask.op.is_read();
        let time = CallTime {
            first_sign: self.shared.reactor.now()
                + self.shared.options.get().request_timeout
                + transfer_time(sent_bytes(&ask.op)),
            deadline: ask.deadline,
        };
        if self.shared.is_disputed(ask.hash.slot()) {
            self.shared.metrics.disputed.add(1);
            return StoreResponse::refused(Refusal::Unavailable);
        }
        let mut lost_once = false;
        let mut redirect = None;
        for _ in 0..HOPS_MAX {
            let (node, epoch) = self.owner(ask.hash.slot(), redirect);
            let answered =
                |outcome| StoreResponse { outcome, source: Source::Node { id: node.health.id.0, collapsed: false } };
            if node.health.breaker.borrow().is_open() {
                self.shared.metrics.breaker_refused.add(1);
                return answered(Outcome::Refused(Refusal::Unavailable));
            }
            let asked_ms = self.shared.reactor.steady_ms();
            match self.call_node(&node, ask, epoch, time).await {
                Ok(reply) => match self.follow(&node, &reply).await {
                    Follow::Again(to) => redirect = to.map(|node| Redirect { node, epoch }),
                    Follow::Done => return answered(outcome(ask, reply, asked_ms)),
                },
                Err(CallError::Lost) if is_read && !lost_once => lost_once = true,
                // Nothing was sent, and the slot has another owner or address by now.
                Err(CallError::NotSent) if node.health.retired.get() => {}
                Err(error) => {
                    // What it means for the node, the task of the connection knows.
                    self.shared.metrics.upstream_call_errors.add(1);
                    return answered(Outcome::Refused(refusal(error, is_read)));
                }
            }
        }
        StoreResponse::refused(Refusal::Unavailable)
    }

    /// Whom to ask for a slot, and the map's epoch. A node that was named instead is asked only if the map has it.
    fn owner(self: &Rc<Self>, slot: SlotId, redirect: Option<Redirect>) -> (Rc<NodeClient>, u32) {
        let topology = self.topology();
        let named = redirect.filter(|redirect| redirect.epoch == topology.epoch());
        let node = named.and_then(|redirect| topology.node(redirect.node)).unwrap_or_else(|| topology.owner(slot));
        (self.node(node), topology.epoch())
    }

    async fn call_node(
        &self,
        node: &Rc<NodeClient>,
        ask: &StoreRequest,
        epoch: u32,
        time: CallTime,
    ) -> Result<NodeResponse, CallError> {
        self.shared.metrics.upstream_calls.add(1);
        let began = self.shared.reactor.read_clock();
        let mut replied = self.ask_node(node, ask, epoch, time).await;
        if matches!(replied, Err(CallError::Replaced)) {
            // A successor lives for long: this is no loop.
            replied = self.ask_node(node, ask, epoch, time).await;
        }
        if !matches!(replied, Err(CallError::NotSent | CallError::Replaced | CallError::Full)) {
            node.calls.0.record(self.shared.reactor.read_clock().since(began));
        }
        let reply = replied?;
        node.health.note_success();
        Ok(reply)
    }

    /// Asks by the connection that is in its place now.
    async fn ask_node(
        &self,
        node: &Rc<NodeClient>,
        ask: &StoreRequest,
        epoch: u32,
        time: CallTime,
    ) -> Result<NodeResponse, CallError> {
        let core = owner_core(ask.hash, node.node_cores.get()).0;
        let connection = node.connection_for(core).ok_or(CallError::NotSent)?;
        let mut request = Request::new(0, ask.hash.slot(), epoch, wire_op(ask));
        request.core = u8::try_from(core).unwrap_or(request.core);
        if ask.op.is_read() {
            request.flags = Flags::IDEMPOTENT;
        }
        connection.call(&self.shared, &node.health, request, time).await
    }

    /// What a reply says about the map.
    async fn follow(&self, node: &NodeClient, reply: &NodeResponse) -> Follow {
        if reply.map_hint {
            self.shared.note_hint(node.health.id, reply.slot_epoch);
        }
        let epoch = self.shared.topology.borrow().epoch();
        if reply.status == Status::Stale {
            node.health.note_epoch(epoch, true);
        } else if reply.slot_epoch >= epoch {
            node.health.note_epoch(epoch, false);
        }
        if reply.slot_epoch == epoch && node.health.agreed.get() != epoch && reply.moved.is_none() {
            node.health.agreed.set(epoch);
            self.shared.note_agrees(node.health.id, epoch);
        }
        match (reply.status, reply.moved) {
            (Status::Moved, Some(moved)) => {
                self.shared.metrics.moved.add(1);
                self.shared.note_hint(node.health.id, moved.epoch);
                if self.shared.topology.borrow().node(NodeId(moved.node)).is_none() {
                    self.shared.reactor.sleep(STALE_PAUSE).await;
                }
                Follow::Again(Some(NodeId(moved.node)))
            }
            (Status::Stale, _) => {
                self.shared.metrics.stale.add(1);
                self.shared.reactor.sleep(STALE_PAUSE).await;
                Follow::Again(None)
            }
            _ => Follow::Done,
        }
    }

    /// Takes a hint that has not been reported.
    pub(crate) fn take_hint(&self) -> Option<TopologyHint> {
        self.shared.hint.take()
    }
}

impl Behind for Cluster {
    async fn call(self: &Rc<Self>, request: &StoreRequest) -> StoreResponse {
        Cluster::call(self, request).await
    }
}

/// Bytes of a value that an operation sends along.
fn sent_bytes(op: &StoreOp) -> usize {
    match op {
        StoreOp::Set(set) => set.value.len(),
        StoreOp::Inspect { .. } | StoreOp::Read(_) | StoreOp::Delete { .. } => 0,
    }
}

enum Follow {
    /// Ask again: that node, if one was named.
    Again(Option<NodeId>),
    Done,
}

/// What a call that has no response means to its asker.
fn refusal(error: CallError, is_read: bool) -> Refusal {
    match error {
        CallError::Full => Refusal::Busy,
        CallError::Lost | CallError::TimedOut if !is_read => Refusal::Unknown,
        CallError::Lost | CallError::TimedOut | CallError::NotSent | CallError::Replaced => Refusal::Unavailable,
    }
}

fn wire_op(ask: &StoreRequest) -> WireOp<'_> {
    match &ask.op {
        StoreOp::Inspect { .. } | StoreOp::Read(_) => WireOp::Read { key: &ask.key, wanted: wanted(&ask.op) },
        StoreOp::Set(set) => WireOp::Set(WireSet {
            key: &ask.key,
            value: &set.value,
            metadata: &set.metadata,
            value_crc32c: set.value_crc32c,
            ttl_ms: u32::try_from(set.ttl_ms).unwrap_or(u32::MAX),
            version: 0,
            condition: set.condition,
        }),
        StoreOp::Delete { condition } => WireOp::Delete { key: &ask.key, version: 0, condition: *condition },
    }
}

/// Which part of a value a read wants of a node. A small value comes along with what is known of it, so that a copy of it can be
/// kept.
fn wanted(op: &StoreOp) -> WantedPart {
    let saturated = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    match op {
        StoreOp::Read(part) => WantedPart {
            offset: saturated(part.offset),
            bytes_max: saturated(part.bytes_max),
            is_all_or_none: false,
            is_first: part.is_first,
            version: part.version.map_or(0, Version::bits),
        },
        StoreOp::Inspect { fresh: false } => {
            WantedPart { bytes_max: SMALL_BYTES, is_all_or_none: true, ..WantedPart::default() }
        }
        _ => WantedPart::default(),
    }
}

fn outcome(ask: &StoreRequest, reply: NodeResponse, asked_ms: u64) -> Outcome {
    match ask.op {
        StoreOp::Inspect { .. } => reply.into_read(asked_ms),
        StoreOp::Read(ReadPart { version, .. }) => match reply.into_read(asked_ms) {
            // A node that does not know parts says what it has.
            Outcome::Found(found) if version.is_some_and(|version| version != found.version) => Outcome::NotApplied,
            outcome => outcome,
        },
        StoreOp::Set(_) => reply.into_set(),
        StoreOp::Delete { .. } => reply.into_delete(),
    }
}

#[cfg(test)]
mod tests;
