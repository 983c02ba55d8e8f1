//! The memory of a core for bodies: those that are being received, and those that clients have not taken yet.

use std::rc::Rc;

use store_runtime::budget::{Budget, Oversize};

/// The budgets of a core's bodies.
pub(crate) struct BodyMemory {
    /// For request bodies.
    pub(crate) inbound: Rc<Budget>,
    /// For copies of values that clients have not taken yet.
    pub(crate) outbound: Rc<Budget>,
}

impl BodyMemory {
    /// Of `bytes_max` bytes in either direction.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let budget = || Budget::new(bytes_max, Oversize::Refuse);
        BodyMemory { inbound: budget(), outbound: budget() }
    }

    pub(crate) fn set_bytes_max(&self, bytes_max: usize) {
        self.inbound.set_bytes_max(bytes_max);
        self.outbound.set_bytes_max(bytes_max);
    }

    /// In both directions together.
    pub(crate) fn leased_bytes(&self) -> usize {
        self.inbound.leased_bytes() + self.outbound.leased_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_have_the_whole_of_it_and_count_together() {
        let memory = BodyMemory::new(100);
        let (inbound, outbound) = (memory.inbound.lease(100), memory.outbound.lease(60));
        assert!(inbound.is_some() && outbound.is_some() && memory.inbound.lease(1).is_none());
        assert_eq!(memory.leased_bytes(), 160);
        memory.set_bytes_max(110);
        assert!(memory.inbound.lease(10).is_some() && memory.inbound.lease(11).is_none());
        assert!(memory.outbound.lease(50).is_some() && memory.outbound.lease(51).is_none());
    }
}
