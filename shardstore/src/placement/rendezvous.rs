//! Weighted rendezvous hashing: proposes an owner for a slot.
//!
//! Every (node, slot) pair draws a number u in (0, 1] from a hash; the owner is the node with the smallest -log(u) / weight.
//! A node that is added takes slots only for itself, one that is removed gives up only its own, and a node's share of the
//! slots is its share of the weight.
//!
//! **Not**: the owner: the map is what counts, and `[[assign]]` overrides a proposal.
//!
//! **Invariants**: integer arithmetic only; the draw depends on the node's id and the slot and on nothing else, so a new
//! address, zone or file order moves no slot.
//!
//! **Source**: Schindelhauer and Schomaker, "Weighted distributed hash tables"; Steele, Lea and Flood, "Fast splittable
//! pseudorandom number generators" (the mix of SplitMix64).

use super::log::{FRACTION_BITS, log2};
use super::node::{NodeId, WEIGHT_MILLI_MAX};
use crate::key::SlotId;

// A cost is below 64 in its integer part and is multiplied by a weight when two are compared.
const _: () = assert!((64_u64 << FRACTION_BITS).checked_mul(WEIGHT_MILLI_MAX as u64).is_some());

/// One node's draw for a slot.
#[derive(Clone, Copy)]
struct Bid {
    /// -log2(u), fixed point.
    cost: u64,
    weight_milli: u32,
}

impl Bid {
    /// Whether this bid wins over `other`: cost / weight, compared without dividing.
    fn beats(self, other: Self) -> bool {
        self.cost * u64::from(other.weight_milli) < other.cost * u64::from(self.weight_milli)
    }
}

/// The position within `nodes` of the proposed owner of `slot`.
///
/// Ties go to the earlier node; the caller passes them in ascending order of their ids.
///
/// # Panics
///
/// When `nodes` is empty: a topology has at least one node.
pub(super) fn propose(slot: SlotId, nodes: &[(NodeId, u32)]) -> usize {
    let bid = |&(id, weight_milli): &(NodeId, u32)| Bid { cost: cost(id, slot), weight_milli };
    let mut best = bid(nodes.first().expect("a topology has at least one node"));
    let mut winner = 0;
    for (position, node) in nodes.iter().enumerate().skip(1) {
        let candidate = bid(node);
        if candidate.beats(best) {
            (best, winner) = (candidate, position);
        }
    }
    winner
}

/// -log2(u) of the pair's draw, with [`FRACTION_BITS`] fraction bits.
fn cost(node: NodeId, slot: SlotId) -> u64 {
    let draw = mix(mix(u64::from(node.0)) ^ u64::from(slot.number()));
    // u = draw / 2^64 with 0 read as the smallest step above it.
    (64 << FRACTION_BITS) - log2(draw.max(1))
}

/// The step and mix of SplitMix64.
const fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
