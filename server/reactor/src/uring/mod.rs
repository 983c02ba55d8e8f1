//! The kernel's side: rings, pooled buffers, and what is submitted to them. Linux 6.1 or later.
//!
//! **Not** used by anything but the event loop; nobody else may name `io_uring`.
//!
//! **Invariants**: one enter per pass; memory handed to the kernel stays put until its completion.
//!
//! **Source**: io_uring_setup(2), io_uring_enter(2), io_uring_register(2); kernel 6.1 to 6.18.

mod alarm;
mod buffer_ring;
mod by_index;
mod clock;
mod driver;
mod floor;
mod messages;
mod registered;
mod ring;
mod socket;
mod tag;
mod unavailable;

pub(crate) use buffer_ring::BufferRing;
pub(crate) use driver::UringDriver;
pub use floor::{Descriptors, FloorOptions, serve_floor};
pub use unavailable::{RingUnavailable, probe};
