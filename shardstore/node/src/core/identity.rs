//! Who a peer is: what it has shown by a certificate, and whether it says the same of itself.
//!
//! **Not** what it says besides, which is HELLO's.
//!
//! **Invariants**: without a certificate that the cluster's authority has signed a peer is told nothing, not even who we are; its role is the
//! certificate's, whatever its HELLO says.
//!
//! **Source**: docs/tls.md.

use std::rc::Rc;

use corelane_tls::handshake::HandshakeFault;
use corelane_tls::store::{PeerRole, PresentedCertificate, ProcessIdentity};
use reactor::{Connection, Instant};
use shardstore::wire::hello::{Hello, Role};

use super::NodeCore;
use crate::message::PeerFault;
use crate::plan::LINGER_TIME;

/// Has the peer show who it is; `None` where this node is in the clear.
pub(super) async fn establish(
    core: &Rc<NodeCore>,
    connection: &Connection,
    deadline: Instant,
) -> Result<Option<ProcessIdentity>, HandshakeFault> {
    let listener = core.security.borrow().listener.clone();
    let Some(listener) = listener else { return Ok(None) };
    let done = core.handshakes.accept(connection, listener.config(), deadline).await?;
    // The handshake has refused who is nobody of the cluster.
    let certified =
        done.peer_certificate.and_then(|shown| PresentedCertificate::of(shown.chain.first()?).identity.ok());
    certified.map(Some).ok_or(HandshakeFault::CertificateMissing)
}

/// Ends a connection whose peer has not shown who it is.
pub(super) async fn refuse(core: &NodeCore, connection: Connection, fault: HandshakeFault) {
    core.metrics().faults.note("tls");
    // A peer that just went away, or looked whether the port is open, is no news.
    if !matches!(fault, HandshakeFault::Closed | HandshakeFault::Socket(_) | HandshakeFault::TimedOut) {
        core.report_refused(connection.peer(), fault.into());
    }
    connection.finish(LINGER_TIME).await;
}

/// Whether a peer says what it has shown.
///
/// # Errors
/// It says that it is another.
pub(super) fn check(hello: &Hello, certified: &ProcessIdentity) -> Result<(), PeerFault> {
    let is_same = hello.cluster == certified.cluster
        && match (hello.role, certified.role) {
            (Role::Edge, PeerRole::Edge) => true,
            (Role::Node, PeerRole::Node) => certified.node_id() == Some(hello.node_id),
            _ => false,
        };
    if is_same {
        return Ok(());
    }
    let said = match hello.role {
        Role::Node => format!("node {} of cluster {:?}", hello.node_id, hello.cluster),
        role => format!("of role {} in cluster {:?}", role.name(), hello.cluster),
    };
    Err(PeerFault::Identity { said, certified: certified.to_string() })
}
