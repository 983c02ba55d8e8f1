//! What an edge and a node both do with a shard.
//!
//! ```text
//!  tiers   a request on its way: edge copies, fills, writes under way, other cores, nodes
//!  store   this core's shard, and the others read in place      owner   writes, on the core that owns the key
//!  cores   which core owns a key                                hop     requests that another core serves
//!  mail    messages between cores                               kind    what an item is
//!  staging large values on their way into the shard         discard and out of memory
//!  budget  memory that clients make a core hold                 metrics what every core counts
//! ```
//!
//! **Not**: HTTP, frames, files, threads. Time comes from the reactor.
//!
//! **Invariants**: only the core that owns a shard writes it; nothing here reads a clock of its own, so that the simulation
//! replays it.

pub mod budget;
pub mod cores;
pub mod discard;
pub mod edge_copy;
pub mod fills;
pub mod holds;
pub mod hop;
pub mod key_facts;
pub mod kind;
pub mod mail;
pub mod metrics;
pub mod owner;
pub mod remote;
pub mod request;
#[cfg(test)]
mod rig;
pub mod send_queue;
pub mod shared_budget;
pub mod staging;
pub mod store;
pub mod tiers;
mod writes;
