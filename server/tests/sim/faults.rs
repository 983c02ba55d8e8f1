//! What goes wrong, drawn from the seed: processes die and come back, settings change, clocks are set, the network is cut, slow, or drops
//! connections.

use std::time::Duration;

use reactor::sim::{CrashMode, NetworkOptions};

use crate::cluster::{Cluster, EDGES, NODES};

/// Processes that are down, and when each is started again (in steps of the injector).
#[derive(Default)]
pub(crate) struct Injector {
    down: Vec<(bool, usize, u32)>,
    pub(crate) told: Vec<String>,
    /// Ranges of slots that have moved, since the driver looked.
    pub(crate) moved: Vec<usize>,
    /// What a process did wrong.
    pub(crate) violation: Option<String>,
}

/// How long an edge may take to end: requests under way have their deadlines, idle connections a second.
const DRAIN_LIMIT: Duration = Duration::from_secs(8);

/// How long the cluster runs between two faults at most.
pub(crate) const STEP: Duration = Duration::from_millis(400);

impl Injector {
    /// Draws and does one fault; tells which nodes died.
    pub(crate) fn step(&mut self, cluster: &mut Cluster) -> Vec<usize> {
        self.revive(cluster);
        let mut died = Vec::new();
        match cluster.world.random().below(18) {
            0 | 1 => died.extend(self.kill_node(cluster)),
            2 => self.kill_edge(cluster),
            3 | 4 => self.cut(cluster),
            5 | 6 => {
                self.tell("heal");
                cluster.world.heal();
            }
            7 => self.network(cluster, "bad", bad()),
            8 => self.network(cluster, "resetting", resetting()),
            9 => self.network(cluster, "good", NetworkOptions::default()),
            10 => self.restart_edge(cluster),
            12 | 15 if cluster.variant().stepped_clocks => {
                let (process, wrong_ms) = cluster.step_clock();
                self.tell(format!("the clock of process {process} is set: wrong by {wrong_ms} ms"));
            }
            11..=13 if cluster.variant().moving => self.move_range(cluster),
            14 => self.reload_edge(cluster),
            16 => died.extend(self.lie(cluster)),
            15 | 17 if cluster.variant().mutual_tls => {
                let done = cluster.certify();
                self.told.extend(done);
            }
            _ => {}
        }
        died
    }

    fn tell(&mut self, text: impl Into<String>) {
        self.told.push(text.into());
    }

    fn kill_node(&mut self, cluster: &mut Cluster) -> Option<usize> {
        let node = cluster.world.random().below(NODES as u64) as usize;
        if !cluster.nodes[node].up {
            return None;
        }
        let mode = if cluster.world.random().chance(700) { CrashMode::Killed } else { CrashMode::PowerLoss };
        self.tell(format!("node {} dies: {mode:?}", node + 1));
        cluster.kill(true, node, mode);
        let steps = cluster.world.random().between(1, 4) as u32;
        self.down.push((true, node, steps));
        Some(node)
    }

    /// A node dies, and a process in its place lies until it is back.
    fn lie(&mut self, cluster: &mut Cluster) -> Option<usize> {
        let node = cluster.world.random().below(NODES as u64) as usize;
        if !cluster.nodes[node].up {
            return None;
        }
        self.tell(format!("node {} dies, and another process lies in its place", node + 1));
        cluster.kill(true, node, CrashMode::Killed);
        cluster.start_liar(node);
        let steps = cluster.world.random().between(1, 4) as u32;
        self.down.push((true, node, steps));
        Some(node)
    }

    fn kill_edge(&mut self, cluster: &mut Cluster) {
        let edge = cluster.world.random().below(EDGES as u64) as usize;
        if cluster.edges[edge].up {
            self.tell(format!("edge {} dies", edge + 1));
            cluster.kill(false, edge, CrashMode::Killed);
            self.down.push((false, edge, 1));
        }
    }

    /// Ends an edge as an operator does, while its clients go on, and starts it again.
    fn restart_edge(&mut self, cluster: &mut Cluster) {
        let edge = cluster.world.random().below(EDGES as u64) as usize;
        if !cluster.edges[edge].up {
            return;
        }
        self.tell(format!("edge {} is told to end", edge + 1));
        if cluster.world.random().chance(500) {
            // What is put in force then reaches cores that begin to drain.
            cluster.reload_edge(edge);
        }
        let status = cluster.end_edge(edge, DRAIN_LIMIT);
        if status != Some(0) {
            self.violation = Some(format!("an edge that was told to end did so with {status:?} instead of 0"));
        }
        self.tell(format!("edge {} is started again", edge + 1));
        cluster.start_edge(edge);
    }

    fn move_range(&mut self, cluster: &mut Cluster) {
        if let Some((range, node)) = cluster.move_range() {
            self.tell(format!("range {range} moves to node {}", node + 1));
            self.moved.push(range);
            if cluster.world.random().chance(300) {
                self.reload_edge(cluster);
            }
        }
    }

    fn reload_edge(&mut self, cluster: &mut Cluster) {
        let edge = cluster.world.random().below(EDGES as u64) as usize;
        if cluster.edges[edge].up {
            self.tell(format!("edge {} reads its files again", edge + 1));
            cluster.reload_edge(edge);
        }
    }

    fn cut(&mut self, cluster: &mut Cluster) {
        let node = cluster.world.random().below(NODES as u64) as usize;
        let edge = cluster.world.random().below(EDGES as u64) as usize;
        self.tell(format!("cut between edge {} and node {}", edge + 1, node + 1));
        let (edge, node) = (cluster.edges[edge].process, cluster.nodes[node].process);
        cluster.world.partition(edge, node);
    }

    fn network(&mut self, cluster: &mut Cluster, name: &str, options: NetworkOptions) {
        self.tell(format!("{name} network"));
        cluster.world.set_network(options);
    }

    fn revive(&mut self, cluster: &mut Cluster) {
        let down = std::mem::take(&mut self.down);
        for (is_node, index, steps) in down {
            if steps > 0 {
                self.down.push((is_node, index, steps - 1));
            } else if is_node {
                self.tell(format!("node {} is back", index + 1));
                cluster.start_node(index);
            } else {
                self.tell(format!("edge {} is back", index + 1));
                cluster.start_edge(index);
            }
        }
    }

    /// Ends all faults.
    pub(crate) fn calm(&mut self, cluster: &mut Cluster) {
        cluster.world.heal();
        cluster.world.set_network(NetworkOptions::default());
        for (is_node, index, _) in std::mem::take(&mut self.down) {
            if is_node { cluster.start_node(index) } else { cluster.start_edge(index) }
        }
    }
}

/// Slow, and loses packets.
pub(crate) fn bad() -> NetworkOptions {
    NetworkOptions {
        delay_us_max: 30_000,
        loss_per_mille: 20,
        split_per_mille: 500,
        short_send_per_mille: 200,
        rearm_per_mille: 100,
        ..NetworkOptions::default()
    }
}

/// Drops connections.
fn resetting() -> NetworkOptions {
    NetworkOptions { reset_per_mille: 30, ..NetworkOptions::default() }
}
