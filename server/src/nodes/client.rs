//! One node, as this core reaches it: its connections and its breaker.
//!
//! **Not** a balancer: a key has one owner core at the node, and its frames go there directly.
//!
//! ```text
//!   connection in its place ──has lived for link_time──▶ successor comes up ──▶ takes the place ──▶ the other ends once nothing is owed
//! ```
//!
//! **Invariants**: connections are `min(node's cores, connections_max)`, one until the first HELLO reports the node's cores;
//! at most `waiting_max` calls wait for a connection or for credit.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use shardstore::placement::{NodeAddress, NodeId};

use super::connection::{Established, NodeConnection};
use super::fault::ConnectionFault;
use super::health::NodeHealth;
use super::shared::ClusterShared;
use super::state::CallTimes;

pub(crate) struct NodeClient {
    pub(crate) health: Rc<NodeHealth>,
    pub(crate) connections: RefCell<Vec<Rc<NodeConnection>>>,
    /// Data cores of the node, as its HELLO reports; 1 before the first.
    pub(crate) node_cores: Cell<u16>,
    /// How long calls to it took.
    pub(crate) calls: CallTimes,
}

impl NodeClient {
    /// A node with its first connection under way.
    pub(crate) fn start(shared: &Rc<ClusterShared>, id: NodeId, address: NodeAddress) -> Rc<NodeClient> {
        let node = Rc::new(NodeClient {
            health: Rc::new(NodeHealth::new(&shared.reactor, id, address)),
            connections: RefCell::new(Vec::new()),
            node_cores: Cell::new(1),
            calls: CallTimes::default(),
        });
        node.grow(shared);
        node
    }

    /// Adds the connections that the node's cores call for.
    pub(crate) fn grow(self: &Rc<Self>, shared: &Rc<ClusterShared>) {
        let wanted = usize::from(self.node_cores.get()).min(shared.options.get().connections_per_node).max(1);
        while self.connections.borrow().len() < wanted {
            let index = self.connections.borrow().len();
            let connection = Rc::new(NodeConnection::new(&shared.reactor, index as u16));
            self.connections.borrow_mut().push(Rc::clone(&connection));
            let task = keep_up(Rc::clone(shared), Rc::clone(self), connection, None);
            if shared.reactor.spawn(task).is_err() {
                // Without room for the task the connection is missing until the next HELLO.
                self.connections.borrow_mut().pop();
                return;
            }
        }
    }

    /// The connection for a key that core `node_core` of the node owns.
    pub(crate) fn connection_for(&self, node_core: u16) -> Option<Rc<NodeConnection>> {
        let connections = self.connections.borrow();
        let index = usize::from(node_core).checked_rem(connections.len())?;
        Some(Rc::clone(&connections[index]))
    }

    /// Counts a failure; one that opens the breaker ends all connections, so that probing starts from a handshake.
    pub(crate) fn note_failure(&self, shared: &ClusterShared) {
        let opens = self.health.breaker.borrow_mut().note_failure(shared.options.get().breaker_failures);
        self.after_failure(shared, opens);
    }

    /// A try to connect is over: with the node's HELLO, or without. What it told of its map counts as long as it is met.
    fn note_meeting(&self, shared: &ClusterShared, was_met: bool) {
        let unmet = if was_met { 0 } else { self.health.unmet.get().saturating_add(1) };
        self.health.unmet.set(unmet);
        if unmet == shared.options.get().breaker_failures {
            self.health.agreed.set(0);
            shared.forget(self.health.id);
        }
    }

    /// The node gives no sign of life although it was asked for one: opens the breaker at once.
    fn note_silence(&self, shared: &ClusterShared) {
        let opens = self.health.breaker.borrow_mut().open();
        self.after_failure(shared, opens);
    }

    fn after_failure(&self, shared: &ClusterShared, opens: bool) {
        if opens {
            shared.metrics.breaker_opened.add(1);
            for connection in self.connections.borrow().iter() {
                connection.dismiss();
                connection.close(shared.reactor.now());
            }
            self.health.changed.notify();
        }
    }

    /// Connects, unless that is done, and serves the connection until it ends.
    async fn serve(
        self: &Rc<Self>,
        shared: &Rc<ClusterShared>,
        connection: &Rc<NodeConnection>,
        established: Option<Established>,
    ) -> Result<(), ConnectionFault> {
        let established = match established {
            Some(established) => established,
            None => connection.establish(shared, &self.health).await?,
        };
        if self.health.retired.get() || connection.is_replaced() {
            return Err(ConnectionFault::Ended);
        }
        self.health.note_success();
        *self.health.last_error.borrow_mut() = None;
        self.node_cores.set(established.terms.peer_cores);
        self.grow(shared);
        self.put_in_place(shared, connection);
        let mut serving = pin!(connection.serve(shared, &self.health, established));
        loop {
            let renew_at = shared.links.renew_at(&shared.reactor);
            if let Some(ended) = shared.reactor.until(renew_at, serving.as_mut()).await {
                return ended;
            }
            // Without room for the task it is tried again later.
            self.renew(shared, connection);
        }
    }

    /// Has another connection come up that takes the place of this one.
    fn renew(self: &Rc<Self>, shared: &Rc<ClusterShared>, connection: &Rc<NodeConnection>) {
        if !connection.is_replaced() {
            let task = succeed(Rc::clone(shared), Rc::clone(self), Rc::clone(connection));
            let _ = shared.reactor.spawn(task);
        }
    }

    /// Gives a connection that is up the place of its core; who has it leaves.
    fn put_in_place(&self, shared: &ClusterShared, connection: &Rc<NodeConnection>) {
        let mut connections = self.connections.borrow_mut();
        let Some(place) = connections.get_mut(usize::from(connection.core)) else { return };
        if !Rc::ptr_eq(place, connection) {
            let before = std::mem::replace(place, Rc::clone(connection));
            let now = shared.reactor.now();
            before.leave(now, now + shared.links.leave_time());
            shared.metrics.upstream_connections_renewed.add(1);
        }
    }

    /// Tells the node of the map that is in force now.
    pub(crate) fn announce_map(&self, shared: &ClusterShared) {
        for connection in self.connections.borrow().iter() {
            connection.say_hello(shared);
            // One that is idle does not know the node's epoch by the one that is in force now.
            connection.begun.notify();
        }
    }

    pub(crate) fn retire(&self, now: reactor::Instant) {
        self.health.retired.set(true);
        for connection in self.connections.borrow().iter() {
            connection.retire(now);
        }
        self.health.changed.notify();
    }

    /// Connections that are up.
    pub(crate) fn connected(&self) -> usize {
        self.connections.borrow().iter().filter(|connection| connection.is_ready()).count()
    }
}

/// Brings up a connection that takes the place of another. That one ends if none comes up in time: who is not let in again has to leave.
async fn succeed(shared: Rc<ClusterShared>, node: Rc<NodeClient>, before: Rc<NodeConnection>) {
    let successor = Rc::new(NodeConnection::new(&shared.reactor, before.core));
    let end = shared.reactor.now() + shared.links.leave_time();
    while before.is_ready() && !before.is_replaced() && !node.health.retired.get() {
        match successor.establish(&shared, &node.health).await {
            Ok(established) if !before.is_replaced() && !node.health.retired.get() => {
                return keep_up(shared, node, successor, Some(established)).await;
            }
            Ok(_) => return,
            Err(fault) if shared.reactor.now() >= end => {
                shared.note_connection_fault(&fault);
                *node.health.last_error.borrow_mut() = Some(fault.to_string());
                return before.retire(shared.reactor.now());
            }
            Err(_) => shared.reactor.sleep(pause(&shared)).await,
        }
    }
}

/// Keeps a connection up until its node is retired, or another has its place.
async fn keep_up(
    shared: Rc<ClusterShared>,
    node: Rc<NodeClient>,
    connection: Rc<NodeConnection>,
    mut established: Option<Established>,
) {
    let health = Rc::clone(&node.health);
    // It may be replaced at any wait, also while it is down: who came up then has its place, and nobody else.
    while !health.retired.get() && !connection.is_replaced() {
        if connection.core > 0 && health.breaker.borrow().is_open() {
            // The first connection probes for all.
            health.changed.notified().await;
            continue;
        }
        let was_up = node.serve(&shared, &connection, established.take()).await;
        let idle = connection.is_idle();
        let was_ready = connection.is_ready();
        connection.go_down();
        if connection.is_replaced() {
            break;
        }
        let Err(fault) = was_up else { continue };
        // A node that closes a connection on which nothing is owed (for want of use, or because it drains) has not failed.
        let orderly = was_ready && idle && matches!(fault, ConnectionFault::Ended);
        if !orderly {
            shared.note_connection_fault(&fault);
            *health.last_error.borrow_mut() = Some(fault.to_string());
        }
        node.note_meeting(&shared, was_ready || matches!(fault, ConnectionFault::Hello(_)));
        if matches!(fault, ConnectionFault::Silent(_)) {
            node.note_silence(&shared);
        } else if !orderly && !connection.take_closed() {
            node.note_failure(&shared);
        }
        if health.retired.get() {
            break;
        }
        shared.reactor.sleep(pause(&shared)).await;
    }
    connection.go_down();
}

/// Half to one and a half times the probe time, so that the cores of many edges do not knock in step.
fn pause(shared: &ClusterShared) -> Duration {
    let base = shared.options.get().breaker_probe_time;
    let spread = u64::try_from(base.as_micros()).unwrap_or(u64::MAX).max(1);
    base / 2 + Duration::from_micros(shared.reactor.random() % spread)
}
