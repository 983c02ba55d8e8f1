//! `corelane`, the edge: HTTP in front, cache tiers, shard nodes behind.
//!
//! # Goals
//! - A read that this core's shard can answer takes one poll: no allocation, lock, system call or log line of its own.
//! - A miss is an `await`: another core by mailbox, a node by one frame, batched with all others of the pass.
//! - The same code serves embedded mode, where the shard is the truth, and clusters.
//!
//! # Not
//! - Owning an `unsafe` block, or knowing which reactor it runs on: the kernel's or the simulated one.
//!
//! # Invariants
//! - A local copy is updated or gone before a write is acknowledged.
//! - Every queue, pool, retry and loop has a bound with a name; every wait has a deadline.
#![forbid(unsafe_code)]
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod access_log;
mod connections;
mod edge;
mod exchange;
mod frontend;
mod handshakes;
mod hot_keys;
pub mod key_log;
mod listener;
mod message;
mod metrics;
mod nodes;
mod plan;
mod security;
mod services;
pub mod settings;
mod snapshot;
mod supervisor;

pub use nodes::NameLookup;
pub use plan::{EdgePlan, start};
pub use supervisor::acme::StartOrders;
pub use supervisor::admin::metric_tables;
