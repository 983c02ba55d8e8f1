//! What runs on the control thread, off the data cores: settings, admin listener, metrics text, logs, the life of a process.
//!
//! The control thread is one more reactor core, the last of its process and not pinned. Everything slow or rare runs on it.
//!
//! **Not**: on the path of a request. Data cores receive immutable snapshots from here by message and never call in; what
//! they share with it are counters that they write and it reads.
//!
//! **Invariants**: the process environment and the command line are read in one function, [`reload::ConfigSource::of_process`].
//!
//! **Source**: docs/config.md for what an operator may set, docs/metrics.md for what can be scraped.

#![forbid(unsafe_code)]
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod accept_watch;
pub mod activity;
mod address;
pub mod admin;
pub mod admin_client;
mod against;
mod bind_check;
pub mod boot;
pub mod build;
pub mod clock;
pub mod context;
pub mod core_map;
pub mod cpus;
pub mod descriptors;
pub mod exit;
pub mod exposure;
pub mod heartbeat;
pub mod lame_duck;
pub mod lifecycle;
mod listen_error;
pub mod listening;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod notify;
mod process_limits;
pub mod process_tables;
pub mod reading;
pub mod refusal;
pub mod reload;
pub mod security;
pub mod settings;
pub mod topology_file;
pub mod topology_reload;
pub mod watch;

pub use listen_error::ListenRefusal;
