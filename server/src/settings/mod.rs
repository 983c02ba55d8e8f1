//! The settings of `corelane`, the edge process.
//!
//! **Not**: the meaning of a limit, which belongs to the module that holds it.
//!
//! **Invariants**: [`EdgeSettings`] has a field for every key of [`SCHEMA`] and none besides.
//!
//! **Source**: docs/config.md.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use shardstore::cache::Commit;

use control::settings::{
    Settings,
    kind::Kind,
    process_keys::{
        CONNECTIONS_PER_CORE_MAX, CORES, DAY, DRAIN_TIME, HOUR, MEMORY, MEMORY_COMMIT, MILLISECOND, MINUTE, REGION,
        SECOND, VALUE_BYTES_MAX, YEAR, memory_commit,
    },
    quantity::{GIB, KIB, MIB, TIB},
    schema::{AtMost, Family, Key, Preset, Relative, Schema},
    tree::Tree,
    value::{Cores, ListenAddress},
};

const STEERINGS: [&str; 2] = ["hash", "cpu"];

/// All that can be set for `corelane`.
pub static SCHEMA: Schema = Schema {
    program: "corelane",
    about: "The edge: serves HTTP from pinned cores, caches in process, and asks the shard nodes for the rest.",
    keys: &KEYS,
    family: Some(Family { section: "keyspace", always: "default", keys: &KEYSPACE_KEYS }),
    rules: &[
        AtMost { lesser: "limits.target_bytes", bound: "limits.header_bytes" },
        AtMost { lesser: "limits.body_bytes", bound: "limits.body_memory_bytes" },
    ],
    relatives: &[Relative { program: "shardstored", keys: &NODE_KEYS }],
};

/// What only `shardstored` can be told.
const NODE_KEYS: [&str; 5] = [
    "node_id",
    "limits.requests_per_connection",
    "limits.bytes_per_connection",
    "limits.value_bytes",
    "limits.frame_bytes",
];

const KEYS: [Key; 31] = [
    Key::new("listen", Kind::Addresses, Preset::Is("127.0.0.1:8080"), "Addresses that serve HTTP")
        .with_flag("listen", "ADDRESS"),
    Key::new("admin", Kind::Address, Preset::Is("127.0.0.1:9180"), "Address of the admin listener")
        .with_flag("admin", "ADDRESS"),
    CORES,
    Key::new(
        "accept_steering",
        Kind::Choice(&STEERINGS),
        Preset::Is("hash"),
        "How new connections find a core: the kernel's hash, or the CPU that received the packet",
    ),
    MEMORY,
    MEMORY_COMMIT,
    Key::new("topology", Kind::Path, Preset::Absent, "Topology file; without it this process is its own store")
        .with_flag("topology", "FILE"),
    Key::new("cache_status", Kind::Bool, Preset::Is("true"), "Whether answers say where they came from (Cache-Status)"),
    Key::new(
        "near_ttl",
        // The staleness other edges' writes can be read with; beyond an hour it would be a cache nobody can reason about.
        Kind::Duration { min: Duration::ZERO, max: HOUR },
        Preset::Is("1s"),
        "How long a copy of a node's value is served without asking; 0s keeps no copies",
    )
    .with_flag("near-ttl", "DURATION"),
    DRAIN_TIME,
    REGION,
    Key::new(
        "limits.header_bytes",
        // Below 1 KiB no browser gets through; above 1 MiB a head no longer fits any buffer the reactor hands out.
        Kind::Bytes { min: KIB, max: MIB },
        Preset::Is("16KiB"),
        "Largest request head; beyond it 431",
    ),
    Key::new(
        "limits.header_count",
        // The parser counts header lines in 16 bits; a proxy in front adds up to a dozen to a client's own.
        Kind::Count { min: 16, max: 4096 },
        Preset::Is("100"),
        "Most header lines; beyond it 431",
    ),
    Key::new(
        "limits.target_bytes",
        Kind::Bytes { min: 256, max: MIB },
        Preset::Is("8KiB"),
        "Longest request target; beyond it 414",
    ),
    Key::new(
        "limits.body_bytes",
        Kind::Bytes { min: KIB, max: VALUE_BYTES_MAX },
        Preset::Is("64MiB"),
        "Largest request body; beyond it 413",
    ),
    Key::new(
        "limits.header_time",
        Kind::Duration { min: Duration::from_millis(100), max: Duration::from_secs(600) },
        Preset::Is("10s"),
        "Time for a request head from its first byte; then 408",
    ),
    Key::new(
        "limits.body_rate_min",
        Kind::Bytes { min: 0, max: GIB },
        Preset::Is("1KiB"),
        "Slowest body, per second; below it 408; 0B allows any",
    ),
    Key::new(
        "limits.body_rate_grace",
        Kind::Duration { min: Duration::ZERO, max: HOUR },
        Preset::Is("10s"),
        "Time before the rate of a body counts, and the longest pause within one (at least 1s)",
    ),
    Key::new(
        "limits.idle_time",
        Kind::Duration { min: SECOND, max: DAY },
        Preset::Is("75s"),
        "Time a connection is kept open between requests",
    ),
    Key::new(
        "limits.connections_per_core",
        Kind::Count { min: 1, max: CONNECTIONS_PER_CORE_MAX },
        Preset::Is("65536"),
        "Most connections of a core; one more is answered 503 and closed",
    ),
    Key::new(
        "limits.requests_per_connection_queue",
        Kind::Count { min: 1, max: 4096 },
        Preset::Is("128"),
        "Most pipelined requests of a connection that wait; then it is not read from",
    ),
    Key::new(
        "limits.send_queue_bytes",
        // One receive buffer of 64 KiB may turn into as much to send; 1 GiB is a whole host's patience for one client.
        Kind::Bytes { min: 64 * KIB, max: GIB },
        Preset::Is("1MiB"),
        "Bytes to send to a connection at which it is no longer read from",
    ),
    Key::new(
        "limits.body_memory_bytes",
        Kind::Bytes { min: KIB, max: TIB },
        Preset::Is("256MiB"),
        "Memory of a core for request bodies until they are stored, and as much again for copies to send; beyond it 503",
    ),
    Key::new(
        "limits.fills_per_core",
        Kind::Count { min: 1, max: CONNECTIONS_PER_CORE_MAX },
        Preset::Is("65536"),
        "Most keys a core waits for from nodes; beyond it 503",
    ),
    Key::new(
        "limits.waiters_per_fill",
        Kind::Count { min: 1, max: CONNECTIONS_PER_CORE_MAX },
        Preset::Is("65536"),
        "Most requests that wait for one key; beyond it 503",
    ),
    Key::new(
        "upstream.request_time",
        Kind::Duration { min: MILLISECOND, max: MINUTE },
        Preset::Is("1s"),
        "Time until a node must have answered, or begun to; a value gets more, at 8 MiB a second",
    ),
    Key::new(
        "upstream.connect_time",
        Kind::Duration { min: MILLISECOND, max: MINUTE },
        Preset::Is("500ms"),
        "Time to connect to a node and greet it",
    ),
    Key::new(
        "upstream.connections_per_node",
        Kind::Count { min: 1, max: 256 },
        Preset::Is("8"),
        "Most connections of a core to one node; at most one for each of the node's cores is used",
    ),
    Key::new(
        "upstream.queue_per_node",
        Kind::Count { min: 1, max: 1 << 20 },
        Preset::Is("1024"),
        "Most requests of a core that wait for one node; beyond it 503",
    ),
    Key::new(
        "upstream.breaker_failures",
        Kind::Count { min: 1, max: 1000 },
        Preset::Is("3"),
        "Failures in a row that open a node's circuit breaker",
    ),
    Key::new(
        "upstream.breaker_probe_time",
        // A node that is back must be in use within a second.
        Kind::Duration { min: MILLISECOND, max: SECOND },
        Preset::Is("250ms"),
        "Time between two probes of a node whose breaker is open",
    ),
];

const KEYSPACE_KEYS: [Key; 2] = [
    Key::new(
        "ttl",
        Kind::Duration { min: Duration::ZERO, max: YEAR },
        Preset::Is("0s"),
        "Time to live of values stored without one; 0s keeps them until they are evicted",
    ),
    Key::new(
        "max_value",
        Kind::Bytes { min: 1, max: VALUE_BYTES_MAX },
        Preset::Is("64MiB"),
        "Largest value; beyond it 413; `limits.body_bytes` holds as well",
    ),
];

/// How new connections are spread over the cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptSteering {
    /// By the kernel's hash of addresses and ports.
    Hash,
    /// To the core on the CPU that received the packet.
    Cpu,
}

/// Bounds on what one client, one connection and one core may use. Rates are per second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeLimits {
    /// Largest request head, in bytes.
    pub header_bytes: usize,
    /// Most header lines.
    pub header_count: usize,
    /// Longest request target, in bytes.
    pub target_bytes: usize,
    /// Largest request body, in bytes.
    pub body_bytes: usize,
    /// Time for a request head from its first byte.
    pub header_time: Duration,
    /// Slowest body, in bytes per second; 0 allows any.
    pub body_rate_min: u64,
    /// Time before the rate of a body counts.
    pub body_rate_grace: Duration,
    /// Time a connection is kept open between requests.
    pub idle_time: Duration,
    /// Most connections of a core.
    pub connections_per_core: usize,
    /// Most pipelined requests of a connection that wait.
    pub requests_per_connection_queue: usize,
    /// Bytes to send to a connection at which it is no longer read from.
    pub send_queue_bytes: usize,
    /// Memory of a core for request bodies until they are stored, and as much again for copies it has made to send, in
    /// bytes; at least `body_bytes`.
    pub body_memory_bytes: usize,
    /// Most keys a core waits for from nodes.
    pub fills_per_core: usize,
    /// Most requests that wait for one key.
    pub waiters_per_fill: usize,
}

/// How nodes are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Time until a node must have answered or begun to; the transfer of a value comes on top, at 8 MiB a second.
    pub request_time: Duration,
    /// Time to connect and greet.
    pub connect_time: Duration,
    /// Most connections of a core to one node.
    pub connections_per_node: usize,
    /// Most requests of a core that wait for one node.
    pub queue_per_node: usize,
    /// Failures in a row that open a node's circuit breaker.
    pub breaker_failures: u32,
    /// Time between two probes of a node whose breaker is open.
    pub breaker_probe_time: Duration,
}

/// The policy of one keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyspaceSettings {
    /// Time to live of values stored without one; zero means none.
    pub ttl: Duration,
    /// Largest value, in bytes.
    pub max_value_bytes: usize,
}

/// All settings of the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeSettings {
    /// Addresses that serve HTTP; at least one.
    pub listen: Vec<ListenAddress>,
    /// Address of the admin listener.
    pub admin: ListenAddress,
    /// CPUs with a data core each.
    pub cores: Cores,
    /// How new connections find a core.
    pub accept_steering: AcceptSteering,
    /// Memory of all shards together, in bytes.
    pub memory_bytes: u64,
    /// When it is committed.
    pub memory_commit: Commit,
    /// The topology file; `None` is embedded mode.
    pub topology: Option<PathBuf>,
    /// Whether answers carry Cache-Status.
    pub cache_status: bool,
    /// How long a copy of a node's value is served without asking; zero keeps none.
    pub near_ttl: Duration,
    /// How long requests in flight may take after SIGTERM.
    pub drain_time: Duration,
    /// Region written into versions, 0 to 63.
    pub region: u8,
    /// Bounds.
    pub limits: EdgeLimits,
    /// How nodes are asked.
    pub upstream: UpstreamSettings,
    /// Keyspaces by name; `default` is always there.
    pub keyspaces: BTreeMap<String, KeyspaceSettings>,
}

impl control::boot::Bootable for EdgeSettings {
    fn topology_file(&self) -> Option<&std::path::Path> {
        self.topology.as_deref()
    }

    fn cores(&self) -> &Cores {
        &self.cores
    }
}

impl Settings for EdgeSettings {
    const SCHEMA: &'static Schema = &SCHEMA;

    fn from_tree(tree: &Tree) -> Self {
        let accept_steering = match tree.choice("accept_steering") {
            "cpu" => AcceptSteering::Cpu,
            _ => AcceptSteering::Hash,
        };
        Self {
            listen: tree.addresses("listen"),
            admin: tree.address("admin"),
            cores: tree.cores("cores"),
            accept_steering,
            memory_bytes: tree.bytes("memory"),
            memory_commit: memory_commit(tree),
            topology: tree.path("topology"),
            cache_status: tree.bool("cache_status"),
            near_ttl: tree.duration("near_ttl"),
            drain_time: tree.duration("drain_time"),
            region: tree.count("region"),
            limits: EdgeLimits::from_tree(tree),
            upstream: UpstreamSettings::from_tree(tree),
            keyspaces: tree
                .tables()
                .iter()
                .map(|name| (name.clone(), KeyspaceSettings::from_tree(tree, name)))
                .collect(),
        }
    }
}

impl EdgeLimits {
    fn from_tree(tree: &Tree) -> Self {
        Self {
            header_bytes: tree.bytes("limits.header_bytes"),
            header_count: tree.count("limits.header_count"),
            target_bytes: tree.bytes("limits.target_bytes"),
            body_bytes: tree.bytes("limits.body_bytes"),
            header_time: tree.duration("limits.header_time"),
            body_rate_min: tree.bytes("limits.body_rate_min"),
            body_rate_grace: tree.duration("limits.body_rate_grace"),
            idle_time: tree.duration("limits.idle_time"),
            connections_per_core: tree.count("limits.connections_per_core"),
            requests_per_connection_queue: tree.count("limits.requests_per_connection_queue"),
            send_queue_bytes: tree.bytes("limits.send_queue_bytes"),
            body_memory_bytes: tree.bytes("limits.body_memory_bytes"),
            fills_per_core: tree.count("limits.fills_per_core"),
            waiters_per_fill: tree.count("limits.waiters_per_fill"),
        }
    }
}

impl UpstreamSettings {
    fn from_tree(tree: &Tree) -> Self {
        Self {
            request_time: tree.duration("upstream.request_time"),
            connect_time: tree.duration("upstream.connect_time"),
            connections_per_node: tree.count("upstream.connections_per_node"),
            queue_per_node: tree.count("upstream.queue_per_node"),
            breaker_failures: tree.count("upstream.breaker_failures"),
            breaker_probe_time: tree.duration("upstream.breaker_probe_time"),
        }
    }
}

impl KeyspaceSettings {
    fn from_tree(tree: &Tree, name: &str) -> Self {
        Self {
            ttl: tree.duration(&format!("keyspace.{name}.ttl")),
            max_value_bytes: tree.bytes(&format!("keyspace.{name}.max_value")),
        }
    }
}

#[cfg(test)]
mod tests;
