//! TLS handshakes of a data core: with clients that connect to it, and with the nodes that it connects to.
//!
//! **Not** the handshake itself ([`corelane_tls::handshake`]), nor certificates.
//!
//! **Invariants**: a handshake ends by its deadline; one that fails ends its connection, with an alert where the client can read one; the
//! session of a connection begins when its handshake is done, or with early data, and knows nothing of it.

use std::rc::Rc;
use std::time::Duration;

use corelane_tls::crypto::UnixTime;
use corelane_tls::handshake::drive::Handshakes;
use corelane_tls::handshake::gate::GateLimits;
use corelane_tls::handshake::{Negotiated, peer};
use corelane_tls::store::ACME_ALPN;
use reactor::{Connection, ConnectionSender, Instant, Reactor};

use crate::settings::TlsSettings;
use crate::snapshot::CurrentSnapshot;

/// How long a client gets to read the alert that ends its handshake.
const ALERT_LINGER: Duration = Duration::from_millis(500);

/// Bounds on the handshakes of a core.
pub(crate) fn gate_limits(settings: &TlsSettings) -> GateLimits {
    GateLimits {
        per_pass: u32::try_from(settings.handshakes_per_pass).unwrap_or(u32::MAX),
        waiting_max: settings.handshakes_waiting,
    }
}

/// What a client owes that was served before its handshake is over.
pub(crate) struct Confirmation {
    sender: ConnectionSender,
    /// By when it has to be over.
    deadline: Instant,
}

/// The handshakes of a core's listeners.
pub(crate) struct ClientHandshakes {
    reactor: Reactor,
    snapshot: Rc<CurrentSnapshot>,
    handshakes: Rc<Handshakes>,
}

impl ClientHandshakes {
    pub(crate) fn new(reactor: &Reactor, snapshot: &Rc<CurrentSnapshot>, handshakes: &Rc<Handshakes>) -> Self {
        let (snapshot, handshakes) = (Rc::clone(snapshot), Rc::clone(handshakes));
        ClientHandshakes { reactor: reactor.clone(), snapshot, handshakes }
    }

    /// Does the handshake of a connection that was accepted; `None` where it has failed, and the connection is over. With early data it is
    /// not over yet: [`ClientHandshakes::confirming`].
    pub(crate) async fn accept(&self, connection: Connection) -> Option<(Connection, Option<Confirmation>)> {
        let snapshot = self.snapshot.hold();
        let Some(clients) = &snapshot.security.clients else { return None };
        let deadline = self.reactor.now() + snapshot.settings.tls.handshake_timeout;
        match self.handshakes.accept(&connection, clients.config(), deadline).await {
            Ok(done) if self.holds(&done) && !is_proof(&done) => {
                let sender = connection.sender();
                let unconfirmed = sender.may_be_replayed().then_some(Confirmation { sender, deadline });
                Some((connection, unconfirmed))
            }
            Ok(_) | Err(_) => {
                connection.finish(ALERT_LINGER).await;
                None
            }
        }
    }

    /// Runs the session of a client that has sent early data, and ends it and its connection where the client does not finish the handshake
    /// in its time.
    pub(crate) async fn confirming(&self, confirmation: Confirmation, session: impl Future<Output = ()>) {
        let Confirmation { sender, deadline } = confirmation;
        let mut session = std::pin::pin!(session);
        if self.reactor.until(deadline, session.as_mut()).await.is_some() {
            return;
        }
        if sender.may_be_replayed() {
            self.handshakes.count_unconfirmed();
        } else {
            session.await;
        }
    }

    /// Whether what a client has shown is valid now.
    fn holds(&self, done: &Negotiated) -> bool {
        let now = UnixTime::since_unix_epoch(Duration::from_millis(self.reactor.wall_ms()));
        peer::still_holds(done.kind, done.peer_certificate.as_ref(), now)
    }
}

/// Whether the handshake was all that an authority wanted of the connection (RFC 8737 section 3).
fn is_proof(done: &Negotiated) -> bool {
    done.alpn.as_deref() == Some(ACME_ALPN)
}
