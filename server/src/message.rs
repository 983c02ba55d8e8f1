//! What the cores of an edge send each other.
//!
//! **Not** shared state: every message is moved.
//!
//! **Invariants**: the control core is the last one; data cores send each other requests to the store and their responses only.

use std::sync::Arc;
use std::time::Duration;

use control::metrics::Latency;

use crate::snapshot::Snapshot;
use store_runtime::tiers::StoreMessage;

/// A node as one core sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeState {
    pub(crate) id: u32,
    /// The core's breaker for it is closed.
    pub(crate) up: bool,
    /// The core's connections to it.
    pub(crate) connections: usize,
    /// Why the last connection that ended did, if none has come up since.
    pub(crate) error: Option<String>,
    pub(crate) calls: CallTimes,
}

/// How long calls to a node took, as the core records it. Others only read it.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallTimes(pub(crate) Arc<Latency>);

impl PartialEq for CallTimes {
    /// Whether both are the same record, whatever has come into it.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for CallTimes {}

/// A message from one core to another.
pub(crate) enum Message {
    /// A request for a key of that core, or what became of one.
    Store(StoreMessage),
    /// From control: decide by this from now on.
    Snapshot(Arc<Snapshot>),
    /// To control: a node has sent a topology; check it and tell everybody.
    TopologyText(String),
    /// From control: stop accepting and finish within this time.
    Drain(Duration),
    /// From control: stop now.
    Stop,
    /// To control: the nodes as this core sees them.
    Nodes(Vec<NodeState>),
    /// To control: nothing is left to finish. `cut`: connections that had to be dropped.
    Drained { cut: usize },
}

impl From<StoreMessage> for Message {
    fn from(message: StoreMessage) -> Self {
        Message::Store(message)
    }
}
