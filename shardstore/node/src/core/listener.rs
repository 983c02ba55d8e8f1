//! Which of the connections of a core's listening sockets are served.
//!
//! **Not**: what is said on a connection, and not the loop that accepts ([`reactor::accept`]).
//!
//! **Invariants**: a connection over the bound is closed at once and counted; one core's connections never exceed the bound.
//!
//! **Source**: docs/config.md, `limits.connections_per_core`.

use std::future::Future;
use std::rc::Rc;

use reactor::{AcceptPolicy, Connection};

use super::permit::ConnectionPermit;
use super::{NodeCore, hello, note};
use crate::metrics::Event;

impl AcceptPolicy for NodeCore {
    type Permit = ConnectionPermit;

    fn admit(self: &Rc<Self>, _: &Connection) -> Option<ConnectionPermit> {
        note(self, Event::Accepted);
        ConnectionPermit::take(self)
    }

    fn serve(self: &Rc<Self>, connection: Connection, permit: ConnectionPermit) -> impl Future<Output = ()> + 'static {
        hello::admit(permit, connection)
    }

    fn note_shed(&self) {
        note(self, Event::RefusedFull);
    }
}
