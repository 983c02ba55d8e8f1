//! What the tests against the real binary share: the server as a child process, a blocking client, answers taken apart.
//!
//! **Not** the product's own code: a client that used it would share its mistakes.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

pub(crate) mod answer;
pub(crate) mod client;
pub(crate) mod load;
pub(crate) mod logfmt;
pub(crate) mod process_control;
pub(crate) mod server;
pub(crate) mod slow_node;
pub(crate) mod tool;

use std::time::Duration;

/// Longer than anything takes on a busy machine; what waits longer has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
