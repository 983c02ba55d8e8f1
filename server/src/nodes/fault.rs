//! Why a connection to a node is over.
//!
//! **Not**: what follows from it; the connection's task and the breaker decide.

use std::sync::Arc;
use std::time::Duration;

use corelane_tls::handshake::HandshakeFault;
use reactor::ConnectionError;
use shardstore::session::{HandshakeError, HelloReadError};
use shardstore::wire::FrameError;
use shardstore::wire::hello::HelloFormatError;
use shardstore::wire::reassembly::ReassemblyError;
use shardstore::wire::terms::HelloError;

/// Why a connection to a node is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionFault {
    #[error("the connection ended")]
    Ended,
    #[error("no sign of life for {} ms, although asked for one", .0.as_millis())]
    Silent(Duration),
    #[error("the name {0:?} could not be resolved to an address")]
    Unresolved(Arc<str>),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("TLS with the node failed: {0}")]
    Tls(#[from] HandshakeFault),
    #[error("{0}")]
    Plaintext(String),
    #[error("frame error {}", .0.name())]
    Frame(FrameError),
    #[error("chunk error {0}")]
    Chunk(&'static str),
    #[error("cannot read the peer's HELLO: {0}")]
    HelloFormat(HelloFormatError),
    #[error(transparent)]
    Hello(HelloError),
    #[error("the node calls itself {found}, the topology says {expected}")]
    OtherNode { expected: u32, found: u32 },
}

impl From<ReassemblyError> for ConnectionFault {
    fn from(error: ReassemblyError) -> Self {
        match error {
            ReassemblyError::Frame(error) => ConnectionFault::Frame(error),
            error => ConnectionFault::Chunk(error.name()),
        }
    }
}

impl From<HandshakeError> for ConnectionFault {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Read(HelloReadError::Frame(error)) => ConnectionFault::Frame(error),
            HandshakeError::Read(HelloReadError::Format(error)) => ConnectionFault::HelloFormat(error),
            HandshakeError::Disagreed(HelloError::OtherNode { wanted, found }) => {
                ConnectionFault::OtherNode { expected: wanted, found }
            }
            HandshakeError::Disagreed(error) => ConnectionFault::Hello(error),
        }
    }
}
