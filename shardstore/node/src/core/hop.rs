//! Requests that one core takes and another serves.
//!
//! ```text
//!  asking core                                 owning core
//!  Waiting in a slot ── frame ─────▶ operate
//!  written to its link ◀── answer ──
//! ```
//!
//! **Not**: the slots and the messages; those are [`store_runtime::hop`]'s.
//!
//! **Invariants**: at most [`HOPS_MAX`] wait; every hop is answered, since waiters have no deadline of their own.
//!
//! **Source**: docs/wire.md, "What the node does", Keys of another core.

use std::rc::Rc;

use reactor::{CoreId, Instant};
use shardstore::wire::{Kind, Op, Request, Status};
use store_runtime::budget::Lease;
use store_runtime::hop::{Hop, HopAnswer, HopId, HopMessage};

use super::answer::OwnedResponse;
use super::batch_part::is_sliced;
use super::operate::operate;
use super::respond::{Sent, respond_leased};
use super::waiting::Waiting;
use super::{NodeCore, note};
use crate::message::OwnedFrame;
use crate::metrics::Event;

/// Requests of one core that may wait for others: sixteen connections with their usual window.
pub(super) const HOPS_MAX: usize = 4096;

/// Frames up to this size go to another core without a lease: as many as may wait take 64 MiB.
const UNLEASED_FRAME_BYTES_MAX: usize = 16 * 1024;

/// No memory is left for a frame that is to go to another core.
#[derive(Debug)]
pub(super) struct FrameRefused;

impl NodeCore {
    /// Memory for a frame with a value of so many bytes while another core serves it; none for small ones.
    pub(super) fn lease_frame(&self, value_bytes: usize) -> Result<Option<Lease>, FrameRefused> {
        if value_bytes <= UNLEASED_FRAME_BYTES_MAX {
            return Ok(None);
        }
        self.assembling.lease(value_bytes).map(Some).ok_or(FrameRefused)
    }

    /// Has another core serve a frame.
    ///
    /// # Errors
    /// The waiter: this core or the other is over its bound.
    pub(super) fn hop(
        &self,
        to: CoreId,
        frame: OwnedFrame,
        deadline: Instant,
        waiting: Waiting,
    ) -> Result<(), Waiting> {
        let asked = self.hops.ask(&self.mail, to, (deadline, frame.placed_by(self.topology_epoch())), waiting);
        asked.map(drop).inspect_err(|_| note(self, Event::HopRefused))
    }

    /// Serves a request that another core took.
    pub(super) fn serve_hop(self: &Rc<Self>, from: CoreId, hop: Hop<OwnedFrame>) {
        let answer = if self.reactor.read_clock() > hop.deadline {
            note(self, Event::DeadlineMissed);
            OwnedResponse::retry(Status::Unavailable, 0)
        } else if hop.request.is_staged() {
            return self.stage_hop(from, hop);
        } else if let Some(answer) = self.perform(&hop.request) {
            answer
        } else {
            return self.serve_part(from, hop);
        };
        self.answer_hop(from, hop.id, answer);
    }

    /// Answers a request that another core took.
    pub(super) fn answer_hop(&self, to: CoreId, id: HopId, answer: OwnedResponse) {
        self.mail.deliver(to, HopMessage::Answer(Box::new(HopAnswer { id, answer })).into());
    }

    /// Does what a frame asks for; `None` where it is a part of a batch that takes several turns.
    fn perform(&self, frame: &OwnedFrame) -> Option<OwnedResponse> {
        let frame = frame.frame();
        let epoch = frame.header.slot_epoch;
        let answer = match Request::parse(&frame) {
            Ok(request) if is_sliced(&request.op) => return None,
            Ok(Request { op: op @ (Op::Mget(_) | Op::Mset(_)), .. }) => self.answer_part(epoch, &op),
            Ok(request) => {
                let hash = self.hasher.hash(request.op.key());
                self.refuse_hop(hash.slot(), epoch).unwrap_or_else(|| operate(self, hash, &request.op))
            }
            // The asking core has parsed the same bytes.
            Err(_) => OwnedResponse::status(Status::Unsupported),
        };
        Some(answer)
    }

    /// Takes the answer to a hop of this core.
    pub(super) fn take_hop_answer(&self, HopAnswer { id, answer }: HopAnswer<OwnedResponse>) {
        match self.hops.take(id) {
            Some(Waiting::One { link, reply, lease }) => {
                link.note_hop_over();
                let sent = respond_leased(self, &link, &reply, (answer, lease), &mut link.sender.write());
                if sent == Sent::Now && reply.kind == Kind::Request {
                    link.credit.note_completed(reply.bytes);
                }
                link.attention.notify();
            }
            Some(Waiting::Task(sender)) => sender.send(answer),
            Some(Waiting::Part { gather, indices }) => {
                gather.borrow().link().note_hop_over();
                gather.borrow_mut().take_answer(self, &indices, answer);
            }
            None => debug_assert!(false, "a hop is answered once"),
        }
    }
}
