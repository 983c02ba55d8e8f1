//! One node, as this core reaches it: its connections and its breaker.
//!
//! **Not** a balancer: a key has one owner core at the node, and its frames go there directly.
//!
//! **Invariants**: connections are `min(node's cores, connections_max)`, one until the first HELLO reports the node's cores;
//! at most `waiting_max` calls wait for a connection or for credit.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use reactor::local::Notify;
use shardstore::placement::NodeId;

use super::breaker::Breaker;
use super::cluster::Cluster;
use super::connection::{self, NodeConnection};
use super::state::CallTimes;

pub(crate) struct NodeClient {
    pub(crate) id: NodeId,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) breaker: RefCell<Breaker>,
    pub(crate) connections: RefCell<Vec<Rc<NodeConnection>>>,
    /// Data cores of the node, as its HELLO reports; 1 before the first.
    pub(crate) node_cores: Cell<u16>,
    pub(crate) waiting: Cell<usize>,
    /// Why the last connection ended; none once a connection is up again.
    pub(crate) last_error: RefCell<Option<String>>,
    /// It left the topology: its connections end.
    pub(crate) retired: Cell<bool>,
    /// Something about the breaker or the retirement has changed.
    pub(crate) changed: Notify,
    /// How long calls to it took.
    pub(crate) calls: CallTimes,
}

impl NodeClient {
    /// A node with its first connection under way.
    pub(crate) fn start(cluster: &Rc<Cluster>, id: NodeId, address: std::net::SocketAddr) -> Rc<NodeClient> {
        let node = Rc::new(NodeClient {
            id,
            address,
            breaker: RefCell::default(),
            connections: RefCell::new(Vec::new()),
            node_cores: Cell::new(1),
            waiting: Cell::new(0),
            last_error: RefCell::new(None),
            retired: Cell::new(false),
            changed: Notify::new(&cluster.reactor),
            calls: CallTimes::default(),
        });
        node.grow(cluster);
        node
    }

    /// Adds the connections that the node's cores call for.
    pub(crate) fn grow(self: &Rc<Self>, cluster: &Rc<Cluster>) {
        let wanted = usize::from(self.node_cores.get()).min(cluster.options.get().connections_per_node).max(1);
        while self.connections.borrow().len() < wanted {
            let index = self.connections.borrow().len();
            let connection = Rc::new(NodeConnection::new(&cluster.reactor, index as u16));
            self.connections.borrow_mut().push(Rc::clone(&connection));
            let task = connection::keep_up(Rc::clone(cluster), Rc::clone(self), connection);
            if cluster.reactor.spawn(task).is_err() {
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

    pub(crate) fn note_success(&self) {
        let was_open = self.breaker.borrow().is_open();
        self.breaker.borrow_mut().note_success();
        if was_open {
            self.changed.notify();
        }
    }

    /// Counts a failure; one that opens the breaker ends all connections, so that probing starts from a handshake.
    pub(crate) fn note_failure(&self, cluster: &Cluster) {
        if self.breaker.borrow_mut().note_failure(cluster.options.get().breaker_failures) {
            cluster.metrics.breaker_opened.add(1);
            for connection in self.connections.borrow().iter() {
                connection.dismiss();
                connection.close(cluster.reactor.now());
            }
            self.changed.notify();
        }
    }

    pub(crate) fn retire(&self, now: reactor::Instant) {
        self.retired.set(true);
        for connection in self.connections.borrow().iter() {
            connection.retire(now);
        }
        self.changed.notify();
    }

    /// Connections that are up.
    pub(crate) fn connected(&self) -> usize {
        self.connections.borrow().iter().filter(|connection| connection.is_ready()).count()
    }
}
