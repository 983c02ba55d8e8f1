//! The system that measurements run on: processes, their CPU time, the host.
//!
//! **Not** judging; every module reads what the kernel says.

pub(crate) mod calls;
pub(crate) mod child;
pub(crate) mod clock;
pub(crate) mod cpu;
pub(crate) mod cpus;
pub(crate) mod fingerprint;
pub(crate) mod host;
pub(crate) mod interrupts;
pub(crate) mod listening;
pub(crate) mod scratch;
pub(crate) mod stop;
