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
#[derive(Clone, Copy, Debug)]
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
        if slots > 0 {
            let mut dropped = self.dropped.borrow_mut();
            let earlier = dropped.running.take().map_or((0, 0), |running| (running.change.slots, running.change.items));
            let change = SlotLoss { epoch: next.epoch(), slots: earlier.0 + slots, items: earlier.1 };
            dropped.running = Some(RunningDrop { change, done: BTreeSet::new() });
        }
    }

    /// A core has dropped all that has left up to `epoch`.
    pub(super) fn note_dropped(&self, core: CoreId, epoch: u32, items: u64) {
        let mut dropped = self.dropped.borrow_mut();
        let Some(running) = &mut dropped.running else { return };
        running.change.items += items;
        if epoch >= running.change.epoch {
            running.done.insert(core.0);
        }
        if running.done.len() < usize::from(self.shared.cores) {
            return;
        }
        let change = running.change;
        dropped.running = None;
        dropped.last = Some(change);
        let fields: [(&'static str, &dyn Display); 3] =
            [("epoch", &change.epoch), ("slots", &change.slots), ("items", &change.items)];
        self.event(if change.items > 0 { LogLevel::Warn } else { LogLevel::Info }, "slots_dropped", &fields);
    }
}
