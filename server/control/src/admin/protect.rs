//! TLS of the admin listener: who comes has to show who it is.
//!
//! **Not** for the listener of commands, which only this host reaches.
//!
//! **Invariants**: who is refused is named in the log, whoever tries again and again once in a while.
//!
//! **Source**: docs/tls.md.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use corelane_tls::{
    crypto::WallClock,
    handshake::{HandshakeFault, drive::Handshakes, gate::GateLimits},
};
use reactor::{Address, Connection, Reactor};

use super::Admin;
use crate::security::Refusals;

/// How long a handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);

/// How long a peer gets to read the alert that ends its handshake.
const ALERT_LINGER: Duration = Duration::from_millis(500);

/// The handshakes of the admin listener; none where it is in the clear.
pub(super) struct AdminProtection {
    handshakes: Option<Handshakes>,
    refusals: RefCell<Refusals>,
}

impl AdminProtection {
    /// `clock`: the wall time by which certificates are valid, where the listener speaks TLS.
    pub(super) fn new(reactor: &Reactor, clock: Option<&Arc<WallClock>>) -> Self {
        let handshakes = clock.map(|clock| Handshakes::new(reactor, GateLimits::default(), clock));
        Self { handshakes, refusals: RefCell::default() }
    }

    /// Whether connections begin with a handshake.
    pub(super) const fn is_tls(&self) -> bool {
        self.handshakes.is_some()
    }

    /// Does the handshake of a connection; `None` when it has failed, and the connection is over.
    pub(super) async fn accept(
        &self,
        reactor: &Reactor,
        admin: &Rc<dyn Admin>,
        connection: Connection,
    ) -> Option<Connection> {
        let Some(handshakes) = &self.handshakes else { return Some(connection) };
        let snapshot = admin.security()?;
        let deadline = reactor.now() + HANDSHAKE_TIME;
        let peer = connection.peer();
        match handshakes.accept(&connection, snapshot.config(), deadline).await {
            Ok(_) => return Some(connection),
            Err(fault) => self.tell(reactor, &**admin, peer.as_ref(), &fault),
        }
        connection.finish(ALERT_LINGER).await;
        None
    }

    fn tell(&self, reactor: &Reactor, admin: &dyn Admin, peer: Option<&Address>, fault: &HandshakeFault) {
        let peer = peer.map_or_else(|| "unknown".to_owned(), ToString::to_string);
        if !self.refusals.borrow_mut().is_repeated(&peer, fault, reactor.now()) {
            admin.note_refused(&peer, fault);
        }
    }
}
