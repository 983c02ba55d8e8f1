//! Accepting for the admin listener: which connections are served and which are shed.
//!
//! ```text
//!  a seat is free ──────────▶ served
//!  one of them rests ───────▶ that one is closed, its seat is taken over
//!  a probe's seat is free ──▶ one request, for /healthz or /readyz, within 2 s
//!  else ────────────────────▶ 503, or closed
//! ```
//!
//! **Not** the conversation on a connection. **Invariants**: a seat is given back when its task ends, however it ends;
//! accepting never stops while the core runs; no connection that others hold open keeps a probe out.
//!
//! **Source**: the overload rule of docs/specification.md.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use corelane_http::h1::server::ResponseForm;
use reactor::{Connection, ConnectionSender, ListenError, Listener, Reactor};

use super::{
    connection::{self, Pages},
    route,
    server::AdminServer,
};

/// Connections that are served at once: a few scrapers and people, and the probes of a fleet's load balancers.
pub const CONNECTIONS_MAX: usize = 64;

/// Connections beyond them that are served one request for `/healthz` or `/readyz`: probes of a few load balancers at once.
pub(super) const PROBES_MAX: usize = 16;

/// Connections that are being answered 503 at once. Beyond it they are closed without a response.
const SHEDDING_MAX: usize = 64;

/// How long a shed client may take to read its response.
const SHED_LINGER: Duration = Duration::from_secs(1);

/// A place among those that are served or shed; given back when dropped.
pub(super) struct Seat(Rc<Cell<usize>>);

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

/// The seat of one connection, which another takes over if this one rests.
pub(super) type OwnSeat = Rc<Cell<Option<Seat>>>;

/// Connections that rest between two requests, the longest first.
#[derive(Default)]
pub(super) struct Resting(RefCell<Vec<(ConnectionSender, OwnSeat)>>);

impl Resting {
    /// Notes that a connection rests.
    pub(super) fn add(&self, connection: &Connection, seat: &OwnSeat) {
        self.0.borrow_mut().push((connection.sender(), Rc::clone(seat)));
    }

    /// Notes that it does not any more.
    pub(super) fn remove(&self, seat: &OwnSeat) {
        self.0.borrow_mut().retain(|(_, other)| !Rc::ptr_eq(other, seat));
    }

    /// Closes the connection that rests longest; its seat.
    fn take_over(&self, reactor: &Reactor) -> Option<Seat> {
        let mut resting = self.0.borrow_mut();
        let longest = resting.iter().position(|(connection, _)| connection.is_open())?;
        let (connection, seat) = resting.remove(longest);
        connection.expire_at(reactor.now());
        seat.take()
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
    let seat = Seat::take(&server.serving, CONNECTIONS_MAX).or_else(|| {
        let seat = server.resting.take_over(server.reactor())?;
        server.metrics.shed.increment();
        Some(seat)
    });
    if let Some(seat) = seat {
        serve(server, connection, seat, Pages::All);
    } else if let Some(seat) = Seat::take(&server.probing, PROBES_MAX) {
        serve(server, connection, seat, Pages::Probes);
    } else {
        shed(server, connection);
    }
}

fn serve(server: &Rc<AdminServer>, connection: Connection, seat: Seat, pages: Pages) {
    let own = Rc::clone(server);
    let seat = Rc::new(Cell::new(Some(seat)));
    let task = async move { connection::converse(&own, connection, &seat, pages).await };
    if server.reactor().spawn(task).is_err() {
        server.metrics.shed.increment();
    }
}

fn shed(server: &Rc<AdminServer>, connection: Connection) {
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
