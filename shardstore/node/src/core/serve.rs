//! Frames of one connection, from decoded to answered.
//!
//! ```text
//!  frame ─┬─ chunk ──▶ RequestAssembler ─▶ whole ┐
//!         └──────────────────────────────────────┴▶ request ─┬─ turned away: draining, over credit, too late
//!                                                         ├─ GET here: looked up and encoded in place
//!                                                         ├─ SET of a large value here: staged
//!                                                         ├─ other operations here
//!                                                         ├─ GET of another core's key: read in place
//!                                                         ├─ GET of a large value of another core: collected
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
use std::sync::Arc;

use reactor::{CoreId, Instant};
use shardstore::cache::Hit;
use shardstore::key::KeyHash;
use shardstore::session::server::{Accepted, RequestAssembler};
use shardstore::wire::ext::WantedPart;
use shardstore::wire::hello::Hello;
use shardstore::wire::reassembly::{ReassemblyError, ValuePart};
use shardstore::wire::{Frame, FrameError, HEADER_BYTES, Kind, Op, Request, Status};
use store_runtime::budget::Lease;
use store_runtime::discard::discard;
use store_runtime::request::PART_BYTES_MAX;

use super::answer::OwnedResponse;
use super::batch;
use super::collect::{self, CollectRefused};
use super::context::{RequestContext, clock_us, deadline, response_to};
use super::hop::FrameRefused;
use super::link::Link;
use super::operate::{described, operate, ttl_left_ms};
use super::place::Ownership;
use super::respond::{
    BUSY_RETRY_US, INLINE_BYTES_MAX, Sent, UNAVAILABLE_RETRY_US, push_stream, respond, respond_leased,
};
use super::staging::{self, StagingRefused};
use super::stream::{Body, ResponseStream};
use super::waiting::Waiting;
use super::{NodeCore, note};
use crate::message::OwnedFrame;
use crate::metrics::{self, Event};

/// A request that another core has to serve, or this one slice by slice.
type ForCore = Option<(CoreId, RequestContext)>;

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
        if frame.header.kind == Kind::Control {
            return Ok(self.take_control(frame)?);
        }
        let assembling = &self.core.assembling;
        let lease = |held: Option<Lease>, bytes| {
            let mut lease = held.unwrap_or_else(|| assembling.empty_lease());
            lease.covers(bytes).then_some(lease)
        };
        match self.assembler.accept(frame, arrived, lease) {
            Ok(Accepted::Request) => {
                if let Some((core, context)) = self.take_request(frame, arrived, out)? {
                    match self.core.lease_frame(frame.value.len()) {
                        Ok(lease) => self.hop(core, (OwnedFrame::of(frame), lease), &context, out),
                        Err(FrameRefused) => {
                            self.send(&context, OwnedResponse::retry(Status::Busy, BUSY_RETRY_US), out);
                        }
                    }
                }
                Ok(())
            }
            Ok(Accepted::Assembled(assembled, first_arrived, lease)) => {
                if batch::is_too_large(&assembled.frame()) {
                    self.refuse_batch((OwnedFrame::of_assembled(assembled), lease), first_arrived, out);
                    return Ok(());
                }
                if let Some((core, context)) = self.take_request(&assembled.frame(), first_arrived, out)? {
                    self.hop(core, (OwnedFrame::of_assembled(assembled), Some(lease)), &context, out);
                }
                Ok(())
            }
            Ok(Accepted::Nothing) => Ok(()),
            Err(error) => self.refuse(error, frame, arrived, out),
        }
    }

    /// When the value that is arriving for longest is given up.
    pub(super) fn gives_up_at(&self) -> Option<Instant> {
        Some(self.assembler.oldest()? + self.core.limits().value_timeout)
    }

    /// Gives up values that have taken too long to arrive.
    pub(super) fn give_up_values(&mut self, now: Instant, out: &mut Vec<u8>) {
        while self.gives_up_at().is_some_and(|at| at <= now) {
            let oldest = self.assembler.oldest();
            let Some((header, arrived)) = oldest.and_then(|oldest| self.assembler.give_up(oldest)) else { return };
            self.core.metrics().faults.note("chunk_timed_out");
            let context = RequestContext::of_header(&header, arrived, Instant::NEVER, HEADER_BYTES);
            self.send(&context, OwnedResponse::retry(Status::Unavailable, 0), out);
        }
    }

    /// A peer whose map has changed says HELLO again; of that the map counts, the rest was agreed.
    #[cold]
    fn take_control(&self, frame: &Frame<'_>) -> Result<(), FrameError> {
        let hello = Hello::parse(frame).map_err(|_| FrameError::Unexpected)?;
        self.link.map.set(hello.extension.map(|extension| (hello.topology_epoch, extension.map.sum())));
        if self.core.conflicts_with(self.link.map.get()) { Err(FrameError::Unexpected) } else { Ok(()) }
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

    /// Answers a batch that is larger than any frame; nothing of it is done.
    #[cold]
    fn refuse_batch(&self, (frame, lease): (OwnedFrame, Lease), arrived: Instant, out: &mut Vec<u8>) {
        let context = {
            let frame = frame.frame();
            RequestContext::of_header(&frame.header, arrived, Instant::NEVER, frame.wire_bytes())
        };
        self.send(&context, OwnedResponse::status(Status::TooLarge), out);
        discard(&self.core.reactor, Arc::new(frame.into_value()), Some(lease));
    }

    #[inline]
    fn take_request(&self, frame: &Frame<'_>, arrived: Instant, out: &mut Vec<u8>) -> Result<ForCore, FrameError> {
        match self.serve(frame, arrived, out) {
            Ok(hop) => Ok(hop),
            Err(error) => match self.refuse(error.into(), frame, arrived, out) {
                Ok(()) => Ok(None),
                Err(_) => Err(error),
            },
        }
    }

    /// Serves a request, or says which core has to.
    #[inline]
    fn serve(&self, frame: &Frame<'_>, arrived: Instant, out: &mut Vec<u8>) -> Result<ForCore, FrameError> {
        let request = Request::parse(frame)?;
        let mut context =
            RequestContext::of(&request, arrived, deadline(&request, arrived, self.link.has_clock), frame.wire_bytes());
        self.core.metrics().note_request(request.op.opcode());
        if let Some(answer) = self.turn_away(&context, &request.op) {
            self.send(&context, answer, out);
            return Ok(None);
        }
        let key = request.op.key();
        if key.is_empty() {
            return self.serve_keyless(&request, &context, out).map(|()| None);
        }
        let hash = self.core.hash(key)?;
        if key.len() > usize::from(self.link.terms.key_bytes_max) {
            self.send(&context, OwnedResponse::status(Status::TooLarge), out);
            return Ok(None);
        }
        match self.core.place(hash, request.slot_epoch, &mut context) {
            Ownership::Here => match request.op {
                Op::Get { key } => self.lookup(hash, key, &context, out),
                Op::Read { wanted, .. } => self.read(hash, (&request.op, &wanted), &context, out),
                op if staging::is_staged(&op) => return Ok(Some((self.core.reactor.core(), context))),
                op => self.send(&context, operate(&self.core, hash, &op), out),
            },
            Ownership::Core(core) => match request.op {
                Op::Get { key } if self.lookup_in_place((hash, key), &context, out) => {}
                Op::Get { key } => {
                    note(&self.core, Event::Hop);
                    self.collect((core, key), None, &context, out);
                }
                Op::Read { key, wanted } if self.read_in_place((hash, key), &wanted, &context, out) => {}
                Op::Read { wanted, .. } => self.hop_read((core, frame), &wanted, &context, out),
                _ => return Ok(Some((core, context))),
            },
            Ownership::Elsewhere(answer) => self.send(&context, *answer, out),
        }
        Ok(None)
    }

    /// Why a request is not served at all, if so.
    #[inline]
    fn turn_away(&self, context: &RequestContext, op: &Op<'_>) -> Option<OwnedResponse> {
        if self.core.is_refusing() {
            return Some(OwnedResponse::retry(Status::Unavailable, UNAVAILABLE_RETRY_US));
        }
        if context.kind == Kind::Request && !self.link.credit.covers(context.bytes) {
            note(&self.core, Event::OverCredit);
            return Some(OwnedResponse::retry(Status::Busy, BUSY_RETRY_US));
        }
        if self.core.is_late(context.deadline, op) {
            note(&self.core, Event::DeadlineMissed);
            return Some(OwnedResponse::retry(Status::Unavailable, 0));
        }
        None
    }

    /// GET of a key of this core.
    #[inline]
    fn lookup(&self, hash: KeyHash, key: &[u8], context: &RequestContext, out: &mut Vec<u8>) {
        let core = &self.core;
        core.purge(hash, key);
        let now_ms = core.reactor.steady_ms();
        let mut shard = core.store.shard();
        let Some(hit) = shard.get(hash, key, now_ms) else {
            self.send(context, OwnedResponse::status(Status::NotFound), out);
            return;
        };
        let value = hit.value();
        if value.len() > INLINE_BYTES_MAX.min(self.link.frame_value_bytes_max() as usize) {
            let value_bytes = value.len();
            if !self.stream(&hit, context, out) {
                drop(shard);
                self.collect((core.reactor.core(), key), Some(value_bytes), context, out);
            }
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

    /// READ of a key of this core.
    fn read(&self, hash: KeyHash, (op, wanted): (&Op<'_>, &WantedPart), context: &RequestContext, out: &mut Vec<u8>) {
        let Ok(lease) = self.lease_part(wanted) else {
            return self.send(context, OwnedResponse::retry(Status::Busy, BUSY_RETRY_US), out);
        };
        let answer = operate(&self.core, hash, op);
        let sent = respond_leased(&self.core, &self.link, context, (answer, lease), out);
        self.note_sent(context, sent);
    }

    /// READ of a key of another core.
    fn hop_read(
        &self,
        (to, frame): (CoreId, &Frame<'_>),
        wanted: &WantedPart,
        context: &RequestContext,
        out: &mut Vec<u8>,
    ) {
        match self.lease_part(wanted) {
            Ok(lease) => self.hop(to, (OwnedFrame::of(frame), lease), context, out),
            Err(CollectRefused) => self.send(context, OwnedResponse::retry(Status::Busy, BUSY_RETRY_US), out),
        }
    }

    /// Memory for a part that will not be written at once; none for what will.
    fn lease_part(&self, wanted: &WantedPart) -> Result<Option<Lease>, CollectRefused> {
        let bytes = (wanted.bytes_max as usize).min(PART_BYTES_MAX);
        if bytes <= INLINE_BYTES_MAX {
            return Ok(None);
        }
        self.core.copies.lease(bytes).map(Some).ok_or(CollectRefused)
    }

    /// Has a large value read part by part, for a peer that wants it whole: `value_bytes` of a key of this core, or however many
    /// another core has.
    pub(super) fn collect(
        &self,
        (owner, key): (CoreId, &[u8]),
        value_bytes: Option<usize>,
        context: &RequestContext,
        out: &mut Vec<u8>,
    ) {
        match collect::begin(&self.core, &self.link, (owner, key), value_bytes, context) {
            Ok(()) => self.note_sent(context, Sent::Later),
            Err(CollectRefused) => self.send(context, OwnedResponse::retry(Status::Busy, BUSY_RETRY_US), out),
        }
    }

    /// A large value is pinned while it is sent; false where it may not be.
    #[cold]
    fn stream(&self, hit: &Hit<'_>, context: &RequestContext, out: &mut Vec<u8>) -> bool {
        let core = &self.core;
        let bytes = hit.value().len();
        if bytes > self.link.terms.value_bytes_max as usize {
            self.send(context, OwnedResponse::status(Status::TooLarge), out);
            return true;
        }
        let Some(pinned) = hit.pin() else { return false };
        let mut answer = described(hit, core.reactor.steady_ms());
        answer.metadata = hit.metadata().to_vec();
        let stream = ResponseStream::new(*context, answer, Body::Pinned(pinned));
        let sent = push_stream(core, &self.link, context, stream);
        self.note_sent(context, sent);
        true
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
            Op::Ping => {
                let version = clock_us(self.core.reactor.read_clock());
                OwnedResponse { version, ..OwnedResponse::status(Status::Ok) }
            }
            _ => OwnedResponse::status(Status::Ok),
        };
        self.send(context, answer, out);
        Ok(())
    }

    fn hop(
        &self,
        to: CoreId,
        (frame, lease): (OwnedFrame, Option<Lease>),
        context: &RequestContext,
        out: &mut Vec<u8>,
    ) {
        if to == self.core.reactor.core() {
            return self.stage((frame, lease), context, out);
        }
        note(&self.core, Event::Hop);
        let waiting = Waiting::One { link: Rc::clone(&self.link), reply: *context, lease };
        if self.core.hop(to, frame, context.deadline, waiting).is_ok() {
            self.link.note_hop();
            self.note_sent(context, Sent::Later);
        } else {
            self.send(context, OwnedResponse::retry(Status::Busy, BUSY_RETRY_US), out);
        }
    }

    /// Has the value of a SET written slice by slice.
    fn stage(&self, frame: (OwnedFrame, Option<Lease>), context: &RequestContext, out: &mut Vec<u8>) {
        match staging::begin(&self.core, &self.link, frame, context) {
            Ok(()) => self.note_sent(context, Sent::Later),
            Err(StagingRefused) => self.send(context, OwnedResponse::retry(Status::Busy, BUSY_RETRY_US), out),
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
