//! The topology: the nodes of a cluster and the owner of every slot.
//!
//! **Not**: how it was read (`parse`) or how owners are proposed (`rendezvous`).
//!
//! **Invariants**: nodes are in ascending order of their ids; every entry of the owner table names a node that exists.
//!
//! **Source**: docs/wire.md, "Epochs and placement".

use std::sync::Arc;

use super::node::{Node, NodeId};
use super::range::SlotRange;
use super::rendezvous;
use crate::key::{KeyHasher, SLOT_COUNT, SlotId};
use crate::wire::checksum;
use crate::wire::map_digest::{BlockOwners, MapDigest};

/// Most nodes of a cluster: the owner table names them in 16 bits, and 16384 slots over more would be uneven.
pub const NODES_MAX: usize = 4096;

const _: () = assert!(NODES_MAX <= u16::MAX as usize);

/// Who owns which slot; immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    pub(super) cluster: Arc<str>,
    pub(super) epoch: u32,
    pub(super) hash_seed: u64,
    pub(super) text: Arc<str>,
    nodes: Vec<Node>,
    /// Position in `nodes` of each slot's owner.
    owners: Box<[u16]>,
    digest: Arc<MapDigest>,
}

/// What a file says, checked piece by piece; the parser makes it.
pub(super) struct TopologyDraft {
    pub(super) cluster: String,
    pub(super) epoch: u32,
    pub(super) hash_seed: Option<u64>,
    pub(super) nodes: Vec<Node>,
    pub(super) assigned: Vec<(SlotRange, NodeId)>,
}

impl Topology {
    /// Builds the map of a checked plan.
    ///
    /// # Panics
    ///
    /// When the plan has no node, or assigns to one it does not have: the parser refuses both.
    pub(super) fn from_plan(mut plan: TopologyDraft, text: &str) -> Self {
        assert!((1..=NODES_MAX).contains(&plan.nodes.len()), "the parser bounds the number of nodes");
        plan.nodes.sort_by_key(|node| node.id);
        let bidders: Vec<_> = plan.nodes.iter().map(|node| (node.id, node.weight_milli)).collect();
        let mut owners: Box<[u16]> = SlotId::all().map(|slot| rendezvous::propose(slot, &bidders) as u16).collect();
        for (range, id) in plan.assigned {
            let owner = bidders.binary_search_by_key(&id, |&(id, _)| id).expect("the parser knows the assigned node");
            owners[range.indices()].fill(owner as u16);
        }
        let prints: Vec<u32> = plan.nodes.iter().map(fingerprint).collect();
        let digest = Arc::new(MapDigest::of(|slot| prints[usize::from(owners[slot])]));
        Self {
            digest,
            hash_seed: plan.hash_seed.unwrap_or_else(|| default_seed(&plan.cluster)),
            cluster: plan.cluster.into(),
            epoch: plan.epoch,
            text: text.into(),
            nodes: plan.nodes,
            owners,
        }
    }

    /// The cluster's name.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Epoch of the file this came from, at least 1.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Seed of the cluster's key hash: the file's `hash_seed`, else one derived from the cluster's name.
    #[must_use]
    pub const fn hash_seed(&self) -> u64 {
        self.hash_seed
    }

    /// The text of the file this came from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Digest of the owners of all slots and their addresses.
    #[must_use]
    pub const fn digest(&self) -> &Arc<MapDigest> {
        &self.digest
    }

    /// The owners of the block of slots that begins at `first`, as [`Topology::digest`] has them.
    ///
    /// # Panics
    ///
    /// When no block begins there.
    #[must_use]
    pub fn block_owners(&self, first: usize) -> BlockOwners {
        BlockOwners::of(first, |slot| fingerprint(&self.nodes[usize::from(self.owners[slot])]))
    }

    /// The nodes, in ascending order of their ids; at least one.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node with this id.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        let position = self.nodes.binary_search_by_key(&id, |node| node.id).ok()?;
        Some(&self.nodes[position])
    }

    /// The node that owns a slot.
    #[inline]
    #[must_use]
    pub fn owner(&self, slot: SlotId) -> &Node {
        &self.nodes[usize::from(self.owners[slot.index()])]
    }

    /// The epoch of a slot, which is that of the file: what a request for it carries.
    #[inline]
    #[must_use]
    pub const fn slot_epoch(&self, _: SlotId) -> u32 {
        self.epoch
    }

    /// The largest range around `slot` that has its owner: what MOVED says, so that an asker learns as
    /// much as possible from one answer.
    #[must_use]
    pub fn owner_range(&self, slot: SlotId) -> SlotRange {
        let same = |index: &usize| self.owners[*index] == self.owners[slot.index()];
        let below = (0..slot.index()).rev().take_while(same).count();
        let above = (slot.index() + 1..usize::from(SLOT_COUNT)).take_while(same).count();
        let at = |index: usize| SlotId::new(index as u16).expect("both ends stay within the table");
        SlotRange::new(at(slot.index() - below), at(slot.index() + above)).expect("it contains the slot")
    }

    /// How many slots a node owns.
    #[must_use]
    pub fn owned_slots(&self, id: NodeId) -> usize {
        let Ok(position) = self.nodes.binary_search_by_key(&id, |node| node.id) else {
            return 0;
        };
        self.owners.iter().filter(|&&owner| usize::from(owner) == position).count()
    }

    /// The slots whose items node `me` has to drop when `next` follows this map: those that go to another node. When epochs
    /// lie between the two, a slot may have gone and come back unseen, so that all that `me` owns are.
    pub fn slots_lost<'a>(&'a self, me: NodeId, next: &'a Topology) -> impl Iterator<Item = SlotId> + 'a {
        let is_next = next.epoch() <= self.epoch().saturating_add(1);
        let is_lost = move |slot: &SlotId| self.owner(*slot).id == me && !(is_next && next.owner(*slot).id == me);
        SlotId::all().filter(is_lost)
    }
}

/// What tells a node from others in a digest.
fn fingerprint(node: &Node) -> u32 {
    checksum(format!("{} {}", node.id, node.address).as_bytes())
}

/// A seed for clusters that name none. It separates clusters, but whoever knows the name knows the seed; a cluster whose
/// clients are not trusted sets `hash_seed`.
fn default_seed(cluster: &str) -> u64 {
    KeyHasher::new(0).hash(cluster.as_bytes()).index()
}
