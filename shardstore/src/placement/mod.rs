//! Placement: which node owns which slot.
//!
//! ```text
//!  topology file ── parse ──▶ nodes ── rendezvous proposes ──▶ owner of each slot
//!                        └──▶ [[assign]] ─── overrides ───────▶ (16384 entries, each with its epoch)
//! ```
//!
//! A file that lists only nodes gets the owners that weighted rendezvous hashing proposes; a slot named in an `[[assign]]`
//! belongs to the node named there. Slots without an `[[assign]]` keep their proposal, so every slot always has an owner.
//!
//! **Not**: reading files, connecting to nodes, replicas (a node's zone is kept for them), agreement between processes.
//!
//! **Invariants**: a [`Topology`] is immutable; changing it makes another one. Every slot has exactly one owner. The same
//! file gives the same owners in every process, on every platform, in whatever order it lists the nodes.
//!
//! **Source**: Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (rendezvous hashing); Schindelhauer
//! and Schomaker, "Weighted distributed hash tables" (the logarithmic method).

mod address;
mod epoch;
mod error;
mod log;
mod node;
mod parse;
mod range;
mod rendezvous;
mod topology;

pub use address::{HostPort, NodeAddress};
pub use epoch::Verdict;
pub use error::{TopologyError, TopologyFault};
pub use node::{NODE_ID_MAX, Node, NodeId, WEIGHT_MILLI_MAX, WEIGHT_MILLI_MIN};
pub use range::SlotRange;
pub use topology::{NODES_MAX, Topology};

#[cfg(test)]
mod tests;
