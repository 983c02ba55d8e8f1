//! How much a connection may queue for a peer that does not read, by how much its core has queued for all of them.
//!
//! **Not** for what is sent in place: pins and leases bound that.
//!
//! **Invariants**: as the core's bound comes near, each connection may queue less, and nothing at the bound; what one may
//! queue is at most half of what is left, so that no few of them take all.

/// Bytes that a connection may have queued: `connection_bytes_max`, or half of what the core's `core_bytes_max` leaves beside
/// the `queued_bytes` of all its connections, where that is less.
#[inline]
#[must_use]
pub fn bytes_max(connection_bytes_max: usize, core_bytes_max: usize, queued_bytes: usize) -> usize {
    connection_bytes_max.min(core_bytes_max.saturating_sub(queued_bytes) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_may_queue_less_as_the_core_fills() {
        // What all have queued, of 1,000 bytes, and what one may with 300.
        for (queued, allowed) in
            [(0, 300), (400, 300), (402, 299), (900, 50), (998, 1), (999, 0), (1_000, 0), (5_000, 0)]
        {
            assert_eq!(bytes_max(300, 1_000, queued), allowed, "{queued} bytes queued");
        }
    }

    #[test]
    fn connections_that_take_what_they_may_stay_within_the_bound() {
        let mut queued = 0;
        for _ in 0..10_000 {
            queued += bytes_max(1 << 20, 64 << 20, queued);
        }
        assert!(queued <= 64 << 20, "{queued}");
    }
}
