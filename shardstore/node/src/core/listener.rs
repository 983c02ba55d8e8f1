//! Listening sockets of a core.
//!
//! **Not**: what is said on a connection.
//!
//! **Invariants**: a connection over the bound is closed at once and counted; one core's connections never exceed the bound.
//!
//! **Source**: docs/config.md, `limits.connections_per_core`.

use std::rc::Rc;

use reactor::local::Event as Bell;
use reactor::{ListenError, Listener};

use super::{Core, hello, note};
use crate::metrics::Event;

/// Takes connections until the listener is closed, and those that had connected by then.
pub(super) async fn accept(core: Rc<Core>, listener: Rc<Listener>) {
    loop {
        match listener.accept().await {
            Ok(connection) => {
                note(&core, Event::Accepted);
                let Some(seat) = Seat::take(&core) else { continue };
                if core.reactor.spawn(hello::welcome(seat, connection)).is_err() {
                    note(&core, Event::RefusedFull);
                }
            }
            Err(ListenError::Full) => note(&core, Event::RefusedFull),
            Err(ListenError::Closed) => return,
        }
    }
}

/// A place among the core's connections, given back when dropped.
pub(super) struct Seat {
    pub(super) core: Rc<Core>,
    /// Rung when the connection's task has to look at something.
    pub(super) bell: Rc<Bell>,
    number: u64,
}

impl Seat {
    /// A place, or `None`, counted, when all are taken.
    pub(super) fn take(core: &Rc<Core>) -> Option<Seat> {
        let taken = &core.metrics().connections;
        if taken.value() >= core.shared.settings.limits.connections_per_core as u64 {
            note(core, Event::RefusedFull);
            return None;
        }
        taken.add(1);
        let number = core.connections_begun.get();
        core.connections_begun.set(number + 1);
        let bell = Rc::new(Bell::new(&core.reactor));
        core.bells.borrow_mut().insert(number, Rc::clone(&bell));
        Some(Seat { core: Rc::clone(core), bell, number })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.core.bells.borrow_mut().remove(&self.number);
        self.core.metrics().connections.subtract(1);
    }
}
