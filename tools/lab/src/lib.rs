//! Machines to test on that a test makes itself, and removes.
//!
//! ```text
//!  vm     one virtual machine (QEMU): a kernel, drivers and a boot loader of its own; cargo xtask vm-test
//! ```
//!
//! **Not**: part of the product, nor of `cargo xtask test`: it takes root, and minutes.
//!
//! **Invariants**: what a machine of the developer lacks is named before anything is made, and nothing is left out for it.
//! Networks are in namespaces of their own. Processes, namespaces and copies are gone when their owner is dropped.

#![expect(
    clippy::disallowed_methods,
    reason = "a tool that starts and watches processes needs the clock and threads that data cores must not use"
)]

pub mod cache;
pub mod capture;
pub mod child;
pub mod namespace;
pub mod poll;
pub mod preflight;
pub mod progress;
pub mod vm;
