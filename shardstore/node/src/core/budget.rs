//! Memory of a core that peers make it hold, bounded for all connections together.
//!
//! **Not**: the cache's memory, which has its own limit.
//!
//! **Invariants**: the sum of all leases is at most the bound, or there is only one; a lease that is dropped is given back.
//!
//! **Source**: "every queue has a bound with a name" (the design's overview).

use std::cell::Cell;
use std::rc::Rc;

/// A bound and what of it is in use.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes_max: u64,
    bytes: Cell<u64>,
}

/// A part of a budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    budget: Rc<Budget>,
    bytes: u64,
}

impl Budget {
    pub(crate) fn new(bytes_max: u64) -> Rc<Self> {
        Rc::new(Budget { bytes_max, bytes: Cell::new(0) })
    }

    /// Takes `bytes` out, or `None` when that is too much now. One lease of any size is always granted, so that no value is
    /// too large for ever.
    pub(crate) fn lease(self: &Rc<Self>, bytes: u64) -> Option<Lease> {
        let used = self.bytes.get();
        if used > 0 && used + bytes > self.bytes_max {
            return None;
        }
        self.bytes.set(used + bytes);
        Some(Lease { budget: Rc::clone(self), bytes })
    }

    /// Bytes that are leased.
    pub(crate) fn leased_bytes(&self) -> u64 {
        self.bytes.get()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.bytes.set(self.budget.bytes.get() - self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_stay_within_the_bound_and_come_back() {
        let budget = Budget::new(100);
        let large = budget.lease(500);
        assert!(large.is_some(), "one is always granted");
        assert!(budget.lease(1).is_none());
        drop(large);
        let (a, b) = (budget.lease(60), budget.lease(40));
        assert!(a.is_some() && b.is_some() && budget.lease(1).is_none());
        drop(a);
        assert_eq!(budget.leased_bytes(), 40);
        assert!(budget.lease(60).is_some());
    }
}
