//! A large value for a peer that wants it whole, read part by part before it is sent: one that cannot be pinned, or of another
//! core.
//!
//! ```text
//!  leased ─▶ first part asked ─▶ the length is known, all of it leased ─▶ part ─▶ … ─▶ Copied stream
//!              └ at once, so that it keeps its place among the connection's requests
//! ```
//!
//! **Not** for values that can be pinned here, or for peers that read parts themselves.
//!
//! **Invariants**: memory is leased before anything is copied; between two parts other tasks run; a value that changes
//! meanwhile is BUSY, and never two values in one; nothing goes on for a peer that has gone.
//!
//! **Source**: docs/wire.md, "What the node does".

use std::rc::Rc;

use reactor::CoreId;
use reactor::local::{OneReceiver, one};
use shardstore::key::KeyHash;
use shardstore::wire::ext::WantedPart;
use shardstore::wire::frame::{self, Decoded};
use shardstore::wire::{Kind, Op, Request, Status};
use store_runtime::budget::Lease;
use store_runtime::request::PART_BYTES_MAX;

use super::NodeCore;
use super::answer::OwnedResponse;
use super::context::RequestContext;
use super::link::Link;
use super::operate::operate;
use super::respond::{BUSY_RETRY_US, Sent, respond_leased};
use super::waiting::Waiting;
use crate::message::OwnedFrame;

/// A bound is reached: of memory, of tasks, of requests to another core.
pub(super) struct CollectRefused;

/// A value on its way.
struct PartCollection {
    core: Rc<NodeCore>,
    link: Rc<Link>,
    context: RequestContext,
    owner: CoreId,
    hash: KeyHash,
    key: Box<[u8]>,
    lease: Lease,
}

/// Begins to read a value; the request is answered when all of it is there. `value_bytes`: how long it is, if that is known.
pub(super) fn begin(
    core: &Rc<NodeCore>,
    link: &Rc<Link>,
    (owner, key): (CoreId, &[u8]),
    value_bytes: Option<usize>,
    context: &RequestContext,
) -> Result<(), CollectRefused> {
    let lease = core.copies.lease(value_bytes.unwrap_or(PART_BYTES_MAX)).ok_or(CollectRefused)?;
    let collection = PartCollection {
        core: Rc::clone(core),
        link: Rc::clone(link),
        context: *context,
        owner,
        hash: core.hasher.hash(key),
        key: key.into(),
        lease,
    };
    let first = collection.ask(0, 0)?;
    core.reactor.spawn(collection.run(first)).map_err(|_| CollectRefused)
}

/// A part that was asked for.
enum AskedPart {
    Here(OwnedResponse),
    Elsewhere(OneReceiver<OwnedResponse>),
}

impl PartCollection {
    async fn run(mut self, first: AskedPart) {
        let answer = self.collect(first).await;
        let PartCollection { core, link, context, lease, .. } = self;
        let sent = respond_leased(&core, &link, &context, (answer, Some(lease)), &mut link.sender.write());
        // It was counted as waiting when it began.
        if sent == Sent::Now && context.kind == Kind::Request {
            link.credit.note_completed(context.bytes);
        }
        link.attention.notify();
    }

    async fn collect(&mut self, first: AskedPart) -> OwnedResponse {
        let busy = || OwnedResponse::retry(Status::Busy, BUSY_RETRY_US);
        let Some(mut answer) = self.receive(first).await else { return busy() };
        let Some(part) = answer.part.take() else { return answer };
        let total = part.total as usize;
        if total > self.link.terms.value_bytes_max as usize {
            return OwnedResponse::status(Status::TooLarge);
        }
        if answer.value.len() < total && !self.lease.covers(total) {
            return busy();
        }
        answer.value_crc32c = Some(part.value_crc32c);
        while answer.value.len() < total {
            self.core.reactor.yield_now().await;
            if !self.link.sender.is_open() {
                return busy();
            }
            let Ok(asked) = self.ask(answer.value.len() as u32, answer.version) else { return busy() };
            match self.receive(asked).await {
                Some(next) if next.status == Status::Ok && !next.value.is_empty() => {
                    answer.value.extend_from_slice(&next.value);
                }
                _ => return busy(),
            }
        }
        answer
    }

    /// Asks for the next part.
    fn ask(&self, offset: u32, version: u64) -> Result<AskedPart, CollectRefused> {
        let is_first = offset == 0;
        let wanted = WantedPart { offset, bytes_max: PART_BYTES_MAX as u32, is_all_or_none: false, is_first, version };
        let op = Op::Read { key: &self.key, wanted };
        if self.owner == self.core.reactor.core() {
            // The slot may have left between two parts.
            let refused = self.core.refuse_hop(self.hash.slot(), self.core.topology_epoch());
            return Ok(AskedPart::Here(refused.unwrap_or_else(|| operate(&self.core, self.hash, &op))));
        }
        let mut bytes = Vec::new();
        Request::new(0, self.context.slot, self.context.slot_epoch, op).encode(self.link.dialect, &mut bytes);
        let Ok(Decoded::Frame(frame)) = frame::decode(&bytes, &self.link.terms.limits) else {
            return Err(CollectRefused);
        };
        let (sender, receiver) = one(&self.core.reactor);
        let waiting = Waiting::Task(sender);
        let asked = self.core.hop(self.owner, OwnedFrame::of(&frame), self.context.deadline, waiting);
        asked.map(|()| AskedPart::Elsewhere(receiver)).map_err(|_| CollectRefused)
    }

    async fn receive(&self, asked: AskedPart) -> Option<OwnedResponse> {
        match asked {
            AskedPart::Here(answer) => Some(answer),
            // Every hop is answered.
            AskedPart::Elsewhere(receiver) => receiver.receive().await,
        }
    }
}
