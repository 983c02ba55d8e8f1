//! A node of a cluster, as a topology lists it.

use std::fmt;

use super::address::NodeAddress;

/// Smallest weight, in thousandths.
pub const WEIGHT_MILLI_MIN: u32 = 1;

/// Largest weight, in thousandths.
pub const WEIGHT_MILLI_MAX: u32 = 1_000_000;

/// Largest id of a node: settings and tools keep it in 16 bits.
pub const NODE_ID_MAX: u32 = u16::MAX as u32;

/// Id of a node, unique within its cluster; 1 to [`NODE_ID_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Where it listens for the shard protocol.
    pub address: NodeAddress,
    /// Its share of the slots relative to the other nodes, in thousandths.
    pub weight_milli: u32,
    /// The failure domain it stands in; empty for none.
    pub zone: String,
}
