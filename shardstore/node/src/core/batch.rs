//! MGET and MSET: cut by core, done, and put together in the order they were asked.
//!
//! ```text
//!  keys ─┬─ this core's ──────────▶ done at once ─┐
//!        ├─ another's ── one hop ─▶ its answers ──┼─▶ Gather ──▶ one response
//!        └─ another node's ───────▶ MOVED ────────┘
//! ```
//!
//! **Not**: one transaction; the entries are independent of each other.
//!
//! **Invariants**: a core does its entries in the order they were asked.
//!
//! **Source**: docs/wire.md, "Batches".

use std::cell::RefCell;
use std::rc::Rc;

use reactor::CoreId;
use shardstore::cache::LOOKAHEAD;
use shardstore::key::KeyHash;
use shardstore::placement::Verdict;
use shardstore::wire::batch::{MgetKeys, MsetItems};
use shardstore::wire::{Flags, Frame, FrameError, Header, Kind, Op, Request, Status, checksum};

use super::answer::OwnedResponse;
use super::context::RequestContext;
use super::gather::{AnswerRoom, Gather, part_answer};
use super::link::Link;
use super::operate::{operate, read_within, set_of};
use super::respond::{BUSY_RETRY_US, Sent, respond};
use super::waiting::Waiting;
use super::{NodeCore, note};
use crate::message::OwnedFrame;
use crate::metrics::Event;

/// The entries of one batch that one core does.
struct BatchPart {
    indices: Vec<u16>,
    hashes: Vec<KeyHash>,
}

/// Serves a batch.
///
/// # Errors
/// [`FrameError::BadKey`]: an entry's key is none; the peer's fault.
pub(super) fn serve(
    core: &NodeCore,
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
    let gather = Rc::new(RefCell::new(Gather::new(reply, Rc::clone(link), entries)));
    for (to, part) in (0..).map(CoreId).zip(parts) {
        if part.indices.is_empty() {
            continue;
        }
        if to == core.reactor.core() {
            let mut room = AnswerRoom::new(&core.shared.batch_answers);
            let answers = perform(core, &request.op, &part, &mut room);
            let mut gather = gather.borrow_mut();
            gather.take(&part.indices, answers);
            gather.hold(room.into_lease());
        } else {
            note(core, Event::Hop);
            hop(core, to, request, part, &gather);
        }
    }
    if gather.borrow().is_complete() { Ok(gather.borrow_mut().finish(core, out)) } else { Ok(Sent::Later) }
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

/// Does one core's part.
fn perform(core: &NodeCore, op: &Op<'_>, part: &BatchPart, room: &mut AnswerRoom) -> Vec<OwnedResponse> {
    let mut wanted = part.indices.iter().zip(&part.hashes).peekable();
    let mut answers = Vec::with_capacity(part.indices.len());
    let mut ahead = part.hashes.chunks(LOOKAHEAD);
    let mut each = |index: usize, op: Op<'_>| {
        // Indices ascend, so that only the next one has to be compared.
        if let Some((_, hash)) = wanted.next_if(|(wanted, _)| usize::from(**wanted) == index) {
            if answers.len().is_multiple_of(LOOKAHEAD)
                && let Some(hashes) = ahead.next()
            {
                core.store.shard().prefetch(hashes);
            }
            let refused = core.refuse_hop(hash.slot(), core.topology_epoch()).map(|answer| answer.status);
            let serve = || match op {
                Op::Get { key } => read_within(core, *hash, key, room),
                _ => operate(core, *hash, &op),
            };
            answers.push(refused.map_or_else(serve, OwnedResponse::status));
        }
    };
    match op {
        Op::Mget(keys) => keys.iter().enumerate().for_each(|(index, key)| each(index, Op::Get { key })),
        Op::Mset(items) => items.iter().enumerate().for_each(|(index, item)| each(index, Op::Set(set_of(&item)))),
        _ => {}
    }
    answers
}

/// Sends one part to its core; where that has no room, its entries are BUSY.
fn hop(core: &NodeCore, to: CoreId, request: &Request<'_>, part: BatchPart, gather: &Rc<RefCell<Gather>>) {
    let payload = payload_of(&request.op, &part.indices);
    let Ok(lease) = core.lease_frame(payload.len()) else {
        gather.borrow_mut().refuse(&part.indices);
        return;
    };
    let cluster_tag = core.shared.cluster_tag;
    let mut header = Header::new(Kind::Request, request.op.opcode().number(), cluster_tag);
    header.flags = Flags::BATCH | Flags::VALUE_CRC;
    header.value_crc32c = checksum(&payload);
    let frame = OwnedFrame::of(&Frame { header, ext: &[], key: &[], value: &payload });
    gather.borrow_mut().note_part(lease);
    let (deadline, link) = (gather.borrow().deadline(), gather.borrow().link());
    let waiting = Waiting::Part { gather: Rc::clone(gather), indices: part.indices };
    if let Err(Waiting::Part { gather, indices }) = core.hop(to, frame, deadline, waiting) {
        gather.borrow_mut().refuse_part(&indices);
    } else {
        link.note_hop();
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

/// Does the part of a batch that another core sent, and puts its answers into one.
pub(super) fn perform_part(core: &NodeCore, epoch: u32, op: &Op<'_>) -> OwnedResponse {
    if core.topology_epoch() < epoch {
        return OwnedResponse::retry(Status::Busy, BUSY_RETRY_US);
    }
    let keys = keys_of(op);
    let part = BatchPart {
        indices: (0..keys.len() as u16).collect(),
        hashes: keys.iter().map(|key| core.hasher.hash(key)).collect(),
    };
    let mut room = AnswerRoom::new(&core.shared.batch_answers);
    let answers = perform(core, op, &part, &mut room);
    part_answer(&answers, room.into_lease())
}
