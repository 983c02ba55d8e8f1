//! Memory of a core that its clients make it hold, bounded for each purpose.
//!
//! **Not**: the cache's memory, which has a limit of its own, nor values that are pinned in it.
//!
//! **Invariants**: the leases of a budget together are at most its bound, or ([`Oversize::GrantAlone`]) there is one lease;
//! a lease is given back when it is dropped, in whatever way its connection ends.

use std::cell::Cell;
use std::rc::Rc;

/// What becomes of a lease that is larger than the whole budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversize {
    /// It is refused.
    Refuse,
    /// It is granted while nothing else is leased, so that no value is too large for ever.
    GrantAlone,
}

/// How many bytes a core may use for one purpose.
#[derive(Debug)]
pub struct Budget {
    bytes_max: Cell<usize>,
    oversize: Oversize,
    leased_bytes: Cell<usize>,
}

/// A part of a budget, given back when dropped.
#[derive(Debug)]
pub struct Lease {
    budget: Rc<Budget>,
    bytes: usize,
}

impl Budget {
    /// A budget of which nothing is leased.
    #[must_use]
    pub fn new(bytes_max: usize, oversize: Oversize) -> Rc<Self> {
        Rc::new(Budget { bytes_max: Cell::new(bytes_max), oversize, leased_bytes: Cell::new(0) })
    }

    /// Another bound, from now on; what is leased beyond it stays until it is given back.
    pub fn set_bytes_max(&self, bytes_max: usize) {
        self.bytes_max.set(bytes_max);
    }

    /// Leases `bytes`; `None` where that would pass the bound.
    #[must_use]
    pub fn lease(self: &Rc<Self>, bytes: usize) -> Option<Lease> {
        let mut lease = self.empty_lease();
        lease.grow(bytes).then_some(lease)
    }

    /// A lease of nothing, to be grown.
    #[must_use]
    pub fn empty_lease(self: &Rc<Self>) -> Lease {
        Lease { budget: Rc::clone(self), bytes: 0 }
    }

    /// Bytes that are leased.
    #[must_use]
    pub fn leased_bytes(&self) -> usize {
        self.leased_bytes.get()
    }

    fn admits(&self, total: usize, others: usize) -> bool {
        total <= self.bytes_max.get() || (self.oversize == Oversize::GrantAlone && others == 0)
    }
}

impl Lease {
    /// Leases more; false, with nothing changed, where that would pass the bound.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> bool {
        let leased = self.budget.leased_bytes.get();
        let total = leased.saturating_add(bytes);
        if !self.budget.admits(total, leased - self.bytes) {
            return false;
        }
        self.budget.leased_bytes.set(total);
        self.bytes += bytes;
        true
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.leased_bytes.set(self.budget.leased_bytes.get() - self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_stay_within_the_bound_and_come_back() {
        for oversize in [Oversize::Refuse, Oversize::GrantAlone] {
            let budget = Budget::new(100, oversize);
            let (a, b) = (budget.lease(60), budget.lease(40));
            assert!(a.is_some() && b.is_some() && budget.lease(1).is_none());
            assert_eq!(budget.leased_bytes(), 100, "a refusal changes nothing");
            drop(a);
            assert_eq!(budget.leased_bytes(), 40);
            assert!(budget.lease(61).is_none());
            assert!(budget.lease(60).is_some());
            drop(b);
            assert_eq!(budget.leased_bytes(), 0);
            budget.set_bytes_max(10);
            assert_eq!(budget.lease(11).is_some(), oversize == Oversize::GrantAlone);
        }
    }

    #[test]
    fn a_lease_grows_within_the_bound() {
        let budget = Budget::new(100, Oversize::Refuse);
        let mut lease = budget.empty_lease();
        assert!(lease.grow(70) && lease.grow(30) && !lease.grow(1));
        assert_eq!(budget.leased_bytes(), 100);
        drop(lease);
        assert_eq!(budget.leased_bytes(), 0);
    }

    #[test]
    fn a_lease_beyond_the_bound_is_granted_alone_or_not_at_all() {
        let strict = Budget::new(100, Oversize::Refuse);
        assert!(strict.lease(101).is_none());
        let lenient = Budget::new(100, Oversize::GrantAlone);
        let large = lenient.lease(500);
        assert!(large.is_some());
        assert!(lenient.lease(1).is_none(), "nothing fits beside it");
        drop(large);
        let small = lenient.lease(1);
        assert!(lenient.lease(100).is_none(), "it is not alone");
        drop(small);
        let mut growing = lenient.empty_lease();
        assert!(growing.grow(60) && growing.grow(60), "it is the only one");
        assert_eq!(lenient.leased_bytes(), 120);
    }
}
