//! A node as its connections know it: where it is, and whether it may be asked.
//!
//! **Not** the connections; [`super::client`] has them.
//!
//! **Invariants**: a change of the breaker or the retirement notifies those who wait for one.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;

use reactor::Reactor;
use reactor::local::Notify;
use shardstore::placement::{NodeAddress, NodeId};

use super::breaker::Breaker;

pub(crate) struct NodeHealth {
    pub(crate) id: NodeId,
    pub(crate) address: NodeAddress,
    /// What its name meant last; nothing where it has no name, or where that has not been resolved.
    pub(crate) resolved: RefCell<Arc<[IpAddr]>>,
    pub(crate) breaker: RefCell<Breaker>,
    /// The last epoch of which it is known to have our map.
    pub(crate) agreed: Cell<u32>,
    /// It has an older epoch than ours: it serves none of our requests.
    pub(crate) is_behind: Cell<bool>,
    /// The epoch that was ours when it last told its own.
    pub(crate) compared: Cell<u32>,
    /// Failures in a row to get a HELLO from it.
    pub(crate) unmet: Cell<u32>,
    /// Calls that wait for a connection or for credit.
    waiting: Cell<usize>,
    /// Why the last connection ended; none once a connection is up again.
    pub(crate) last_error: RefCell<Option<String>>,
    /// It left the topology: its connections end.
    pub(crate) retired: Cell<bool>,
    /// Something about the breaker or the retirement has changed.
    pub(crate) changed: Notify,
}

impl NodeHealth {
    pub(crate) fn new(reactor: &Reactor, id: NodeId, address: NodeAddress) -> Self {
        NodeHealth {
            id,
            address,
            resolved: RefCell::new(Arc::new([])),
            breaker: RefCell::default(),
            agreed: Cell::new(0),
            is_behind: Cell::new(false),
            compared: Cell::new(0),
            unmet: Cell::new(0),
            waiting: Cell::new(0),
            last_error: RefCell::new(None),
            retired: Cell::new(false),
            changed: Notify::new(reactor),
        }
    }

    /// It has told its epoch, or how it stands to this one of ours.
    pub(crate) fn note_epoch(&self, ours: u32, is_behind: bool) {
        self.compared.set(ours);
        self.is_behind.set(is_behind);
    }

    pub(crate) fn note_success(&self) {
        let was_open = self.breaker.borrow().is_open();
        self.breaker.borrow_mut().note_success();
        if was_open {
            self.changed.notify();
        }
    }

    /// Counts one more call that waits; `None` when `queue_max` do already.
    pub(crate) fn queue(&self, queue_max: usize) -> Option<WaitingCall<'_>> {
        (self.waiting.get() < queue_max).then(|| {
            self.waiting.set(self.waiting.get() + 1);
            WaitingCall(self)
        })
    }
}

/// One of a node's waiting calls; counted until it is dropped.
pub(crate) struct WaitingCall<'a>(&'a NodeHealth);

impl Drop for WaitingCall<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}
