//! Response bodies that a core holds for clients that have not taken them yet: copies of its own, and values that came from
//! elsewhere.
//!
//! **Not** for values that are pinned in the shard and sent in place.
//!
//! **Invariants**: all of it together stays within its budget; a value that several clients of this core wait for is held
//! once and paid for once, for as long as the last of them needs it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use store_runtime::budget::{Budget, Lease};

use crate::metrics::CoreMetrics;

/// Values that are held, by where they lie: an address is not used anew while its value is held.
type Table = RefCell<HashMap<*const u8, Weak<SharedBody>>>;

/// All of one core.
pub(crate) struct OutboundBuffers {
    budget: Rc<Budget>,
    metrics: Arc<CoreMetrics>,
    held: Rc<Table>,
}

impl OutboundBuffers {
    /// Nothing yet; what is held counts in `budget`, what is refused in `metrics`.
    pub(crate) fn new(budget: &Rc<Budget>, metrics: &Arc<CoreMetrics>) -> Self {
        OutboundBuffers { budget: Rc::clone(budget), metrics: Arc::clone(metrics), held: Rc::default() }
    }

    /// Memory for a copy that is yet to be made; `None` where the budget does not hold it.
    pub(crate) fn take(&self, bytes: usize) -> Option<Lease> {
        let lease = self.budget.lease(bytes);
        if lease.is_none() {
            self.metrics.bodies_shed.increment();
        }
        lease
    }

    /// Holds a value for one more client; `None` where the budget does not hold it.
    pub(crate) fn hold(&self, value: &Arc<[u8]>) -> Option<Rc<SharedBody>> {
        let place = value.as_ptr();
        if let Some(held) = self.held.borrow().get(&place).and_then(Weak::upgrade) {
            return Some(held);
        }
        let lease = self.take(value.len())?;
        let held = Rc::new(SharedBody { value: Arc::clone(value), table: Rc::clone(&self.held), _lease: lease });
        self.held.borrow_mut().insert(place, Rc::downgrade(&held));
        Some(held)
    }
}

/// A value that clients of this core wait for.
pub(crate) struct SharedBody {
    value: Arc<[u8]>,
    table: Rc<Table>,
    _lease: Lease,
}

impl SharedBody {
    pub(crate) fn value(&self) -> &[u8] {
        &self.value
    }
}

impl Drop for SharedBody {
    fn drop(&mut self) {
        self.table.borrow_mut().remove(&self.value.as_ptr());
    }
}

#[cfg(test)]
mod tests {
    use store_runtime::budget::Oversize;

    use super::*;

    #[test]
    fn a_value_is_paid_for_once_as_long_as_anybody_holds_it() {
        let metrics = Arc::new(CoreMetrics::default());
        let budget = Budget::new(150, Oversize::Refuse);
        let buffers = OutboundBuffers::new(&budget, &metrics);
        let (value, other): (Arc<[u8]>, Arc<[u8]>) = (vec![1; 100].into(), vec![2; 100].into());
        let mut holders: Vec<_> = (0..10).map(|_| buffers.hold(&value).unwrap()).collect();
        // Holders outside this core, such as the fill that brought it, do not count.
        let elsewhere = Arc::clone(&value);
        assert_eq!(budget.leased_bytes(), 100);
        assert!(buffers.hold(&other).is_none() && buffers.take(51).is_none());
        assert_eq!(metrics.bodies_shed.value(), 2);
        while let Some(holder) = holders.pop() {
            assert_eq!((budget.leased_bytes(), holder.value()), (100, &value[..]));
        }
        assert_eq!(budget.leased_bytes(), 0);
        drop((value, elsewhere));
        assert_eq!(buffers.hold(&other).unwrap().value(), &other[..]);
        assert!(buffers.held.borrow().is_empty(), "the table keeps what is held and nothing else");
    }
}
