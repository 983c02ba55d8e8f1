//! The shard nodes behind this core: the owners of slots, connections to them, and what to do when they fail.
//!
//! ```text
//!  Cluster ── topology (swapped whole)
//!     └─ NodeClient per node ── NodeHealth: breaker, bounded waiting
//!          └─ NodeConnection per connection (one per core of the node, at most 8) ── the protocol's CallerSession
//! ```
//!
//! Each knows what is below it and nothing above; what all connections of the core share is [`shared`].
//!
//! **Not** shared between cores: every core has its own connections.
//!
//! **Invariants**: every call ends by its deadline; a node that is down costs its own slots only.

mod agreement;
mod breaker;
mod client;
mod clock;
mod cluster;
mod connection;
mod fault;
mod health;
mod links;
mod names;
mod response;
mod shared;
mod state;
mod transfer;

pub(crate) use cluster::Cluster;
pub(crate) use links::Links;
pub use names::NameLookup;
pub(crate) use shared::ClusterOptions;
#[cfg(test)]
pub(crate) use state::CallTimes;
pub(crate) use state::NodeState;
pub(crate) use transfer::transfer_time;
