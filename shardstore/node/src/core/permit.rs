//! The right of a connection to be served by a core.
//!
//! **Invariants**: at most `limits.connections_per_core` are out; one is given back when it is dropped.

use std::rc::Rc;

use reactor::local::Notify;

use super::NodeCore;

/// Counts one of the core's connections until it is dropped.
pub(crate) struct ConnectionPermit {
    pub(super) core: Rc<NodeCore>,
    /// Notified when the connection's task has to look at something.
    pub(super) attention: Rc<Notify>,
    number: u64,
}

impl ConnectionPermit {
    /// A permit, or `None` when all are taken.
    pub(super) fn take(core: &Rc<NodeCore>) -> Option<Self> {
        let taken = &core.metrics().connections;
        if taken.value() >= core.limits().connections_per_core.min(core.shared.connections_max) as u64 {
            return None;
        }
        taken.add(1);
        let number = core.connections_begun.get();
        core.connections_begun.set(number + 1);
        let attention = Rc::new(Notify::new(&core.reactor));
        core.attention.borrow_mut().insert(number, Rc::clone(&attention));
        Some(ConnectionPermit { core: Rc::clone(core), attention, number })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.core.attention.borrow_mut().remove(&self.number);
        self.core.metrics().connections.subtract(1);
    }
}
