//! The phases of a run, as all cores of the generator see them.
//!
//! ```text
//!  fill ──▶ warm up ──▶ measure [from, until) ──▶ answers of the last requests ──▶ over
//! ```
//!
//! **Not** a decision: `conduct` makes those, the cores read them.
//!
//! **Invariants**: `from` and `until` are set together, once, before they come.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use reactor::Instant;

/// No instant is known yet.
const UNKNOWN: u64 = u64::MAX;

/// Shared by the cores and whoever conducts them.
#[derive(Debug)]
pub(crate) struct Phases {
    from_ns: AtomicU64,
    until_ns: AtomicU64,
    over: AtomicBool,
}

impl Default for Phases {
    fn default() -> Self {
        Self { from_ns: AtomicU64::new(UNKNOWN), until_ns: AtomicU64::new(UNKNOWN), over: AtomicBool::new(false) }
    }
}

impl Phases {
    /// Sets the span that is measured.
    pub(crate) fn measure(&self, from: Instant, until: Instant) {
        assert!(from < until, "a span has a length");
        self.from_ns.store(from.as_nanos(), Ordering::Relaxed);
        // A core that sees the end sees the start.
        self.until_ns.store(until.as_nanos(), Ordering::Release);
    }

    /// Ends the run at once, whatever is still to come.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// Whether the run was ended.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Whether a request that was due at this instant is measured.
    #[inline]
    pub(super) fn measures(&self, due_ns: u64) -> bool {
        let until_ns = self.until_ns.load(Ordering::Acquire);
        due_ns < until_ns && until_ns != UNKNOWN && due_ns >= self.from_ns.load(Ordering::Relaxed)
    }

    /// The instant from which on no request is due but fills of what was missed, if it is known.
    #[inline]
    pub(super) fn until_ns(&self) -> u64 {
        self.until_ns.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_span_is_measured_and_nothing_else() {
        let phases = Phases::default();
        assert!(!phases.measures(0) && !phases.measures(u64::MAX - 1));
        phases.measure(Instant::from_nanos(10), Instant::from_nanos(20));
        let measured: Vec<u64> = (0..30).filter(|due| phases.measures(*due)).collect();
        assert_eq!(measured, (10..20).collect::<Vec<u64>>());
        assert!(!phases.is_over());
        phases.end();
        assert!(phases.is_over());
    }
}
