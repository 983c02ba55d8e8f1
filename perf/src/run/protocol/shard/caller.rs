//! The protocol's caller, as one connection's writer and its reader share it: the one spends credit, the other brings it
//! back.
//!
//! **Not** waiting for credit: a lane looks again when an answer has come.

use std::cell::{RefCell, RefMut};
use std::rc::Rc;

use shardstore::session::{CallerSession, CorrelationId, NeverWaits, wire_bytes};
use shardstore::wire::Op;
use shardstore::wire::terms::SessionTerms;

use super::MalformedFrame;

/// The caller of one connection, shared by who writes and who reads.
#[derive(Clone)]
pub(in crate::run) struct SharedCaller(Rc<RefCell<Caller>>);

impl SharedCaller {
    pub(super) fn new(terms: &SessionTerms) -> Self {
        let mut session = CallerSession::default();
        session.open(*terms);
        let frame_value_bytes_max = terms.limits.frame_value_bytes_max;
        Self(Rc::new(RefCell::new(Caller { session, epoch: terms.peer_epoch, frame_value_bytes_max, key: Vec::new() })))
    }

    #[inline]
    pub(super) fn borrow_mut(&self) -> RefMut<'_, Caller> {
        self.0.borrow_mut()
    }
}

pub(super) struct Caller {
    pub(super) session: CallerSession<(), NeverWaits>,
    /// Of the node's topology, and so of every slot in it.
    pub(super) epoch: u32,
    frame_value_bytes_max: u32,
    /// Room to write a stored key in.
    pub(super) key: Vec<u8>,
}

impl Caller {
    /// Takes credit for a request; its id, or `None` when it has to wait for an answer.
    #[inline]
    pub(super) fn begin(&mut self, op: &Op<'_>) -> Option<CorrelationId> {
        let grant = self.session.credit.take(wire_bytes(op, self.frame_value_bytes_max))?;
        Some(self.session.begin(grant, ()))
    }

    /// Which of the requests under way has this id.
    #[inline]
    pub(super) fn position(&self, id: u64) -> Result<usize, MalformedFrame> {
        self.session.position(CorrelationId(id)).ok_or(MalformedFrame::UnknownId)
    }

    /// The request at this position was answered.
    #[inline]
    pub(super) fn end(&mut self, at: usize, requests_granted: u16) -> Result<(), MalformedFrame> {
        self.session.complete(at, requests_granted).ok_or(MalformedFrame::UnknownId)?;
        if self.session.credit.is_exhausted() { Err(MalformedFrame::NoCredit) } else { Ok(()) }
    }
}
