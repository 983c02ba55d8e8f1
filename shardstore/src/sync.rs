//! Atomics of the two modules that threads share, or loom's when they are being model-checked.
//!
//! **Not** for anything else: nothing else is shared between threads.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering, fence};
