//! How long bytes may take to or from a node.

use std::time::Duration;

/// How long `bytes` bytes may take to or from a node: at least 8 MiB a second, which a gigabit link shared by a dozen
/// still gives.
pub(crate) fn transfer_time(bytes: usize) -> Duration {
    const BYTES_PER_MS: u64 = 8 * 1024 * 1024 / 1000;
    Duration::from_millis(bytes as u64 / BYTES_PER_MS)
}
