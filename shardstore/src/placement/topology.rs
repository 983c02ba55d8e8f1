//! The topology: the nodes of a cluster and the owner of every slot.
//!
//! **Not**: how it was read (`parse`) or how owners are proposed (`rendezvous`).
//!
//! **Invariants**: nodes are in ascending order of their ids; every entry of the owner table names a node that exists; a
//! slot's epoch is the topology's, or a later one that a patch brought.
//!
//! **Source**: docs/wire.md, "Epochs and placement".

use std::net::SocketAddr;
use std::sync::Arc;

use super::node::{Node, NodeId};
use super::range::SlotRange;
use super::rendezvous;
use crate::key::{KeyHasher, SLOT_COUNT, SlotId};

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
    /// Epoch of each slot.
    epochs: Box<[u32]>,
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
        Self {
            hash_seed: plan.hash_seed.unwrap_or_else(|| default_seed(&plan.cluster)),
            cluster: plan.cluster.into(),
            epoch: plan.epoch,
            text: text.into(),
            nodes: plan.nodes,
            owners,
            epochs: vec![plan.epoch; usize::from(SLOT_COUNT)].into_boxed_slice(),
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

    /// The epoch of a slot: what a request for it carries.
    #[inline]
    #[must_use]
    pub fn slot_epoch(&self, slot: SlotId) -> u32 {
        self.epochs[slot.index()]
    }

    /// The largest range around `slot` that has its owner and its epoch: what MOVED says, so that an asker learns as
    /// much as possible from one answer.
    #[must_use]
    pub fn owner_range(&self, slot: SlotId) -> SlotRange {
        let same = |index: &usize| {
            self.owners[*index] == self.owners[slot.index()] && self.epochs[*index] == self.epochs[slot.index()]
        };
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

    /// The map with what a MOVED answer says: `node` at `address` owns `range` as of `epoch`.
    ///
    /// Slots that are known at this epoch or a later one stay as they are, so that answers that arrive late change
    /// nothing. A node that was not known is added. A cluster that is full of nodes stays as it is.
    #[must_use]
    pub fn patch(&self, range: SlotRange, epoch: u32, node: NodeId, address: SocketAddr) -> Self {
        let mut patched = self.clone();
        if range.indices().all(|slot| self.epochs[slot] >= epoch) {
            return patched;
        }
        let Some(position) = patched.place_node(node, address) else {
            return patched;
        };
        for slot in range.indices() {
            if patched.epochs[slot] < epoch {
                patched.owners[slot] = position;
                patched.epochs[slot] = epoch;
            }
        }
        patched
    }

    /// The position of a node, which is given this address, or added; `None` when there is no room for one more.
    fn place_node(&mut self, id: NodeId, address: SocketAddr) -> Option<u16> {
        match self.nodes.binary_search_by_key(&id, |node| node.id) {
            Ok(position) => {
                self.nodes[position].address = address;
                Some(position as u16)
            }
            Err(_) if self.nodes.len() >= NODES_MAX => None,
            Err(position) => {
                self.nodes.insert(position, Node { id, address, weight_milli: 1000, zone: String::new() });
                for owner in self.owners.iter_mut().filter(|owner| usize::from(**owner) >= position) {
                    *owner += 1;
                }
                Some(position as u16)
            }
        }
    }
}

/// A seed for clusters that name none. It separates clusters, but whoever knows the name knows the seed; a cluster whose
/// clients are not trusted sets `hash_seed`.
fn default_seed(cluster: &str) -> u64 {
    KeyHasher::new(0).hash(cluster.as_bytes()).index()
}
