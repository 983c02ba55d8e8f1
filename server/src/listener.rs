//! Accepting downstream connections, shedding what is beyond the bound, and handing the others to the frontend that speaks
//! the listener's protocol.
//!
//! **Not** parsing: each connection becomes a task of its frontend.
//!
//! **Invariants**: at most `connections_per_core` connections are served and [`SHEDDING_MAX`] are being answered 503; what
//! is beyond is closed at once, so that memory stays bounded at any number of clients.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use control::ListenRefusal;
use corelane_http::Status;
use corelane_http::problem::Problem;
use reactor::{Address, Connection, CoreId, ListenError, ListenOptions, Listener, Reactor};

use crate::access_log::Downstream;
use crate::connections::Connections;
use crate::frontend::h1::{self, H1};
use crate::metrics::CoreMetrics;
use crate::settings::{AcceptSteering, Protocol};
use crate::snapshot::CurrentSnapshot;

/// Connections that are being answered 503 at a time.
const SHEDDING_MAX: usize = 256;

/// How long a shed client gets to read its 503.
const SHED_LINGER: Duration = Duration::from_millis(500);

/// What accepts the connections of a core.
pub(crate) struct Acceptor {
    reactor: Reactor,
    snapshot: Rc<CurrentSnapshot>,
    connections: Rc<Connections>,
    metrics: Arc<CoreMetrics>,
    h1: Rc<H1>,
    /// Connections that are being answered 503.
    shedding: Cell<usize>,
}

impl Acceptor {
    pub(crate) fn new(
        reactor: &Reactor,
        snapshot: &Rc<CurrentSnapshot>,
        connections: &Rc<Connections>,
        metrics: &Arc<CoreMetrics>,
        h1: H1,
    ) -> Rc<Self> {
        Rc::new(Acceptor {
            reactor: reactor.clone(),
            snapshot: Rc::clone(snapshot),
            connections: Rc::clone(connections),
            metrics: Arc::clone(metrics),
            h1: Rc::new(h1),
            shedding: Cell::new(0),
        })
    }

    /// Listens on every address of the settings, and serves the connections.
    ///
    /// # Errors
    /// The operator's: an address that cannot be listened on.
    pub(crate) fn start(self: &Rc<Self>) -> std::io::Result<()> {
        let (core, snapshot) = (self.reactor.core(), self.snapshot.hold());
        let options = ListenOptions {
            // The first core makes sure that no other process listens there; the others share with it.
            claim: core == CoreId(0),
            steer_by_cpu: snapshot.settings.accept_steering == AcceptSteering::Cpu,
            ..ListenOptions::default()
        };
        for (index, settings) in snapshot.settings.listeners().enumerate() {
            let address = Address::from(&settings.address);
            // A path can be bound once; the first core takes its connections and serves them.
            if matches!(address, Address::Unix(_)) && core != CoreId(0) {
                continue;
            }
            let listener = self
                .reactor
                .listen(&address, &options)
                .map_err(|error| ListenRefusal::of("listen", &address, error))?;
            let listener = Rc::new(listener);
            self.connections.add_listener(&listener);
            let accepting = Rc::clone(self);
            // Their number is bounded far below (LISTENERS_MAX).
            let index = index as u16;
            let task = async move {
                match settings.protocol {
                    Protocol::Http => accepting.accept_http(&listener, index).await,
                }
            };
            self.reactor.spawn(task).map_err(std::io::Error::other)?;
        }
        Ok(())
    }

    /// Takes HTTP/1 connections until the listener is closed and its backlog is empty.
    async fn accept_http(self: &Rc<Self>, listener: &Listener, index: u16) {
        loop {
            match listener.accept().await {
                Ok(connection) => self.admit(connection, Downstream::new(index)),
                Err(ListenError::Full) => self.metrics.shed.increment(),
                Err(ListenError::Closed) => return,
            }
        }
    }

    fn admit(self: &Rc<Self>, connection: Connection, downstream: Downstream) {
        self.metrics.accepted.increment();
        if self.connections.count() >= self.snapshot.get().settings.limits.connections_per_core {
            self.shed(connection, downstream);
            return;
        }
        // Counted from here on: many may be admitted before the first of their tasks runs.
        let registered = self.connections.register(&connection);
        if self.reactor.spawn(h1::serve(Rc::clone(&self.h1), connection, registered, downstream)).is_err() {
            self.metrics.shed.increment();
        }
    }

    /// Responds 503 and closes; beyond the bound it only closes.
    fn shed(self: &Rc<Self>, connection: Connection, mut downstream: Downstream) {
        self.metrics.shed.increment();
        if self.shedding.get() >= SHEDDING_MAX {
            return;
        }
        let problem = Problem {
            status: Status::ServiceUnavailable,
            slug: "too-many-connections",
            detail: "this server has reached its bound of connections; try again",
        };
        let nothing = (&[][..], self.reactor.now());
        self.h1.refuse(&problem, nothing, (&connection, &mut downstream), &mut connection.write());
        let ending = Shedding::begin(self);
        let task = async move {
            connection.finish(SHED_LINGER).await;
            drop(ending);
        };
        // If there is no room for the task, the connection is closed with it.
        let _ = self.reactor.spawn(task);
    }
}

/// A connection that is being answered 503.
struct Shedding(Rc<Acceptor>);

impl Shedding {
    fn begin(acceptor: &Rc<Acceptor>) -> Self {
        acceptor.shedding.set(acceptor.shedding.get() + 1);
        Shedding(Rc::clone(acceptor))
    }
}

impl Drop for Shedding {
    fn drop(&mut self) {
        self.0.shedding.set(self.0.shedding.get() - 1);
    }
}
