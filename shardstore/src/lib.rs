//! The shard store: cache engine, shard protocol codec and slot placement, as pure code.
//!
//! `key` and `placement` say where a key belongs, `wire` says how two processes speak about it, `session` what each of them
//! does on a connection, `cache` keeps it. They
//! take bytes, values and the time, and return values; the processes built on this crate do the I/O.
//!
//! **Not**: I/O, threads, clocks, logging. `unsafe` only in the cache's arena.
//!
//! **Invariants**: nothing in this crate blocks, sleeps or reads a clock; input from a network or a file is never asserted
//! on, it is refused with a named error.

pub mod cache;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod key;
pub mod placement;
pub mod planted;
pub mod session;
pub mod shard;
mod sync;
pub mod version;
pub mod wire;
