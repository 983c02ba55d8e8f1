//! Messages of other cores, as they come.
//!
//! **Not**: waiting for anything but messages.

use std::ops::ControlFlow;
use std::rc::Rc;

use reactor::CoreId;
use store_runtime::hop::HopMessage;

use super::{NodeCore, hello};
use crate::message::NodeMessage;

pub(super) async fn receive(core: Rc<NodeCore>) {
    core.mail.receive(|from, message| core.take(from, message)).await;
    core.reactor.stop();
}

impl NodeCore {
    fn take(self: &Rc<Self>, from: CoreId, message: NodeMessage) -> ControlFlow<()> {
        match message {
            NodeMessage::Handover(handover) => hello::receive_handover(self, *handover),
            NodeMessage::Hop(HopMessage::Ask(hop)) => self.serve_hop(from, *hop),
            NodeMessage::Hop(HopMessage::Answer(answer)) => self.take_hop_answer(*answer),
            NodeMessage::Snapshot(snapshot) => self.adopt(&snapshot),
            NodeMessage::Drain { refuse_at } => self.start_drain(refuse_at),
            NodeMessage::Heartbeat => self.mail.deliver(from, NodeMessage::Heartbeat),
            NodeMessage::Serve => self.gate.open(),
            NodeMessage::Stop => return ControlFlow::Break(()),
            NodeMessage::Stale { .. }
            | NodeMessage::Dropped { .. }
            | NodeMessage::PeerRefused(_)
            | NodeMessage::Drained => {
                debug_assert!(false, "this is for the control core");
            }
        }
        ControlFlow::Continue(())
    }
}
