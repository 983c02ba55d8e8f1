//! The settings of `shardstored`, the shard node process.
//!
//! **Not**: the meaning of a limit, which belongs to the module that holds it.
//!
//! **Invariants**: a key is a field here, and its documentation the text of `--help` and of docs/config.md.
//!
//! **Source**: docs/config.md; docs/wire.md for what is granted in HELLO.

use std::{path::PathBuf, time::Duration};

use control::boot::{HostFault, check_memory};
use control::cpus::CpuSettings;
use control::log::LogSettings;
use control::memory::{self, MemoryBound, MemoryPart};
use control::security::{
    ADMIN_CLIENT_CA, ADMIN_TLS, ClusterIdentity, ClusterRole, ClusterSecurity, ClusterSettings, SecurityAtStart,
    check_listeners, lines_of,
};
use control::settings;
use control::settings::Settings;
use control::settings::declare::KeyGroup;
use control::settings::kind::Kind;
use control::settings::process_keys::{
    ADMIN, ADMIN_HOSTS, COMMAND_LISTEN, COMMAND_MODE, CONNECTIONS_PER_CORE_MAX, CONTROL_CPU, CORES, CORES_MAP, DAY,
    DRAIN_TIMEOUT, HOUR, LAME_DUCK, MEMORY, MEMORY_COMMIT, REGION, SECOND, SOCKET_MODE, TOPOLOGY, VALUE_BYTES_MAX,
};
use control::settings::quantity::{GIB, KIB, MIB};
use control::settings::schema::{AtMost, Relative, Schema, SettingKey};
use control::settings::value::{ControlCpu, Cores, ListenAddress, SocketMode};
use reactor::Address;
use shardstore::cache::Commit;
use shardstore::placement::{NodeId, Topology};

use crate::budgets;

/// All that can be set for `shardstored`.
static SCHEMA: Schema = Schema {
    program: "shardstored",
    about: "A shard node: the authority for the slots its topology gives it.",
    table: NodeSettings::TABLE,
    rules: &[
        AtMost { lesser: "limits.frame_bytes", bound: "limits.bytes_per_connection" },
        AtMost { lesser: "limits.frame_bytes", bound: "limits.value_bytes" },
    ],
    relatives: &[Relative { program: "corelane", keys: &EDGE_KEYS }],
    explains: false,
};

/// Keys that only `corelane` has.
const EDGE_KEYS: [&str; 50] = [
    "accept_steering",
    "access_log.format",
    "access_log.path",
    "access_log.sample",
    "access_log.slow",
    "acme.agree_terms",
    "acme.ca",
    "acme.contact",
    "acme.directory",
    "acme.folder",
    "cache_status",
    "edge_ttl",
    "hot_keys",
    "kv.hosts",
    "limits.header_bytes",
    "limits.header_count",
    "limits.target_bytes",
    "limits.body_bytes",
    "limits.header_timeout",
    "limits.body_rate_min",
    "limits.body_rate_grace",
    "limits.body_timeout",
    "limits.pipelined_requests_max",
    "limits.send_queue_bytes",
    "limits.body_memory_bytes",
    "limits.connection_memory_bytes",
    "limits.fills_per_core",
    "limits.waiters_per_fill",
    "upstream.request_timeout",
    "upstream.connect_timeout",
    "upstream.connections_per_node",
    "upstream.queue_per_node",
    "upstream.breaker_failures",
    "upstream.breaker_probe_time",
    "listen_tls",
    "self_signed",
    "tls.min_version",
    "tls.handshake_timeout",
    "tls.handshakes_per_pass",
    "tls.handshakes_waiting",
    "tls.tickets",
    "tls.ticket_time",
    "tls.ticket_keys",
    "tls.early_data",
    "tls.early_sessions",
    "tls.client_auth",
    "tls.client_ca",
    "tls.client_crl",
    "tls.key_log",
    "tls.expiry_warning",
];

settings! {
    /// All settings of a shard node.
    pub struct NodeSettings {
        /// The id of this node in the topology file.
        pub node_id: u16 = SettingKey::count(1, 65_535).required().flag("node-id", "ID").restart(),
        /// Addresses that serve the shard protocol.
        pub listen: Vec<ListenAddress> = SettingKey::new(Kind::Addresses).preset("127.0.0.1:7401").flag("listen", "ADDRESS").restart(),
        /// Mode of the files of addresses that are Unix sockets, four octal digits; without it as the umask leaves it.
        pub listen_mode: Option<SocketMode> = SOCKET_MODE,
        /// Address of the admin listener.
        pub admin: ListenAddress = ADMIN.preset("127.0.0.1:9280"),
        /// Mode of the admin listener's file, where it is a Unix socket, four octal digits; without it as the umask leaves it.
        pub admin_mode: Option<SocketMode> = SOCKET_MODE,
        /// Whether the admin listener speaks TLS, with the certificate of `cluster.chain`.
        pub admin_tls: bool = ADMIN_TLS,
        /// File of the authorities whose certificates the admin listener takes, in PEM; without it those of `cluster.ca`.
        pub admin_client_ca: Option<PathBuf> = ADMIN_CLIENT_CA,
        /// Host names under which the admin listener answers, separated by commas, besides IP addresses, `localhost` and names without a dot.
        pub admin_hosts: Option<String> = ADMIN_HOSTS,
        /// Address that takes commands (`POST /v1/drain`), besides what `admin` answers: a Unix socket or a loopback address; without it no command is taken.
        pub command_listen: Option<ListenAddress> = COMMAND_LISTEN,
        /// Mode of the file of `command_listen`, where it is a Unix socket, four octal digits.
        pub command_mode: SocketMode = COMMAND_MODE,
        /// CPUs that run a data core each; auto: all that this process may use; profile: those of the map of cores.
        pub cores: Cores = CORES,
        /// The map of cores that `corectl tune` writes; read where `cores` is profile.
        pub cores_map: PathBuf = CORES_MAP,
        /// CPU of the control thread and of what helps it: log writer, file readers; auto: that of the map of cores, without one the scheduler's choice.
        pub control_cpu: ControlCpu = CONTROL_CPU,
        /// Memory of all shards together, index included; a hard limit.
        pub memory: u64 = MEMORY,
        /// When the memory is allocated: as items are stored, or all of it at the start, in huge pages where the kernel has them.
        pub memory_commit: Commit = MEMORY_COMMIT,
        /// Topology file, the same one the edges read.
        pub topology: PathBuf = TOPOLOGY.required(),
        /// How long connections are still taken after SIGTERM, while `/readyz` is 503; in its second half every response ends its connection.
        pub lame_duck: Duration = LAME_DUCK,
        /// How long requests in flight may take after SIGTERM and `lame_duck`.
        pub drain_timeout: Duration = DRAIN_TIMEOUT,
        /// Number of the region of this process; part of every version it assigns.
        pub region: u8 = REGION,
        /// The log on standard error.
        pub log: LogSettings = LogSettings::TABLE,
        /// Who this process is to its edges: docs/tls.md.
        pub cluster: ClusterSettings = ClusterSettings::TABLE,
        /// Bounds.
        pub limits: NodeLimits = NodeLimits::TABLE,
    }
}

settings! {
    /// Bounds on what one peer, one connection and one core may use. Those of a connection hold from its HELLO to its end.
    pub struct NodeLimits {
        /// Most connections of a core; one more is closed.
        pub connections_per_core: usize = SettingKey::count(1, CONNECTIONS_PER_CORE_MAX).preset("65536"),
        /// Requests a peer may have in flight on a connection (credits).
        // HELLO and frames carry credits in 16 bits.
        pub requests_per_connection: u16 = SettingKey::count(1, 65_535).preset("256"),
        /// Bytes a peer may have in flight on a connection (credits).
        pub bytes_per_connection: u32 = SettingKey::bytes(64 * KIB, GIB).preset("4MiB"),
        /// Largest value; beyond it the response is TOO_LARGE.
        pub value_bytes: u32 = SettingKey::bytes(64 * KIB, VALUE_BYTES_MAX).preset("64MiB"),
        /// Most bytes of a value in one frame; larger values are sent in chunks; the default is never above the other two.
        // At least a longest key, its extensions and some value; at most what one peer may hold up the others with.
        pub frame_bytes: u32 = SettingKey::bytes(16 * KIB, 16 * MIB).preset("1MiB"),
        /// Time for a value in chunks, from its first to its last; then the response is UNAVAILABLE.
        pub value_timeout: Duration = SettingKey::duration(SECOND, HOUR).preset("60s"),
        /// Time a connection is kept open without a frame.
        pub idle_timeout: Duration = SettingKey::duration(SECOND, DAY).preset("5m").formerly("idle_time"),
    }
}

impl Settings for NodeSettings {
    const SCHEMA: &'static Schema = &SCHEMA;
}

impl control::boot::Bootable for NodeSettings {
    fn topology_file(&self) -> Option<&std::path::Path> {
        Some(&self.topology)
    }

    fn command_listen(&self) -> Option<&ListenAddress> {
        self.command_listen.as_ref()
    }

    fn cpus(&self) -> CpuSettings<'_> {
        CpuSettings { cores: &self.cores, map: &self.cores_map, control: self.control_cpu }
    }

    fn check_start(&self, cores: usize, topology: Option<&Topology>) -> Result<(), HostFault> {
        check_memory(self.memory, cores)?;
        topology.map_or(Ok(()), |topology| check_listed(self.node_id, topology))
    }

    fn memory_bound(&self, cores: usize) -> MemoryBound {
        let fixed = budgets::PER_CORE_BYTES.saturating_mul(cores as u64);
        let connections = self.limits.connections_per_core as u64 * memory::CONNECTION_BYTES;
        let parts = vec![
            MemoryPart { key: Some("memory"), bytes: self.memory },
            MemoryPart { key: Some("limits.connections_per_core"), bytes: connections.saturating_mul(cores as u64) },
            MemoryPart { key: None, bytes: fixed },
        ];
        MemoryBound::new(cores, parts)
    }

    fn memory(&self) -> u64 {
        self.memory
    }

    fn security_files(&self) -> Vec<PathBuf> {
        self.identity("").files()
    }

    fn check_security(&self, security: &SecurityAtStart, topology: Option<&Topology>) -> Result<(), String> {
        topology.map_or(Ok(()), |topology| self.security(topology.cluster(), security).map(drop))
    }

    fn memory_at_start(&self) -> u64 {
        if self.memory_commit == Commit::AtStart { self.memory } else { 0 }
    }
}

impl NodeSettings {
    /// What the operator says of this node within its cluster.
    pub(crate) fn identity<'s>(&'s self, cluster: &'s str) -> ClusterIdentity<'s> {
        ClusterIdentity {
            settings: &self.cluster,
            cluster: Some(cluster),
            role: ClusterRole::Node(self.node_id),
            admin_tls: self.admin_tls,
            admin_client_ca: self.admin_client_ca.as_deref(),
        }
    }

    /// Who this node is when it starts.
    ///
    /// # Errors
    /// The operator's: all that is wrong, a line each.
    pub(crate) fn security(&self, cluster: &str, at_start: &SecurityAtStart) -> Result<ClusterSecurity, String> {
        let listen: Vec<Address> = self.listen.iter().map(Address::from).collect();
        check_listeners(&listen, (&Address::from(&self.admin), self.admin_tls), &self.cluster)?;
        let loaded = ClusterSecurity::load(&self.identity(cluster), &at_start.files, &at_start.parts());
        loaded.map_err(|faults| lines_of(&faults))
    }
}

/// Whether the topology has this node.
///
/// # Errors
/// The operator's, under the key `node_id`.
pub(crate) fn check_listed(node_id: u16, topology: &Topology) -> Result<(), HostFault> {
    if topology.node(NodeId(u32::from(node_id))).is_some() {
        return Ok(());
    }
    let listed: Vec<String> = topology.nodes().iter().map(|node| node.id.to_string()).collect();
    let reason = format!(
        "the topology has no such node, it has {}; correct node_id, or add a [[node]] and raise the epoch",
        listed.join(", ")
    );
    Err(HostFault { key: "node_id", reason })
}
