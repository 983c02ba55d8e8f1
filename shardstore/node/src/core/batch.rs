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
//! **Invariants**: every entry gets exactly one answer; the answers together stay below [`ANSWER_BYTES_MAX`].
//!
//! **Source**: docs/wire.md, "Batches".

use std::cell::RefCell;
use std::rc::Rc;

use reactor::CoreId;
use shardstore::cache::LOOKAHEAD;
use shardstore::key::KeyHash;
use shardstore::placement::Verdict;
use shardstore::wire::batch::{BatchAnswer, BatchAnswers, ENTRY_FIXED_BYTES, MgetKeys, MsetItems};
use shardstore::wire::{Flags, Frame, FrameError, Header, Kind, Op, Request, Status, checksum};

use super::answer::OwnedResponse;
use super::hop::Waiting;
use super::link::Link;
use super::operate::{operate, set_of};
use super::respond::{BUSY_RETRY_US, RequestContext, Sent, respond};
use super::{NodeCore, note};
use crate::message::OwnedFrame;
use crate::metrics::Event;

/// Bytes of a batch's answers together: a byte window of the peer. Entries that do not fit are answered TOO_LARGE, and are
/// to be read one by one.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// The answers to one batch as they come in.
pub(super) struct Gather {
    reply: RequestContext,
    pub(super) link: Rc<Link>,
    entries: Vec<OwnedResponse>,
    /// Parts that other cores have not answered.
    parts_missing: usize,
    bytes_left: usize,
}

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
    let bytes_left = ANSWER_BYTES_MAX.min(link.terms.value_bytes_max as usize);
    let gather = Gather { reply, link: Rc::clone(link), entries, parts_missing: 0, bytes_left };
    let gather = Rc::new(RefCell::new(gather));
    for (to, part) in (0..).map(CoreId).zip(parts) {
        if part.indices.is_empty() {
            continue;
        }
        if to == core.reactor.core() {
            let answers = perform(core, &request.op, &part);
            gather.borrow_mut().take(&part.indices, answers);
        } else {
            note(core, Event::Hop);
            hop(core, to, request, part, &gather);
        }
    }
    if gather.borrow().parts_missing > 0 {
        return Ok(Sent::Later);
    }
    Ok(gather.borrow_mut().finish(core, out))
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
fn perform(core: &NodeCore, op: &Op<'_>, part: &BatchPart) -> Vec<OwnedResponse> {
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
            answers.push(operate(core, *hash, &op));
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
    let cluster_tag = core.shared.cluster_tag;
    let mut header = Header::new(Kind::Request, request.op.opcode().number(), cluster_tag);
    header.flags = Flags::BATCH | Flags::VALUE_CRC;
    header.value_crc32c = checksum(&payload);
    let frame = OwnedFrame::of(&Frame { header, ext: &[], key: &[], value: &payload });
    gather.borrow_mut().parts_missing += 1;
    let deadline = gather.borrow().reply.deadline;
    let waiting = Waiting::Part { gather: Rc::clone(gather), indices: part.indices };
    let link = Rc::clone(&gather.borrow().link);
    if let Err(Waiting::Part { gather, indices }) = core.hop(to, frame, deadline, waiting) {
        let busy = indices.iter().map(|_| OwnedResponse::status(Status::Busy)).collect();
        let mut gather = gather.borrow_mut();
        gather.parts_missing -= 1;
        gather.take(&indices, busy);
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
pub(super) fn perform_part(core: &NodeCore, op: &Op<'_>) -> OwnedResponse {
    let keys = keys_of(op);
    let part = BatchPart {
        indices: (0..keys.len() as u16).collect(),
        hashes: keys.iter().map(|key| core.hasher.hash(key)).collect(),
    };
    let mut answers = perform(core, op, &part);
    let mut bytes_left = ANSWER_BYTES_MAX;
    answers.iter_mut().for_each(|answer| fit(answer, &mut bytes_left));
    OwnedResponse { flags: Flags::BATCH, ..OwnedResponse::payload(encode(&answers)) }
}

/// Replaces an answer that does not fit any more.
fn fit(answer: &mut OwnedResponse, bytes_left: &mut usize) {
    let bytes = ENTRY_FIXED_BYTES + answer.metadata.len() + answer.value.len();
    if bytes <= *bytes_left {
        *bytes_left -= bytes;
    } else {
        *answer = OwnedResponse::status(Status::TooLarge);
    }
}

fn encode(answers: &[OwnedResponse]) -> Vec<u8> {
    let listed: Vec<BatchAnswer<'_>> = answers
        .iter()
        .map(|answer| BatchAnswer {
            status: answer.status,
            replaced: answer.status == Status::Ok && answer.previous_version.is_some(),
            metadata: &answer.metadata,
            value: &answer.value,
            value_crc32c: answer.value_crc32c.unwrap_or(0),
            ttl_ms: answer.ttl_ms,
            version: answer.version,
        })
        .collect();
    let mut payload = Vec::new();
    BatchAnswers::write(&mut payload, &listed).expect("the answers to a checked batch are one");
    payload
}

impl Gather {
    /// Takes the answers to the entries with these indices.
    fn take(&mut self, indices: &[u16], answers: Vec<OwnedResponse>) {
        debug_assert_eq!(indices.len(), answers.len());
        for (index, mut answer) in indices.iter().zip(answers) {
            fit(&mut answer, &mut self.bytes_left);
            self.entries[usize::from(*index)] = answer;
        }
    }

    /// Takes another core's answer to its part; the response is written when it was the last one missing.
    pub(super) fn take_part(&mut self, core: &NodeCore, indices: &[u16], answer: &OwnedResponse) {
        let answers = match BatchAnswers::parse(&answer.value, u16::MAX) {
            Ok(parsed) if answer.status == Status::Ok => parsed.iter().map(|entry| owned(&entry)).collect(),
            // The part was not done: too late.
            _ => indices.iter().map(|_| OwnedResponse::retry(answer.status, BUSY_RETRY_US)).collect(),
        };
        self.take(indices, answers);
        self.parts_missing -= 1;
        if self.parts_missing > 0 {
            return;
        }
        let link = Rc::clone(&self.link);
        let sent = self.finish(core, &mut link.sender.write());
        if sent == Sent::Now && self.reply.kind == Kind::Request {
            link.credit.note_settled(self.reply.bytes);
            link.attention.notify();
        }
    }

    fn finish(&mut self, core: &NodeCore, out: &mut Vec<u8>) -> Sent {
        let entries = std::mem::take(&mut self.entries);
        let answer = OwnedResponse { flags: Flags::BATCH, ..OwnedResponse::payload(encode(&entries)) };
        respond(core, &self.link, &self.reply, answer, out)
    }
}

fn owned(entry: &BatchAnswer<'_>) -> OwnedResponse {
    OwnedResponse {
        version: entry.version,
        ttl_ms: entry.ttl_ms,
        value_crc32c: Some(entry.value_crc32c),
        previous_version: entry.replaced.then_some(0),
        metadata: entry.metadata.to_vec(),
        value: entry.value.to_vec(),
        ..OwnedResponse::status(entry.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_does_not_fit_is_too_large_and_takes_nothing() {
        let bytes = ENTRY_FIXED_BYTES + 3 + 5;
        for (left, status, left_then) in [
            (bytes, Status::Ok, 0),
            (bytes + 7, Status::Ok, 7),
            (bytes - 1, Status::TooLarge, bytes - 1),
            (0, Status::TooLarge, 0),
        ] {
            let mut answer =
                OwnedResponse { metadata: vec![1; 3], value: vec![2; 5], ..OwnedResponse::status(Status::Ok) };
            let mut bytes_left = left;
            fit(&mut answer, &mut bytes_left);
            assert_eq!((answer.status, bytes_left), (status, left_then), "{left} bytes left");
            assert_eq!(answer.value.is_empty(), status == Status::TooLarge, "{left} bytes left");
        }
    }
}
