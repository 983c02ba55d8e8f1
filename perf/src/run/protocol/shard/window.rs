//! What one connection to a node has under way, and what it may have.
//!
//! Its writer and its reader share it: the one spends credit, the other brings it back.
//!
//! **Invariants**: ids ascend, so that a response finds its request whatever order responses come in.

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::rc::Rc;

use shardstore::wire::credits::{Credits, Spent};
use shardstore::wire::request::Dialect;
use shardstore::wire::terms::SessionTerms;
use shardstore::wire::{HEADER_BYTES, Op};

use super::Malformed;

/// Ext of a frame that carries a part of a value: CHUNK, 2 bytes and 8 of payload, in units of 8.
const CHUNK_EXT_BYTES: usize = 16;

/// The window of one connection, shared by who writes and who reads.
#[derive(Clone)]
pub(in crate::run) struct Link(Rc<RefCell<Window>>);

impl Link {
    pub(super) fn new(session: &SessionTerms) -> Self {
        Self(Rc::new(RefCell::new(Window {
            dialect: session.dialect(),
            epoch: session.peer_epoch,
            frame_value_bytes_max: session.limits.frame_value_bytes_max,
            credits: Credits::granted(session.send_requests, session.send_bytes),
            under_way: VecDeque::new(),
            next_id: 0,
            key: Vec::new(),
        })))
    }

    #[inline]
    pub(super) fn borrow_mut(&self) -> RefMut<'_, Window> {
        self.0.borrow_mut()
    }
}

pub(super) struct Window {
    pub(super) dialect: Dialect,
    /// Of the node's topology, and so of every slot in it.
    pub(super) epoch: u32,
    pub(super) frame_value_bytes_max: u32,
    credits: Credits,
    /// Requests in the order in which they were written.
    under_way: VecDeque<(u64, Spent)>,
    next_id: u64,
    /// Room to write a stored key in.
    pub(super) key: Vec<u8>,
}

impl Window {
    /// Takes credit for a request; its id, or `None` when it has to wait for an answer.
    #[inline]
    pub(super) fn begin(&mut self, op: &Op<'_>) -> Option<u64> {
        let spent = self.credits.spend(self.wire_bytes(op))?;
        let id = self.next_id;
        self.next_id += 1;
        self.under_way.push_back((id, spent));
        Some(id)
    }

    /// Bytes of all frames of a request.
    #[inline]
    pub(super) fn wire_bytes(&self, op: &Op<'_>) -> u32 {
        let (key_bytes, value_bytes) = (op.key().len(), op.value().len());
        let part_bytes_max = self.frame_value_bytes_max as usize;
        let heads_bytes = if value_bytes <= part_bytes_max {
            HEADER_BYTES
        } else {
            value_bytes.div_ceil(part_bytes_max) * (HEADER_BYTES + CHUNK_EXT_BYTES)
        };
        (heads_bytes + key_bytes + value_bytes) as u32
    }

    /// Which of the requests under way has this id.
    ///
    /// # Errors
    /// [`Malformed::UnknownId`]: none has.
    #[inline]
    pub(super) fn position(&self, id: u64) -> Result<usize, Malformed> {
        match self.under_way.front() {
            Some((first, _)) if *first == id => Ok(0),
            _ => self.under_way.binary_search_by_key(&id, |(id, _)| *id).map_err(|_| Malformed::UnknownId),
        }
    }

    /// The request at this position was answered.
    ///
    /// # Errors
    /// [`Malformed::NoCredit`]: nothing is under way any more, and nothing may be.
    #[inline]
    pub(super) fn end(&mut self, at: usize, requests_granted: u16) -> Result<(), Malformed> {
        let ended = if at == 0 { self.under_way.pop_front() } else { self.under_way.remove(at) };
        let (_, spent) = ended.ok_or(Malformed::UnknownId)?;
        self.credits.settle(spent, requests_granted);
        if self.credits.requests_free() == 0 && self.under_way.is_empty() {
            return Err(Malformed::NoCredit);
        }
        Ok(())
    }
}
