//! What a data core of a node decides by that can change while the process runs.
//!
//! **Not**: what is fixed when the process starts, which is [`crate::plan::Shared`]'s.
//!
//! **Invariants**: immutable; swapped whole, by message, at every core.

use std::sync::Arc;

use control::security::ClusterSecurity;
use shardstore::placement::Topology;

use crate::settings::NodeLimits;

#[derive(Clone, Debug)]
pub(crate) struct NodeSnapshot {
    pub(crate) limits: NodeLimits,
    pub(crate) topology: Arc<Topology>,
    pub(crate) security: Arc<ClusterSecurity>,
}
