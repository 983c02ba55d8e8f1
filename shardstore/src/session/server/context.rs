//! What an answer has to know of its request: ids, slot and epoch, QUIET, deadline.
//!
//! **Not**: what the answer says.
//!
//! **Invariants**: a request is answered once, or not at all where QUIET or one-way says so; an answer that QUIET silences
//! leaves its credit to the next one.
//!
//! **Source**: docs/wire.md, "Responses" and "Flow control".

use super::peer_credit::PeerCredit;
use crate::key::SlotId;
use crate::session::CorrelationId;
use crate::wire::header::CORE_ANY;
use crate::wire::{Flags, Header, Kind, Opcode, Request, Response, Status};

/// A request, apart from what it asks. `I` is an instant of the server's clock.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext<I> {
    /// The asker's.
    pub id: CorrelationId,
    /// Slot of the request.
    pub slot: SlotId,
    /// As this node knows it.
    pub slot_epoch: u32,
    /// Whether an answer is wanted at all.
    pub kind: Kind,
    /// `None` when the request was not understood.
    pub opcode: Option<Opcode>,
    /// QUIET of the request; MAP_HINT of the answer.
    pub flags: Flags,
    /// The core that serves it, or [`CORE_ANY`].
    pub core: u8,
    /// When the frame was received; in chunks, the first one.
    pub arrived: I,
    /// After this instant the response is not needed.
    pub deadline: I,
    /// Bytes of the request on the wire.
    pub bytes: usize,
}

impl<I: Copy> RequestContext<I> {
    /// Of a request that was understood.
    #[inline]
    pub const fn of(request: &Request<'_>, arrived: I, deadline: I, bytes: usize) -> Self {
        Self {
            id: CorrelationId(request.id),
            slot: request.slot,
            slot_epoch: 0,
            kind: request.kind,
            opcode: Some(request.op.opcode()),
            flags: if request.flags.contains(Flags::QUIET) { Flags::QUIET } else { Flags::NONE },
            core: CORE_ANY,
            arrived,
            deadline,
            bytes,
        }
    }

    /// Of a frame that was not understood.
    pub const fn of_header(header: &Header, arrived: I, deadline: I, bytes: usize) -> Self {
        Self {
            id: CorrelationId(header.request_id),
            slot: header.slot,
            slot_epoch: 0,
            kind: header.kind,
            opcode: None,
            flags: Flags::NONE,
            core: CORE_ANY,
            arrived,
            deadline,
            bytes,
        }
    }

    /// Whether an answer with this status is written. One that QUIET silences leaves its credit to the next one on the
    /// connection.
    #[inline]
    pub fn is_answered(&self, status: Status, credit: &PeerCredit) -> bool {
        if self.kind != Kind::Request {
            return false;
        }
        let is_silenced = self.flags.contains(Flags::QUIET) && !self.is_wanted(status);
        if is_silenced {
            credit.note_silenced();
        }
        !is_silenced
    }

    /// Whether this outcome is reported to a peer that set QUIET.
    const fn is_wanted(&self, status: Status) -> bool {
        match self.opcode {
            Some(Opcode::Get | Opcode::Read) => !matches!(status, Status::NotFound),
            Some(Opcode::Set | Opcode::Delete | Opcode::Touch) => !matches!(status, Status::Ok),
            _ => true,
        }
    }

    /// An empty response to it, after this time in the server.
    #[inline]
    #[must_use]
    pub fn response<'a>(&self, status: Status, server_us: u32) -> Response<'a> {
        let mut response = Response::new(self.id.0, status);
        response.slot = self.slot;
        response.slot_epoch = self.slot_epoch;
        response.core = self.core;
        response.server_us = server_us;
        response.flags = self.flags & Flags::MAP_HINT;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Condition;
    use crate::wire::Op;

    fn context(op: Op<'_>, kind: Kind, flags: Flags) -> RequestContext<u32> {
        let request = Request { kind, flags, ..Request::new(7, SlotId::ZERO, 3, op) };
        RequestContext::of(&request, 10, 20, 64)
    }

    #[test]
    fn quiet_silences_the_expected_outcome_and_nothing_else() {
        let key = b"\0k";
        let (get, delete) = (Op::Get { key }, Op::Delete { key, version: 0, condition: Condition::Any });
        let cases = [
            (get, Status::NotFound, false),
            (get, Status::Ok, true),
            (get, Status::Busy, true),
            (delete, Status::Ok, false),
            (delete, Status::NotFound, true),
            (Op::Touch { key, ttl_ms: 1 }, Status::Ok, false),
            (Op::Ping, Status::Ok, true),
        ];
        for (op, status, answered) in cases {
            let credit = PeerCredit::new(1, 1);
            let quiet = context(op, Kind::Request, Flags::QUIET | Flags::IDEMPOTENT);
            assert_eq!(quiet.is_answered(status, &credit), answered, "{op:?} {status:?}");
            assert_eq!(credit.take_credits(), if answered { 1 } else { 2 }, "the credit of what is silenced stays");
            assert!(context(op, Kind::Request, Flags::NONE).is_answered(status, &credit));
            assert!(!context(op, Kind::OneWay, Flags::QUIET).is_answered(status, &credit));
            assert_eq!(credit.take_credits(), 1, "one-way requests have none");
        }
        let header = Header::new(Kind::Request, 999, 1);
        let unknown = RequestContext::of_header(&header, 10, 20, 64);
        assert!(unknown.is_answered(Status::Unsupported, &PeerCredit::new(1, 1)));
    }

    #[test]
    fn a_response_repeats_what_names_its_request() {
        let mut context = context(Op::Ping, Kind::Request, Flags::QUIET);
        (context.slot_epoch, context.core) = (9, 2);
        context.flags |= Flags::MAP_HINT;
        let response = context.response(Status::Ok, 55);
        assert_eq!((response.id, response.slot_epoch, response.core, response.server_us), (7, 9, 2, 55));
        assert_eq!(response.flags, Flags::MAP_HINT, "QUIET is the request's");
    }
}
