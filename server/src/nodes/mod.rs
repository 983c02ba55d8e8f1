//! The shard nodes behind this core: who owns what, connections to them, and what to do when they fail.
//!
//! ```text
//!  Cluster ── topology (swapped whole, patched by MOVED)
//!     └─ Link per node ── breaker, bounded waiting
//!          └─ Peer per connection (one per core of the node, at most 8) ── credits, answers owed
//! ```
//!
//! **Not** shared between cores: every core has its own connections.
//!
//! **Invariants**: every call ends by its deadline; a node that is down costs its own slots only.

mod breaker;
mod cluster;
mod link;
mod peer;
mod reply;
mod session;
mod window;

pub(crate) use cluster::{Cluster, ClusterOptions};
