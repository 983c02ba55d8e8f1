//! Three nodes, four, and three again, while clients work: nothing is stale, nothing that has left comes back, and exactly as many
//! keys are gone as the nodes say.
//!
//! ```text
//!  every key is written ─▶ the file changes, processes hear of it one by one ─▶ every cold key is read from its owner
//!                          clients write and read hot keys all the time         keys that moved are gone, no others
//! ```
//!
//! **Not** faults of processes: then what is gone is not only what nodes have dropped.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use reactor::sim::{NetworkOptions, World};
use shardstore::placement::Topology;

use super::{KEYS, MOVE_TIME, Only, Outcome, Request, Shared, Worker, finish, key_name, start_clients};
use crate::cluster::{Cluster, EDGES, NODES, Variant, slot_of};
use crate::faults::{Injector, bad};
use crate::history::Loss;

/// Keys that only the keeper writes.
pub(super) const COLD_KEYS: u64 = 150;
/// How long it takes at most until the last process has been told of a file.
const TELL_TIME: Duration = Duration::from_millis(10 * (NODES as u64 + 1 + EDGES as u64));
/// How long nodes may take to drop what has left them.
const DROP_TIME: Duration = Duration::from_millis(500);
/// How long the keeper may take for all keys.
const KEEPER_TIME: Duration = Duration::from_secs(600);

/// What the driver wants of the keeper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    #[default]
    None,
    /// Write every key.
    Fill,
    /// Read every cold key from its owner, and count those that are gone.
    Count,
}

pub(super) fn cold_name(key: u64) -> String {
    format!("cold-{key}")
}

fn all_keys() -> impl Iterator<Item = String> {
    (0..KEYS).map(key_name).chain((0..COLD_KEYS).map(cold_name))
}

/// Runs the scenario of one seed.
pub(crate) fn run(seed: u64, verbose: bool) -> Outcome {
    let mut world = World::new(seed, NetworkOptions::default());
    let clients = world.add_process("clients");
    let variant = Variant { resizing: true, mutual_tls: super::is_mutual_tls(seed), ..Variant::default() };
    let mut cluster = Cluster::start(world, variant);
    if seed % 20 > 10 {
        cluster.world.set_network(bad());
    }
    let shared = Rc::new(RefCell::new(Shared { variant, verbose, ..Shared::default() }));
    start_clients(&mut cluster.world, clients, &shared, seed);
    cluster.world.run_for(Duration::from_millis(200));
    let mut counts = Vec::new();
    for nodes in [NODES + 1, NODES] {
        counts.push(change(&mut cluster, &shared, nodes));
    }
    let status = cluster.end_node(NODES, Duration::from_secs(8));
    if status != Some(0) {
        shared.borrow_mut().violate(format!("the node that was removed ended with {status:?} instead of 0"));
    }
    let violation = finish(&mut cluster, clients, &shared, Injector::default());
    let trace = cluster.world.trace();
    Outcome { violation, summary: format!("{counts:?} keys dropped, trace {trace:016x}") }
}

/// Changes the number of nodes; gives how many keys the nodes say that they have dropped.
fn change(cluster: &mut Cluster, shared: &Rc<RefCell<Shared>>, nodes: usize) -> u64 {
    order(cluster, shared, Order::Fill);
    let before = cluster.topology();
    cluster.resize(nodes);
    let next = cluster.topology();
    if nodes > NODES {
        cluster.start_node(NODES);
    }
    let owner = |topology: &Topology, key: &str| topology.owner(slot_of(key)).id;
    let moved: Vec<String> = all_keys().filter(|key| owner(&before, key) != owner(&next, key)).collect();
    let from = cluster.world.now();
    let loss = Loss { from, until: from + TELL_TIME + MOVE_TIME, moved: true };
    for key in &moved {
        shared.borrow_mut().keys.entry(key.clone()).or_default().losses.push(loss);
    }
    cluster.tell_of_map();
    cluster.world.run_for(DROP_TIME);
    let said = cluster.dropped(next.epoch());
    order(cluster, shared, Order::Count);
    let gone = std::mem::take(&mut shared.borrow_mut().gone);
    let hot = moved.iter().filter(|key| !key.starts_with("cold")).count() as u64;
    if said != gone + hot || said != moved.len() as u64 {
        let text = format!(
            "nodes say that they dropped {said} keys; {} have moved, and {gone} and {hot} hot ones are gone",
            moved.len()
        );
        shared.borrow_mut().violate(text);
    }
    said
}

/// Has the keeper do something, and runs until it has.
fn order(cluster: &mut Cluster, shared: &Rc<RefCell<Shared>>, order: Order) {
    shared.borrow_mut().order = order;
    let deadline = cluster.world.now() + KEEPER_TIME;
    let is_done = cluster.world.run_until(deadline, |_| shared.borrow().order == Order::None);
    if !is_done {
        shared.borrow_mut().violate(format!("{order:?} takes longer than {KEEPER_TIME:?}"));
    }
}

impl Worker {
    /// Does what the driver wants.
    pub(super) async fn keep(mut self) {
        while !self.shared.borrow().stop {
            let order = self.shared.borrow().order;
            match order {
                Order::None => {}
                Order::Fill => self.fill().await,
                Order::Count => self.count().await,
            }
            self.shared.borrow_mut().order = Order::None;
            self.reactor.sleep(Duration::from_millis(1)).await;
        }
        self.shared.borrow_mut().stopped += 1;
    }

    fn is_stopped(&self) -> bool {
        let shared = self.shared.borrow();
        shared.stop || shared.violation.is_some()
    }

    async fn fill(&mut self) {
        for key in all_keys() {
            let began = self.reactor.now();
            let is_written = |worker: &Self| {
                let written = |write: &crate::history::Write| write.began >= began && write.acknowledged.is_some();
                worker.history(&key, |history| history.writes.values().any(written))
            };
            while !is_written(self) && !self.is_stopped() {
                let edge = self.random.below(EDGES as u64) as usize;
                self.put(edge, &key, Only::Always).await;
            }
        }
    }

    async fn count(&mut self) {
        for key in (0..COLD_KEYS).map(cold_name) {
            while !self.is_stopped() {
                let (edge, began) = (self.random.below(EDGES as u64) as usize, self.reactor.now());
                let request = Request { method: "GET", key: &key, fields: "Cache-Control: no-cache\r\n", body: None };
                if let Some(answer) = self.call(edge, &request).await {
                    self.shared.borrow_mut().gone += u64::from(answer.status == 404);
                    self.check_read(edge, &key, (began, true), answer);
                    break;
                }
            }
        }
    }
}
