//! Memory of a core that its clients make it hold, bounded for each purpose.
//!
//! ```text
//!  lease ─▶ Lease, or none                           drop ──▶ given back ──▶ the first of those who wait
//!  wait ──▶ Lease ◀── queue (bounded, in order) ◀─── full
//!             └─ none: the queue is full, or the deadline has come
//! ```
//!
//! **Not**: the cache's memory, which has a limit of its own, nor values that are pinned in it.
//!
//! **Invariants**: the leases of a budget together are at most its bound, or ([`Oversize::GrantAlone`]) there is one lease;
//! a lease is given back when it is dropped, in whatever way its connection ends; nobody overtakes who waits, and who no
//! longer waits is passed over.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use reactor::local::{OneSender, one};
use reactor::{Instant, Reactor};

/// Requests that wait for one budget; one more is refused at once. Each is a task that exists anyway.
pub const WAITERS_MAX: usize = 4096;

/// What becomes of a lease that is larger than the whole budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversize {
    /// It is refused.
    Refuse,
    /// It is granted while nothing else is leased, so that no value is too large for ever.
    GrantAlone,
}

/// How many bytes a core may use for one purpose.
pub struct Budget {
    bytes_max: Cell<usize>,
    oversize: Oversize,
    leased_bytes: Cell<usize>,
    waiters: RefCell<VecDeque<BudgetWaiter>>,
}

struct BudgetWaiter {
    bytes: usize,
    sender: OneSender<Lease>,
}

impl std::fmt::Debug for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Budget({} of {} bytes leased)", self.leased_bytes.get(), self.bytes_max.get())
    }
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
        Rc::new(Budget {
            bytes_max: Cell::new(bytes_max),
            oversize,
            leased_bytes: Cell::new(0),
            waiters: RefCell::default(),
        })
    }

    /// What may be leased.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.bytes_max.get()
    }

    /// Another bound, from now on; what is leased beyond it stays until it is given back.
    pub fn set_bytes_max(self: &Rc<Self>, bytes_max: usize) {
        self.bytes_max.set(bytes_max);
        self.serve_waiters();
    }

    /// Leases `bytes`; waits until `deadline` where that would pass the bound, behind all who wait already. `None` when the
    /// deadline has come, or as many wait as may.
    pub async fn wait(self: &Rc<Self>, reactor: &Reactor, bytes: usize, deadline: Instant) -> Option<Lease> {
        if self.waiters.borrow().is_empty()
            && let Some(lease) = self.lease(bytes)
        {
            return Some(lease);
        }
        if self.waiters.borrow().len() >= WAITERS_MAX {
            // Some may have given up since.
            self.waiters.borrow_mut().retain(|waiter| waiter.sender.is_wanted());
        }
        if self.waiters.borrow().len() >= WAITERS_MAX || bytes > self.bytes_max.get() {
            return None;
        }
        let (sender, receiver) = one(reactor);
        self.waiters.borrow_mut().push_back(BudgetWaiter { bytes, sender });
        // Those in front may have given up, and left room.
        self.serve_waiters();
        reactor.until(deadline, receiver.receive()).await.flatten()
    }

    /// Requests that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiters.borrow().len()
    }

    /// Grants leases to those who wait longest, as far as there is room.
    fn serve_waiters(self: &Rc<Self>) {
        loop {
            let first = {
                let mut waiters = self.waiters.borrow_mut();
                while waiters.front().is_some_and(|first| !first.sender.is_wanted()) {
                    waiters.pop_front();
                }
                let fits = waiters.front().is_some_and(|first| self.has_room_for(first.bytes));
                if fits { waiters.pop_front() } else { None }
            };
            let Some(BudgetWaiter { bytes, sender }) = first else { return };
            // Sent without the queue being borrowed: a lease that nobody takes is given back at once, which comes here again.
            if let Some(lease) = self.lease(bytes) {
                sender.send(lease);
            }
        }
    }

    fn has_room_for(&self, bytes: usize) -> bool {
        let leased = self.leased_bytes.get();
        self.admits(leased.saturating_add(bytes), leased)
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

    /// Leases as much more as makes it `bytes` together; false, with nothing changed, where that would pass the bound.
    #[must_use]
    pub fn covers(&mut self, bytes: usize) -> bool {
        self.grow(bytes.saturating_sub(self.bytes))
    }

    /// Gives back what is beyond `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        let given = self.bytes.saturating_sub(bytes);
        self.bytes -= given;
        self.budget.give_back(given);
    }
}

impl Budget {
    fn give_back(self: &Rc<Self>, bytes: usize) {
        self.leased_bytes.set(self.leased_bytes.get() - bytes);
        if bytes > 0 && !self.waiters.borrow().is_empty() {
            self.serve_waiters();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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

    #[test]
    fn waiters_are_served_in_order_as_leases_come_back() {
        crate::rig::run::<()>(1, 1, |reactor, _| {
            let budget = Budget::new(100, Oversize::Refuse);
            let order = Rc::new(RefCell::new(Vec::new()));
            let held = budget.lease(90);
            let far = reactor.now() + Duration::from_secs(60);
            for (name, bytes, gives_up_ms) in [("a", 50, 1_000), ("b", 80, 5), ("c", 40, 1_000)] {
                let (budget, reactor, order) = (Rc::clone(&budget), reactor.clone(), Rc::clone(&order));
                let spawning = reactor.clone();
                let task = async move {
                    let deadline = reactor.now() + Duration::from_millis(gives_up_ms);
                    let lease = budget.wait(&reactor, bytes, deadline).await;
                    order.borrow_mut().push((name, lease.is_some()));
                    reactor.sleep(Duration::from_millis(50)).await;
                };
                spawning.spawn(task).unwrap();
            }
            let running = reactor.clone();
            let task = async move {
                reactor.sleep(Duration::from_millis(10)).await;
                assert_eq!(*order.borrow(), [("b", false)], "its time is over");
                assert!(budget.wait(&reactor, 101, far).await.is_none(), "that will never be there");
                drop(held);
                reactor.sleep(Duration::from_millis(10)).await;
                assert_eq!(order.borrow().len(), 3, "who has given up keeps nobody from its turn");
                assert!(order.borrow()[1..].iter().all(|(_, granted)| *granted));
                assert_eq!((budget.leased_bytes(), budget.waiting()), (90, 0));
                reactor.sleep(Duration::from_millis(100)).await;
                assert_eq!(budget.leased_bytes(), 0);
                let mut lease = budget.wait(&reactor, 80, far).await.unwrap();
                lease.shrink_to(30);
                assert_eq!(budget.leased_bytes(), 30);
                assert!(lease.covers(100) && !lease.covers(101) && lease.covers(1));
                assert_eq!(budget.leased_bytes(), 100);
                reactor.stop();
            };
            running.spawn(task).unwrap();
        });
    }

    #[test]
    fn the_number_of_waiters_is_bounded() {
        crate::rig::run::<()>(1, 1, |reactor, _| {
            let budget = Budget::new(100, Oversize::Refuse);
            let held = budget.lease(100);
            let running = reactor.clone();
            let task = async move {
                let far = reactor.now() + Duration::from_secs(60);
                for _ in 0..WAITERS_MAX {
                    let (budget, waiting) = (Rc::clone(&budget), reactor.clone());
                    reactor.spawn(async move { drop(budget.wait(&waiting, 1, far).await) }).unwrap();
                }
                reactor.sleep(Duration::from_millis(1)).await;
                assert_eq!(budget.waiting(), WAITERS_MAX);
                let began = reactor.now();
                assert!(budget.wait(&reactor, 1, far).await.is_none() && reactor.now() == began, "refused at once");
                drop(held);
                reactor.sleep(Duration::from_millis(1)).await;
                assert_eq!((budget.waiting(), budget.leased_bytes()), (0, 0));
                reactor.stop();
            };
            running.spawn(task).unwrap();
        });
    }
}
