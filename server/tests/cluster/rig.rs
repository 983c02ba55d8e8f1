//! The cluster: two edges and three nodes, each on a loopback address of its own, with one data core each.
//!
//! ```text
//!  client ──▶ edge 0 ─┐   ┌─▶ node 1
//!                     ├───┼─▶ node 2
//!  client ──▶ edge 1 ─┘   └─▶ node 3
//! ```
//!
//! **Invariants**: edges and nodes read different topology files, so that a test can change one and leave the other.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use corelane_pki::{Authority, HolderRole};

use super::authority::{Files, authority, issue, revoked};
use super::member::{Member, Program};
use crate::support::server::{own_address, own_folder};

pub(crate) const NODES: usize = 3;
const EDGES: usize = 2;

/// How long the edges of a cluster wait for a node.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    /// Deadline of a request to a node.
    request: Duration,
    /// Time to connect to a node and greet it.
    connect: Duration,
}

impl Patience {
    /// Where every node works: a busy host makes nothing fail.
    const LONG: Self = Self { request: Duration::from_secs(20), connect: Duration::from_secs(20) };
    /// Where a node fails and a test waits for that: nothing else may depend on it. That deadlines are kept is shown in
    /// virtual time, by the simulation.
    const SHORT: Self = Self { request: Duration::from_secs(1), connect: Duration::from_secs(1) };
}

/// The cluster's name.
pub(crate) const NAME: &str = "trial";

/// A cluster, and the files of its processes.
pub(crate) struct Rig {
    pub(crate) edges: Vec<Member>,
    /// Node `n` is at index `n - 1`.
    pub(crate) nodes: Vec<Member>,
    folder: PathBuf,
    /// Who signs certificates, where members show them to each other.
    pub(crate) authority: Option<Authority>,
}

impl Rig {
    /// Starts a cluster whose edges keep edge copies for so long, and waits until all of it is ready.
    pub(crate) fn start(edge_ttl: Duration) -> Self {
        Self::prepare(edge_ttl, Patience::LONG, None).launched()
    }

    /// The same for tests in which nodes fail: edges soon give up to wait for them.
    pub(crate) fn start_impatient(edge_ttl: Duration) -> Self {
        Self::prepare(edge_ttl, Patience::SHORT, None).launched()
    }

    /// A cluster whose members show each other certificates, of two cores each node where the host has them.
    pub(crate) fn start_with_certificates() -> Self {
        Self::prepare(Duration::ZERO, Patience::LONG, Some(authority(NAME))).launched()
    }

    /// The same for tests in which a node is refused.
    pub(crate) fn start_impatient_with_certificates() -> Self {
        Self::prepare(Duration::ZERO, Patience::SHORT, Some(authority(NAME))).launched()
    }

    fn launched(self) -> Self {
        let mut rig = self;
        // Edges that find no node listening for a while do not ask it until their next probe.
        for members in [&mut rig.nodes, &mut rig.edges] {
            members.iter_mut().for_each(Member::launch);
            members.iter_mut().for_each(|member| {
                member.await_ready();
            });
        }
        rig
    }

    /// A cluster with all its files, of which nothing runs.
    fn prepare(edge_ttl: Duration, patience: Patience, authority: Option<Authority>) -> Self {
        let folder = own_folder();
        let certificate = |role: HolderRole, id: String| {
            let Some(authority) = &authority else { return String::new() };
            let (files, name) = (Files::within(&folder), format!("{role}-{id}"));
            files.put(&name, &issue(authority, role, &id));
            files.settings(&name)
        };
        if let Some(authority) = &authority {
            Files::within(&folder).put_bundle(&[authority]);
            Files::within(&folder).put_revoked(&revoked(authority, &[]));
        }
        let is_spread = authority.is_some();
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let settings = |index: usize, topology: &str| {
            let topology = folder.join(topology);
            // A connection that is handed to another core is one that a node of one core does not have.
            let cores = if is_spread && cpus > 1 { "0, 1".to_owned() } else { (index % cpus).to_string() };
            format!("cores = [{cores}]\nmemory = \"64MiB\"\ntopology = {topology:?}\n")
        };
        let node = |index: usize| {
            let certificate = certificate(HolderRole::Node, (index + 1).to_string());
            let text = format!("node_id = {}\n{}{certificate}", index + 1, settings(index, "nodes.toml"));
            Member::new(Program::Node, own_address(), &folder, &text)
        };
        let edge = |index: usize| {
            let near = format!("edge_ttl = \"{}ms\"\n", edge_ttl.as_millis());
            let times = [("request_timeout", patience.request), ("connect_timeout", patience.connect)];
            let times = times.map(|(key, time)| format!("{key} = \"{}ms\"\n", time.as_millis())).concat();
            let log = format!("[access_log]\npath = {:?}\n", folder.join(access_log(index)));
            let certificate = certificate(HolderRole::Edge, index.to_string());
            let settings = settings(NODES + index, "edges.toml");
            let text = format!("{settings}{near}{log}[upstream]\n{times}{certificate}");
            Member::new(Program::Edge, own_address(), &folder, &text)
        };
        let nodes = (0..NODES).map(node).collect();
        let edges = (0..EDGES).map(edge).collect();
        let rig = Rig { edges, nodes, folder, authority };
        rig.write_nodes_topology(&rig.topology(1, ""));
        rig.write_edges_topology(&rig.topology(1, ""));
        rig
    }

    /// The files of its certificates.
    pub(crate) fn files(&self) -> Files {
        Files::within(&self.folder)
    }

    /// Who signs its certificates.
    pub(crate) fn authority(&self) -> &Authority {
        self.authority.as_ref().expect("members of this cluster show certificates")
    }

    /// The topology's text with these nodes; `assign` are its further lines.
    pub(crate) fn topology(&self, epoch: u32, assign: &str) -> String {
        self.topology_of(epoch, self.nodes.len()) + assign
    }

    /// The text of an edge's access log so far.
    pub(crate) fn access_log(&self, edge: usize) -> String {
        std::fs::read_to_string(self.folder.join(access_log(edge))).unwrap_or_default()
    }

    pub(crate) fn write_nodes_topology(&self, text: &str) {
        std::fs::write(self.folder.join("nodes.toml"), text).unwrap();
    }

    pub(crate) fn write_edges_topology(&self, text: &str) {
        std::fs::write(self.folder.join("edges.toml"), text).unwrap();
    }

    /// Adds a node that does not run, and reads the file that the other nodes read.
    pub(crate) fn add_node(&mut self) {
        let (file, id) = (self.folder.join("nodes.toml"), self.nodes.len() + 1);
        let text = format!("node_id = {id}\ncores = [0]\nmemory = \"64MiB\"\ntopology = {file:?}\n");
        self.nodes.push(Member::new(Program::Node, own_address(), &self.folder, &text));
    }

    /// The topology's text with the first `count` nodes.
    pub(crate) fn topology_of(&self, epoch: u32, count: usize) -> String {
        let nodes: Vec<_> = self.nodes.iter().enumerate().map(|(index, node)| (index + 1, node.address)).collect();
        topology(NAME, epoch, &nodes[..count])
    }

    /// Puts another process in the place of a node that does not run: with this id, and with a topology of its own.
    pub(crate) fn impostor(&self, place: usize, id: usize, topology: &str) -> Member {
        self.impostor_with(place, id, topology, "")
    }

    /// The same with further lines of its settings.
    pub(crate) fn impostor_with(&self, place: usize, id: usize, topology: &str, settings: &str) -> Member {
        let file = self.folder.join("impostor.toml");
        std::fs::write(&file, topology).unwrap();
        let text = format!("node_id = {id}\ncores = [0]\nmemory = \"64MiB\"\ntopology = {file:?}\n{settings}");
        let std::net::IpAddr::V4(ip) = self.nodes[place].address.ip() else { unreachable!("the rig chose IPv4") };
        Member::new(Program::Node, ip, &self.folder, &text)
    }
}

/// The file of an edge's access log.
fn access_log(edge: usize) -> String {
    format!("access-{edge}.log")
}

/// A topology's text.
pub(crate) fn topology(cluster: &str, epoch: u32, nodes: &[(usize, SocketAddr)]) -> String {
    let mut text = format!("cluster = \"{cluster}\"\nepoch = {epoch}\n");
    for (id, address) in nodes {
        text += &format!("\n[[node]]\nid = {id}\naddress = \"{address}\"\n");
    }
    text
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Processes that still run keep no file of it open but their topology, which they then miss for a moment.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
