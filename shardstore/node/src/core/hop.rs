//! Requests that one core takes and another serves.
//!
//! ```text
//!  asking core                                 owning core
//!  Waiting in a slot ── Hop{token, frame} ───▶ operate
//!  written to its link ◀── HopAnswer{token} ──
//! ```
//!
//! **Not**: the usual way: a peer that knows the cores speaks to each directly.
//!
//! **Invariants**: at most [`HOPS_MAX`] wait; a token is answered once, a stale one reaches nobody; an answer is never
//! dropped, so that no request waits for ever.
//!
//! **Source**: the design's wire chapter, "Direct to core".

use std::cell::RefCell;
use std::rc::Rc;

use reactor::{CoreId, Instant};
use shardstore::wire::{Kind, Op, Request, Status};

use super::answer::Answer;
use super::batch::{self, Gather};
use super::link::Link;
use super::operate::operate;
use super::respond::{RequestContext, Sent, respond};
use super::{Core, note};
use crate::message::{Hop, HopAnswer, Message, OwnedFrame};
use crate::metrics::Event;

/// Requests of one core that may wait for others: sixteen connections with their usual window.
const HOPS_MAX: usize = 4096;

/// Who waits for an answer.
pub(super) enum Waiting {
    /// A request.
    One { link: Rc<Link>, reply: RequestContext },
    /// A part of a batch.
    Part { gather: Rc<RefCell<Gather>>, indices: Vec<u16> },
}

#[derive(Default)]
struct Slot {
    generation: u32,
    waiting: Option<Waiting>,
}

/// What a core waits for.
#[derive(Default)]
pub(super) struct Hops {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Hops {
    /// How many requests wait.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    fn insert(&mut self, waiting: Waiting) -> Result<u64, Waiting> {
        if self.len() >= HOPS_MAX {
            return Err(waiting);
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        slot.waiting = Some(waiting);
        Ok(u64::from(slot.generation) << 32 | u64::from(index))
    }

    fn remove(&mut self, token: u64) -> Option<Waiting> {
        let slot = self.slots.get_mut(token as u32 as usize)?;
        if slot.generation != (token >> 32) as u32 {
            return None;
        }
        let waiting = slot.waiting.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(token as u32);
        Some(waiting)
    }
}

impl Core {
    /// Has another core serve a frame.
    ///
    /// # Errors
    /// Who would have waited: this core or the other is over its bound.
    pub(super) fn hop(
        &self,
        to: CoreId,
        frame: OwnedFrame,
        deadline: Instant,
        waiting: Waiting,
    ) -> Result<(), Waiting> {
        let token = self.hops.borrow_mut().insert(waiting).inspect_err(|_| note(self, Event::HopRefused))?;
        let hop = Message::Hop(Box::new(Hop { token, deadline, frame }));
        if self.mailbox.send(&self.reactor, to, hop).is_err() {
            note(self, Event::HopRefused);
            let waiting = self.hops.borrow_mut().remove(token);
            return Err(waiting.expect("it was put there just above"));
        }
        Ok(())
    }

    /// Serves a request that another core took.
    pub(super) fn serve_hop(&self, from: CoreId, hop: &Hop) {
        let answer = if self.reactor.now() > hop.deadline {
            note(self, Event::DeadlineMissed);
            Answer::retry(Status::Unavailable, 0)
        } else {
            self.perform(hop)
        };
        self.send(from, Message::HopAnswer(Box::new(HopAnswer { token: hop.token, answer })));
    }

    fn perform(&self, hop: &Hop) -> Answer {
        let frame = hop.frame.frame();
        match Request::parse(&frame) {
            Ok(Request { op: op @ (Op::Mget(_) | Op::Mset(_)), .. }) => batch::perform_part(self, &op),
            Ok(request) => operate(self, self.hasher.hash(request.op.key()), &request.op),
            // The asking core has parsed the same bytes.
            Err(_) => Answer::status(Status::Unsupported),
        }
    }

    /// Takes the answer to a hop of this core.
    pub(super) fn take_hop_answer(&self, HopAnswer { token, answer }: HopAnswer) {
        let waiting = self.hops.borrow_mut().remove(token);
        match waiting {
            Some(Waiting::One { link, reply }) => {
                link.note_hop_over();
                let sent = respond(self, &link, &reply, answer, &mut link.sender.write());
                if sent == Sent::Now && reply.kind == Kind::Request {
                    link.credit.note_settled(reply.bytes);
                }
                link.attention.notify();
            }
            Some(Waiting::Part { gather, indices }) => {
                gather.borrow().link.note_hop_over();
                gather.borrow_mut().take_part(self, &indices, &answer);
            }
            None => debug_assert!(false, "a hop is answered once"),
        }
    }
}
