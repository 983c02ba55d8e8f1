//! What a data core does with messages.
//!
//! **Not** blocking: whatever takes time becomes a task.
//!
//! **Invariants**: draining ends with a message to the control core.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use reactor::CoreId;

use super::core::Core;
use crate::message::Message;

pub(super) fn start(core: &Rc<Core>) -> std::io::Result<()> {
    let receiving = Rc::clone(core);
    let receive = async move {
        let take = |from, message| {
            handle(&receiving, from, message);
            ControlFlow::Continue(())
        };
        receiving.storage.mail.receive(take).await;
    };
    core.reactor.spawn(receive).map_err(std::io::Error::other)?;
    let reporting = Rc::clone(core);
    core.reactor.spawn(async move { report_topologies(&reporting).await }).map_err(std::io::Error::other)
}

fn handle(core: &Rc<Core>, from: CoreId, message: Message) {
    match message {
        Message::Store(message) => core.storage.tiers.take(from, message),
        Message::Snapshot(snapshot) => core.adopt(&snapshot),
        Message::Drain(time) => begin_drain(core, time),
        Message::Stop => core.reactor.stop(),
        // Messages to the control core.
        Message::TopologyText(_) | Message::Drained { .. } | Message::Nodes(_) => {}
    }
}

/// Hands topologies that nodes have sent to the control core.
async fn report_topologies(core: &Rc<Core>) {
    let Some(cluster) = &core.storage.cluster else { return };
    loop {
        if let Some(text) = cluster.take_fetched() {
            // A full mailbox is no loss: the next answer that disagrees with our map asks again.
            let _ = core.storage.mail.send(core.control(), Message::TopologyText(text));
        }
        cluster.news.notified().await;
    }
}

fn begin_drain(core: &Rc<Core>, time: Duration) {
    if !core.connections.begin_drain() {
        return;
    }
    let deadline = core.reactor.now() + time;
    let draining = Rc::clone(core);
    let task = async move {
        let cut = draining.connections.drain(deadline).await;
        draining.storage.mail.deliver(draining.control(), Message::Drained { cut });
    };
    if core.reactor.spawn(task).is_err() {
        core.reactor.stop();
    }
}
