//! The edge's listeners: which downstream connections are served, by the frontend that speaks the listener's protocol, and
//! what the others are told.
//!
//! **Not** parsing, and not the loop that accepts ([`reactor::accept`]).
//!
//! **Invariants**: at most `connections_per_core` connections are served and [`SHEDDING_MAX`] are being answered 503; what
//! is beyond is closed at once, so that memory stays bounded at any number of clients.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use control::descriptors::SHEDDING_MAX;
use control::listening::SharedListen;
use control::settings::value::SocketMode;
use corelane_http::Status;
use corelane_http::problem::Problem;
use corelane_tls::handshake::drive::Handshakes;
use reactor::{AcceptPolicy, Address, Connection, ListenOptions, Places, Reactor, Shedding, accept};

use crate::access_log::Downstream;
use crate::connections::{Connections, Registered};
use crate::frontend::h1::{self, H1};
use crate::handshakes::{ClientHandshakes, Confirmation};
use crate::metrics::CoreMetrics;
use crate::settings::{AcceptSteering, ListenerSettings, Protocol};
use crate::snapshot::CurrentSnapshot;

/// How long a shed client gets to read its 503.
const SHED_LINGER: Duration = Duration::from_millis(500);

/// What accepts the connections of a core.
pub(crate) struct Acceptor {
    reactor: Reactor,
    snapshot: Rc<CurrentSnapshot>,
    connections: Rc<Connections>,
    metrics: Arc<CoreMetrics>,
    h1: Rc<H1>,
    handshakes: ClientHandshakes,
    /// Connections that are being answered 503.
    shedding: Rc<Places>,
}

impl Acceptor {
    pub(crate) fn new(
        reactor: &Reactor,
        snapshot: &Rc<CurrentSnapshot>,
        connections: &Rc<Connections>,
        metrics: &Arc<CoreMetrics>,
        (h1, handshakes): (H1, &Rc<Handshakes>),
    ) -> Rc<Self> {
        Rc::new(Acceptor {
            reactor: reactor.clone(),
            snapshot: Rc::clone(snapshot),
            connections: Rc::clone(connections),
            metrics: Arc::clone(metrics),
            h1: Rc::new(h1),
            handshakes: ClientHandshakes::new(reactor, snapshot, handshakes),
            shedding: Rc::default(),
        })
    }

    /// Listens on every address of the settings, and serves the connections. `cpus`: of the data cores, in their order; empty if they
    /// are not pinned.
    ///
    /// # Errors
    /// The operator's: an address that cannot be listened on.
    pub(crate) fn start(self: &Rc<Self>, listening: &SharedListen, cpus: &[u32]) -> std::io::Result<()> {
        let snapshot = self.snapshot.hold();
        let is_steered = snapshot.settings.accept_steering == AcceptSteering::Cpu;
        let steered_cpus = if is_steered { cpus.to_vec() } else { Vec::new() };
        let options = ListenOptions {
            steered_cpus,
            unix_mode: snapshot.settings.listen_mode.map(SocketMode::bits),
            ..ListenOptions::default()
        };
        let settings: Vec<ListenerSettings> = snapshot.settings.listeners().collect();
        let wanted: Vec<Address> = settings.iter().map(|it| Address::from(&it.address)).collect();
        let listeners = listening.open(&self.reactor, &wanted, &options)?;
        for (index, (listener, settings)) in listeners.into_iter().zip(settings).enumerate() {
            // A path has one listener; its core takes its connections and serves them.
            let Some(listener) = listener.map(Rc::new) else { continue };
            self.connections.add_listener(&listener);
            // Their number is bounded far below (LISTENERS_MAX).
            let http = Rc::new(HttpPolicy { acceptor: Rc::clone(self), listener: index as u16, tls: settings.tls });
            let task = async move {
                http.acceptor.connections.gate.pass().await;
                match settings.protocol {
                    Protocol::Http => accept(&listener, &http).await,
                }
            };
            self.reactor.spawn(task).map_err(std::io::Error::other)?;
        }
        Ok(())
    }
}

impl Acceptor {
    /// Serves a connection whose handshake is not over. Not a part of the future of every connection, for its size.
    fn serve_early(
        self: &Rc<Self>,
        (connection, early): (Connection, Confirmation),
        permit: Registered,
        from: Downstream,
    ) -> Pin<Box<dyn Future<Output = ()>>> {
        let acceptor = Rc::clone(self);
        Box::pin(async move {
            let session = h1::serve(Rc::clone(&acceptor.h1), connection, permit, from);
            acceptor.handshakes.confirming(early, session).await;
        })
    }
}

/// The connections of a listener that speaks HTTP/1.
struct HttpPolicy {
    acceptor: Rc<Acceptor>,
    /// Index of the listener among the edge's.
    listener: u16,
    /// Whether its connections are TLS.
    tls: bool,
}

impl AcceptPolicy for HttpPolicy {
    type Permit = Registered;

    fn admit(self: &Rc<Self>, connection: &Connection) -> Option<Registered> {
        let Acceptor { snapshot, connections, metrics, .. } = &*self.acceptor;
        metrics.accepted.increment();
        // Counted from here on: many may be admitted before the first of their tasks runs.
        let has_room = connections.has_room(snapshot.get().settings.limits.connections_per_core);
        has_room.then(|| connections.register(connection))
    }

    fn serve(self: &Rc<Self>, connection: Connection, permit: Registered) -> impl Future<Output = ()> + 'static {
        let (policy, from) = (Rc::clone(self), Downstream::new(self.listener));
        async move {
            let connection = if policy.tls {
                // In memory of its own, which a connection that is established does not keep.
                match Box::pin(policy.acceptor.handshakes.accept(connection)).await {
                    Some((connection, None)) => connection,
                    Some((connection, Some(early))) => {
                        return policy.acceptor.serve_early((connection, early), permit, from).await;
                    }
                    None => return drop(permit),
                }
            } else {
                connection
            };
            h1::serve(Rc::clone(&policy.acceptor.h1), connection, permit, from).await;
        }
    }

    fn note_shed(&self) {
        self.acceptor.metrics.shed.increment();
    }

    fn shedding(&self) -> Option<Shedding<'_>> {
        // Before its handshake a client of TLS understands nothing, and a handshake is what there is no room for.
        (!self.tls).then_some(Shedding {
            places: &self.acceptor.shedding,
            places_max: SHEDDING_MAX,
            linger: SHED_LINGER,
        })
    }

    fn refuse(&self, connection: &Connection) {
        let problem = Problem {
            limit: None,
            status: Status::ServiceUnavailable,
            slug: "too-many-connections",
            detail: "this server has reached its bound of connections; try again",
        };
        let Acceptor { h1, reactor, .. } = &*self.acceptor;
        let from = (connection, &mut Downstream::new(self.listener));
        h1.refuse(&problem, (&[], reactor.now()), from, &mut connection.write());
    }
}
