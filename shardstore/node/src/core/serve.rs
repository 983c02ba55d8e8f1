//! Frames of one connection, from decoded to answered.
//!
//! ```text
//!  frame ─┬─ chunk ──▶ RequestAssembler ─▶ whole ┐
//!         └──────────────────────────────────────┴▶ request ─┬─ turned away: draining, over credit, too late
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
use shardstore::session::server::{Accepted, RequestAssembler};
use shardstore::wire::reassembly::{ReassemblyError, ValuePart};
use shardstore::wire::{Frame, FrameError, Kind, Op, Request, Status};
use store_runtime::budget::Lease;

use super::answer::OwnedResponse;
use super::batch;
use super::context::{RequestContext, deadline, response_to};
use super::link::Link;
use super::operate::{described, operate, ttl_left_ms};
use super::place::Ownership;
use super::respond::{BUSY_RETRY_US, INLINE_BYTES_MAX, Sent, UNAVAILABLE_RETRY_US, push_stream, respond};
use super::stream::{Body, ResponseStream};
use super::waiting::Waiting;
use super::{NodeCore, note};
use crate::message::OwnedFrame;
use crate::metrics::{self, Event};

/// Serves one connection's frames.
pub(super) struct FrameHandler {
    pub(super) core: Rc<NodeCore>,
    pub(super) link: Rc<Link>,
    assembler: RequestAssembler<Lease, Instant>,
}

impl FrameHandler {
    /// For a connection whose peer may have so many bytes in flight.
    pub(super) fn new(core: &Rc<NodeCore>, link: &Rc<Link>, granted_bytes: u32) -> Self {
        let assembler = RequestAssembler::new(&link.terms, link.credit.granted_requests(), granted_bytes);
        FrameHandler { core: Rc::clone(core), link: Rc::clone(link), assembler }
    }

    /// Takes a frame in that arrived then; `out` gets what can be answered now.
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
        match self.assembler.accept(frame, arrived, |bytes| self.core.assembling.lease(bytes)) {
            Ok(Accepted::Request) => Ok(self.take_request(frame, arrived, out)?),
            Ok(Accepted::Assembled(assembled, first_arrived)) => {
                Ok(self.take_request(&assembled.frame(), first_arrived, out)?)
            }
            Ok(Accepted::Nothing) => Ok(()),
            Err(error) => self.refuse(error, frame, arrived, out),
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
        let context = RequestContext::of_header(&frame.header, arrived, Instant::NEVER, frame.wire_bytes());
        let answer = match status {
            Status::Busy => OwnedResponse::retry(status, BUSY_RETRY_US),
            status => OwnedResponse::status(status),
        };
        self.send(&context, answer, out);
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
        let mut context = RequestContext::of(&request, arrived, deadline(&request, arrived), frame.wire_bytes());
        self.core.metrics().note_request(request.op.opcode());
        if let Some(answer) = self.turn_away(&context) {
            self.send(&context, answer, out);
            return Ok(());
        }
        let key = request.op.key();
        if key.is_empty() {
            return self.serve_keyless(&request, &context, out);
        }
        let hash = self.core.hash(key)?;
        if key.len() > usize::from(self.link.terms.key_bytes_max) {
            self.send(&context, OwnedResponse::status(Status::TooLarge), out);
            return Ok(());
        }
        match self.core.place(hash, request.slot_epoch, &mut context) {
            Ownership::Here => match request.op {
                Op::Get { key } => self.lookup(hash, key, &context, out),
                op => self.send(&context, operate(&self.core, hash, &op), out),
            },
            Ownership::Core(core) => match request.op {
                Op::Get { key } if self.lookup_in_place((hash, key), &context, out) => {}
                _ => self.hop(core, frame, &context, out),
            },
            Ownership::Elsewhere(answer) => self.send(&context, *answer, out),
        }
        Ok(())
    }

    /// Why a request is not served at all, if so.
    #[inline]
    fn turn_away(&self, context: &RequestContext) -> Option<OwnedResponse> {
        if self.core.is_refusing() {
            return Some(OwnedResponse::retry(Status::Unavailable, UNAVAILABLE_RETRY_US));
        }
        if context.kind == Kind::Request && !self.link.credit.covers(context.bytes) {
            note(&self.core, Event::OverCredit);
            return Some(OwnedResponse::retry(Status::Busy, BUSY_RETRY_US));
        }
        if self.core.reactor.now() > context.deadline {
            note(&self.core, Event::DeadlineMissed);
            return Some(OwnedResponse::retry(Status::Unavailable, 0));
        }
        None
    }

    /// GET of a key of this core.
    #[inline]
    fn lookup(&self, hash: shardstore::key::KeyHash, key: &[u8], context: &RequestContext, out: &mut Vec<u8>) {
        let core = &self.core;
        let now_ms = core.reactor.wall_ms();
        let mut shard = core.store.shard();
        let Some(hit) = shard.get(hash, key, now_ms) else {
            self.send(context, OwnedResponse::status(Status::NotFound), out);
            return;
        };
        let value = hit.value();
        if value.len() > INLINE_BYTES_MAX.min(self.link.frame_value_bytes_max() as usize) {
            self.stream(&hit, context, out);
            return;
        }
        core.metrics().note_response(Status::Ok);
        if !context.is_answered(Status::Ok, &self.link.credit) {
            return;
        }
        let mut response = response_to(context, Status::Ok, core.reactor.now());
        response.credits = self.link.credit.take_credits();
        response.version = hit.version().bits();
        response.ttl_ms = ttl_left_ms(hit.expire_ms(), now_ms);
        response.value_crc32c = Some(hit.value_crc32c());
        response.metadata = hit.metadata();
        response.encode_head(self.link.dialect, ValuePart::whole(value.len() as u32), out);
        value.pieces().for_each(|piece| out.extend_from_slice(piece));
    }

    /// A large value is pinned while it is sent, or copied where it may not be.
    #[cold]
    fn stream(&self, hit: &shardstore::cache::Hit<'_>, context: &RequestContext, out: &mut Vec<u8>) {
        let core = &self.core;
        let bytes = hit.value().len();
        if bytes > self.link.terms.value_bytes_max as usize {
            self.send(context, OwnedResponse::status(Status::TooLarge), out);
            return;
        }
        let body = match hit.pin() {
            Some(pinned) => Body::Pinned(pinned),
            None => {
                let Some(lease) = core.copies.lease(bytes) else {
                    self.send(context, OwnedResponse::retry(Status::Busy, BUSY_RETRY_US), out);
                    return;
                };
                let mut value = Vec::new();
                hit.value().copy_to(&mut value);
                Body::Copied { value, lease }
            }
        };
        let mut answer = described(hit, core.reactor.wall_ms());
        answer.metadata = hit.metadata().to_vec();
        let sent = push_stream(core, &self.link, context, ResponseStream::new(*context, answer, body));
        self.note_sent(context, sent);
    }

    fn serve_keyless(
        &self,
        request: &Request<'_>,
        context: &RequestContext,
        out: &mut Vec<u8>,
    ) -> Result<(), FrameError> {
        let answer = match request.op {
            Op::Mget(_) | Op::Mset(_) => {
                let sent = batch::serve(&self.core, &self.link, request, *context, out)?;
                self.note_sent(context, sent);
                return Ok(());
            }
            Op::Topology => OwnedResponse::payload(self.core.topology_text(request.slot_epoch)),
            Op::Stats => {
                self.core.publish();
                OwnedResponse::payload(metrics::stats(&self.core.node_metrics))
            }
            _ => OwnedResponse::status(Status::Ok),
        };
        self.send(context, answer, out);
        Ok(())
    }

    fn hop(&self, to: CoreId, frame: &Frame<'_>, context: &RequestContext, out: &mut Vec<u8>) {
        note(&self.core, Event::Hop);
        let waiting = Waiting::One { link: Rc::clone(&self.link), reply: *context };
        if self.core.hop(to, OwnedFrame::of(frame), context.deadline, waiting).is_ok() {
            self.link.note_hop();
            self.note_sent(context, Sent::Later);
        } else {
            self.send(context, OwnedResponse::retry(Status::Busy, BUSY_RETRY_US), out);
        }
    }

    pub(super) fn send(&self, context: &RequestContext, answer: OwnedResponse, out: &mut Vec<u8>) {
        let sent = respond(&self.core, &self.link, context, answer, out);
        self.note_sent(context, sent);
    }

    /// Keeps account of the peer's credit: of what waits. One-way requests cost nothing.
    #[inline]
    fn note_sent(&self, context: &RequestContext, sent: Sent) {
        if (context.kind, sent) == (Kind::Request, Sent::Later) {
            self.link.credit.note_waiting(context.bytes);
        }
    }
}
