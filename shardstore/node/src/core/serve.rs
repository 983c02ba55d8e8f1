//! Frames of one connection, from decoded to answered.
//!
//! ```text
//!  frame ─┬─ chunk ──▶ Reassembler ──▶ whole ─┐
//!         └───────────────────────────────────┴▶ request ─┬─ turned away: draining, over credit, too late
//!                                                         ├─ GET here: looked up and encoded in place
//!                                                         ├─ other operations here
//!                                                         ├─ GET of another core's key: read in place
//!                                                         └─ another core: hop
//! ```
//!
//! **Not**: reading bytes or waiting; nothing here suspends.
//!
//! **Invariants**: a GET that hits a value up to [`INLINE_BYTES_MAX`] allocates nothing; every request is answered, waits as
//! a hop or a stream, or ends the connection.
//!
//! **Source**: docs/wire.md.

use std::rc::Rc;

use reactor::{CoreId, Instant};
use shardstore::wire::ext::Chunk;
use shardstore::wire::reassembly::{Part, Progress, Reassembler, ReassemblyError};
use shardstore::wire::{Flags, Frame, FrameError, Kind, Op, Request, Status};
use store_runtime::budget::Lease;

use super::answer::Answer;
use super::batch;
use super::hop::Waiting;
use super::link::Link;
use super::operate::{described, operate, ttl_left_ms};
use super::place::Place;
use super::respond::{BUSY_RETRY_US, INLINE_BYTES_MAX, Reply, Sent, UNAVAILABLE_RETRY_US, push_stream, respond};
use super::stream::{Body, Stream};
use super::{Core, note};
use crate::message::OwnedFrame;
use crate::metrics::{self, Event};

/// A value that is arriving in chunks.
struct Begun {
    id: u64,
    at: Instant,
    #[expect(dead_code, reason = "held for its drop, which gives the bytes back")]
    lease: Lease,
}

/// One connection's conversation.
pub(super) struct Conversation {
    pub(super) core: Rc<Core>,
    pub(super) link: Rc<Link>,
    reassembler: Reassembler,
    begun: Vec<Begun>,
    /// Requests whose first chunk could not be understood: what is left of them is skipped.
    refused: Vec<u64>,
}

impl Conversation {
    pub(super) fn new(core: &Rc<Core>, link: &Rc<Link>) -> Self {
        let value_bytes_max = link.terms.value_bytes_max;
        let bytes_max = u64::from(value_bytes_max.max(link.granted.bytes));
        let reassembler = Reassembler::new(value_bytes_max, link.granted.requests as usize, bytes_max);
        Conversation {
            core: Rc::clone(core),
            link: Rc::clone(link),
            reassembler,
            begun: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Takes a frame; appends to `out` what can be answered now.
    ///
    /// # Errors
    /// What ends the connection; the peer's fault.
    #[inline]
    pub(super) fn take(
        &mut self,
        frame: &Frame<'_>,
        arrived: Instant,
        out: &mut Vec<u8>,
    ) -> Result<(), ReassemblyError> {
        if !frame.ext.is_empty() || frame.header.flags.contains(Flags::MORE) {
            return self.take_detailed(frame, arrived, out);
        }
        Ok(self.take_request(frame, arrived, out)?)
    }

    fn take_detailed(&mut self, frame: &Frame<'_>, arrived: Instant, out: &mut Vec<u8>) -> Result<(), ReassemblyError> {
        if !matches!(frame.header.kind, Kind::Request | Kind::OneWay) {
            return Err(FrameError::Unexpected.into());
        }
        match Reassembler::chunk_of(frame) {
            Ok(Some(_)) if self.skip(frame) => Ok(()),
            Ok(Some(chunk)) => self.take_chunk(frame, chunk, arrived, out),
            Ok(None) => Ok(self.take_request(frame, arrived, out)?),
            Err(error) => {
                self.refuse(error.into(), frame, arrived, out)?;
                if frame.header.flags.contains(Flags::MORE) {
                    if self.refused.len() >= self.link.granted.requests as usize {
                        return Err(ReassemblyError::Contradiction);
                    }
                    self.refused.push(frame.header.request_id);
                }
                Ok(())
            }
        }
    }

    /// Whether a chunk belongs to a request that was refused; its last one ends that.
    fn skip(&mut self, frame: &Frame<'_>) -> bool {
        let Some(index) = self.refused.iter().position(|refused| *refused == frame.header.request_id) else {
            return false;
        };
        if !frame.header.flags.contains(Flags::MORE) {
            self.refused.swap_remove(index);
        }
        true
    }

    fn take_chunk(
        &mut self,
        frame: &Frame<'_>,
        chunk: Chunk,
        arrived: Instant,
        out: &mut Vec<u8>,
    ) -> Result<(), ReassemblyError> {
        let id = frame.header.request_id;
        let begun = self.begun.iter().position(|begun| begun.id == id);
        match self.reassembler.accept(frame, chunk) {
            Ok(Progress::Skipped) => Ok(()),
            Ok(Progress::Partial) => {
                if begun.is_some() {
                    return Ok(());
                }
                let Some(lease) = self.core.assembling.lease(chunk.total as usize) else {
                    self.reassembler.discard(id);
                    return self.refuse(ReassemblyError::Busy, frame, arrived, out);
                };
                self.begun.push(Begun { id, at: arrived, lease });
                Ok(())
            }
            Ok(Progress::Whole(assembled)) => {
                let at = begun.map_or(arrived, |index| self.begun.swap_remove(index).at);
                Ok(self.take_request(&assembled.frame(), at, out)?)
            }
            Err(error) => {
                if let Some(index) = begun {
                    self.begun.swap_remove(index);
                }
                self.refuse(error, frame, arrived, out)
            }
        }
    }

    /// Answers what cannot be served, or ends the connection.
    #[cold]
    fn refuse(
        &self,
        error: ReassemblyError,
        frame: &Frame<'_>,
        arrived: Instant,
        out: &mut Vec<u8>,
    ) -> Result<(), ReassemblyError> {
        // A fault that ends the connection is counted where it ends.
        let status = error.answer().ok_or(error)?;
        self.core.metrics().faults.note(error.name());
        let reply = Reply::to_header(&frame.header, arrived, frame.wire_bytes());
        let answer = match status {
            Status::Busy => Answer::retry(status, BUSY_RETRY_US),
            status => Answer::status(status),
        };
        self.send(&reply, answer, out);
        Ok(())
    }

    #[inline]
    fn take_request(&self, frame: &Frame<'_>, arrived: Instant, out: &mut Vec<u8>) -> Result<(), FrameError> {
        match self.serve(frame, arrived, out) {
            Ok(()) => Ok(()),
            Err(error) => match self.refuse(error.into(), frame, arrived, out) {
                Ok(()) => Ok(()),
                Err(_) => Err(error),
            },
        }
    }

    #[inline]
    fn serve(&self, frame: &Frame<'_>, arrived: Instant, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let request = Request::parse(frame)?;
        let mut reply = Reply::to(&request, arrived, frame.wire_bytes());
        self.core.metrics().note_request(request.op.opcode());
        if let Some(answer) = self.turn_away(&reply) {
            self.send(&reply, answer, out);
            return Ok(());
        }
        let key = request.op.key();
        if key.is_empty() {
            return self.serve_keyless(&request, &reply, out);
        }
        let hash = self.core.hash(key)?;
        if key.len() > usize::from(self.link.terms.key_bytes_max) {
            self.send(&reply, Answer::status(Status::TooLarge), out);
            return Ok(());
        }
        match self.core.place(hash, request.slot_epoch, &mut reply) {
            Place::Here => match request.op {
                Op::Get { key } => self.lookup(hash, key, &reply, out),
                op => self.send(&reply, operate(&self.core, hash, &op), out),
            },
            Place::Core(core) => match request.op {
                Op::Get { key } if self.lookup_in_place(core, (hash, key), &reply, out) => {}
                _ => self.hop(core, frame, &reply, out),
            },
            Place::Elsewhere(answer) => self.send(&reply, *answer, out),
        }
        Ok(())
    }

    /// Why a request is not served at all, if so.
    #[inline]
    fn turn_away(&self, reply: &Reply) -> Option<Answer> {
        if self.core.is_refusing() {
            return Some(Answer::retry(Status::Unavailable, UNAVAILABLE_RETRY_US));
        }
        if reply.kind == Kind::Request && !self.link.has_credit(reply.bytes) {
            note(&self.core, Event::OverCredit);
            return Some(Answer::retry(Status::Busy, BUSY_RETRY_US));
        }
        if self.core.reactor.now() > reply.deadline {
            note(&self.core, Event::DeadlineMissed);
            return Some(Answer::retry(Status::Unavailable, 0));
        }
        None
    }

    /// GET of a key of this core.
    #[inline]
    fn lookup(&self, hash: shardstore::key::KeyHash, key: &[u8], reply: &Reply, out: &mut Vec<u8>) {
        let core = &self.core;
        let now_ms = core.reactor.wall_ms();
        let mut shard = core.shard.borrow_mut();
        let Some(hit) = shard.get(hash, key, now_ms) else {
            self.send(reply, Answer::status(Status::NotFound), out);
            return;
        };
        let value = hit.value();
        if value.len() > INLINE_BYTES_MAX.min(self.link.frame_value_bytes_max() as usize) {
            self.stream(&hit, reply, out);
            return;
        }
        core.metrics().note_answer(Status::Ok);
        if !reply.is_answered(Status::Ok, &self.link) {
            return;
        }
        let mut response = reply.response(Status::Ok, core.reactor.now());
        response.credits = self.link.take_credits();
        response.version = hit.version().bits();
        response.ttl_ms = ttl_left_ms(hit.expire_ms(), now_ms);
        response.value_crc32c = Some(hit.value_crc32c());
        response.metadata = hit.metadata();
        response.encode_head(self.link.dialect, Part::whole(value.len() as u32), out);
        value.pieces().for_each(|piece| out.extend_from_slice(piece));
    }

    /// A large value is pinned while it is sent, or copied where it may not be.
    #[cold]
    fn stream(&self, hit: &shardstore::cache::Hit<'_>, reply: &Reply, out: &mut Vec<u8>) {
        let core = &self.core;
        let bytes = hit.value().len();
        if bytes > self.link.terms.value_bytes_max as usize {
            self.send(reply, Answer::status(Status::TooLarge), out);
            return;
        }
        let body = match hit.pin() {
            Some(pinned) => Body::Pinned(pinned),
            None => {
                let Some(lease) = core.copies.lease(bytes) else {
                    self.send(reply, Answer::retry(Status::Busy, BUSY_RETRY_US), out);
                    return;
                };
                let mut value = Vec::new();
                hit.value().copy_to(&mut value);
                Body::Copied { value, lease }
            }
        };
        let mut answer = described(hit, core.reactor.wall_ms());
        answer.metadata = hit.metadata().to_vec();
        let sent = push_stream(core, &self.link, reply, Stream::new(*reply, answer, body));
        self.note_sent(reply, sent);
    }

    fn serve_keyless(&self, request: &Request<'_>, reply: &Reply, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let answer = match request.op {
            Op::Mget(_) | Op::Mset(_) => {
                let sent = batch::serve(&self.core, &self.link, request, *reply, out)?;
                self.note_sent(reply, sent);
                return Ok(());
            }
            Op::Topology => Answer::payload(self.core.topology_text(request.slot_epoch)),
            Op::Stats => {
                self.core.publish();
                Answer::payload(metrics::stats(&self.core.node_metrics))
            }
            _ => Answer::status(Status::Ok),
        };
        self.send(reply, answer, out);
        Ok(())
    }

    fn hop(&self, to: CoreId, frame: &Frame<'_>, reply: &Reply, out: &mut Vec<u8>) {
        note(&self.core, Event::Hop);
        let waiting = Waiting::One { link: Rc::clone(&self.link), reply: *reply };
        if self.core.hop(to, OwnedFrame::of(frame), reply.deadline, waiting).is_ok() {
            self.link.note_hop();
            self.note_sent(reply, Sent::Later);
        } else {
            self.send(reply, Answer::retry(Status::Busy, BUSY_RETRY_US), out);
        }
    }

    pub(super) fn send(&self, reply: &Reply, answer: Answer, out: &mut Vec<u8>) {
        let sent = respond(&self.core, &self.link, reply, answer, out);
        self.note_sent(reply, sent);
    }

    /// Keeps account of the peer's credit: of what waits. One-way requests cost nothing.
    #[inline]
    fn note_sent(&self, reply: &Reply, sent: Sent) {
        if (reply.kind, sent) == (Kind::Request, Sent::Later) {
            self.link.note_waiting(reply.bytes);
        }
    }
}
