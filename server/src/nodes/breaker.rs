//! The circuit breaker of one node.
//!
//! ```text
//!   Closed ──failures in a row──▶ Open ──a probe succeeds──▶ Closed
//!      ^ any success resets the count      (requests are refused at once; the connection's own task probes)
//! ```
//!
//! **Not** timed: probing is the peer's business, so that a node is used again as soon as it answers a handshake.
//!
//! **Source**: M. Nygard, "Release It!", 2nd ed., chapter 5.

/// Counts failures in a row and says whether to ask at all. It begins closed.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    open: bool,
}

impl Breaker {
    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    pub(crate) fn note_success(&mut self) {
        self.failures = 0;
        self.open = false;
    }

    /// Opens it; true when it was closed.
    pub(crate) fn open(&mut self) -> bool {
        self.note_failure(self.failures)
    }

    /// True when this failure opened it, which `failures_max` failures in a row do (at least 1).
    pub(crate) fn note_failure(&mut self, failures_max: u32) -> bool {
        self.failures = self.failures.saturating_add(1);
        let opens = !self.open && self.failures >= failures_max.max(1);
        self.open |= opens;
        opens
    }
}

#[cfg(test)]
mod tests {
    use super::Breaker;

    #[test]
    fn opens_after_failures_in_a_row_and_closes_on_success() {
        let mut breaker = Breaker::default();
        assert!(!breaker.note_failure(3) && !breaker.note_failure(3));
        breaker.note_success();
        assert!(!breaker.note_failure(3) && !breaker.note_failure(3) && !breaker.is_open());
        assert!(breaker.note_failure(3) && breaker.is_open());
        assert!(!breaker.note_failure(3), "it opens once");
        breaker.note_success();
        assert!(!breaker.is_open());
        assert!(breaker.open() && breaker.is_open() && !breaker.open(), "at once");
    }
}
