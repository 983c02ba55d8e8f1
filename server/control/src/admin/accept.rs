//! Accepting for the admin listener: which connections are served and which are shed.
//!
//! **Not** the conversation on a connection. **Invariants**: a seat is given back when its task ends, however it ends;
//! accepting never stops while the core runs.
//!
//! **Source**: the overload rule of docs/specification.md.

use std::{cell::Cell, rc::Rc, time::Duration};

use corelane_http::h1::server::ResponseForm;
use reactor::{Connection, ListenError, Listener};

use super::{connection, route, server::AdminServer};

/// Connections that are served at once: a few scrapers and people, and the probes of a fleet's load balancers.
pub const CONNECTIONS_MAX: usize = 64;

/// Connections that are being answered 503 at once. Beyond it they are closed without a response.
const SHEDDING_MAX: usize = 64;

/// How long a shed client may take to read its response.
const SHED_LINGER: Duration = Duration::from_secs(1);

/// A place among those that are served or shed; given back when dropped.
struct Seat(Rc<Cell<usize>>);

impl Seat {
    fn take(taken: &Rc<Cell<usize>>, seats_max: usize) -> Option<Self> {
        (taken.get() < seats_max).then(|| {
            taken.set(taken.get() + 1);
            Self(Rc::clone(taken))
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Takes connections until the listener is closed, which happens when the core stops.
pub(super) async fn accept_all(server: Rc<AdminServer>, listener: Listener) {
    loop {
        match listener.accept().await {
            Ok(connection) => take(&server, connection),
            Err(ListenError::Full) => server.metrics.shed.increment(),
            Err(ListenError::Closed) => return,
        }
    }
}

fn take(server: &Rc<AdminServer>, connection: Connection) {
    if let Some(seat) = Seat::take(&server.serving, CONNECTIONS_MAX) {
        let own = Rc::clone(server);
        let task = async move {
            connection::converse(&own, connection).await;
            drop(seat);
        };
        if server.reactor().spawn(task).is_err() {
            server.metrics.shed.increment();
        }
        return;
    }
    server.metrics.shed.increment();
    if let Some(seat) = Seat::take(&server.shedding, SHEDDING_MAX) {
        let wall_ms = server.reactor().wall_ms();
        let task = async move {
            let answer = route::too_many_connections();
            answer.encode(ResponseForm::closing(), wall_ms, &mut connection.write());
            connection.finish(SHED_LINGER).await;
            drop(seat);
        };
        // Without room for one more task the connection is closed.
        let _ = server.reactor().spawn(task);
    }
}
