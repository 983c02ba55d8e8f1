//! Memory that messages between the cores of a process carry, bounded for all cores together.
//!
//! **Not** for what stays on a core: [`crate::budget`] costs no atomic operation.
//!
//! **Invariants**: the leases together are at most the bound; a lease is given back when it is dropped, on whatever core.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that a lease grows by at least, so that many small answers take few atomic operations.
const STEP_BYTES: usize = 64 * 1024;

/// How many bytes all cores may have under way.
#[derive(Debug)]
pub struct SharedBudget {
    bytes_max: usize,
    leased_bytes: AtomicUsize,
}

/// A part of a shared budget, given back when dropped.
#[derive(Debug)]
pub struct SharedLease {
    budget: Arc<SharedBudget>,
    bytes: usize,
}

impl SharedBudget {
    /// A budget of which nothing is leased.
    #[must_use]
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(SharedBudget { bytes_max, leased_bytes: AtomicUsize::new(0) })
    }

    /// A lease of nothing, to be grown.
    #[must_use]
    pub fn empty_lease(self: &Arc<Self>) -> SharedLease {
        SharedLease { budget: Arc::clone(self), bytes: 0 }
    }

    /// Bytes that are leased.
    #[must_use]
    pub fn leased_bytes(&self) -> usize {
        self.leased_bytes.load(Ordering::Relaxed)
    }
}

impl SharedLease {
    /// Leases as much more as makes it `bytes` together; false, with nothing changed, where that would pass the bound.
    #[must_use]
    pub fn covers(&mut self, bytes: usize) -> bool {
        if bytes <= self.bytes {
            return true;
        }
        let more = (bytes - self.bytes).next_multiple_of(STEP_BYTES);
        // Relaxed: only the number itself is shared, and no memory hangs on it.
        let grown = self.budget.leased_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |leased| {
            leased.checked_add(more).filter(|total| *total <= self.budget.bytes_max)
        });
        self.bytes += if grown.is_ok() { more } else { 0 };
        grown.is_ok()
    }
}

impl Drop for SharedLease {
    fn drop(&mut self) {
        self.budget.leased_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_of_all_threads_stay_within_the_bound_and_come_back() {
        const BOUND: usize = 10 * STEP_BYTES;
        let budget = SharedBudget::new(BOUND);
        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                let budget = &budget;
                scope.spawn(move || {
                    for round in 0..2_000_usize {
                        let mut lease = budget.empty_lease();
                        let granted =
                            (1..=4).filter(|part| lease.covers(part * (thread + round) % (5 * STEP_BYTES))).count();
                        assert!(granted <= 4 && budget.leased_bytes() <= BOUND);
                    }
                });
            }
        });
        assert_eq!(budget.leased_bytes(), 0);
    }

    #[test]
    fn a_lease_grows_in_steps_up_to_the_bound() {
        let budget = SharedBudget::new(3 * STEP_BYTES);
        let mut lease = budget.empty_lease();
        assert!(lease.covers(1) && lease.covers(STEP_BYTES));
        assert_eq!(budget.leased_bytes(), STEP_BYTES);
        assert!(lease.covers(STEP_BYTES + 1));
        assert_eq!(budget.leased_bytes(), 2 * STEP_BYTES);
        let mut other = budget.empty_lease();
        assert!(!other.covers(STEP_BYTES + 1) && other.covers(STEP_BYTES) && !other.covers(STEP_BYTES + 1));
        assert!(!lease.covers(3 * STEP_BYTES));
        drop(other);
        assert!(lease.covers(3 * STEP_BYTES));
        drop(lease);
        assert_eq!(budget.leased_bytes(), 0);
    }
}
