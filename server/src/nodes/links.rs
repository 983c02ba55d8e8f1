//! How connections to nodes are protected: mutual TLS, or nothing on this host.
//!
//! **Not** who owns what; not the frames.
//!
//! **Invariants**: with certificates no byte of the protocol leaves before the node has shown that it is the one of the topology; without,
//! nothing is sent beyond this host unless the operator wrote the word.
//!
//! **Source**: docs/tls.md.

#[cfg(test)]
use std::cell::Cell;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

#[cfg(test)]
use control::security::Plaintext;
use control::security::{ClusterSecurity, ClusterSettings, check_plaintext};
use corelane_tls::handshake::drive::Handshakes;
use corelane_tls::store::{ClientSnapshot, node_server_name};
use reactor::{Connection, Instant, Reactor};

use super::fault::ConnectionFault;

/// What a core's connections to nodes are protected with.
pub(crate) struct Links {
    handshakes: Rc<Handshakes>,
    in_force: RefCell<(Option<Arc<ClientSnapshot>>, ClusterSettings)>,
    /// How long connections in the clear are used: for ever, but in tests.
    #[cfg(test)]
    clear_time: Cell<Option<Duration>>,
}

impl Links {
    pub(crate) fn new(handshakes: &Rc<Handshakes>, security: &ClusterSecurity, settings: &ClusterSettings) -> Self {
        let in_force = RefCell::new((security.links.clone(), settings.clone()));
        Links {
            handshakes: Rc::clone(handshakes),
            in_force,
            #[cfg(test)]
            clear_time: Cell::default(),
        }
    }

    /// Begins connections with these certificates from now on.
    pub(crate) fn adopt(&self, security: &ClusterSecurity, settings: &ClusterSettings) {
        self.in_force.replace((security.links.clone(), settings.clone()));
    }

    /// How long a connection that begins now is used; for ever in the clear, where nobody shows anything.
    fn time(&self) -> Option<Duration> {
        let (links, settings) = &*self.in_force.borrow();
        let time = links.as_ref().map(|_| settings.link_time);
        #[cfg(test)]
        let time = time.or(self.clear_time.get());
        time
    }

    /// When another is to take the place of a connection that begins now: after half of its time to all of it, so that not all do at
    /// once.
    pub(super) fn renew_at(&self, reactor: &Reactor) -> Instant {
        let Some(time) = self.time() else { return Instant::NEVER };
        let half = time / 2;
        let spread = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
        reactor.now() + half + Duration::from_micros(reactor.random() % spread)
    }

    /// How long a connection may go on beside its successor, and how long that may take to come up.
    pub(super) fn leave_time(&self) -> Duration {
        self.time().map_or(Duration::ZERO, |time| time / 2)
    }

    /// Protects a connection to a node that was just made to this address.
    pub(super) async fn protect(
        &self,
        connection: &Connection,
        (node, address): (u32, SocketAddr),
        deadline: Instant,
    ) -> Result<(), ConnectionFault> {
        let links = self.in_force.borrow().0.clone();
        let Some(links) = links else {
            let what = format!("topology: node {node}");
            return check_plaintext(&what, address.ip(), &self.in_force.borrow().1).map_err(ConnectionFault::Plaintext);
        };
        self.handshakes.connect(connection, links.config(), node_server_name(node), deadline).await?;
        Ok(())
    }
}

#[cfg(test)]
impl Links {
    /// Connections in the clear, to wherever.
    pub(super) fn in_the_clear(reactor: &reactor::Reactor) -> Self {
        let handshakes = Rc::new(Handshakes::new(reactor, Default::default(), &Arc::default()));
        let settings = ClusterSettings {
            chain: None,
            key: None,
            ca: None,
            crl: None,
            link_time: Duration::from_secs(3600),
            plaintext: Plaintext::Allow,
        };
        Links::new(&handshakes, &ClusterSecurity::default(), &settings)
    }

    /// Has them used for so long.
    pub(super) fn use_for(&self, time: Duration) {
        self.clear_time.set(Some(time));
    }
}
