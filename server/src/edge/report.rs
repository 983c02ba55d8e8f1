//! A core's regular report of what its shard and its reactor hold, and idle maintenance of the shard.
//!
//! **Not** on the hit path: once per tick, from a timer.
//!
//! **Invariants**: maintenance per tick is bounded in work units.

use std::rc::Rc;
use std::time::Duration;

use super::core::Core;
use crate::hot_keys;
use crate::message::Message;
use crate::nodes::NodeState;

/// How often gauges are refreshed. Also the longest an idle shard keeps what has expired in whole segments.
const TICK: Duration = Duration::from_millis(250);

/// Work units of maintenance per tick: about a millisecond's worth at the most.
const UNITS_PER_TICK: u32 = 2048;

pub(super) fn start(core: &Rc<Core>) -> std::io::Result<()> {
    let reporting = Rc::clone(core);
    let task = async move {
        let mut reported = Vec::new();
        let mut window_ends = reporting.reactor.now() + hot_keys::WINDOW;
        loop {
            tick(&reporting);
            report_nodes(&reporting, &mut reported);
            if reporting.reactor.now() >= window_ends {
                window_ends = reporting.reactor.now() + hot_keys::WINDOW;
                report_hot_keys(&reporting);
            }
            reporting.reactor.sleep(TICK).await;
        }
    };
    core.reactor.spawn(task).map_err(std::io::Error::other)
}

/// Reports the state of the nodes, as this core sees it, to the control core when it has changed.
fn report_nodes(core: &Core, reported: &mut Vec<NodeState>) {
    let Some(cluster) = &core.storage.cluster else { return };
    let mut states = cluster.node_states();
    states.sort_by_key(|state| state.id);
    // A full mailbox only delays it to the next tick.
    if states != *reported && core.storage.mail.send(core.control(), Message::Nodes(states.clone())).is_ok() {
        *reported = states;
    }
}

/// Reports the keys of the window that ends.
fn report_hot_keys(core: &Core) {
    let report = core.hot_keys.borrow_mut().take();
    // Where the mailbox is full a window is lost.
    let _ = core.storage.mail.send(core.control(), Message::HotKeys(report));
}

fn tick(core: &Core) {
    core.storage.store.maintain(UNITS_PER_TICK);
    let stats = core.storage.store.shard().stats();
    core.metrics.shard.publish(&stats);
    core.metrics.reactor.publish(&(core.reactor.counters(), core.reactor.holdings()));
    core.metrics.handshakes.publish(&core.handshakes.accepted(), core.handshakes.waiting());
    core.metrics.body_bytes.set((core.memory.body_bytes() + core.storage.tiers.fetched_bytes()) as u64);
    core.metrics.fills_open.set(core.storage.tiers.fills() as u64);
}
