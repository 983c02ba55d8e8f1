//! What cores are to decide by, on its way to them.
//!
//! **Invariants**: every core gets every snapshot, in order, since what a core drops follows from the change; one whose mailbox is full
//! holds up no other.

use std::collections::VecDeque;
use std::sync::Arc;

use reactor::CoreId;

/// Snapshots that cores have not been sent yet.
#[derive(Debug)]
pub(super) struct SnapshotQueue<S>(VecDeque<(CoreId, Arc<S>)>);

impl<S> Default for SnapshotQueue<S> {
    fn default() -> Self {
        SnapshotQueue(VecDeque::new())
    }
}

impl<S> SnapshotQueue<S> {
    /// Queues a snapshot for so many cores.
    pub(super) fn push(&mut self, cores: u16, snapshot: &Arc<S>) {
        self.0.extend((0..cores).map(|core| (CoreId(core), Arc::clone(snapshot))));
    }

    /// Sends what there is room for; returns the cores that had none.
    pub(super) fn send(&mut self, mut send: impl FnMut(CoreId, Arc<S>) -> bool) -> Vec<CoreId> {
        let mut full: Vec<CoreId> = Vec::new();
        for (core, snapshot) in std::mem::take(&mut self.0) {
            if full.contains(&core) {
                self.0.push_back((core, snapshot));
            } else if !send(core, Arc::clone(&snapshot)) {
                full.push(core);
                self.0.push_back((core, snapshot));
            }
        }
        full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_without_room_gets_every_snapshot_in_order_and_holds_up_nobody() {
        let mut queue = SnapshotQueue::default();
        let (mut got, mut tries) = (Vec::new(), 0);
        for snapshot in [1, 2] {
            queue.push(3, &Arc::new(snapshot));
        }
        let full = queue.send(|core, snapshot| {
            tries += 1;
            got.push((core.0, *snapshot));
            core.0 != 1
        });
        assert_eq!((full, tries), (vec![CoreId(1)], 5), "behind one that did not fit nothing is tried");
        assert_eq!(got, [(0, 1), (1, 1), (2, 1), (0, 2), (2, 2)]);
        queue.push(3, &Arc::new(3));
        got.clear();
        let full = queue.send(|core, snapshot| {
            got.push((core.0, *snapshot));
            true
        });
        assert_eq!((got, full), (vec![(1, 1), (1, 2), (0, 3), (1, 3), (2, 3)], Vec::new()));
        assert_eq!(queue.send(|_, _| panic!("nothing is left")), []);
    }
}
