//! The memory of a core for what its clients send and have not taken.
//!
//! **Not** the send buffers: the reactor counts those.

use std::rc::Rc;

use store_runtime::budget::{Budget, Oversize};

use crate::settings::EdgeLimits;

/// The budgets of a core's connections.
pub(crate) struct ConnectionMemory {
    /// For request bodies.
    pub(crate) inbound: Rc<Budget>,
    /// For copies of values that clients have not taken yet.
    pub(crate) outbound: Rc<Budget>,
    /// For what has come of heads that have not come whole.
    pub(crate) heads_in_part: Rc<Budget>,
}

impl ConnectionMemory {
    /// With the bounds of these limits.
    pub(crate) fn new(limits: &EdgeLimits) -> Self {
        let budget = |bytes_max| Budget::new(bytes_max, Oversize::Refuse);
        ConnectionMemory {
            inbound: budget(limits.body_memory_bytes),
            outbound: budget(limits.body_memory_bytes),
            heads_in_part: budget(limits.connection_memory_bytes),
        }
    }

    /// Has these bounds from now on.
    pub(crate) fn adopt(&self, limits: &EdgeLimits) {
        self.inbound.set_bytes_max(limits.body_memory_bytes);
        self.outbound.set_bytes_max(limits.body_memory_bytes);
        self.heads_in_part.set_bytes_max(limits.connection_memory_bytes);
    }

    /// Of bodies, in both directions together.
    pub(crate) fn body_bytes(&self) -> usize {
        self.inbound.leased_bytes() + self.outbound.leased_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_has_the_whole_of_its_bound() {
        let limits = |text: &'static str| crate::snapshot::fixture::snapshot(1, text).settings.limits.clone();
        let memory = ConnectionMemory::new(&limits(
            "[limits]\nbody_bytes = \"1KiB\"\nbody_memory_bytes = \"100KiB\"\nconnection_memory_bytes = \"2MiB\"\n",
        ));
        let kib = |count: usize| count << 10;
        let (inbound, outbound) = (memory.inbound.lease(kib(100)), memory.outbound.lease(kib(60)));
        let heads = memory.heads_in_part.lease(kib(2048));
        assert!(inbound.is_some() && outbound.is_some() && heads.is_some());
        assert!(memory.inbound.lease(1).is_none() && memory.heads_in_part.lease(1).is_none());
        assert_eq!(memory.body_bytes(), kib(160));
        memory.adopt(&limits(
            "[limits]\nbody_bytes = \"1KiB\"\nbody_memory_bytes = \"110KiB\"\nconnection_memory_bytes = \"3MiB\"\n",
        ));
        assert!(memory.inbound.lease(kib(10)).is_some() && memory.inbound.lease(kib(11)).is_none());
        assert!(memory.outbound.lease(kib(50)).is_some() && memory.outbound.lease(kib(51)).is_none());
        assert!(memory.heads_in_part.lease(kib(1024)).is_some() && memory.heads_in_part.lease(kib(1025)).is_none());
    }
}
