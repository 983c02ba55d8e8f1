//! Whether a key belongs to this node and to which of its cores.
//!
//! **Not**: what is done with it.
//!
//! **Invariants**: a key is placed by its own hash; a frame's slot that disagrees with it is refused, since its epoch would
//! be that of another slot.
//!
//! **Source**: docs/wire.md, "Epochs and placement".

use std::sync::Arc;
use std::time::Duration;

use reactor::CoreId;
use shardstore::key::{KeyHash, SlotId, StoredKey};
use shardstore::placement::{Topology, Verdict};
use shardstore::wire::ext::Moved;
use shardstore::wire::header::CORE_ANY;
use shardstore::wire::{Flags, FrameError, Status};

use super::answer::OwnedResponse;
use super::context::RequestContext;
use super::respond::BUSY_RETRY_US;
use super::{NodeCore, note};
use crate::message::NodeMessage;
use crate::metrics::Event;

/// How often the control core is asked at most: it reads a file then, and a peer may claim any epoch.
const HINT_INTERVAL: Duration = Duration::from_millis(20);

/// The owner of a key.
#[derive(Debug)]
pub(super) enum Ownership {
    /// Here.
    Here,
    /// To another core of this node.
    Core(CoreId),
    /// Not to this node, or the asker knows better: this is the answer.
    Elsewhere(Box<OwnedResponse>),
}

impl NodeCore {
    /// Hashes a key that came in a frame.
    ///
    /// # Errors
    /// [`FrameError::BadKey`] when it is no stored key; the peer's fault.
    #[inline]
    pub(super) fn hash(&self, key: &[u8]) -> Result<KeyHash, FrameError> {
        StoredKey::split(key).map_err(|_| FrameError::BadKey)?;
        Ok(self.hasher.hash(key))
    }

    /// Places a key, and notes in `reply` what the answer will say about its slot. `epoch` is the asker's.
    #[inline]
    pub(super) fn place(&self, hash: KeyHash, epoch: u32, reply: &mut RequestContext) -> Ownership {
        let slot = hash.slot();
        if slot != reply.slot {
            note(self, Event::SlotMismatch);
            return Ownership::Elsewhere(Box::new(OwnedResponse::status(Status::Unsupported)));
        }
        let topology = self.topology.borrow();
        reply.slot_epoch = topology.slot_epoch(slot);
        match topology.check_epoch(self.me, slot, epoch) {
            Verdict::Serve => {}
            Verdict::ServeAndHint => {
                note(self, Event::Hinted);
                reply.flags |= Flags::MAP_HINT;
            }
            Verdict::Moved => return Ownership::Elsewhere(Box::new(self.moved(slot))),
            Verdict::Stale => {
                self.want_topology(epoch);
                return Ownership::Elsewhere(Box::new(OwnedResponse::status(Status::Stale)));
            }
        }
        let owner = self.store.cores().owner(hash);
        reply.core = u8::try_from(owner.0).unwrap_or(CORE_ANY);
        if owner == self.reactor.core() { Ownership::Here } else { Ownership::Core(owner) }
    }

    /// What a slot's epoch check says about a key of a batch.
    pub(super) fn verdict(&self, slot: SlotId, epoch: u32) -> Verdict {
        let verdict = self.topology.borrow().check_epoch(self.me, slot, epoch);
        if verdict == Verdict::Stale {
            self.want_topology(epoch);
        }
        verdict
    }

    /// The epoch of a slot as this core knows it.
    pub(super) fn slot_epoch(&self, slot: SlotId) -> u32 {
        self.topology.borrow().slot_epoch(slot)
    }

    /// Epoch and text of the topology in force.
    pub(super) fn topology_text(&self, known_epoch: u32) -> Vec<u8> {
        let topology = self.topology.borrow();
        let text = if topology.epoch() == known_epoch { "" } else { topology.text() };
        let mut payload = Vec::new();
        shardstore::wire::topology::TopologyText { epoch: topology.epoch(), text }.write(&mut payload);
        payload
    }

    /// Another map is in force from now on; slots that are ours no more are dropped.
    pub(super) fn set_topology(&self, topology: Arc<Topology>) {
        self.map.set((topology.epoch(), topology.digest().sum()));
        let before = self.topology.replace(topology);
        self.moved_last.set(None);
        self.disown_lost(&before);
        // Peers whose map of this epoch is another one are to go.
        self.attention.borrow().values().for_each(|attention| attention.notify());
    }

    /// Whether a peer means another map by the epoch that is in force here.
    #[inline]
    pub(super) fn conflicts_with(&self, map: Option<(u32, u32)>) -> bool {
        let (epoch, sum) = self.map.get();
        map.is_some_and(|(theirs, other)| theirs == epoch && other != sum)
    }

    /// What a core says to a request of another one that has placed it by the map of `epoch`; none when it is to be served.
    ///
    /// The asking core's map may be newer than ours: then the request is not for what our shard holds now.
    pub(super) fn refuse_hop(&self, slot: SlotId, epoch: u32) -> Option<OwnedResponse> {
        match self.topology.borrow().check_epoch(self.me, slot, epoch) {
            Verdict::Serve | Verdict::ServeAndHint => None,
            Verdict::Moved => Some(self.moved(slot)),
            Verdict::Stale => Some(OwnedResponse::retry(Status::Busy, BUSY_RETRY_US)),
        }
    }

    pub(super) fn topology_epoch(&self) -> u32 {
        self.topology.borrow().epoch()
    }

    /// Who owns a slot that is not ours. Finding the range walks the whole map, so the last one is kept: askers with an old
    /// map ask for the same range again and again.
    fn moved(&self, slot: SlotId) -> OwnedResponse {
        let known = self.moved_last.get().filter(|moved| (moved.first..=moved.last).contains(&slot));
        let moved = known.unwrap_or_else(|| {
            let topology = self.topology.borrow();
            let owner = topology.owner(slot);
            let range = topology.owner_range(slot);
            Moved {
                first: range.first(),
                last: range.last(),
                epoch: topology.slot_epoch(slot),
                node: owner.id.0,
                address: owner.address.on_the_wire(),
            }
        });
        self.moved_last.set(Some(moved));
        OwnedResponse { moved: Some(moved), ..OwnedResponse::status(Status::Moved) }
    }

    /// Asks the control core to read the topology again, every [`HINT_INTERVAL`] at most.
    fn want_topology(&self, epoch: u32) {
        let now = self.reactor.now();
        if now < self.topology_wanted_until.get() {
            return;
        }
        // A full mailbox means that the control core has enough to do; the next request asks again.
        if self.mail.send(self.store.cores().control(), NodeMessage::Stale { epoch }).is_ok() {
            note(self, Event::TopologyWanted);
            self.topology_wanted_until.set(now + HINT_INTERVAL);
        }
    }
}
