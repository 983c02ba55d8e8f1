//! Agreeing on terms with a node: connecting, HELLO, and what is told to one that has another map.
//!
//! **Invariants**: all of it ends by one deadline; nothing is sent on a connection whose node is not the one that was meant.
//!
//! **Source**: docs/wire.md, "HELLO".

use std::time::Duration;

use reactor::{Address, Connection, Instant};
use shardstore::session::{AnswerReader, Handshake, HandshakeError};
use shardstore::wire::hello::Hello;
use shardstore::wire::map_digest::SLOTS_PER_BLOCK;
use shardstore::wire::terms::{HelloError, SessionTerms, negotiate};

use super::NodeConnection;
use crate::nodes::fault::ConnectionFault;
use crate::nodes::health::NodeHealth;
use crate::nodes::names;
use crate::nodes::shared::ClusterShared;

/// How long a node may acknowledge nothing of what was sent to it, before the kernel gives the connection up.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);

/// How long a node gets to read the alert that ends its handshake.
const ALERT_LINGER: Duration = Duration::from_millis(500);

/// A connection on which both sides have agreed on terms.
pub(in crate::nodes) struct Established {
    pub(super) connection: Connection,
    pub(in crate::nodes) terms: SessionTerms,
    pub(super) answers: AnswerReader,
}

impl NodeConnection {
    /// Connects and agrees on terms with the node, within its time.
    pub(in crate::nodes) async fn establish(
        &self,
        shared: &ClusterShared,
        node: &NodeHealth,
    ) -> Result<Established, ConnectionFault> {
        let connect_timeout = shared.options.get().connect_timeout;
        // Probes are short, so that a node is found soon after it is back: what was sent to it before that is lost.
        let is_probe = node.breaker.borrow().is_open();
        let deadline = shared.reactor.now() + if is_probe { connect_timeout / 2 } else { connect_timeout };
        let address = names::locate(shared, node, deadline).await?;
        let connection = shared.reactor.connect(&Address::Tcp(address), deadline).await?;
        connection.limit_unacknowledged(UNACKNOWLEDGED_MAX);
        if let Err(fault) = shared.links.protect(&connection, (node.id.0, address), deadline).await {
            // The alert says to the node's operator why it was refused.
            connection.finish(ALERT_LINGER).await;
            return Err(fault);
        }
        connection.set_deadline(deadline);
        let (terms, answers) = self.shake_hands(shared, node, &connection).await?;
        connection.set_deadline(Instant::NEVER);
        Ok(Established { connection, terms, answers })
    }

    /// Exchanges HELLOs; the connection's deadline bounds it.
    async fn shake_hands(
        &self,
        shared: &ClusterShared,
        node: &NodeHealth,
        connection: &Connection,
    ) -> Result<(SessionTerms, AnswerReader), ConnectionFault> {
        let mut hello = Hello { wanted_core: self.core, ..shared.hello() };
        if let Some(extension) = &mut hello.extension {
            // Another node in its place refuses us, so that its operator is told too.
            extension.wanted_node = node.id.0;
        }
        self.hello_epoch.set(hello.topology_epoch);
        let epoch = hello.topology_epoch;
        let mut handshake = Handshake::begin(hello, &mut connection.write());
        let terms = loop {
            let data = connection.receive().await?.ok_or(ConnectionFault::Ended)?;
            let read = handshake.receive(&data, &mut shared.spares.borrow_mut());
            match read {
                Ok(Some(terms)) => break terms,
                Ok(None) => {}
                Err(HandshakeError::Disagreed(HelloError::Map { epoch, first, last })) => {
                    let error = HelloError::Map { epoch, first, last };
                    return Err(self.compare_maps(shared, node, connection, (&handshake, error)).await);
                }
                Err(error) => return Err(error.into()),
            }
        };
        if terms.peer_node_id != node.id.0 {
            return Err(ConnectionFault::OtherNode { expected: node.id.0, found: terms.peer_node_id });
        }
        node.note_epoch(epoch, terms.peer_epoch < epoch);
        shared.note_met(node.id, epoch, &terms);
        Ok((terms, AnswerReader::new(handshake.into_reader(), &terms)))
    }

    /// The node has another map of our epoch: shows it our owners of the first block that differs, as it has shown us its own, so that
    /// both name the first slot.
    async fn compare_maps(
        &self,
        shared: &ClusterShared,
        node: &NodeHealth,
        connection: &Connection,
        (handshake, error): (&Handshake, HelloError),
    ) -> ConnectionFault {
        let (HelloError::Map { epoch, first, .. }, Some(theirs)) = (&error, handshake.theirs()) else {
            return ConnectionFault::Hello(error);
        };
        if theirs.node_id != node.id.0 {
            return ConnectionFault::OtherNode { expected: node.id.0, found: theirs.node_id };
        }
        let mut ours = Hello { wanted_core: self.core, ..shared.hello() };
        if ours.topology_epoch != *epoch {
            return ConnectionFault::Hello(error);
        }
        node.agreed.set(0);
        shared.note_differs(node.id, &ours, theirs);
        let owners = shared.topology.borrow().block_owners(*first / SLOTS_PER_BLOCK * SLOTS_PER_BLOCK);
        if let Some(extension) = &mut ours.extension {
            extension.owners = Some(Box::new(owners));
        }
        ours.encode(&mut connection.write());
        // The node closes when it has read that; until then, or until the deadline, nothing else is to come.
        while let Ok(Some(_)) = connection.receive().await {}
        ConnectionFault::Hello(negotiate(&ours, theirs).err().unwrap_or(error))
    }
}
