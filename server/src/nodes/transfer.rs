//! How long bytes may take to or from a node.

use std::time::Duration;

/// How long `bytes` bytes may take to or from a node: at least 8 MiB a second, which a gigabit link shared by a dozen
/// still gives.
pub(crate) fn transfer_time(bytes: usize) -> Duration {
    const BYTES_PER_MS: u64 = 8 * 1024 * 1024 / 1000;
    Duration::from_millis(bytes as u64 / BYTES_PER_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_gets_its_time_at_eight_mebibytes_a_second() {
        for (bytes, ms) in [(0, 0), (8_387, 0), (8_388, 1), (8 << 20, 1_000), (64 << 20, 8_000)] {
            assert_eq!(transfer_time(bytes), Duration::from_millis(ms), "{bytes} bytes");
        }
    }
}
