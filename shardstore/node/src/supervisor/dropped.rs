//! What became of slots that have left this node: how many items the cores have dropped of them.
//!
//! ```text
//!  a map without some of our slots ──▶ running ── every core has said Dropped ──▶ one line of the log
//! ```
//!
//! **Not** dropping; the cores do.
//!
//! **Invariants**: a change that takes slots leads to one line with their number and that of their items; changes that follow
//! each other before the cores are done share one.
//!
//! **Source**: docs/operations.md, "What a change of the topology drops".

use std::collections::BTreeSet;
use std::fmt::Display;

use control::log::LogLevel;
use reactor::CoreId;
use serde_json::{Value, json};
use shardstore::placement::Topology;

use super::NodeSupervisor;

/// What was lost to changes of the topology.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    /// The change under way, whose items are still being dropped.
    running: Option<RunningDrop>,
    /// The last change that took slots and is done.
    last: Option<SlotLoss>,
}

#[derive(Debug)]
struct RunningDrop {
    change: SlotLoss,
    /// Cores that have dropped all up to its epoch.
    done: BTreeSet<u16>,
}

/// Slots that left, and what was in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SlotLoss {
    epoch: u32,
    slots: u64,
    items: u64,
}

impl SlotLoss {
    fn to_json(self) -> Value {
        json!({ "epoch": self.epoch, "slots": self.slots, "items": self.items })
    }
}

impl Dropped {
    /// Begins a change that takes so many slots; one that is under way becomes a part of it.
    fn begin(&mut self, epoch: u32, slots: u64) {
        if slots == 0 {
            return;
        }
        let earlier = self.running.take().map_or((0, 0), |running| (running.change.slots, running.change.items));
        let change = SlotLoss { epoch, slots: earlier.0 + slots, items: earlier.1 };
        self.running = Some(RunningDrop { change, done: BTreeSet::new() });
    }

    /// Notes that a core has dropped so many items, and all that has left up to `epoch`; the change, if that was the last of `cores`.
    fn note(&mut self, core: CoreId, epoch: u32, items: u64, cores: u16) -> Option<SlotLoss> {
        let running = self.running.as_mut()?;
        running.change.items += items;
        if epoch >= running.change.epoch {
            running.done.insert(core.0);
        }
        if running.done.len() < usize::from(cores) {
            return None;
        }
        self.last = self.running.take().map(|running| running.change);
        self.last
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "running": self.running.as_ref().map(|running| running.change.to_json()),
            "last": self.last.map(SlotLoss::to_json),
        })
    }
}

impl NodeSupervisor {
    /// Notes that this node loses so many slots to the map that follows the one in force.
    pub(super) fn note_lost(&self, next: &Topology, slots: u64) {
        let current = self.topology.borrow();
        if next.epoch() > current.epoch().saturating_add(1) {
            let remedy = "raise the epoch by one, and let every node read each file";
            self.event(
                LogLevel::Warn,
                "epochs_skipped",
                &[("from", &current.epoch()), ("to", &next.epoch()), ("remedy", &remedy)],
            );
        }
        self.dropped.borrow_mut().begin(next.epoch(), slots);
    }

    /// A core has dropped all that has left up to `epoch`.
    pub(super) fn note_dropped(&self, core: CoreId, epoch: u32, items: u64) {
        let over = self.dropped.borrow_mut().note(core, epoch, items, self.shared.cores);
        let Some(change) = over else { return };
        let fields: [(&'static str, &dyn Display); 3] =
            [("epoch", &change.epoch), ("slots", &change.slots), ("items", &change.items)];
        self.event(if change.items > 0 { LogLevel::Warn } else { LogLevel::Info }, "slots_dropped", &fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_over_when_every_core_has_dropped_up_to_its_epoch() {
        let mut dropped = Dropped::default();
        assert_eq!(dropped.note(CoreId(0), 1, 5, 2), None, "nothing has left");
        dropped.begin(2, 0);
        assert_eq!(dropped.to_json(), json!({ "running": null, "last": null }), "a change that takes nothing is none");
        dropped.begin(2, 100);
        assert_eq!(dropped.note(CoreId(0), 2, 5, 2), None);
        assert_eq!(dropped.note(CoreId(0), 2, 1, 2), None, "the same core once more");
        let running = json!({ "epoch": 2, "slots": 100, "items": 6 });
        assert_eq!(dropped.to_json(), json!({ "running": running, "last": null }));
        // Another change begins before core 1 is done: they are told as one.
        dropped.begin(3, 11);
        assert_eq!(dropped.note(CoreId(1), 2, 20, 2), None, "that was of the first change");
        assert_eq!(dropped.note(CoreId(0), 3, 300, 2), None);
        let over = SlotLoss { epoch: 3, slots: 111, items: 326 };
        assert_eq!(dropped.note(CoreId(1), 4, 0, 2), Some(over));
        let last = json!({ "epoch": 3, "slots": 111, "items": 326 });
        assert_eq!(dropped.to_json(), json!({ "running": null, "last": last }));
        assert_eq!(dropped.note(CoreId(1), 4, 1, 2), None);
    }
}
