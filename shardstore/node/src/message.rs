//! What the cores of a node send each other.
//!
//! ```text
//!  data ──▶ data     Handover     a connection whose peer wants that core
//!                    Hop          a request for a key of that core, or what became of one
//!  control ──▶ data  NodeSnapshot the limits and the map in force from now on
//!                    Serve, Drain, Stop
//!  both ways         Heartbeat
//!  data ──▶ control  Stale        a peer has seen a newer map
//!                    Dropped      what a core held of slots that have left is gone
//!                    PeerRefused  a peer is of another cluster, or has another map
//!                    Drained      this core has no connection left
//! ```
//!
//! **Not**: frames of the wire; a hop carries a frame that has been checked already.
//!
//! **Invariants**: messages are a few words: what is larger is boxed.

use std::sync::Arc;

use corelane_tls::handshake::HandshakeFault;
use reactor::{Address, Detached, Instant};
use shardstore::wire::hello::Hello;
use shardstore::wire::reassembly::Assembled;
use shardstore::wire::terms::HelloError;
use shardstore::wire::{Frame, Header, Opcode};
use store_runtime::hop::HopMessage;
use store_runtime::staging::STAGED_BYTES_MIN;

use crate::core::answer::OwnedResponse;
use crate::snapshot::NodeSnapshot;

/// Messages from one core to another that may wait: a burst of one pass of 512 polls fits.
pub(crate) const MAILBOX_CAPACITY: usize = 1024;

pub(crate) enum NodeMessage {
    Handover(Box<Handover>),
    Hop(HopMessage<OwnedFrame, OwnedResponse>),
    Snapshot(Arc<NodeSnapshot>),
    /// Serve what comes until `refuse_at`, then answer UNAVAILABLE; end when all connections have.
    Drain {
        refuse_at: Instant,
    },
    Stop,
    Stale {
        epoch: u32,
    },
    /// All slots that left up to this epoch are dropped; so many items since the last such message.
    Dropped {
        epoch: u32,
        items: u64,
    },
    /// A peer does not agree with us, or is not who it has to be.
    PeerRefused(Box<PeerRefused>),
    Drained,
    /// From control: all of the process has started, serve.
    Serve,
    /// From control: are you there? And back: yes.
    Heartbeat,
}

/// A peer that was refused, and why.
pub(crate) struct PeerRefused {
    pub(crate) peer: Option<Address>,
    pub(crate) fault: PeerFault,
}

/// Why a peer is refused before its first request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerFault {
    /// What the two say of themselves does not go together.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// It has not shown who it is.
    #[error("TLS: {0}")]
    Tls(#[from] HandshakeFault),
    /// It says that it is somebody else than its certificate does.
    #[error(
        "the peer says that it is {said}, and its certificate says {certified}; compare its settings with its certificate"
    )]
    Identity {
        /// By its HELLO.
        said: String,
        /// By its certificate.
        certified: String,
    },
}

impl From<HopMessage<OwnedFrame, OwnedResponse>> for NodeMessage {
    fn from(hop: HopMessage<OwnedFrame, OwnedResponse>) -> Self {
        NodeMessage::Hop(hop)
    }
}

/// A connection on its way to the core that its peer named.
pub(crate) struct Handover {
    pub(crate) connection: Detached,
    pub(crate) hello: Hello,
    /// Bytes that came after the HELLO.
    pub(crate) rest: Vec<u8>,
}

/// A frame that owns its sections.
#[derive(Debug)]
pub(crate) struct OwnedFrame {
    header: Header,
    /// Ext, then key.
    sections: Vec<u8>,
    ext_bytes: usize,
    value: Vec<u8>,
}

impl OwnedFrame {
    pub(crate) fn of(frame: &Frame<'_>) -> Self {
        OwnedFrame { value: frame.value.to_vec(), ..OwnedFrame::without_value(frame) }
    }

    /// The same of what came in chunks, whose value is not copied.
    pub(crate) fn of_assembled(assembled: Assembled) -> Self {
        let head = OwnedFrame::without_value(&assembled.frame());
        OwnedFrame { value: assembled.into_value(), ..head }
    }

    fn without_value(frame: &Frame<'_>) -> Self {
        OwnedFrame {
            header: frame.header,
            sections: [frame.ext, frame.key].concat(),
            ext_bytes: frame.ext.len(),
            value: Vec::new(),
        }
    }

    /// The same, for a core that is to serve it under the map of this epoch, which the asking core has placed it by.
    pub(crate) fn placed_by(mut self, epoch: u32) -> Self {
        self.header.slot_epoch = epoch;
        self
    }

    /// Its value, when it is not needed any more.
    pub(crate) fn into_value(self) -> Vec<u8> {
        self.value
    }

    /// Whether it is a SET whose value is written slice by slice.
    pub(crate) const fn is_staged(&self) -> bool {
        self.header.code == Opcode::Set.number() && self.value.len() > STAGED_BYTES_MIN
    }

    pub(crate) fn frame(&self) -> Frame<'_> {
        let (ext, key) = self.sections.split_at(self.ext_bytes);
        Frame { header: self.header, ext, key, value: &self.value }
    }
}
