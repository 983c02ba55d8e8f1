//! The settings of `shardstored`, the shard node process.
//!
//! **Not**: the meaning of a limit, which belongs to the module that holds it.
//!
//! **Invariants**: [`NodeSettings`] has a field for every key of [`SCHEMA`] and none besides.
//!
//! **Source**: docs/config.md; docs/wire.md for what is granted in HELLO.

use std::{path::PathBuf, time::Duration};

use shardstore::cache::Commit;

use control::settings::{
    Settings,
    kind::Kind,
    process_keys::{
        CONNECTIONS_PER_CORE_MAX, CORES, DAY, DRAIN_TIME, MEMORY, MEMORY_COMMIT, REGION, SECOND, VALUE_BYTES_MAX,
        memory_commit,
    },
    quantity::{GIB, KIB, MIB},
    schema::{AtMost, Key, Preset, Relative, Schema},
    tree::Tree,
    value::{Cores, ListenAddress},
};

/// All that can be set for `shardstored`.
pub static SCHEMA: Schema = Schema {
    program: "shardstored",
    about: "A shard node: the authority for the slots its topology gives it.",
    keys: &KEYS,
    family: None,
    rules: &[
        AtMost { lesser: "limits.frame_bytes", bound: "limits.bytes_per_connection" },
        AtMost { lesser: "limits.frame_bytes", bound: "limits.value_bytes" },
    ],
    relatives: &[Relative { program: "corelane", keys: &EDGE_KEYS }],
};

/// What only `corelane` can be told.
const EDGE_KEYS: [&str; 21] = [
    "accept_steering",
    "cache_status",
    "near_ttl",
    "limits.header_bytes",
    "limits.header_count",
    "limits.target_bytes",
    "limits.body_bytes",
    "limits.header_time",
    "limits.body_rate_min",
    "limits.body_rate_grace",
    "limits.requests_per_connection_queue",
    "limits.send_queue_bytes",
    "limits.body_memory_bytes",
    "limits.fills_per_core",
    "limits.waiters_per_fill",
    "upstream.request_time",
    "upstream.connect_time",
    "upstream.connections_per_node",
    "upstream.queue_per_node",
    "upstream.breaker_failures",
    "upstream.breaker_probe_time",
];

const KEYS: [Key; 15] = [
    Key::new(
        "node_id",
        Kind::Count { min: 1, max: 65_535 },
        Preset::Required,
        "The id of this node in the topology file",
    )
    .with_flag("node-id", "ID"),
    Key::new("listen", Kind::Addresses, Preset::Is("127.0.0.1:7401"), "Addresses that serve the shard protocol")
        .with_flag("listen", "ADDRESS"),
    Key::new("admin", Kind::Address, Preset::Is("127.0.0.1:9280"), "Address of the admin listener")
        .with_flag("admin", "ADDRESS"),
    CORES,
    MEMORY,
    MEMORY_COMMIT,
    Key::new("topology", Kind::Path, Preset::Required, "Topology file, the same one the edges read")
        .with_flag("topology", "FILE"),
    DRAIN_TIME,
    REGION,
    Key::new(
        "limits.connections_per_core",
        Kind::Count { min: 1, max: CONNECTIONS_PER_CORE_MAX },
        Preset::Is("65536"),
        "Most connections of a core; one more is closed",
    ),
    Key::new(
        "limits.requests_per_connection",
        // HELLO and frames carry credits in 16 bits.
        Kind::Count { min: 1, max: 65_535 },
        Preset::Is("256"),
        "Requests a peer may have in flight on a connection (credits)",
    ),
    Key::new(
        "limits.bytes_per_connection",
        Kind::Bytes { min: 64 * KIB, max: GIB },
        Preset::Is("4MiB"),
        "Bytes a peer may have in flight on a connection (credits)",
    ),
    Key::new(
        "limits.value_bytes",
        Kind::Bytes { min: 64 * KIB, max: VALUE_BYTES_MAX },
        Preset::Is("64MiB"),
        "Largest value; beyond it the answer is TOO_LARGE",
    ),
    Key::new(
        "limits.frame_bytes",
        // At least a longest key, its extensions and some value; at most what one peer may hold up the others with.
        Kind::Bytes { min: 16 * KIB, max: 16 * MIB },
        Preset::Is("1MiB"),
        "Largest value part of one frame; larger values travel in chunks",
    ),
    Key::new(
        "limits.idle_time",
        Kind::Duration { min: SECOND, max: DAY },
        Preset::Is("5m"),
        "Time a connection is kept open without a frame",
    ),
];

/// Bounds on what one peer, one connection and one core may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLimits {
    /// Most connections of a core.
    pub connections_per_core: usize,
    /// Requests a peer may have in flight on a connection.
    pub requests_per_connection: u16,
    /// Bytes a peer may have in flight on a connection; at least `frame_bytes`.
    pub bytes_per_connection: u32,
    /// Largest value, in bytes.
    pub value_bytes: u32,
    /// Largest value part of one frame, in bytes; at most `value_bytes`.
    pub frame_bytes: u32,
    /// Time a connection is kept open without a frame.
    pub idle_time: Duration,
}

/// All settings of a shard node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSettings {
    /// The id of this node in the topology, 1 to 65535.
    pub node_id: u16,
    /// Addresses that serve the shard protocol; at least one.
    pub listen: Vec<ListenAddress>,
    /// Address of the admin listener.
    pub admin: ListenAddress,
    /// CPUs with a data core each.
    pub cores: Cores,
    /// Memory of all shards together, in bytes.
    pub memory_bytes: u64,
    /// When it is committed.
    pub memory_commit: Commit,
    /// The topology file.
    pub topology: PathBuf,
    /// How long requests in flight may take after SIGTERM.
    pub drain_time: Duration,
    /// Region written into versions, 0 to 63.
    pub region: u8,
    /// Bounds.
    pub limits: NodeLimits,
}

impl control::boot::Bootable for NodeSettings {
    fn topology_file(&self) -> Option<&std::path::Path> {
        Some(&self.topology)
    }

    fn cores(&self) -> &Cores {
        &self.cores
    }
}

impl Settings for NodeSettings {
    const SCHEMA: &'static Schema = &SCHEMA;

    fn from_tree(tree: &Tree) -> Self {
        Self {
            node_id: tree.count("node_id"),
            listen: tree.addresses("listen"),
            admin: tree.address("admin"),
            cores: tree.cores("cores"),
            memory_bytes: tree.bytes("memory"),
            memory_commit: memory_commit(tree),
            topology: tree.path("topology").expect("the schema requires it"),
            drain_time: tree.duration("drain_time"),
            region: tree.count("region"),
            limits: NodeLimits {
                connections_per_core: tree.count("limits.connections_per_core"),
                requests_per_connection: tree.count("limits.requests_per_connection"),
                bytes_per_connection: tree.bytes("limits.bytes_per_connection"),
                value_bytes: tree.bytes("limits.value_bytes"),
                frame_bytes: tree.bytes("limits.frame_bytes"),
                idle_time: tree.duration("limits.idle_time"),
            },
        }
    }
}
