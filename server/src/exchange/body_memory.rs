//! Memory for bodies: budgets of a core, and what is taken from them.
//!
//! ```text
//!   EdgeCore::bodies    request bodies, from their first byte until the store has answered
//!   EdgeCore::copies    values that clients have not taken yet and that are not pinned in the shard
//! ```
//!
//! **Not** for values that are pinned in the shard and sent in place; the shard bounds those. **Not** one budget for both:
//! clients that do not read would keep others from writing.
//!
//! **Invariants**: all holdings of a budget together stay within its bound; a holding is given back when it is dropped,
//! in whatever way its connection ends.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use crate::edge::metrics::CoreMetrics;

/// How much memory a core may use for one purpose.
pub(crate) struct MemoryBudget {
    used: Cell<usize>,
    bytes_max: usize,
    metrics: Arc<CoreMetrics>,
}

impl MemoryBudget {
    /// A budget of which nothing is used; what it refuses is counted in `metrics`.
    pub(crate) fn new(bytes_max: usize, metrics: &Arc<CoreMetrics>) -> Rc<Self> {
        Rc::new(MemoryBudget { used: Cell::new(0), bytes_max, metrics: Arc::clone(metrics) })
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.used.get()
    }
}

/// A part of a budget.
pub(crate) struct BodyMemory {
    budget: Rc<MemoryBudget>,
    bytes: usize,
}

impl BodyMemory {
    /// Nothing yet.
    pub(crate) fn new(budget: &Rc<MemoryBudget>) -> Self {
        BodyMemory { budget: Rc::clone(budget), bytes: 0 }
    }

    /// So many bytes, or `None` where that would pass the bound.
    pub(crate) fn take(budget: &Rc<MemoryBudget>, bytes: usize) -> Option<Self> {
        let mut memory = BodyMemory::new(budget);
        memory.grow(bytes).then_some(memory)
    }

    /// Takes more; false, with nothing changed and the refusal counted, where that would pass the bound.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let total = self.budget.used.get() + bytes;
        if total > self.budget.bytes_max {
            self.budget.metrics.bodies_shed.increment();
            return false;
        }
        self.budget.used.set(total);
        self.bytes += bytes;
        true
    }
}

impl Drop for BodyMemory {
    fn drop(&mut self) {
        self.budget.used.set(self.budget.used.get() - self.bytes);
    }
}
