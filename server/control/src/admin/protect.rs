//! TLS of the admin listener: who comes has to show who it is.
//!
//! **Not** for the listener of commands, which only this host reaches.
//!
//! **Invariants**: of a certificate that says what a process is in its cluster only an operator's is taken: whoever has an edge's key has
//! no business here.
//!
//! **Source**: docs/tls.md.

use std::{rc::Rc, sync::Arc, time::Duration};

use corelane_tls::{
    crypto::WallClock,
    handshake::{Negotiated, drive::Handshakes, gate::GateLimits},
    store::{IdentityFault, PeerRole, PresentedCertificate},
};
use reactor::{Connection, Reactor};

use super::Admin;

/// How long a handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);

/// How long a peer gets to read the alert that ends its handshake.
const ALERT_LINGER: Duration = Duration::from_millis(500);

/// The handshakes of the admin listener; none where it is in the clear.
pub(super) struct AdminProtection(Option<Handshakes>);

impl AdminProtection {
    /// `clock`: the wall time by which certificates are valid, where the listener speaks TLS.
    pub(super) fn new(reactor: &Reactor, clock: Option<&Arc<WallClock>>) -> Self {
        Self(clock.map(|clock| Handshakes::new(reactor, GateLimits::default(), clock)))
    }

    /// Whether connections begin with a handshake.
    pub(super) const fn is_tls(&self) -> bool {
        self.0.is_some()
    }

    /// Does the handshake of a connection; `None` when it has failed, and the connection is over.
    pub(super) async fn accept(
        &self,
        reactor: &Reactor,
        admin: &Rc<dyn Admin>,
        connection: Connection,
    ) -> Option<Connection> {
        let Some(handshakes) = &self.0 else { return Some(connection) };
        let snapshot = admin.security()?;
        let deadline = reactor.now() + HANDSHAKE_TIME;
        let done = handshakes.accept(&connection, snapshot.config(), deadline).await;
        if done.is_ok_and(|done| may_ask(&done)) {
            return Some(connection);
        }
        connection.finish(ALERT_LINGER).await;
        None
    }
}

/// Whether who has shown a certificate of a trusted authority may ask.
fn may_ask(done: &Negotiated) -> bool {
    let Some(shown) = done.peer_certificate.as_ref().and_then(|shown| shown.chain.first()) else { return false };
    match PresentedCertificate::of(shown).identity {
        Ok(identity) => identity.role == PeerRole::Operator,
        // An authority of its own for operators need not know of clusters.
        Err(IdentityFault::None { .. }) => true,
        Err(_) => false,
    }
}
