//! Slots that have gone to another node: a core drops what it holds of them, in slices between requests.
//!
//! ```text
//!  settled ── a map without some of our slots ──▶ dropping ── last slice ──▶ settled, Dropped to the control core
//!             nothing of them is shown from here on         reads in place of this shard wait for the sweep as hops
//! ```
//!
//! **Not**: which items those are, and that they are never shown again; that is [`shardstore::shard::Shard::disown`].
//!
//! **Invariants**: a core that is settled at an epoch holds nothing that was stored before its slot left; other cores read its
//! shard in place only then.
//!
//! **Source**: docs/operations.md, "What a change of the topology drops".

use std::cell::Cell;
use std::sync::atomic::Ordering;

use reactor::local::Notify;
use reactor::{CoreId, Instant, Reactor};
use shardstore::key::{KeyHash, SlotId};
use shardstore::placement::Topology;
use shardstore::planted::PlantedBug;

use super::NodeCore;
use crate::message::NodeMessage;

/// What a core knows of its slots that have left.
pub(super) struct Disowning {
    /// Items of slots that have left may still be there.
    active: Cell<bool>,
    /// Items dropped that the control core has not been told of.
    untold: Cell<u64>,
    /// Slots have left.
    begun: Notify,
}

impl Disowning {
    pub(super) fn new(reactor: &Reactor) -> Self {
        Disowning { active: Cell::new(false), untold: Cell::new(0), begun: Notify::new(reactor) }
    }
}

impl NodeCore {
    /// Begins to drop the slots that were ours by `before`, and are not by the map in force, or were not in between.
    pub(super) fn disown_lost(&self, before: &Topology) {
        let topology = self.topology.borrow();
        let lost: Vec<SlotId> = before.slots_lost(self.me, &topology).collect();
        // Where it is planted, what slots held is kept: the simulation must find that (docs/testing.md, "The planted bugs").
        if !lost.is_empty() && !PlantedBug::KeptSlots.is_planted() {
            self.disowning.active.set(true);
            self.store.release_held(|slot| lost.binary_search(&slot).is_ok());
            self.store.shard().disown(lost);
            self.disowning.begun.notify();
        }
        self.publish_settled(topology.epoch());
    }

    fn publish_settled(&self, epoch: u32) {
        let settled = if self.disowning.active.get() { 0 } else { epoch };
        self.shared.settled[self.reactor.core().index()].store(settled, Ordering::Release);
    }

    /// Whether another core's shard holds nothing but what is its to show under the map that is in force here.
    #[inline]
    pub(super) fn is_settled(&self, core: CoreId) -> bool {
        self.shared.settled[core.index()].load(Ordering::Acquire) == self.topology_epoch()
    }

    /// Drops a key's item if it was stored before its slot left. For use before any operation on a key of this core.
    #[inline]
    pub(super) fn purge(&self, hash: KeyHash, key: &[u8]) {
        if self.disowning.active.get() {
            self.purge_now(hash, key);
        }
    }

    #[cold]
    fn purge_now(&self, hash: KeyHash, key: &[u8]) {
        let dropped = self.store.shard().purge(hash, key, self.reactor.steady_ms());
        self.disowning.untold.set(self.disowning.untold.get() + u64::from(dropped));
    }

    /// Waits until slots have left, or until then.
    pub(super) async fn until_disowning(&self, until: Instant) {
        let _ = self.reactor.until(until, self.disowning.begun.notified()).await;
    }

    /// Drops all that is to be dropped, a slice after all other ready tasks.
    pub(super) async fn drop_disowned(&self) {
        while self.disowning.active.get() {
            let slice = self.store.shard().sweep(self.reactor.steady_ms());
            let items = self.disowning.untold.get() + slice.dropped;
            self.disowning.untold.set(items);
            if slice.is_done {
                let epoch = self.topology_epoch();
                self.disowning.active.set(false);
                self.disowning.untold.set(0);
                self.publish_settled(epoch);
                self.publish();
                self.mail.deliver(self.store.cores().control(), NodeMessage::Dropped { epoch, items });
            }
            self.reactor.yield_now().await;
        }
    }
}
