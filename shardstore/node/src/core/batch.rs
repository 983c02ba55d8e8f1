//! MGET and MSET: cut by core, done, and put together in the order they were asked.
//!
//! ```text
//!  keys ─┬─ this core's ──────────▶ done at once, or in slices ─┐
//!        ├─ another's ── one hop ─▶ its answers ────────────────┼─▶ Gather ──▶ one response
//!        └─ another node's ───────▶ MOVED ──────────────────────┘
//! ```
//!
//! **Not**: one transaction; the entries are independent of each other.
//!
//! **Invariants**: a core does its entries in the order they were asked; while a batch of several slices is under way its connection serves
//! no other request, so that those of one connection keep their order.
//!
//! **Source**: docs/wire.md, "Batches".

use std::cell::RefCell;
use std::rc::Rc;

use reactor::CoreId;
use shardstore::key::KeyHash;
use shardstore::placement::Verdict;
use shardstore::wire::batch::{MgetKeys, MsetItems};
use shardstore::wire::{Flags, Frame, FrameError, Header, Kind, Op, Opcode, Request, Status, checksum};
use store_runtime::budget::Lease;
use store_runtime::hop::Hop;

use super::answer::OwnedResponse;
use super::batch_part::{BatchPart, is_sliced};
use super::context::RequestContext;
use super::gather::{Gather, part_answer};
use super::link::Link;
use super::respond::{BUSY_RETRY_US, Sent, respond};
use super::waiting::Waiting;
use super::{NodeCore, note};
use crate::message::OwnedFrame;
use crate::metrics::Event;

/// Bytes of a batch that came in chunks: as many as one frame has that is not cut.
const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// Whether a request is a batch of more bytes than are checked, copied and parsed in one turn.
pub(super) fn is_too_large(frame: &Frame<'_>) -> bool {
    let is_batch = [Opcode::Mget, Opcode::Mset].iter().any(|opcode| frame.header.code == opcode.number());
    is_batch && frame.value.len() > PAYLOAD_BYTES_MAX
}

/// Serves a batch.
///
/// # Errors
/// [`FrameError::BadKey`]: an entry's key is none; the peer's fault.
pub(super) fn serve(
    core: &Rc<NodeCore>,
    link: &Rc<Link>,
    request: &Request<'_>,
    reply: RequestContext,
    out: &mut Vec<u8>,
) -> Result<Sent, FrameError> {
    let mut reply = reply;
    let keys = keys_of(&request.op);
    let hashes: Vec<KeyHash> = keys.iter().map(|key| core.hash(key)).collect::<Result<_, _>>()?;
    if keys.len() > usize::from(link.terms.batch_entries_max) {
        return Ok(respond(core, link, &reply, OwnedResponse::status(Status::TooLarge), out));
    }
    if hashes[0].slot() != reply.slot {
        note(core, Event::SlotMismatch);
        return Ok(respond(core, link, &reply, OwnedResponse::status(Status::Unsupported), out));
    }
    let mut entries: Vec<OwnedResponse> = keys.iter().map(|_| OwnedResponse::status(Status::Ok)).collect();
    let parts = cut(core, request.slot_epoch, &hashes, &mut entries, &mut reply);
    let is_sliced = is_sliced(&request.op);
    let gather = Rc::new(RefCell::new(Gather::new(reply, Rc::clone(link), entries)));
    for (to, part) in (0..).map(CoreId).zip(parts) {
        if part.indices.is_empty() {
            continue;
        }
        match (to == core.reactor.core(), is_sliced) {
            (true, false) => gather.borrow_mut().take(&part.indices, core.perform_part(&request.op, &part)),
            (true, true) => slice(core, &request.op, part, &gather),
            (false, _) => hop(core, to, &request.op, part, &gather),
        }
    }
    if gather.borrow().is_complete() {
        return Ok(gather.borrow_mut().finish(core, out));
    }
    if is_sliced {
        link.begin_batch();
    }
    Ok(Sent::Later)
}

fn keys_of<'a>(op: &Op<'a>) -> Vec<&'a [u8]> {
    match op {
        Op::Mget(keys) => keys.iter().collect(),
        Op::Mset(items) => items.iter().map(|item| item.key).collect(),
        _ => Vec::new(),
    }
}

/// Sorts the entries by core; what this node does not serve is answered in `entries`.
fn cut(
    core: &NodeCore,
    epoch: u32,
    hashes: &[KeyHash],
    entries: &mut [OwnedResponse],
    reply: &mut RequestContext,
) -> Vec<BatchPart> {
    let cores = core.store.cores();
    let mut parts: Vec<BatchPart> =
        (0..cores.cores()).map(|_| BatchPart { indices: Vec::new(), hashes: Vec::new() }).collect();
    reply.slot_epoch = core.slot_epoch(reply.slot);
    for (index, hash) in hashes.iter().enumerate() {
        let verdict = core.verdict(hash.slot(), epoch);
        match verdict {
            Verdict::Serve | Verdict::ServeAndHint => {
                let part = &mut parts[cores.owner(*hash).index()];
                part.indices.push(index as u16);
                part.hashes.push(*hash);
            }
            Verdict::Moved => entries[index] = OwnedResponse::status(Status::Moved),
            Verdict::Stale => entries[index] = OwnedResponse::status(Status::Stale),
        }
        if matches!(verdict, Verdict::ServeAndHint | Verdict::Moved) {
            reply.flags |= Flags::MAP_HINT;
        }
    }
    parts
}

/// A part of a batch as a frame, with the memory for it; none when there is none left.
fn frame_of(core: &NodeCore, op: &Op<'_>, indices: &[u16]) -> Option<(OwnedFrame, Option<Lease>)> {
    let payload = payload_of(op, indices);
    let lease = core.lease_frame(payload.len()).ok()?;
    let mut header = Header::new(Kind::Request, op.opcode().number(), core.shared.cluster_tag);
    header.flags = Flags::BATCH | Flags::VALUE_CRC;
    header.value_crc32c = checksum(&payload);
    Some((OwnedFrame::of(&Frame { header, ext: &[], key: &[], value: &payload }), lease))
}

/// Sends one part to its core; where that has no room, its entries are BUSY.
fn hop(core: &NodeCore, to: CoreId, op: &Op<'_>, part: BatchPart, gather: &Rc<RefCell<Gather>>) {
    note(core, Event::Hop);
    let Some((frame, lease)) = frame_of(core, op, &part.indices) else {
        gather.borrow_mut().refuse(&part.indices);
        return;
    };
    gather.borrow_mut().note_part(lease);
    let (deadline, link) = (gather.borrow().deadline(), gather.borrow().link());
    let waiting = Waiting::Part { gather: Rc::clone(gather), indices: part.indices };
    if let Err(Waiting::Part { gather, indices }) = core.hop(to, frame, deadline, waiting) {
        gather.borrow_mut().refuse_part(&indices);
    } else {
        link.note_hop();
    }
}

/// Begins to do this core's part slice by slice; where there is no room for that, its entries are BUSY.
fn slice(core: &Rc<NodeCore>, op: &Op<'_>, part: BatchPart, gather: &Rc<RefCell<Gather>>) {
    let Some((frame, lease)) = frame_of(core, op, &part.indices) else {
        gather.borrow_mut().refuse(&part.indices);
        return;
    };
    gather.borrow_mut().note_part(lease);
    let indices = part.indices.clone();
    let (serving, gathering) = (Rc::clone(core), Rc::clone(gather));
    let task = async move {
        let (deadline, link) = (gathering.borrow().deadline(), gathering.borrow().link());
        let frame = frame.frame();
        let Request { op, .. } = Request::parse(&frame).expect("it was written here");
        let own = BatchPart { indices: (0..part.hashes.len() as u16).collect(), hashes: part.hashes };
        let answers = serving.perform_sliced(&op, &own, deadline, || link.sender.is_open()).await;
        gathering.borrow_mut().take_part(&serving, &part.indices, answers);
    };
    if core.reactor.spawn(task).is_err() {
        gather.borrow_mut().refuse_part(&indices);
    }
}

fn payload_of(op: &Op<'_>, indices: &[u16]) -> Vec<u8> {
    let is_chosen = |index: usize| indices.binary_search(&(index as u16)).is_ok();
    let mut payload = Vec::new();
    let written = match op {
        Op::Mget(keys) => {
            let keys: Vec<_> =
                keys.iter().enumerate().filter(|(index, _)| is_chosen(*index)).map(|(_, key)| key).collect();
            MgetKeys::write(&mut payload, &keys).map(drop)
        }
        Op::Mset(items) => {
            let items: Vec<_> =
                items.iter().enumerate().filter(|(index, _)| is_chosen(*index)).map(|(_, item)| item).collect();
            MsetItems::write(&mut payload, &items).map(drop)
        }
        _ => Ok(()),
    };
    written.expect("a part of a checked batch is a batch");
    payload
}

impl NodeCore {
    /// Serves the part of a batch that another core took, and puts its answers into one: at once, or slice by slice.
    pub(super) fn serve_part(self: &Rc<Self>, from: CoreId, hop: Hop<OwnedFrame>) {
        let (core, id) = (Rc::clone(self), hop.id);
        let task = async move {
            let frame = hop.request.frame();
            // The core that took it has written it.
            let Ok(Request { op, .. }) = Request::parse(&frame) else {
                return core.answer_hop(from, id, OwnedResponse::status(Status::Unsupported));
            };
            if let Some(refused) = core.refuse_part(frame.header.slot_epoch) {
                return core.answer_hop(from, id, refused);
            }
            let part = whole(&core, &op);
            // That the peer has gone is not known here; its deadline is.
            let answers = core.perform_sliced(&op, &part, hop.deadline, || true).await;
            core.answer_hop(from, id, part_answer(answers));
        };
        if self.reactor.spawn(task).is_err() {
            self.answer_hop(from, id, OwnedResponse::retry(Status::Busy, BUSY_RETRY_US));
        }
    }

    /// Serves a part of another core's batch that is one turn's work.
    pub(super) fn answer_part(&self, epoch: u32, op: &Op<'_>) -> OwnedResponse {
        self.refuse_part(epoch).unwrap_or_else(|| part_answer(self.perform_part(op, &whole(self, op))))
    }

    /// What a core says to a part that another one has placed by a map that is not in force here yet.
    fn refuse_part(&self, epoch: u32) -> Option<OwnedResponse> {
        (self.topology_epoch() < epoch).then(|| OwnedResponse::retry(Status::Busy, BUSY_RETRY_US))
    }
}

/// All entries of a batch as one part.
fn whole(core: &NodeCore, op: &Op<'_>) -> BatchPart {
    let keys = keys_of(op);
    BatchPart {
        indices: (0..keys.len() as u16).collect(),
        hashes: keys.iter().map(|key| core.hasher.hash(key)).collect(),
    }
}
