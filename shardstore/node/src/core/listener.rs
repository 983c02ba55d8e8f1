//! Listening sockets of a core.
//!
//! **Not**: what is said on a connection.
//!
//! **Invariants**: a connection over the bound is closed at once and counted; one core's connections never exceed the bound.
//!
//! **Source**: docs/config.md, `limits.connections_per_core`.

use std::rc::Rc;

use reactor::{ListenError, Listener};

use super::permit::ConnectionPermit;
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
