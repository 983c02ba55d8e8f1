//! What an edge and a node both do with a shard.
//!
//! **Not**: HTTP, frames, files, threads. Time comes from the reactor.
//!
//! **Invariants**: only the core that owns a shard writes it; nothing here reads a clock of its own, so that the simulation
//! replays it.

pub mod budget;
pub mod metrics;
