//! Response bodies that a core holds for clients that have not taken them yet: parts of values, copied.
//!
//! **Not** for values that are pinned in the shard and sent in place.
//!
//! **Invariants**: memory is leased before anything is copied or asked for; all of it together stays within its budget; whoever
//! gets none waits for a bounded time, among a bounded number.

use std::rc::Rc;
use std::sync::Arc;

use reactor::{Instant, Reactor, SharedBytes};
use store_runtime::budget::{Budget, Lease};

use crate::metrics::CoreMetrics;

/// All of one core.
pub(crate) struct OutboundBuffers {
    budget: Rc<Budget>,
    metrics: Arc<CoreMetrics>,
}

impl OutboundBuffers {
    /// Nothing yet; what is held counts in `budget`, what is refused in `metrics`.
    pub(crate) fn new(budget: &Rc<Budget>, metrics: &Arc<CoreMetrics>) -> Self {
        OutboundBuffers { budget: Rc::clone(budget), metrics: Arc::clone(metrics) }
    }

    /// Memory for bytes that are yet to come; waits for it until `deadline`. `None` where the budget does not hold them by
    /// then, or too many wait.
    pub(crate) async fn take(&self, reactor: &Reactor, bytes: usize, deadline: Instant) -> Option<Lease> {
        let lease = self.budget.wait(reactor, bytes, deadline).await;
        if lease.is_none() {
            self.metrics.bodies_shed.increment();
        }
        lease
    }
}

/// Bytes for a client, with the memory that its response is leased by.
pub(crate) struct LeasedBytes {
    bytes: Arc<Vec<u8>>,
    _lease: Rc<Lease>,
}

impl LeasedBytes {
    /// To be sent in place; the lease is held until they are.
    pub(crate) fn share(bytes: Arc<Vec<u8>>, lease: &Rc<Lease>) -> SharedBytes {
        Rc::new(LeasedBytes { bytes, _lease: Rc::clone(lease) })
    }
}

impl AsRef<[u8]> for LeasedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
