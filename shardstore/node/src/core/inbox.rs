//! Messages of other cores, as they come.
//!
//! **Not**: waiting for anything but messages.

use std::ops::ControlFlow;
use std::rc::Rc;

use reactor::CoreId;
use store_runtime::hop::HopMessage;

use super::{Core, hello};
use crate::message::Message;

pub(super) async fn receive(core: Rc<Core>) {
    core.mail.receive(|from, message| core.take(from, message)).await;
    core.reactor.stop();
}

impl Core {
    fn take(self: &Rc<Self>, from: CoreId, message: Message) -> ControlFlow<()> {
        match message {
            Message::Handover(handover) => hello::receive_handover(self, *handover),
            Message::Hop(HopMessage::Ask(hop)) => self.serve_hop(from, &hop),
            Message::Hop(HopMessage::Answer(answer)) => self.take_hop_answer(*answer),
            Message::Snapshot(snapshot) => self.adopt(&snapshot),
            Message::Drain { refuse_at } => self.start_drain(refuse_at),
            Message::Stop => return ControlFlow::Break(()),
            Message::Stale { .. } | Message::Drained => debug_assert!(false, "this is for the control core"),
        }
        ControlFlow::Continue(())
    }
}
