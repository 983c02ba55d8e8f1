//! What the cores of an edge send each other.
//!
//! **Not** shared state: every message is moved.
//!
//! **Invariants**: the control core is the last one; data cores send each other requests to the store and their responses only.

use std::sync::Arc;
use std::time::Duration;

use control::topology_reload::TopologyHint;

use crate::hot_keys::HotKeyReport;
use crate::nodes::NodeState;
use crate::snapshot::Snapshot;
use store_runtime::tiers::StoreMessage;

/// A message from one core to another.
pub(crate) enum Message {
    /// A request for a key of that core, or what became of one.
    Store(StoreMessage),
    /// From control: the snapshot in force from now on.
    Snapshot(Arc<Snapshot>),
    /// To control: a node knows a newer topology; read ours again.
    TopologyHint(TopologyHint),
    /// From control: stop accepting and finish within this time.
    Drain(Duration),
    /// From control: all of the process has started, serve.
    Serve,
    /// From control: stop now.
    Stop,
    /// From control: are you there? And back: yes. On the way there also whether every response is to end its connection.
    Heartbeat { closes_connections: bool },
    /// To control: the nodes as this core sees them.
    Nodes(Vec<NodeState>),
    /// To control: which keys were asked for most.
    HotKeys(HotKeyReport),
    /// To control: the snapshot of this generation is in force here. Told of snapshots with challenges, which an authority looks for.
    InForce(u64),
    /// To control: nothing is left to finish. `cut`: connections that had to be dropped.
    Drained { cut: usize },
}

impl From<StoreMessage> for Message {
    fn from(message: StoreMessage) -> Self {
        Message::Store(message)
    }
}
