//! What a data core does with messages.
//!
//! **Not** blocking: whatever takes time becomes a task.
//!
//! **Invariants**: draining ends with a message to the control core.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use reactor::{CoreId, Instant};

use super::EdgeCore;
use crate::message::Message;

/// How long an idle connection may still begin a request once draining has begun: a client that is about to send gets
/// its answer, one that is not learns soon that it must connect elsewhere.
const IDLE_GRACE: Duration = Duration::from_secs(1);

/// How often a draining core looks whether anybody is left.
const DRAIN_TICK: Duration = Duration::from_millis(10);

pub(super) fn start(core: &Rc<EdgeCore>) -> std::io::Result<()> {
    let receiving = Rc::clone(core);
    let receive = async move {
        let take = |from, message| {
            handle(&receiving, from, message);
            ControlFlow::Continue(())
        };
        receiving.mail.receive(take).await;
    };
    core.reactor.spawn(receive).map_err(std::io::Error::other)?;
    let reporting = Rc::clone(core);
    core.reactor.spawn(async move { report_topologies(&reporting).await }).map_err(std::io::Error::other)
}

fn handle(core: &Rc<EdgeCore>, from: CoreId, message: Message) {
    match message {
        Message::Store(message) => core.tiers.take(from, message),
        Message::Snapshot(snapshot) => core.adopt(&snapshot),
        Message::Drain(time) => begin_drain(core, time),
        Message::Stop => core.reactor.stop(),
        // Messages to the control core.
        Message::TopologyText(_) | Message::Drained { .. } | Message::Nodes(_) => {}
    }
}

/// Hands topologies that nodes have sent to the control core.
async fn report_topologies(core: &Rc<EdgeCore>) {
    let Some(cluster) = &core.cluster else { return };
    loop {
        if let Some(text) = cluster.take_fetched() {
            // A full mailbox is no loss: the next answer that disagrees with our map asks again.
            let _ = core.mail.send(core.control(), Message::TopologyText(text));
        }
        cluster.news.notified().await;
    }
}

fn begin_drain(core: &Rc<EdgeCore>, time: Duration) {
    if core.draining.replace(true) {
        return;
    }
    for listener in core.listeners.borrow_mut().drain(..) {
        listener.close();
    }
    let deadline = core.reactor.now() + time;
    let draining = Rc::clone(core);
    let task = async move {
        let cut = drain(&draining, deadline).await;
        draining.mail.deliver(draining.control(), Message::Drained { cut });
    };
    if core.reactor.spawn(task).is_err() {
        core.reactor.stop();
    }
}

/// Waits until all connections are done or the deadline has come; says how many were left.
async fn drain(core: &EdgeCore, deadline: Instant) -> usize {
    let idle_end = (core.reactor.now() + IDLE_GRACE).min(deadline);
    core.reactor.sleep_until(idle_end).await;
    for sender in core.sessions.borrow().values() {
        // Wakes those who wait for a request; a request under way sets its own deadline anew.
        sender.expire_at(core.reactor.now());
    }
    while !core.sessions.borrow().is_empty() && core.reactor.now() < deadline {
        core.reactor.sleep(DRAIN_TICK).await;
    }
    core.sessions.borrow().len()
}
