//! What a node does with a request, by the slot's owner and the sender's epoch.
//!
//! ```text
//!                    sender older       same epoch      sender newer
//!  owner             serve and hint     serve           stale
//!  not owner         moved              moved           stale
//! ```
//!
//! **Not**: re-reading the topology or patching a map.
//!
//! **Invariants**: a node never serves a slot by an older map than its sender has seen.
//!
//! **Source**: docs/wire.md, "Epochs and placement".

use std::cmp::Ordering;

use super::node::NodeId;
use super::topology::Topology;
use crate::key::SlotId;

/// What a node does with a request for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Serve it.
    Serve,
    /// Serve it, and set MAP_HINT: the sender's map is older.
    ServeAndHint,
    /// Answer MOVED: another node owns the slot.
    Moved,
    /// Answer STALE, and read the topology again: the sender has seen a newer one.
    Stale,
}

impl Topology {
    /// What node `me` does with a request for `slot` from a sender who knows it at `sender_epoch`.
    #[inline]
    #[must_use]
    pub fn check_epoch(&self, me: NodeId, slot: SlotId, sender_epoch: u32) -> Verdict {
        let owned = self.owner(slot).id == me;
        match (sender_epoch.cmp(&self.slot_epoch(slot)), owned) {
            (Ordering::Greater, _) => Verdict::Stale,
            (_, false) => Verdict::Moved,
            (Ordering::Equal, true) => Verdict::Serve,
            (Ordering::Less, true) => Verdict::ServeAndHint,
        }
    }
}
