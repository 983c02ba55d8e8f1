//! The downstream connections of a core, from their admission to their last byte, and how they end when the core drains.
//!
//! **Not** accepting, and not shed connections: those have a bound of their own.
//!
//! **Invariants**: a connection is counted from before its task runs until it is closed; one whose last response is written
//! is counted but no longer hurried, because it has its own short end.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use reactor::local::StartGate;
use reactor::{Connection, ConnectionSender, Instant, Listener, Reactor};

use crate::metrics::CoreMetrics;

/// How long an idle connection may still begin a request once draining has begun: a client that is about to send gets
/// its response, one that is not learns soon that it must connect elsewhere.
const IDLE_GRACE: Duration = Duration::from_secs(1);

/// How often a draining core looks whether anybody is left.
const DRAIN_TICK: Duration = Duration::from_millis(10);

/// The downstream connections of a core, and the listeners that they come from.
pub(crate) struct Connections {
    reactor: Reactor,
    metrics: Arc<CoreMetrics>,
    /// Closed when draining begins.
    listeners: RefCell<Vec<Rc<Listener>>>,
    /// By number; `None` for those whose last response is written.
    open: RefCell<BTreeMap<u64, Option<ConnectionSender>>>,
    next: Cell<u64>,
    draining: Cell<bool>,
    /// Every response is its connection's last, though others are taken.
    closing: Cell<bool>,
    /// Connections for which there are descriptors.
    descriptors_max: usize,
    /// Opened when all of the process has started: a start that fails has served nobody.
    pub(crate) gate: StartGate,
}

impl Connections {
    pub(crate) fn new(reactor: &Reactor, metrics: &Arc<CoreMetrics>, descriptors_max: usize) -> Rc<Self> {
        Rc::new(Connections {
            reactor: reactor.clone(),
            metrics: Arc::clone(metrics),
            listeners: RefCell::default(),
            open: RefCell::default(),
            next: Cell::new(0),
            draining: Cell::new(false),
            closing: Cell::new(false),
            descriptors_max,
            gate: StartGate::new(reactor),
        })
    }

    /// A listener to be closed when draining begins.
    pub(crate) fn add_listener(&self, listener: &Rc<Listener>) {
        self.listeners.borrow_mut().push(Rc::clone(listener));
    }

    /// Takes a connection in for as long as what is returned lives.
    pub(crate) fn register(self: &Rc<Self>, connection: &Connection) -> Registered {
        let number = self.next.replace(self.next.get() + 1);
        let before = self.open.borrow_mut().insert(number, Some(connection.sender()));
        assert!(before.is_none(), "a number names one connection");
        self.publish_count();
        Registered { connections: Rc::clone(self), number }
    }

    /// All, those included whose last response is written.
    pub(crate) fn count(&self) -> usize {
        self.open.borrow().len()
    }

    /// Whether one more may be taken in, of so many that the settings allow.
    pub(crate) fn has_room(&self, connections_max: usize) -> bool {
        self.count() < connections_max.min(self.descriptors_max)
    }

    /// Whether the server drains: then it waits for no client that has nothing to ask.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Whether every response is its connection's last: the server drains, or wants its clients to connect elsewhere.
    #[inline(always)]
    pub(crate) fn ends_each(&self) -> bool {
        self.closing.get()
    }

    /// Has every response be its connection's last, or no more; a drain that has begun has the last word.
    pub(crate) fn set_closing(&self, closes: bool) {
        self.closing.set(closes || self.draining.get());
    }

    /// Stops accepting, and has every response be its connection's last; false where that was done before.
    pub(crate) fn begin_drain(&self) -> bool {
        if self.draining.replace(true) {
            return false;
        }
        self.closing.set(true);
        for listener in self.listeners.borrow_mut().drain(..) {
            listener.close();
        }
        self.gate.open();
        true
    }

    /// Waits until all connections are done or the deadline has come; returns how many were left.
    pub(crate) async fn drain(&self, deadline: Instant) -> usize {
        let reactor = &self.reactor;
        reactor.sleep_until((reactor.now() + IDLE_GRACE).min(deadline)).await;
        for sender in self.open.borrow().values().flatten() {
            // Wakes connections that wait for a request; a request under way sets its own deadline anew.
            sender.expire_at(reactor.now());
        }
        while self.count() > 0 && reactor.now() < deadline {
            reactor.sleep(DRAIN_TICK).await;
        }
        self.count()
    }

    fn publish_count(&self) {
        self.metrics.connections.set(self.count() as u64);
    }
}

/// A connection's place among its core's, given back when it ends in whatever way.
pub(crate) struct Registered {
    connections: Rc<Connections>,
    number: u64,
}

impl Registered {
    /// From now on a drain does not hurry it: its last response is written.
    pub(crate) fn finish(&self) {
        let before = self.connections.open.borrow_mut().insert(self.number, None);
        assert!(before.is_some(), "a connection is in the table until it is closed");
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let removed = self.connections.open.borrow_mut().remove(&self.number);
        debug_assert!(removed.is_some(), "a connection leaves the table once");
        self.connections.publish_count();
    }
}

#[cfg(test)]
mod tests;
