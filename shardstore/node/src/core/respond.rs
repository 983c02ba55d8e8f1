//! From an answer to bytes on a connection: ids, epochs, credits, QUIET, and the cut of large values into frames.
//!
//! **Not**: what the answer says.
//!
//! **Invariants**: a request is answered once, or not at all where QUIET or one-way says so; a value above
//! [`INLINE_BYTES_MAX`] becomes a stream and is written as the peer reads.
//!
//! **Source**: docs/wire.md, "Answers" and "Flow control".

use std::time::Duration;

use reactor::Instant;
use shardstore::key::SlotId;
use shardstore::wire::header::CORE_ANY;
use shardstore::wire::{Flags, Header, Kind, Opcode, Request, Response, Status};

use super::Core;
use super::answer::Answer;
use super::link::Link;
use super::stream::{Body, Stream};

/// Largest value that is written at once: what the send queue of a connection may hold before its peer has to read. Above, a
/// value is streamed.
pub(crate) const INLINE_BYTES_MAX: usize = 64 * 1024;

/// How long a peer that is over a bound should wait: several round trips within a data centre.
pub(crate) const BUSY_RETRY_US: u32 = 2_000;

/// How long a peer should leave a node alone that is draining or starting.
pub(crate) const UNAVAILABLE_RETRY_US: u32 = 1_000_000;

/// What an answer has to know of its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    pub(crate) id: u64,
    pub(crate) slot: SlotId,
    /// As this node knows it.
    pub(crate) slot_epoch: u32,
    pub(crate) kind: Kind,
    pub(crate) opcode: Option<Opcode>,
    /// QUIET of the request; MAP_HINT of the answer.
    pub(crate) flags: Flags,
    pub(crate) core: u8,
    pub(crate) arrived: Instant,
    /// After this instant nobody waits for the answer.
    pub(crate) deadline: Instant,
    /// Bytes of the request on the wire.
    pub(crate) bytes: usize,
}

impl Reply {
    /// To a request that was understood.
    #[inline]
    pub(crate) fn to(request: &Request<'_>, arrived: Instant, bytes: usize) -> Self {
        Reply {
            id: request.id,
            slot: request.slot,
            slot_epoch: 0,
            kind: request.kind,
            opcode: Some(request.op.opcode()),
            flags: request.flags & Flags::QUIET,
            core: CORE_ANY,
            arrived,
            deadline: match request.deadline_us {
                0 => Instant::NEVER,
                us => arrived + Duration::from_micros(u64::from(us)),
            },
            bytes,
        }
    }

    /// To a frame that was not.
    pub(crate) fn to_header(header: &Header, arrived: Instant, bytes: usize) -> Self {
        Reply {
            id: header.request_id,
            slot: header.slot,
            slot_epoch: 0,
            kind: header.kind,
            opcode: None,
            flags: Flags::NONE,
            core: CORE_ANY,
            arrived,
            deadline: Instant::NEVER,
            bytes,
        }
    }

    /// Whether an answer is written. One that QUIET silences leaves its credit to the next one on the connection.
    #[inline]
    pub(crate) fn is_answered(&self, status: Status, link: &Link) -> bool {
        if self.kind != Kind::Request {
            return false;
        }
        let is_silenced = self.flags.contains(Flags::QUIET) && !self.is_wanted(status);
        if is_silenced {
            link.note_silenced();
        }
        !is_silenced
    }

    /// Whether somebody who asked QUIETly wants to hear of this outcome.
    fn is_wanted(&self, status: Status) -> bool {
        match self.opcode {
            Some(Opcode::Get) => status != Status::NotFound,
            Some(Opcode::Set | Opcode::Delete | Opcode::Touch) => status != Status::Ok,
            _ => true,
        }
    }

    /// An empty response to it.
    #[inline]
    pub(crate) fn response<'a>(&self, status: Status, now: Instant) -> Response<'a> {
        let mut response = Response::new(self.id, status);
        response.slot = self.slot;
        response.slot_epoch = self.slot_epoch;
        response.core = self.core;
        response.server_us = u32::try_from(now.since(self.arrived).as_micros()).unwrap_or(u32::MAX);
        response.flags = self.flags & Flags::MAP_HINT;
        response
    }
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "an answer that is written later keeps its request in flight"]
pub(crate) enum Sent {
    /// It is written, or nobody wants it.
    Now,
    /// It is a stream of the connection.
    Later,
}

/// Writes an answer to `out`, or queues it as a stream.
pub(crate) fn respond(core: &Core, link: &Link, reply: &Reply, answer: Answer, out: &mut Vec<u8>) -> Sent {
    let mut answer = answer;
    if answer.value.len() > link.terms.value_bytes_max as usize {
        answer = Answer::status(Status::TooLarge);
    }
    if answer.value.len() > INLINE_BYTES_MAX.min(link.frame_value_bytes_max() as usize) {
        let Some(lease) = core.copies.lease(answer.value.len()) else {
            return respond(core, link, reply, Answer::retry(Status::Busy, BUSY_RETRY_US), out);
        };
        let value = std::mem::take(&mut answer.value);
        return push_stream(core, link, reply, Stream::new(*reply, answer, Body::Copied { value, lease }));
    }
    core.metrics().note_answer(answer.status);
    if reply.is_answered(answer.status, link) {
        let mut response = reply.response(answer.status, core.reactor.now());
        answer.describe(&mut response);
        response.credits = link.take_credits();
        response.encode(link.dialect, out);
    }
    Sent::Now
}

/// Queues a large answer; its connection's task writes it as room comes up.
pub(crate) fn push_stream(core: &Core, link: &Link, reply: &Reply, stream: Stream) -> Sent {
    core.metrics().note_answer(Status::Ok);
    if !reply.is_answered(Status::Ok, link) {
        return Sent::Now;
    }
    link.streams.borrow_mut().push_back(stream);
    link.attention.notify();
    Sent::Later
}
