//! The event loop of one core on io_uring, and its simulated twin.
//!
//! **Goals**:
//! - One reactor per pinned core; tasks, timers, sockets and buffers belong to it alone.
//! - What runs on the kernel's rings runs unchanged on [`sim`]: any number of processes and cores in one thread, with
//!   virtual time and a network that fails.
//! - Sound whatever is dropped when; bounded whatever peers do.
//!
//! **Not**:
//! - Anything about HTTP, keys or frames.
//! - A fallback to other interfaces: without io_uring, [`probe`] explains why and what to change.
//!
//! **Invariants**:
//! - One system call per pass, however many connections it serves.
//! - An idle connection owns no buffer.
//! - Nothing is shared between cores but mailboxes and doorbells.

mod address;
mod allocator;
mod buffer;
mod core;
mod counters;
mod driver;
mod executor;
mod host;
mod id;
pub mod local;
mod mailbox;
mod net;
mod open_files;
mod outbox;
mod precise;
mod precise_waits;
mod random;
mod signal;
mod slab;
mod sync;
mod time;
mod timer;
mod uring;
mod wait;

pub mod cpu;
pub mod sim;

pub use address::Address;
pub use allocator::release_free_memory;
pub use buffer::Received;
pub use core::{Holdings, Reactor, SpawnError};
pub use counters::ReactorCounters;
pub use driver::{ListenOptions, STEERED_CPUS_MAX};
pub use host::{CoreSpec, Host, Threads, entropy};
pub use id::CoreId;
#[cfg(loom)]
pub use mailbox::model as mailbox_model;
pub use mailbox::{Doorbells, Mailbox, WakeMethod, mailboxes, ring as spsc};
pub use net::{AcceptPolicy, Place, Places, Shedding, accept};
pub use net::{Connection, ConnectionError, ConnectionSender, Detached, ListenError, Listener, WriteGuard};
pub use net::{Fault, Opened, Plain, PlainSource, Protection};
pub use open_files::{OpenFiles, raise_open_files};
pub use outbox::SharedBytes;
pub use precise::{NextPass, PreciseSleep};
pub use random::Random;
pub use signal::{Signal, block_signals};
pub use time::Instant;
pub use uring::{Descriptors, FloorOptions, RingUnavailable, probe, serve_floor};
pub use wait::{Sleep, Yield};
