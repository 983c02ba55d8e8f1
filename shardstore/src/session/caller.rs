//! The side of a connection that sends requests: an edge, a load generator.
//!
//! ```text
//!  Handshake ──▶ SessionTerms ──▶ CallerSession::open
//!  credit ─▶ begin ─▶ write            pending: id, grant, whatever the caller keeps with it
//!                       AnswerReader ─▶ Answer ─▶ complete ─▶ the caller's
//!  the connection has ended: close ─▶ all pending requests, whose outcome is not known
//! ```
//!
//! **Not**: deadlines. A request that its caller no longer waits for stays pending, with its credit, until the node answers
//! or the connection ends: the node is still at work on it.
//!
//! **Invariants**: ids ascend and are used once in the life of a session, so that a late response is never taken for another; what was
//! begun is completed or handed out by [`CallerSession::close`], once.
//!
//! **Source**: docs/wire.md, "A connection", "Flow control", "Large values".

use std::collections::VecDeque;

use super::credit_pool::{CreditGrant, CreditPool, CreditWaker};
use crate::version::Condition;
use crate::wire::credits::Credits;
use crate::wire::header::EXT_UNIT_BYTES;
use crate::wire::reassembly::{self, ValuePart};
use crate::wire::terms::SessionTerms;
use crate::wire::{HEADER_BYTES, Op, Request};

/// Names a request among all of a caller's on one connection; answers repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CorrelationId(pub u64);

/// For a caller that never waits for credit.
#[derive(Debug)]
pub enum NeverWaits {}

impl CreditWaker for NeverWaits {
    fn wake(self) {}
}

/// Bytes of all frames of a request, which is what it costs of the byte credit.
#[inline]
#[must_use]
pub fn wire_bytes(op: &Op<'_>, frame_value_bytes_max: u32) -> u32 {
    let (metadata, condition) = match op {
        Op::Set(set) => (set.metadata, set.condition),
        Op::Delete { condition, .. } => (&[][..], *condition),
        _ => (&[][..], Condition::Any),
    };
    let metadata_bytes = if metadata.is_empty() { 0 } else { TLV_BYTES + metadata.len() };
    let wanted_bytes = if let Op::Read { .. } = op { TLV_BYTES + 17 } else { 0 };
    let details_bytes = metadata_bytes
        + wanted_bytes
        + match condition {
            Condition::Any => 0,
            Condition::Absent | Condition::Present => TLV_BYTES + 1,
            Condition::VersionEquals(_) => TLV_BYTES + 9,
        };
    let (sections_bytes, value_bytes) = (op.key().len() + op.value().len(), op.value().len());
    let part_bytes_max = frame_value_bytes_max as usize;
    let heads_bytes = if value_bytes <= part_bytes_max {
        HEADER_BYTES + details_bytes.next_multiple_of(EXT_UNIT_BYTES)
    } else {
        let first = (details_bytes + CHUNK_BYTES).next_multiple_of(EXT_UNIT_BYTES);
        let later = CHUNK_BYTES.next_multiple_of(EXT_UNIT_BYTES);
        let parts = value_bytes.div_ceil(part_bytes_max);
        HEADER_BYTES * parts + first + later * (parts - 1)
    };
    u32::try_from(heads_bytes + sections_bytes).unwrap_or(u32::MAX)
}

/// Type and length of a detail.
const TLV_BYTES: usize = 2;

/// The detail that names a chunk.
const CHUNK_BYTES: usize = TLV_BYTES + 8;

#[derive(Debug)]
struct Pending<P> {
    id: CorrelationId,
    grant: CreditGrant,
    state: P,
}

/// Requests in flight on the connection that is open, and the credit for more. It outlives its connections.
#[derive(Debug)]
pub struct CallerSession<P, N> {
    /// None while no connection is open.
    terms: Option<SessionTerms>,
    /// Credit, and the queue for it.
    pub credit: CreditPool<N>,
    /// In the order of their ids.
    pending: VecDeque<Pending<P>>,
    next_id: u64,
}

impl<P, N> Default for CallerSession<P, N> {
    fn default() -> Self {
        Self { terms: None, credit: CreditPool::default(), pending: VecDeque::new(), next_id: 0 }
    }
}

impl<P, N: CreditWaker> CallerSession<P, N> {
    /// A connection is open on these terms.
    pub fn open(&mut self, terms: SessionTerms) {
        debug_assert!(self.pending.is_empty(), "what was pending ended with its connection");
        self.terms = Some(terms);
        self.credit.open(Credits::granted(terms.send_requests, terms.send_bytes));
    }

    /// The connection has ended; returns the requests that will not be answered.
    pub fn close(&mut self) -> impl Iterator<Item = P> + use<P, N> {
        self.terms = None;
        self.credit.close();
        std::mem::take(&mut self.pending).into_iter().map(|pending| pending.state)
    }

    /// The terms of the connection that is open.
    #[inline]
    #[must_use]
    pub const fn terms(&self) -> Option<&SessionTerms> {
        self.terms.as_ref()
    }

    /// Whether nothing is in flight.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// A request is about to be written with this grant; its id. `state` comes back with its answer.
    ///
    /// # Panics
    ///
    /// When no connection is open: then the grant is of none that is.
    #[inline]
    pub fn begin(&mut self, grant: CreditGrant, state: P) -> CorrelationId {
        assert!(self.terms.is_some(), "credit was taken of a connection that is open, and is used at once");
        let id = CorrelationId(self.next_id);
        self.next_id += 1;
        self.pending.push_back(Pending { id, grant, state });
        id
    }

    /// Appends a request's frames to `out`.
    ///
    /// # Panics
    ///
    /// When no connection is open, or the value is longer than 4 GiB.
    #[inline]
    pub fn write(&self, request: &Request<'_>, out: &mut Vec<u8>) {
        self.parts(request).for_each(|part| self.write_part(request, part, out));
    }

    /// The parts that a request's value is sent in: one, unless it is larger than a frame.
    ///
    /// # Panics
    ///
    /// As [`CallerSession::write`].
    #[inline]
    pub fn parts(&self, request: &Request<'_>) -> impl Iterator<Item = ValuePart> + use<P, N> {
        let terms = self.terms.as_ref().expect("a request is written where it was begun");
        let total = u32::try_from(request.op.value().len()).expect("a value is at most VALUE_BYTES_MAX long");
        reassembly::split(total, terms.limits.frame_value_bytes_max)
    }

    /// Appends the frame with one part of a request's value to `out`; the parts go in their order, with others between them or not.
    ///
    /// # Panics
    ///
    /// When no connection is open.
    #[inline]
    pub fn write_part(&self, request: &Request<'_>, part: ValuePart, out: &mut Vec<u8>) {
        let terms = self.terms.as_ref().expect("a request is written where it was begun");
        request.encode_head(terms.dialect(), part, out);
        out.extend_from_slice(&request.op.value()[part.range()]);
    }

    /// Which of the requests in flight, counted in the order in which they were begun, has this id.
    #[inline]
    #[must_use]
    pub fn position(&self, id: CorrelationId) -> Option<usize> {
        match self.pending.front() {
            Some(first) if first.id == id => Some(0),
            _ => self.pending.binary_search_by_key(&id, |pending| pending.id).ok(),
        }
    }

    /// What the caller keeps with a request in flight.
    pub fn pending_mut(&mut self, id: CorrelationId) -> Option<&mut P> {
        let at = self.position(id)?;
        self.pending.get_mut(at).map(|pending| &mut pending.state)
    }

    /// The answer to the request at this position is whole, and grants as many requests.
    #[inline]
    pub fn complete(&mut self, at: usize, requests_granted: u16) -> Option<P> {
        let pending = if at == 0 { self.pending.pop_front() } else { self.pending.remove(at) }?;
        self.credit.release(pending.grant, requests_granted);
        Some(pending.state)
    }
}

#[cfg(test)]
mod tests;
