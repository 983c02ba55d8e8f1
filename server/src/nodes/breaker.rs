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

/// Counts failures in a row and says whether to ask at all.
#[derive(Debug)]
pub(crate) struct Breaker {
    failures_max: u32,
    failures: u32,
    open: bool,
}

impl Breaker {
    /// A closed breaker that opens after `failures_max` failures in a row (at least 1).
    pub(crate) fn new(failures_max: u32) -> Self {
        Breaker { failures_max: failures_max.max(1), failures: 0, open: false }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    pub(crate) fn note_success(&mut self) {
        self.failures = 0;
        self.open = false;
    }

    /// True when this failure opened it.
    pub(crate) fn note_failure(&mut self) -> bool {
        self.failures = self.failures.saturating_add(1);
        let opens = !self.open && self.failures >= self.failures_max;
        self.open |= opens;
        opens
    }
}

#[cfg(test)]
mod tests {
    use super::Breaker;

    #[test]
    fn opens_after_failures_in_a_row_and_closes_on_success() {
        let mut breaker = Breaker::new(3);
        assert!(!breaker.note_failure() && !breaker.note_failure());
        breaker.note_success();
        assert!(!breaker.note_failure() && !breaker.note_failure() && !breaker.is_open());
        assert!(breaker.note_failure() && breaker.is_open());
        assert!(!breaker.note_failure(), "it opens once");
        breaker.note_success();
        assert!(!breaker.is_open());
    }
}
