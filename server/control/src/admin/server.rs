//! What the connections of the admin listener share: what is asked, and what is counted.
//!
//! **Not** accepting, nor the exchange on a connection. **Invariants**: knows neither.

use std::{cell::RefCell, rc::Rc};

use corelane_http::h1::server::RequestScratch;
use reactor::{Connection, Places, Reactor};

use super::{Admin, Commands, accept::Resting, protect::AdminProtection};
use crate::metrics::{Counter, Gauge, Text};

crate::metrics! {
    /// What the admin listener counts. One for the process.
    pub(crate) struct AdminMetrics {
        /// Connections that the admin listener serves.
        connections: Gauge = "corelane_admin_connections",
        /// Connections beyond the bound, answered 503 and closed or just closed; also those that rested, or held a
        /// probe's place without asking, and made room for another.
        shed: Counter = "corelane_admin_connections_shed_total",
        /// Requests to the admin listener with a well-formed head.
        requests: Counter = "corelane_admin_requests_total",
        /// Requests to the admin listener that were malformed, slow, too large or had a body; their connections were closed.
        refused: Counter = "corelane_admin_requests_refused_total",
    }
}

/// What all connections of the listener share.
pub(super) struct AdminServer {
    reactor: Reactor,
    admin: Rc<dyn Admin>,
    pub(super) commands: Commands,
    pub(super) serving: Rc<Places>,
    /// Connections on the places of probes.
    pub(super) probing: Rc<Places>,
    pub(super) shedding: Rc<Places>,
    /// Connections that rest between two requests.
    pub(super) resting: Resting,
    /// Connections on the places of probes that have not asked yet.
    pub(super) unheard: Resting,
    /// Where the heads of all connections are read.
    pub(super) heads: RefCell<RequestScratch>,
    pub(super) metrics: AdminMetrics,
    pub(super) protection: AdminProtection,
}

impl AdminServer {
    pub(super) fn new(reactor: Reactor, admin: Rc<dyn Admin>, commands: Commands, protection: AdminProtection) -> Self {
        Self {
            protection,
            reactor,
            admin,
            commands,
            serving: Rc::default(),
            probing: Rc::default(),
            shedding: Rc::default(),
            resting: Resting::default(),
            unheard: Resting::default(),
            heads: RefCell::default(),
            metrics: AdminMetrics::default(),
        }
    }

    pub(super) fn reactor(&self) -> &Reactor {
        &self.reactor
    }

    pub(super) fn admin(&self) -> &dyn Admin {
        &*self.admin
    }

    /// Does what comes before the first request of a connection; `None` when that has failed, and the connection is over.
    pub(super) async fn protect(&self, connection: Connection) -> Option<Connection> {
        self.protection.accept(&self.reactor, &self.admin, connection).await
    }

    /// Writes the listener's own families.
    pub(super) fn render(&self, text: &mut Text) {
        self.metrics.connections.set((self.serving.taken() + self.probing.taken()) as u64);
        text.group(&[], &self.metrics);
    }
}
