//! The shard node: the authority for the slots that its topology gives it, served over the shard protocol from every core.
//!
//! ```text
//!  start ─▶ core 0 .. N-1: listeners, connections, a shard each ── hops between them
//!      └──▶ core N: supervisor (signals, topology, admin)
//! ```
//!
//! **Not**: HTTP for clients, and consensus: the topology names the owner of a slot.
//!
//! **Invariants**: nothing here knows whether it runs on threads or on the simulator; `main` alone touches files.
//!
//! **Source**: docs/wire.md.

#![forbid(unsafe_code)]
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod budgets;
mod core;
mod message;
mod metrics;
mod plan;
pub mod settings;
mod snapshot;
mod start;
mod supervisor;

pub use metrics::metric_tables;
pub use plan::{NodePlan, Started};
pub use start::start;
