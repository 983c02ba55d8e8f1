//! SET of a large value for this core's shard, written slice by slice.
//!
//! ```text
//!  frame ─▶ task: placed ─▶ Store::stage ─▶ placed still? ─▶ applied ─▶ response
//! ```
//!
//! **Not** for smaller values, which are written in the poll that takes their frame ([`super::operate`]).
//!
//! **Invariants**: the write is applied under the map that is in force then, and not after its deadline; its response goes out after
//! it has been applied; nothing goes on for a peer that has gone.
//!
//! **Source**: docs/wire.md, "What the node does", Large writes.

use std::rc::Rc;
use std::sync::Arc;

use reactor::{CoreId, Instant};
use shardstore::key::KeyHash;
use shardstore::wire::request::Set;
use shardstore::wire::{Kind, Op, Request, Status};
use store_runtime::budget::Lease;
use store_runtime::discard::{discard, reclaim};
use store_runtime::hop::Hop;
use store_runtime::staging::{NotStaged, STAGED_BYTES_MIN};

use super::answer::OwnedResponse;
use super::context::RequestContext;
use super::link::Link;
use super::operate::shard_set;
use super::respond::{BUSY_RETRY_US, Sent, respond};
use super::{NodeCore, note};
use crate::message::OwnedFrame;
use crate::metrics::Event;

/// Whether an operation is done slice by slice.
#[inline]
pub(super) const fn is_staged(op: &Op<'_>) -> bool {
    matches!(op, Op::Set(set) if set.value.len() > STAGED_BYTES_MIN)
}

/// A bound is reached: of tasks.
pub(super) struct StagingRefused;

/// Begins to write the value of a SET of this core; the request is answered when that is done.
pub(super) fn begin(
    core: &Rc<NodeCore>,
    link: &Rc<Link>,
    (frame, lease): (OwnedFrame, Option<Lease>),
    context: &RequestContext,
) -> Result<(), StagingRefused> {
    let (core, link, context) = (Rc::clone(core), Rc::clone(link), *context);
    let reactor = core.reactor.clone();
    let frame = frame.placed_by(core.topology_epoch());
    let task = async move {
        let answer = core.write_frame_staged(&frame, context.deadline, || link.sender.is_open()).await;
        reclaim(&core.reactor, Arc::new(frame.into_value()), lease).await;
        let sent = respond(&core, &link, &context, answer, &mut link.sender.write());
        // It was counted as waiting when it began.
        if sent == Sent::Now && context.kind == Kind::Request {
            link.credit.note_completed(context.bytes);
        }
        link.attention.notify();
    };
    reactor.spawn(task).map_err(|_| StagingRefused)
}

impl NodeCore {
    /// Serves a SET that another core took, slice by slice.
    pub(super) fn stage_hop(self: &Rc<Self>, from: CoreId, hop: Hop<OwnedFrame>) {
        let (core, id) = (Rc::clone(self), hop.id);
        let task = async move {
            // That the peer has gone is not known here; its deadline is.
            let answer = core.write_frame_staged(&hop.request, hop.deadline, || true).await;
            // The core that took it has the lease.
            core.answer_hop(from, id, answer);
            discard(&core.reactor, Arc::new(hop.request.into_value()), None);
        };
        if self.reactor.spawn(task).is_err() {
            self.answer_hop(from, id, OwnedResponse::retry(Status::Busy, BUSY_RETRY_US));
        }
    }

    async fn write_frame_staged(
        &self,
        frame: &OwnedFrame,
        deadline: Instant,
        is_wanted: impl Fn() -> bool,
    ) -> OwnedResponse {
        let frame = frame.frame();
        // Whoever took it has parsed the same bytes.
        let Ok(Request { op: Op::Set(set), .. }) = Request::parse(&frame) else {
            return OwnedResponse::status(Status::Unsupported);
        };
        self.write_staged((self.hasher.hash(set.key), &set), frame.header.slot_epoch, deadline, is_wanted).await
    }

    /// Writes the value of a SET of this core slice by slice; `epoch` is that of the map by which it was placed.
    pub(super) async fn write_staged(
        &self,
        (hash, set): (KeyHash, &Set<'_>),
        epoch: u32,
        deadline: Instant,
        is_wanted: impl Fn() -> bool,
    ) -> OwnedResponse {
        let new = shard_set(set);
        if let Some(refused) = self.prepare(hash, set.key, epoch) {
            return refused;
        }
        match self.store.stage((hash, set.key), &new, deadline, is_wanted).await {
            // The slot may have left since.
            Ok(staged) => match self.prepare(hash, set.key, epoch) {
                Some(refused) => refused,
                None => self.written(staged.apply((hash, set.key), &new)),
            },
            Err(NotStaged::Refused(written)) => self.written(written),
            Err(NotStaged::GivenUp) => {
                note(self, Event::DeadlineMissed);
                OwnedResponse::retry(Status::Unavailable, 0)
            }
        }
    }

    /// To be called before a key of this core is looked at: why it is not, if so.
    fn prepare(&self, hash: KeyHash, key: &[u8], epoch: u32) -> Option<OwnedResponse> {
        let refused = self.refuse_hop(hash.slot(), epoch);
        if refused.is_none() {
            self.purge(hash, key);
        }
        refused
    }
}
