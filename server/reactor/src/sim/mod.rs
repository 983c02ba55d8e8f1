//! The simulated twin: any number of processes and cores in one thread, by seed.
//!
//! ```text
//!   World ── processes ── cores: the same Reactor, with the driver of this module
//!     ├───── network: connections between processes, in virtual time
//!     └───── disks: one for each process, which outlives its crashes
//! ```
//!
//! **Not** a model of speed: delays are drawn, work takes no time but a little to let timers interleave.
//!
//! **Invariants**: everything that could differ between two runs is drawn from the seed; the same seed gives the same
//! run, event by event.
//!
//! **Source**: the method is FoundationDB's and TigerBeetle's: deterministic simulation of the whole cluster.

mod clock;
mod disk;
mod driver;
mod endpoint;
mod faults;
mod handshake;
mod network;
mod world;

pub use disk::{DiskFaults, SECTOR_BYTES, SimDisk};
pub(crate) use driver::SimDriver;
pub use network::NetworkOptions;
pub use world::{CrashMode, ProcessId, World};
