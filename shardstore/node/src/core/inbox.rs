//! Messages of other cores, as they come.
//!
//! **Not**: waiting for anything but the doorbell.
//!
//! **Invariants**: other tasks of the core get their turn after [`MESSAGES_PER_TURN`] messages; what could not be sent is
//! tried again every millisecond.
//!
//! **Source**: the design's reactor chapter, "mailbox".

use std::rc::Rc;
use std::time::Duration;

use reactor::CoreId;

use super::{Core, hello};
use crate::message::Message;

/// Messages taken before other tasks run: a few hundred microseconds of work.
const MESSAGES_PER_TURN: usize = 256;

/// How soon a message is tried again for which a mailbox had no room: the timer's own precision.
const RETRY: Duration = Duration::from_millis(1);

pub(super) async fn receive(core: Rc<Core>) {
    loop {
        let mut taken = 0;
        while let Some((from, message)) = core.mailbox.try_receive() {
            if core.take(from, message) == Next::Stop {
                core.reactor.stop();
                return;
            }
            taken += 1;
            if taken % MESSAGES_PER_TURN == 0 {
                core.flush();
                core.reactor.yield_now().await;
            }
        }
        core.flush();
        if core.outbound.borrow().is_empty() {
            core.mailbox.rung(&core.reactor).await;
        } else {
            let retry_at = core.reactor.now() + RETRY;
            let _ = core.reactor.until(retry_at, core.mailbox.rung(&core.reactor)).await;
        }
    }
}

#[derive(PartialEq, Eq)]
enum Next {
    Go,
    Stop,
}

impl Core {
    fn take(self: &Rc<Self>, from: CoreId, message: Message) -> Next {
        match message {
            Message::Handover(handover) => hello::receive_handover(self, *handover),
            Message::Hop(hop) => self.serve_hop(from, &hop),
            Message::HopAnswer(answer) => self.take_hop_answer(*answer),
            Message::Topology(topology) => self.set_topology(topology),
            Message::Drain { refuse_at } => self.start_drain(refuse_at),
            Message::Stop => return Next::Stop,
            Message::Stale { .. } | Message::Drained => debug_assert!(false, "this is for the control core"),
        }
        Next::Go
    }

    /// Sends what had no room, in order, as far as there is some.
    fn flush(&self) {
        let mut outbound = self.outbound.borrow_mut();
        while let Some((to, message)) = outbound.pop_front() {
            if let Err(message) = self.mailbox.send(&self.reactor, to, message) {
                outbound.push_front((to, message));
                return;
            }
        }
    }
}
