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

/// How often the control core is told at most: it reads a file then.
const HINT_INTERVAL: Duration = Duration::from_millis(20);

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
    core.reactor.spawn(async move { report_hints(&reporting).await }).map_err(std::io::Error::other)
}

fn handle(core: &Rc<Core>, from: CoreId, message: Message) {
    match message {
        Message::Store(message) => core.storage.tiers.take(from, message),
        Message::Snapshot(snapshot) => {
            core.adopt(&snapshot);
            if snapshot.security.challenges.is_some() {
                core.storage.mail.deliver(core.control(), Message::InForce(snapshot.generation));
            }
        }
        Message::Drain(time) => begin_drain(core, time),
        Message::Serve => core.connections.gate.open(),
        Message::Stop => core.reactor.stop(),
        Message::Heartbeat { closes_connections } => {
            core.connections.set_closing(closes_connections);
            core.storage.mail.deliver(from, message);
        }
        // Messages to the control core.
        Message::TopologyHint(_)
        | Message::Drained { .. }
        | Message::Nodes(_)
        | Message::HotKeys(_)
        | Message::InForce(_) => {}
    }
}

/// Tells the control core what nodes say of the topology.
async fn report_hints(core: &Rc<Core>) {
    let Some(cluster) = &core.storage.cluster else { return };
    loop {
        if let Some(hint) = cluster.take_hint() {
            // A full mailbox is no loss: the next answer that disagrees with our map hints again.
            let _ = core.storage.mail.send(core.control(), Message::TopologyHint(hint));
            core.reactor.sleep(HINT_INTERVAL).await;
        } else {
            cluster.shared.hinted.notified().await;
        }
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
