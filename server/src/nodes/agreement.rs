//! Which nodes have the map that this edge has, of the epoch in force.
//!
//! ```text
//!  of the nodes that have told, for a block of slots    most have our owners ──▶ its slots are asked for
//!                                                       most have others     ──▶ its slots are refused
//! ```
//!
//! **Not** an election: nodes that have not told do not count, and edges and nodes that never meet do not learn of each other.
//!
//! **Invariants**: of two edges whose maps of one epoch give a slot different owners, and that have heard the same nodes, at most one
//! asks for it. A minority of nodes takes no slot from an edge, whatever it says.
//!
//! **Source**: docs/topology.md, "Two files of one epoch".

use std::collections::BTreeMap;

use shardstore::key::SlotId;
use shardstore::placement::NodeId;
use shardstore::wire::map_digest::SLOTS_PER_BLOCK;

/// What nodes have told of their maps of one epoch.
#[derive(Debug, Default)]
pub(super) struct Agreement {
    epoch: u32,
    /// By node: the blocks of slots whose owners differ from ours; none in a node that agrees.
    told: BTreeMap<NodeId, u128>,
    /// The blocks whose owners are others by most of the nodes that have told.
    disputed: u128,
}

impl Agreement {
    /// The map of this epoch is in force from now on.
    pub(super) fn of_epoch(epoch: u32) -> Self {
        Agreement { epoch, ..Agreement::default() }
    }

    /// A node has told its map of an epoch; `differing`: as [`shardstore::wire::map_digest::MapDigest::differences`] has it.
    pub(super) fn note(&mut self, node: NodeId, epoch: u32, differing: u128) {
        if epoch == self.epoch && self.told.insert(node, differing) != Some(differing) {
            self.judge();
        }
    }

    /// A node has another epoch by now, or is not met any more.
    pub(super) fn forget(&mut self, node: NodeId) {
        if self.told.remove(&node).is_some() {
            self.judge();
        }
    }

    fn judge(&mut self) {
        let any = self.told.values().fold(0, |any, differing| any | differing);
        let blocks = (0..u128::BITS).map(|block| 1 << block).filter(|block| any & block != 0);
        self.disputed = blocks.filter(|block| self.is_outvoted(*block)).sum();
    }

    /// Whether most nodes have other owners for a block; where they are as many as the others, the lowest id decides.
    fn is_outvoted(&self, block: u128) -> bool {
        let against = self.told.values().filter(|differing| **differing & block != 0).count();
        let lowest_is_against = self.told.values().next().is_some_and(|differing| differing & block != 0);
        2 * against > self.told.len() || 2 * against == self.told.len() && lowest_is_against
    }

    /// Whether a slot has another owner by most nodes.
    pub(super) const fn is_disputed(&self, slot: SlotId) -> bool {
        self.disputed >> (slot.index() / SLOTS_PER_BLOCK) & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(number: u16) -> SlotId {
        SlotId::new(number).unwrap()
    }

    fn heard(told: &[(u32, u128)]) -> Agreement {
        let mut agreement = Agreement::of_epoch(5);
        told.iter().for_each(|(node, differing)| agreement.note(NodeId(*node), 5, *differing));
        agreement
    }

    #[test]
    fn most_nodes_decide_block_by_block_and_the_lowest_id_where_they_are_as_many() {
        const BLOCK: u128 = 1 << 2;
        let cases: &[(&[(u32, u128)], bool)] = &[
            (&[], false),
            (&[(1, 0), (2, 0)], false),
            (&[(1, BLOCK)], true),
            (&[(1, 0), (2, BLOCK)], false),
            (&[(1, BLOCK), (2, 0)], true),
            (&[(1, BLOCK), (2, 0), (3, 0)], false),
            (&[(1, 0), (2, BLOCK), (3, BLOCK)], true),
            (&[(1, 0), (2, u128::MAX), (3, 1)], false),
        ];
        for (told, disputed) in cases {
            let agreement = heard(told);
            assert_eq!(agreement.is_disputed(slot(2 * 128)), *disputed, "{told:?}");
            assert_eq!(agreement.is_disputed(slot(3 * 128 - 1)), *disputed, "{told:?}");
            assert!(!agreement.is_disputed(slot(2 * 128 - 1)) && !agreement.is_disputed(slot(3 * 128)), "{told:?}");
        }
    }

    /// Whatever each of four nodes has: two edges never ask for a slot both.
    #[test]
    fn of_two_maps_at_most_one_is_followed() {
        for votes in 0..3_u32.pow(4) {
            let of = |node: u32| votes / 3_u32.pow(node) % 3;
            let told = |map: u32| -> Vec<(u32, u128)> {
                // 2: it has not told.
                let all = (0..4).filter(|node| of(*node) < 2);
                all.map(|node| (node, u128::from(of(node) != map))).collect()
            };
            let asks = [0, 1].map(|map| !heard(&told(map)).is_disputed(slot(0)));
            assert!(asks != [true; 2] || told(0).is_empty(), "{votes}");
        }
    }

    #[test]
    fn another_epoch_begins_anew() {
        let mut agreement = heard(&[(1, u128::MAX)]);
        agreement.note(NodeId(2), 4, 0);
        agreement.note(NodeId(3), 6, 0);
        assert!(agreement.is_disputed(slot(16383)), "of other epochs nothing counts");
        agreement = Agreement::of_epoch(6);
        assert!(!agreement.is_disputed(slot(16383)));
        agreement.note(NodeId(1), 6, 1 << 127);
        assert!(agreement.is_disputed(slot(16383)) && !agreement.is_disputed(slot(0)));
        agreement.note(NodeId(1), 6, 0);
        assert!(!agreement.is_disputed(slot(16383)), "it has another file by now");
        agreement.note(NodeId(2), 6, u128::MAX);
        agreement.forget(NodeId(1));
        assert!(agreement.is_disputed(slot(0)), "the one that is left has another");
        agreement.forget(NodeId(2));
        agreement.forget(NodeId(3));
        assert!(!agreement.is_disputed(slot(0)));
    }
}
