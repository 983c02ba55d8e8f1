//! Listening sockets of a core.
//!
//! **Not**: what is said on a connection.
//!
//! **Invariants**: a connection over the bound is closed at once and counted; one core's connections never exceed the bound.
//!
//! **Source**: docs/config.md, `limits.connections_per_core`.

use std::rc::Rc;

use reactor::local::Notify;
use reactor::{ListenError, Listener};

use super::{NodeCore, hello, note};
use crate::metrics::Event;

/// Takes connections until the listener is closed, and those that had connected by then.
pub(super) async fn accept(core: Rc<NodeCore>, listener: Rc<Listener>) {
    loop {
        match listener.accept().await {
            Ok(connection) => {
                note(&core, Event::Accepted);
                let Some(permit) = ConnectionPermit::take(&core) else { continue };
                if core.reactor.spawn(hello::admit(permit, connection)).is_err() {
                    note(&core, Event::RefusedFull);
                }
            }
            Err(ListenError::Full) => note(&core, Event::RefusedFull),
            Err(ListenError::Closed) => return,
        }
    }
}

/// Counts one of the core's connections until it is dropped.
pub(super) struct ConnectionPermit {
    pub(super) core: Rc<NodeCore>,
    /// Notified when the connection's task has to look at something.
    pub(super) attention: Rc<Notify>,
    number: u64,
}

impl ConnectionPermit {
    /// A permit, or `None`, counted, when all are taken.
    pub(super) fn take(core: &Rc<NodeCore>) -> Option<Self> {
        let taken = &core.metrics().connections;
        if taken.value() >= core.limits().connections_per_core as u64 {
            note(core, Event::RefusedFull);
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
