//! One virtual machine: a kernel, drivers, interrupts and a boot loader that a test may really change.
//!
//! ```text
//!  preflight ─▶ image (cache) ─▶ machine: namespace, QEMU, SSH ─▶ scenarios ─▶ report
//! ```
//!
//! **Not** a measure of speed: QEMU emulates four CPUs in software. Not frequencies, sleep states, SMT, packet filters of cards.
//!
//! **Invariants**: one machine at a time. Its disk is a copy that ends with QEMU. Whoever waits for it sees that QEMU lives.

mod disk;
mod image;
mod machine;
mod network;
mod preflight;
mod report;
mod run;
mod scenarios;

pub use image::GuestImage;
pub use machine::{GuestMachine, GuestPrograms};
pub use network::{GUEST_DATA, GUEST_MANAGEMENT};
pub use report::{Report, ScenarioResult};
pub use run::{VmTestOptions, run, scenario_names};
