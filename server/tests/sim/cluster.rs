//! The simulated processes: 3 nodes, 2 edges, and how each is started, killed and stopped.

use std::time::Duration;

use control::settings::{Invocation, Loaded, Settings, Sources, load};
use control::topology_file::TopologySource;
use corelane::EdgePlan;
use corelane::settings::EdgeSettings;
use reactor::sim::{CrashMode, ProcessId, World};
use reactor::{Address, Instant};
use shardstore::placement::Topology;
use shardstored::settings::NodeSettings;

/// Nodes of the cluster.
pub(crate) const NODES: usize = 3;
/// Edges of the cluster.
pub(crate) const EDGES: usize = 2;
/// Data cores of every process.
const CORES: usize = 2;

/// How long an edge may take for a request to a node.
pub(crate) const REQUEST_TIME: Duration = Duration::from_millis(1000);
/// How long a near copy may be served.
pub(crate) const NEAR_TIME: Duration = Duration::from_millis(400);

pub(crate) struct Cluster {
    pub(crate) world: World,
    pub(crate) nodes: Vec<Member>,
    pub(crate) edges: Vec<Member>,
    topology: Topology,
    incarnations: u64,
}

/// One process, and when it last died.
pub(crate) struct Member {
    pub(crate) process: ProcessId,
    pub(crate) up: bool,
    status: Option<Box<dyn Fn() -> Option<u8>>>,
}

fn topology_text() -> String {
    let mut text = "cluster = \"sim\"\nepoch = 1\n".to_owned();
    for id in 1..=NODES {
        text += &format!("[[node]]\nid = {id}\naddress = \"10.0.1.{id}:7401\"\n");
    }
    text
}

pub(crate) fn edge_address(edge: usize) -> Address {
    Address::Tcp(std::net::SocketAddr::from(([10, 0, 2, edge as u8 + 1], 8080)))
}

fn settings<T: Settings>(arguments: &[String], file: &str) -> Loaded<T> {
    let sources = Sources {
        arguments: arguments.iter().map(Into::into).collect(),
        environment: Vec::new(),
        read_file: &|_| Ok(file.to_owned()),
    };
    match load::<T>(&sources).unwrap_or_else(|error| panic!("{error}")) {
        Invocation::Serve(loaded) => *loaded,
        Invocation::Check(_) | Invocation::Print(_) => panic!("asked to serve"),
    }
}

impl Cluster {
    /// A cluster with every process started.
    pub(crate) fn start(world: World) -> Cluster {
        let topology = Topology::parse(&topology_text()).unwrap();
        let mut cluster = Cluster { world, nodes: Vec::new(), edges: Vec::new(), topology, incarnations: 0 };
        for id in 1..=NODES {
            let process = cluster.world.add_process(&format!("node {id}"));
            cluster.nodes.push(Member { process, up: false, status: None });
        }
        for id in 1..=EDGES {
            let process = cluster.world.add_process(&format!("edge {id}"));
            cluster.edges.push(Member { process, up: false, status: None });
        }
        (0..NODES).for_each(|node| cluster.start_node(node));
        (0..EDGES).for_each(|edge| cluster.start_edge(edge));
        cluster
    }

    fn incarnation(&mut self) -> u64 {
        self.incarnations += 1;
        self.incarnations
    }

    pub(crate) fn start_node(&mut self, node: usize) {
        let id = node + 1;
        let arguments =
            [format!("--listen=10.0.1.{id}:7401"), format!("--admin=10.0.1.{id}:9180"), "--config=c".to_owned()];
        let file = format!("node_id = {id}\nmemory = \"64MiB\"\ntopology = \"topology.toml\"\n");
        let loaded = settings::<NodeSettings>(&arguments, &file);
        let plan = shardstored::NodePlan {
            settings: loaded.settings,
            effective: loaded.effective,
            topology: self.topology.clone(),
            source: TopologySource {
                name: "topology.toml".to_owned(),
                read: Box::new(|| Ok(topology_text())),
                mark: Box::new(|| None),
            },
            incarnation: self.incarnation(),
            cpus: vec![None; CORES],
            log: Box::new(std::io::sink()),
            usage: None,
        };
        let process = self.nodes[node].process;
        let started = shardstored::start(&mut self.world.host(process), plan).unwrap();
        let ending = started.ending;
        self.nodes[node].status = Some(Box::new(move || ending.status()));
        self.nodes[node].up = true;
    }

    pub(crate) fn start_edge(&mut self, edge: usize) {
        let id = edge + 1;
        let arguments =
            [format!("--listen=10.0.2.{id}:8080"), format!("--admin=10.0.2.{id}:9180"), "--config=c".to_owned()];
        let file = format!(
            "memory = \"64MiB\"\ntopology = \"topology.toml\"\nnear_ttl = \"{}ms\"\n\
             [upstream]\nrequest_time = \"{}ms\"\nconnect_time = \"300ms\"\n",
            NEAR_TIME.as_millis(),
            REQUEST_TIME.as_millis()
        );
        let loaded = settings::<EdgeSettings>(&arguments, &file);
        let source = TopologySource {
            name: "topology.toml".to_owned(),
            read: Box::new(|| Ok(topology_text())),
            mark: Box::new(|| None),
        };
        let plan = EdgePlan {
            settings: loaded.settings,
            effective: loaded.effective,
            topology: Some((self.topology.clone(), source)),
            cpus: vec![None; CORES],
            incarnation: self.incarnation(),
            log: Box::new(std::io::sink()),
            usage: None,
        };
        let process = self.edges[edge].process;
        let ending = corelane::start(&mut self.world.host(process), plan).unwrap();
        self.edges[edge].status = Some(Box::new(move || ending.status()));
        self.edges[edge].up = true;
    }

    pub(crate) fn kill(&mut self, is_node: bool, index: usize, mode: CrashMode) {
        let member = if is_node { &mut self.nodes[index] } else { &mut self.edges[index] };
        member.up = false;
        member.status = None;
        self.world.kill(member.process, mode);
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
        let mut stored = Vec::new();
        shardstore::key::StoredKey::encode(b"default", key.as_bytes(), &mut stored).unwrap();
        let hasher = shardstore::key::KeyHasher::new(self.topology.hash_seed());
        self.topology.owner(hasher.hash(&stored).slot()).id.0 as usize - 1
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
