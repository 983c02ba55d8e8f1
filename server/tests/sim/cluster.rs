//! The simulated processes: 3 nodes, 2 edges, and how each is started, killed and stopped.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use control::reload::ConfigSource;
use control::security::SecurityAtStart;
use control::settings::Settings;
use control::topology_file::TopologySource;
use corelane::EdgePlan;
use corelane::settings::EdgeSettings;
use corelane_pki::HolderRole;
use reactor::sim::{CrashMode, ProcessId, World};
use reactor::{Address, Instant};
use shardstore::key::SlotId;
use shardstore::placement::Topology;
use shardstored::settings::NodeSettings;

use crate::certificates::Certificates;

/// Nodes of the cluster.
pub(crate) const NODES: usize = 3;
/// Edges of the cluster.
pub(crate) const EDGES: usize = 2;
/// Data cores of every process.
const CORES: usize = 2;

/// How long an edge may take for a request to a node.
pub(crate) const REQUEST_TIME: Duration = Duration::from_millis(1000);
/// How long an edge copy may be served.
pub(crate) const NEAR_TIME: Duration = Duration::from_millis(400);

/// Ranges of slots that have an owner of their own; each can move.
pub(crate) const RANGES: usize = 8;
const SLOTS_PER_RANGE: u16 = shardstore::key::SLOT_COUNT / RANGES as u16;

/// How the cluster of a seed differs from the plain one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Variant {
    /// Wall clocks differ by up to [`SKEW_MS_MAX`].
    pub(crate) skewed_clocks: bool,
    /// Wall clocks are set to other times while clients work, by up to [`STEP_MS_MAX`].
    pub(crate) stepped_clocks: bool,
    /// Nodes have so little memory that they evict.
    pub(crate) evicting: bool,
    /// Ranges of slots move to other nodes while clients work.
    pub(crate) moving: bool,
    /// No slot is assigned by hand, and there is one more node, which is not in the first map.
    pub(crate) resizing: bool,
    /// Edges and nodes show each other certificates.
    pub(crate) mutual_tls: bool,
}

/// The cluster's name.
const NAME: &str = "sim";

/// By how much a wall clock may be wrong: far more than clocks kept by NTP.
pub(crate) const SKEW_MS_MAX: i64 = 500;
/// By how much a wall clock that is set may be wrong afterwards: longer than anything lives.
pub(crate) const STEP_MS_MAX: i64 = 3_600_000;

/// From how far apart the monotonic clocks of processes count: more than 32 bits of microseconds.
const CLOCK_OFFSET_US_MAX: u64 = 6_000_000_000;
/// By how much they run fast or slow: nearly what NTP corrects at most.
const DRIFT_PPM_MAX: u64 = 400;

pub(crate) struct Cluster {
    pub(crate) world: World,
    pub(crate) nodes: Vec<Member>,
    pub(crate) edges: Vec<Member>,
    map: SharedMap,
    pub(crate) node_log: NodeLog,
    /// How often the file of all edges has changed.
    edition: Arc<AtomicU32>,
    variant: Variant,
    incarnations: u64,
    /// Of all processes, where they have any.
    certificates: Option<Certificates>,
}

/// Who owns which range of slots. Shared with the sources that processes read their topology from.
#[derive(Clone, Debug)]
struct Map {
    epoch: u32,
    /// The owner of each range. A range may come back to a node that had it, which must not show what it held then.
    owners: Vec<usize>,
    /// How many nodes it lists.
    nodes: usize,
    /// Where no slot is assigned, nodes own what is proposed for them.
    is_assigned: bool,
}

/// What the nodes have logged.
#[derive(Clone, Default)]
pub(crate) struct NodeLog(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for NodeLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

type SharedMap = Arc<Mutex<Map>>;

impl Map {
    fn new() -> Self {
        let owners = (0..RANGES).map(|range| range % NODES).collect();
        Map { epoch: 1, owners, nodes: NODES, is_assigned: true }
    }

    fn owner(&self, range: usize) -> usize {
        self.owners[range]
    }

    fn text(&self) -> String {
        let mut text = format!("cluster = \"{NAME}\"\nepoch = {}\n", self.epoch);
        for id in 1..=self.nodes {
            text += &format!("[[node]]\nid = {id}\naddress = \"10.0.1.{id}:7401\"\n");
        }
        for range in (0..RANGES).filter(|_| self.is_assigned) {
            let first = range as u16 * SLOTS_PER_RANGE;
            let last = first + (SLOTS_PER_RANGE - 1);
            text += &format!("[[assign]]\nslots = \"{first}-{last}\"\nnode = {}\n", self.owner(range) + 1);
        }
        text
    }

    fn topology(&self) -> Topology {
        Topology::parse(&self.text()).unwrap()
    }
}

fn source(map: &SharedMap) -> TopologySource {
    let map = Arc::clone(map);
    TopologySource::in_place("topology.toml", move || Ok(map.lock().unwrap().text()), || None)
}

/// One process, and when it last died.
pub(crate) struct Member {
    pub(crate) process: ProcessId,
    pub(crate) up: bool,
    /// Another process lies in its place.
    is_liar: bool,
    status: Option<Box<dyn Fn() -> Option<u8>>>,
}

pub(crate) fn edge_address(edge: usize) -> Address {
    Address::Tcp(std::net::SocketAddr::from(([10, 0, 2, edge as u8 + 1], 8080)))
}

fn config<T: Settings + Send + 'static>(
    arguments: &[String],
    file: impl Fn() -> String + Send + Sync + 'static,
) -> ConfigSource<T> {
    let arguments = arguments.iter().map(Into::into).collect();
    ConfigSource::new(arguments, Vec::new(), Box::new(move |_: &Path| Ok(file())))
}

/// The file of an edge. Whatever the edition, what is promised about reads and deadlines holds.
fn edge_file(edition: u32) -> String {
    let odd = edition % 2;
    let mut text = format!(
        "memory = \"64MiB\"\ntopology = \"topology.toml\"\nedge_ttl = \"{}ms\"\ncache_status = {}\n\
         [upstream]\nrequest_timeout = \"{}ms\"\nconnect_timeout = \"300ms\"\nbreaker_failures = {}\n\
         [limits]\nfills_per_core = {}\n",
        NEAR_TIME.as_millis() / u128::from(1 + odd),
        odd == 0,
        REQUEST_TIME.as_millis(),
        3 + odd,
        1000 + edition,
    );
    if odd == 1 {
        text += "[keyspace.extra]\nttl = \"1s\"\n";
    }
    text
}

/// The slot of a key.
pub(crate) fn slot_of(key: &str) -> SlotId {
    let mut stored = Vec::new();
    shardstore::key::StoredKey::encode(b"default", key.as_bytes(), &mut stored).unwrap();
    // No seed is set in the topology, which then is that of its name.
    shardstore::key::KeyHasher::new(Map::new().topology().hash_seed()).hash(&stored).slot()
}

/// The range that a key's slot lies in.
pub(crate) fn range_of(key: &str) -> usize {
    slot_of(key).index() / usize::from(SLOTS_PER_RANGE)
}

impl Cluster {
    /// A cluster with every process started.
    pub(crate) fn start(world: World, variant: Variant) -> Cluster {
        let map = Arc::new(Mutex::new(Map { is_assigned: !variant.resizing, ..Map::new() }));
        let mut cluster = Cluster {
            world,
            nodes: Vec::new(),
            edges: Vec::new(),
            map,
            node_log: NodeLog::default(),
            edition: Arc::default(),
            variant,
            incarnations: 0,
            certificates: None,
        };
        for id in 1..=NODES + usize::from(variant.resizing) {
            let process = cluster.world.add_process(&format!("node {id}"));
            cluster.nodes.push(Member { process, up: false, is_liar: false, status: None });
        }
        for id in 1..=EDGES {
            let process = cluster.world.add_process(&format!("edge {id}"));
            cluster.edges.push(Member { process, up: false, is_liar: false, status: None });
        }
        cluster.set_clocks();
        if variant.skewed_clocks {
            cluster.skew_clocks();
        }
        if variant.mutual_tls {
            let (seed, process) = (cluster.world.random().next_u64(), cluster.edges[0].process);
            cluster.certificates = Some(Certificates::new(NAME, seed, cluster.world.wall_ms(process)));
        }
        (0..NODES).for_each(|node| cluster.start_node(node));
        (0..EDGES).for_each(|edge| cluster.start_edge(edge));
        cluster
    }

    pub(crate) fn variant(&self) -> Variant {
        self.variant
    }

    /// Every process counts its time from another zero, and a little faster or slower than the others.
    fn set_clocks(&mut self) {
        let members: Vec<ProcessId> = self.nodes.iter().chain(&self.edges).map(|member| member.process).collect();
        for process in members {
            let random = self.world.random();
            let offset = Duration::from_micros(random.below(CLOCK_OFFSET_US_MAX));
            let drift_ppm = random.below(2 * DRIFT_PPM_MAX + 1) as i32 - DRIFT_PPM_MAX as i32;
            self.world.set_clock(process, offset, drift_ppm);
        }
    }

    fn skew_clocks(&mut self) {
        let members: Vec<ProcessId> = self.nodes.iter().chain(&self.edges).map(|member| member.process).collect();
        for process in members {
            let skew_ms = self.world.random().below(2 * SKEW_MS_MAX as u64 + 1) as i64 - SKEW_MS_MAX;
            self.world.set_clock_skew(process, skew_ms);
        }
    }

    /// Sets the wall clock of a process; gives its number and by how much the clock is wrong now.
    pub(crate) fn step_clock(&mut self) -> (usize, i64) {
        let members: Vec<ProcessId> = self.nodes.iter().chain(&self.edges).map(|member| member.process).collect();
        let index = self.world.random().below(members.len() as u64) as usize;
        let far = if self.world.random().chance(500) { STEP_MS_MAX } else { 60_000 };
        let wrong_ms = if self.world.random().chance(500) { far } else { -far };
        self.world.set_clock_skew(members[index], wrong_ms);
        (index, wrong_ms)
    }

    fn incarnation(&mut self) -> u64 {
        self.incarnations += 1;
        self.incarnations
    }

    /// Starts a process that lies in the place of a node that is down.
    pub(crate) fn start_liar(&mut self, node: usize) {
        let topology = self.map.lock().unwrap().topology();
        crate::liar::start(&mut self.world, self.nodes[node].process, (node as u32 + 1, topology));
        self.nodes[node].is_liar = true;
    }

    pub(crate) fn start_node(&mut self, node: usize) {
        if std::mem::take(&mut self.nodes[node].is_liar) {
            self.world.kill(self.nodes[node].process, CrashMode::Killed);
        }
        let id = node + 1;
        let arguments = [
            format!("--listen=10.0.1.{id}:7401"),
            format!("--admin=10.0.1.{id}:9180"),
            "--config=c".to_owned(),
            "--plaintext=allow".to_owned(),
        ];
        // Of the small one, each core's shard is a few segments.
        let memory = if self.variant.evicting { "16MiB" } else { "64MiB" };
        let mut file = format!("node_id = {id}\nmemory = \"{memory}\"\ntopology = \"topology.toml\"\n");
        let process = self.nodes[node].process;
        let (certificate, security) = self.identify(HolderRole::Node, id, process);
        file += &certificate;
        let config = config::<NodeSettings>(&arguments, move || file.clone());
        let topology = self.map.lock().unwrap().topology();
        let plan = shardstored::NodePlan {
            loaded: config.load_to_serve().unwrap(),
            config,
            topology,
            source: source(&self.map),
            incarnation: self.incarnation(),
            descriptors: None,
            cpus: vec![None; CORES],
            process: control::context::ProcessContext::default(),
            log: Box::new(self.node_log.clone()),
            usage: None,
            host_memory: None,
            security,
        };
        let started = shardstored::start(&mut self.world.host(process), plan).unwrap();
        let ending = started.ending;
        self.nodes[node].status = Some(Box::new(move || ending.status()));
        self.nodes[node].up = true;
    }

    pub(crate) fn start_edge(&mut self, edge: usize) {
        let id = edge + 1;
        let arguments = [
            format!("--listen=10.0.2.{id}:8080"),
            format!("--admin=10.0.2.{id}:9180"),
            "--config=c".to_owned(),
            "--plaintext=allow".to_owned(),
        ];
        let edition = Arc::clone(&self.edition);
        let process = self.edges[edge].process;
        let (certificate, security) = self.identify(HolderRole::Edge, id, process);
        let file = move || edge_file(edition.load(Ordering::Relaxed)) + &certificate;
        let config = config::<EdgeSettings>(&arguments, file);
        let topology = self.map.lock().unwrap().topology();
        let plan = EdgePlan {
            loaded: config.load_to_serve().unwrap(),
            config,
            topology: Some((topology, source(&self.map))),
            cpus: vec![None; CORES],
            process: control::context::ProcessContext::default(),
            incarnation: self.incarnation(),
            hash_seed: self.incarnations,
            descriptors: None,
            log: Box::new(std::io::sink()),
            usage: None,
            host_memory: None,
            security,
            access_log: None,
            key_log: None,
            names: None,
            acme: None,
        };
        let ending = corelane::start(&mut self.world.host(process), plan).unwrap();
        self.edges[edge].status = Some(Box::new(move || ending.status()));
        self.edges[edge].up = true;
    }

    /// Who a process is: the lines of its file that say so, and what it reads by them.
    fn identify(&mut self, role: HolderRole, id: usize, process: ProcessId) -> (String, SecurityAtStart) {
        let wall_ms = self.world.wall_ms(process);
        match &mut self.certificates {
            Some(certificates) => (certificates.settings(role, id), certificates.at_start((role, id), wall_ms)),
            None => (String::new(), SecurityAtStart::none()),
        }
    }

    /// Renews the certificate of a process, or takes a step towards another authority, and tells every process; says what it was.
    pub(crate) fn certify(&mut self) -> Option<String> {
        let is_renewal = self.world.random().chance(300);
        let certificates = self.certificates.as_mut()?;
        let done = if is_renewal { certificates.renew() } else { certificates.rotate().to_owned() };
        let members = self.nodes.iter().chain(&self.edges).filter(|member| member.up);
        let processes: Vec<ProcessId> = members.map(|member| member.process).collect();
        for process in processes {
            self.world.signal(process, reactor::Signal::Reload);
        }
        Some(done)
    }

    pub(crate) fn kill(&mut self, is_node: bool, index: usize, mode: CrashMode) {
        let member = if is_node { &mut self.nodes[index] } else { &mut self.edges[index] };
        member.up = false;
        member.status = None;
        self.world.kill(member.process, mode);
    }

    /// Changes the file of all edges, and tells one to read its files again: its topology's too, which may have changed since.
    pub(crate) fn reload_edge(&mut self, edge: usize) {
        self.edition.fetch_add(1, Ordering::Relaxed);
        self.world.signal(self.edges[edge].process, reactor::Signal::Reload);
    }

    /// Tells an edge to end, runs until it has or `limit` is over, and gives its exit status.
    pub(crate) fn end_edge(&mut self, edge: usize, limit: Duration) -> Option<u8> {
        let process = self.edges[edge].process;
        self.world.signal(process, reactor::Signal::Terminate);
        let deadline = self.world.now() + limit;
        self.world.run_until(deadline, |world| !world.is_running(process));
        let status = self.edges[edge].status.as_ref().and_then(|status| status());
        self.kill(false, edge, CrashMode::Killed);
        status
    }

    /// The node, by its place, that owns a key.
    pub(crate) fn owner_of(&self, key: &str) -> usize {
        self.map.lock().unwrap().owner(range_of(key))
    }

    /// Moves a range to another node, and tells the nodes, and some of the edges; the others read their file when a node says
    /// that there is a newer one. Gives the range and its new owner.
    pub(crate) fn move_range(&mut self) -> Option<(usize, usize)> {
        let range = self.world.random().below(RANGES as u64) as usize;
        let node = self.world.random().below(NODES as u64) as usize;
        {
            let mut map = self.map.lock().unwrap();
            if map.owners[range] == node {
                return None;
            }
            map.owners[range] = node;
            map.epoch += 1;
        }
        let nodes: Vec<ProcessId> = self.nodes.iter().filter(|member| member.up).map(|member| member.process).collect();
        let edges: Vec<ProcessId> = self.edges.iter().filter(|member| member.up).map(|member| member.process).collect();
        for process in nodes {
            self.world.signal(process, reactor::Signal::Reload);
        }
        for process in edges {
            if self.world.random().chance(500) {
                self.world.signal(process, reactor::Signal::Reload);
            }
        }
        Some((range, node))
    }

    /// The map that files have now.
    pub(crate) fn topology(&self) -> Topology {
        self.map.lock().unwrap().topology()
    }

    /// Writes a file with so many nodes and the next epoch, of which nobody is told.
    pub(crate) fn resize(&mut self, nodes: usize) {
        let mut map = self.map.lock().unwrap();
        map.nodes = nodes;
        map.epoch += 1;
    }

    /// Tells processes of the file, one after another: all nodes that run, and half of the edges.
    pub(crate) fn tell_of_map(&mut self) {
        let members = self.nodes.iter().chain(&self.edges).filter(|member| member.up);
        let mut processes: Vec<(bool, ProcessId)> = members.map(|member| (true, member.process)).collect();
        let nodes = self.nodes.iter().filter(|member| member.up).count();
        processes.iter_mut().skip(nodes).for_each(|(told, _)| *told = false);
        while !processes.is_empty() {
            let at = self.world.random().below(processes.len() as u64) as usize;
            let (is_node, process) = processes.swap_remove(at);
            if is_node || self.world.random().chance(500) {
                self.world.signal(process, reactor::Signal::Reload);
            }
            let pause = Duration::from_micros(self.world.random().below(10_000));
            self.world.run_for(pause);
        }
    }

    /// How many items nodes have said that they dropped when the map of this epoch came.
    pub(crate) fn dropped(&self, epoch: u32) -> u64 {
        let log = self.node_log.0.lock().unwrap();
        let text = String::from_utf8_lossy(&log);
        let field = |line: &str, name: &str| -> Option<u64> {
            line.split_whitespace().find_map(|word| word.strip_prefix(name)?.parse().ok())
        };
        let lines = text.lines().filter(|line| line.contains("event=slots_dropped"));
        let of_epoch = lines.filter(|line| field(line, "epoch=") == Some(u64::from(epoch)));
        of_epoch.map(|line| field(line, "items=").unwrap()).sum()
    }

    /// Ends a node as an operator does; its exit status.
    pub(crate) fn end_node(&mut self, node: usize, limit: Duration) -> Option<u8> {
        let process = self.nodes[node].process;
        self.world.signal(process, reactor::Signal::Terminate);
        let deadline = self.world.now() + limit;
        self.world.run_until(deadline, |world| !world.is_running(process));
        let status = self.nodes[node].status.as_ref().and_then(|status| status());
        self.nodes.remove(node);
        status
    }

    /// Asks every process to end, runs until they have, and says what was wrong with how they did.
    pub(crate) fn stop_all(&mut self, deadline: Instant) -> Result<(), String> {
        let members = self.edges.iter().chain(&self.nodes);
        let processes: Vec<ProcessId> = members.map(|member| member.process).collect();
        for (index, process) in processes.iter().enumerate() {
            self.world.signal(*process, reactor::Signal::Terminate);
            self.world.run_until(deadline, |world| !world.is_running(*process));
            let member = self.edges.iter().chain(&self.nodes).nth(index).expect("listed above");
            let status = member.status.as_ref().and_then(|status| status());
            if status != Some(0) {
                return Err(format!("process {index} ended with {status:?} instead of 0"));
            }
        }
        self.world.run_for(Duration::from_secs(1));
        for (index, process) in processes.iter().enumerate() {
            let held = self.world.holdings(*process);
            if held.iter().any(|core| core.connections > 0 || core.tasks > 0 || core.listeners > 0) {
                return Err(format!("process {index} leaks: {held:?}"));
            }
        }
        Ok(())
    }
}
