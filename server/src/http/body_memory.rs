//! Memory for bodies: what a core is receiving, and what it has copied for clients that have not taken it yet.
//!
//! **Not** for values that are pinned in the shard and sent in place; the shard bounds those.
//!
//! **Invariants**: all holdings of a core together stay within `body_memory_bytes`; a holding is given back when it is
//! dropped, in whatever way its connection ends.

use std::rc::Rc;

use crate::edge::EdgeCore;

/// A part of a core's memory for bodies.
pub(crate) struct BodyMemory {
    core: Rc<EdgeCore>,
    bytes: usize,
}

impl BodyMemory {
    /// Nothing yet.
    pub(crate) fn new(core: &Rc<EdgeCore>) -> Self {
        BodyMemory { core: Rc::clone(core), bytes: 0 }
    }

    /// So many bytes, or `None` where that would pass the bound.
    pub(crate) fn take(core: &Rc<EdgeCore>, bytes: usize) -> Option<Self> {
        let mut memory = BodyMemory::new(core);
        memory.grow(bytes).then_some(memory)
    }

    /// Takes more; false, with nothing changed and the refusal counted, where that would pass the bound.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let total = self.core.body_bytes.get() + bytes;
        if total > self.core.settings.limits.body_memory_bytes {
            self.core.metrics.bodies_shed.increment();
            return false;
        }
        self.core.body_bytes.set(total);
        self.bytes += bytes;
        true
    }
}

impl Drop for BodyMemory {
    fn drop(&mut self) {
        self.core.body_bytes.set(self.core.body_bytes.get() - self.bytes);
    }
}
