//! How connections to nodes are protected: mutual TLS, or nothing on this host.
//!
//! **Not** who owns what; not the frames.
//!
//! **Invariants**: with certificates no byte of the protocol leaves before the node has shown that it is the one of the topology; without,
//! nothing is sent beyond this host unless the operator wrote the word.
//!
//! **Source**: docs/tls.md.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

#[cfg(test)]
use control::security::Plaintext;
use control::security::{ClusterSecurity, ClusterSettings, check_plaintext};
use corelane_tls::handshake::drive::Handshakes;
use corelane_tls::store::{ClientSnapshot, node_server_name};
use reactor::{Connection, Instant};

use super::fault::ConnectionFault;

/// What a core's connections to nodes are protected with.
pub(crate) struct Links {
    handshakes: Rc<Handshakes>,
    in_force: RefCell<(Option<Arc<ClientSnapshot>>, ClusterSettings)>,
}

impl Links {
    pub(crate) fn new(handshakes: &Rc<Handshakes>, security: &ClusterSecurity, settings: &ClusterSettings) -> Self {
        let in_force = RefCell::new((security.links.clone(), settings.clone()));
        Links { handshakes: Rc::clone(handshakes), in_force }
    }

    /// Begins connections with these certificates from now on.
    pub(crate) fn adopt(&self, security: &ClusterSecurity, settings: &ClusterSettings) {
        self.in_force.replace((security.links.clone(), settings.clone()));
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
        let settings = ClusterSettings { chain: None, key: None, ca: None, crl: None, plaintext: Plaintext::Allow };
        Links::new(&handshakes, &ClusterSecurity::default(), &settings)
    }
}
