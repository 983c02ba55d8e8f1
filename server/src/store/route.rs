//! Bringing an ask to the core that owns its key, and the answer back.
//!
//! **Not** waiting without end: the answer comes by the ask's deadline or is [`Refusal::Unavailable`] (a read) or
//! [`Refusal::Unknown`] (a write that was sent).
//!
//! **Invariants**: a ticket is answered once; an answer that comes after its deadline finds no ticket and is dropped.

use std::rc::Rc;
use std::time::Duration;

use reactor::CoreId;
use reactor::local::one;
use store_runtime::request::{Refusal, StoreRequest, StoreResponse};

use super::owner;
use crate::edge::EdgeCore;
use crate::message::{Message, Ticket};

/// Serves an ask here or on the core that owns its key.
pub(crate) async fn serve(core: &Rc<EdgeCore>, ask: StoreRequest) -> StoreResponse {
    let owner = core.store.cores().owner(ask.hash);
    if owner == core.id { owner::serve(core, ask).await } else { hop(core, owner, ask).await }
}

async fn hop(core: &Rc<EdgeCore>, owner: CoreId, ask: StoreRequest) -> StoreResponse {
    let (sender, receiver) = one(&core.reactor);
    let (deadline, is_read) = (ask.deadline, ask.op.is_read());
    let ticket = core.tickets.borrow_mut().add(sender);
    core.metrics.hops.add(1);
    if core.mailbox.send(&core.reactor, owner, Message::Ask { ticket, ask: Box::new(ask) }).is_err() {
        core.metrics.mailbox_full.add(1);
        core.tickets.borrow_mut().take(ticket);
        return StoreResponse::refused(Refusal::Busy);
    }
    match core.reactor.until(deadline, receiver.receive()).await {
        Some(Some(answer)) => answer,
        Some(None) | None => {
            core.tickets.borrow_mut().take(ticket);
            StoreResponse::refused(if is_read { Refusal::Unavailable } else { Refusal::Unknown })
        }
    }
}

/// Serves an ask that came from another core, as a task of its own.
pub(crate) fn serve_for(core: &Rc<EdgeCore>, from: CoreId, ticket: Ticket, ask: StoreRequest) {
    let serving = Rc::clone(core);
    let task = async move {
        let answer = owner::serve(&serving, ask).await;
        send_answer(&serving, from, ticket, answer);
    };
    if core.reactor.spawn(task).is_err() {
        send_answer(core, from, ticket, StoreResponse::refused(Refusal::Busy));
    }
}

fn send_answer(core: &Rc<EdgeCore>, to: CoreId, ticket: Ticket, answer: StoreResponse) {
    let message = Message::Answer { ticket, answer: Box::new(answer) };
    let Err(back) = core.mailbox.send(&core.reactor, to, message) else { return };
    core.metrics.mailbox_full.add(1);
    let sending = Rc::clone(core);
    let task = async move {
        let mut message = back;
        for _ in 0..ANSWER_TRIES_MAX {
            sending.reactor.sleep(ANSWER_PAUSE).await;
            match sending.mailbox.send(&sending.reactor, to, message) {
                Ok(()) => return,
                Err(back) => message = back,
            }
        }
    };
    // Without room for the task the asker's deadline tells it.
    let _ = core.reactor.spawn(task);
}

/// How often, and how far apart, an answer is tried again when the asker's mailbox is full: by then it has long had its
/// turn, or hangs.
const ANSWER_TRIES_MAX: u32 = 1000;
const ANSWER_PAUSE: Duration = Duration::from_millis(1);

/// Answers that other cores owe us.
#[derive(Default)]
pub(crate) struct Tickets {
    waiting: std::collections::BTreeMap<u64, reactor::local::OneSender<StoreResponse>>,
    next: u64,
}

impl Tickets {
    fn add(&mut self, sender: reactor::local::OneSender<StoreResponse>) -> Ticket {
        self.next += 1;
        self.waiting.insert(self.next, sender);
        Ticket(self.next)
    }

    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<reactor::local::OneSender<StoreResponse>> {
        self.waiting.remove(&ticket.0)
    }
}
