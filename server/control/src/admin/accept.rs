//! Which connections of the admin listener are served, and what the others are told.
//!
//! ```text
//!  a place is free ─────────▶ served
//!  one of them rests ───────▶ that one is closed, its place is taken over
//!  a probe's place is free ─▶ one request, for /healthz or /readyz, within 2 s
//!  one has not yet asked ───▶ that one is closed, its place is taken over
//!  else ────────────────────▶ 503, or closed
//! ```
//!
//! **Not** the exchange on a connection, and not the loop that accepts ([`reactor::accept`]).
//!
//! **Invariants**: no connection that others hold open keeps a probe out.
//!
//! **Source**: the overload rule of docs/specification.md.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    rc::Rc,
    time::Duration,
};

use corelane_http::h1::server::ResponseForm;
use reactor::{AcceptPolicy, Connection, ConnectionSender, Place, Places, Reactor, Shedding};

use super::{
    connection::{self, Pages},
    route,
    server::AdminServer,
};

/// Connections that are served at once: a few scrapers and people, and the probes of a fleet's load balancers.
pub const CONNECTIONS_MAX: usize = 64;

/// Connections beyond them that are served one request for `/healthz` or `/readyz`: probes of a few load balancers at once.
pub(super) const PROBES_MAX: usize = 16;

/// Descriptors of the listener and of its connections at most.
pub const DESCRIPTORS_MAX: usize = 1 + CONNECTIONS_MAX + PROBES_MAX + SHEDDING_MAX;

/// Connections that are being answered 503 at once. Beyond it they are closed without a response.
const SHEDDING_MAX: usize = 64;

/// How long a shed client may take to read its response.
const SHED_LINGER: Duration = Duration::from_secs(1);

/// The place of one connection, which another takes over if this one rests.
pub(super) type OwnPlace = Rc<Cell<Option<Place>>>;

/// Connections that wait for their clients and may lose their places to others, the longest first.
#[derive(Default)]
pub(super) struct Resting(RefCell<Vec<(ConnectionSender, OwnPlace)>>);

impl Resting {
    /// Notes that a connection waits for its client.
    pub(super) fn add(&self, connection: &Connection, place: &OwnPlace) {
        self.0.borrow_mut().push((connection.sender(), Rc::clone(place)));
    }

    /// Notes that it does not any more.
    pub(super) fn remove(&self, place: &OwnPlace) {
        self.0.borrow_mut().retain(|(_, other)| !Rc::ptr_eq(other, place));
    }

    /// Closes the connection that waits longest; its place.
    fn take_over(&self, reactor: &Reactor) -> Option<Place> {
        let mut resting = self.0.borrow_mut();
        let longest = resting.iter().position(|(connection, _)| connection.is_open())?;
        let (connection, place) = resting.remove(longest);
        connection.expire_at(reactor.now());
        place.take()
    }
}

/// Whether another connection has the place of this one.
pub(super) fn is_taken_over(place: &OwnPlace) -> bool {
    let own = place.take();
    let is_gone = own.is_none();
    place.set(own);
    is_gone
}

impl AdminServer {
    /// A place that is free, or that of the connection in `waiting` that waits longest.
    fn find_place(&self, places: &Rc<Places>, places_max: usize, waiting: &Resting) -> Option<Place> {
        Places::take(places, places_max).or_else(|| {
            let place = waiting.take_over(self.reactor())?;
            self.metrics.shed.increment();
            Some(place)
        })
    }
}

impl AcceptPolicy for AdminServer {
    type Permit = (Place, Pages);

    fn admit(self: &Rc<Self>, _: &Connection) -> Option<(Place, Pages)> {
        let place = self.find_place(&self.serving, CONNECTIONS_MAX, &self.resting);
        let of_probe = || Some((self.find_place(&self.probing, PROBES_MAX, &self.unheard)?, Pages::Probes));
        place.map(|place| (place, Pages::All)).or_else(of_probe)
    }

    fn serve(self: &Rc<Self>, connection: Connection, permit: (Place, Pages)) -> impl Future<Output = ()> + 'static {
        let (place, pages) = permit;
        let (server, place) = (Rc::clone(self), Rc::new(Cell::new(Some(place))));
        async move {
            // In memory of its own, which a connection that is established does not keep.
            if let Some(connection) = Box::pin(server.protect(connection)).await {
                connection::serve(&server, connection, &place, pages).await;
            }
        }
    }

    fn note_shed(&self) {
        self.metrics.shed.increment();
    }

    fn shedding(&self) -> Option<Shedding<'_>> {
        // Before its handshake a client of TLS understands nothing.
        (!self.protection.is_tls()).then_some(Shedding {
            places: &self.shedding,
            places_max: SHEDDING_MAX,
            linger: SHED_LINGER,
        })
    }

    fn refuse(&self, connection: &Connection) {
        let answer = route::too_many_connections();
        answer.encode(ResponseForm::closing(), self.reactor().wall_ms(), &mut connection.write());
    }
}
