//! The settings of `corelane`, the edge process.
//!
//! **Not**: the meaning of a limit, which belongs to the module that holds it.
//!
//! **Invariants**: a key is a field here, and its documentation the text of `--help` and of docs/config.md.
//!
//! **Source**: docs/config.md.

mod acme;
pub(crate) mod gateway;
#[cfg(test)]
mod tests;
mod tls;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use control::boot::{Bootable, HostFault, check_memory};
use control::cpus::CpuSettings;
use control::log::{LogFormat, LogSettings};
use control::memory::{self, MemoryBound, MemoryPart};
use control::reading::LookingAt;
use control::security::{ADMIN_CLIENT_CA, ADMIN_TLS, ClusterSettings, SecurityAtStart};
use control::settings::declare::KeyGroup;
use control::settings::kind::Kind;
use control::settings::process_keys::{
    ADMIN, ADMIN_HOSTS, COMMAND_LISTEN, COMMAND_MODE, CONNECTIONS_PER_CORE_MAX, CONTROL_CPU, CORES, CORES_MAP, DAY,
    DRAIN_TIMEOUT, HOUR, LAME_DUCK, LISTENERS_MAX, MEMORY, MEMORY_COMMIT, MILLISECOND, MINUTE, REGION, SECOND,
    SOCKET_MODE, TOPOLOGY, VALUE_BYTES_MAX, YEAR,
};
use control::settings::quantity::{GIB, KIB, MIB, TIB};
use control::settings::schema::{AtMost, Change, ListedTables, NamedTables, Relative, Schema, SettingKey};
use control::settings::value::{ControlCpu, Cores, ListenAddress, SocketMode};
use control::settings::written::WrittenTable;
use control::settings::{SettingMisfit, Settings};
use control::{choice, settings};
use corelane_gateway::{ROUTES_MAX, RouteQuestion, SERVICES_MAX};
use corelane_tls::store::SESSION_MEMORY_MAX;
use shardstore::cache::Commit;
use shardstore::placement::Topology;

use crate::access_log;
use crate::frontend::h1::SLACK_PART;
use crate::security::Security;

pub use self::acme::AuthoritySettings;
pub use self::gateway::{AnswerSettings, KvSettings, RedirectSettings, RouteSettings, ServiceSettings};
pub use self::tls::{
    CERTIFICATES_MAX, CertificateSettings, ChallengeChoice, ClientAuthChoice, TlsSettings, TlsVersion,
};

/// Most keyspaces that are written. Each is copied into every data core's snapshot, so their number must have a bound.
pub const KEYSPACES_MAX: usize = 256;

/// Sparsest sample of the access log: one response in a million is one in some seconds of a busy core.
const SAMPLE_MAX: u64 = 1_000_000;

/// Where a first try with TLS listens.
const FIRST_TRY: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8443));

/// The keyspace that exists without being written.
pub const DEFAULT_KEYSPACE: &str = "default";

/// All that can be set for `corelane`.
static SCHEMA: Schema = Schema {
    program: "corelane",
    about: "The edge: serves HTTP from pinned cores, caches in process, and asks the shard nodes for the rest.",
    table: EdgeSettings::TABLE,
    rules: &[
        AtMost { lesser: "limits.target_bytes", bound: "limits.header_bytes" },
        AtMost { lesser: "limits.body_bytes", bound: "limits.body_memory_bytes" },
    ],
    relatives: &[Relative { program: "shardstored", keys: &NODE_KEYS }],
    explains: true,
};

/// Keys that only `shardstored` has.
const NODE_KEYS: [&str; 6] = [
    "node_id",
    "limits.requests_per_connection",
    "limits.bytes_per_connection",
    "limits.value_bytes",
    "limits.frame_bytes",
    "limits.value_timeout",
];

settings! {
    /// All settings of the edge.
    pub struct EdgeSettings {
        /// Addresses that serve HTTP/1.1; a `[[listener]]` table declares one with its protocol.
        pub listen: Vec<ListenAddress> =
            SettingKey::new(Kind::Addresses).preset_unless("127.0.0.1:8080", "listener").flag("listen", "ADDRESS").restart(),
        /// Addresses that serve HTTP/1.1 over TLS; a `[certificate.NAME]` or `self_signed` is needed.
        pub listen_tls: Vec<ListenAddress> = SettingKey::new(Kind::Addresses).flag("listen-tls", "ADDRESS").restart(),
        /// Name or IP address for which a certificate is made at the start that nobody has signed, for a first try; without `listen_tls` it listens on 127.0.0.1:8443.
        pub self_signed: Option<String> = SettingKey::new(Kind::Text { bytes_max: 253 }).flag("self-signed", "NAME").restart(),
        /// Mode of the files of listeners that are Unix sockets, those of `[[listener]]` too, four octal digits; without it as the umask leaves it.
        pub listen_mode: Option<SocketMode> = SOCKET_MODE,
        /// Address of the admin listener.
        pub admin: ListenAddress = ADMIN.preset("127.0.0.1:9180"),
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
        /// How the kernel assigns new connections to cores: by a hash of the addresses, or by the CPU that received the packet.
        pub accept_steering: AcceptSteering = SettingKey::new(Kind::Choice(AcceptSteering::WORDS)).preset("hash").restart(),
        /// Memory of all shards together, index included; a hard limit.
        pub memory: u64 = MEMORY,
        /// When the memory is allocated: as items are stored, or all of it at the start, in huge pages where the kernel has them.
        pub memory_commit: Commit = MEMORY_COMMIT,
        /// Topology file; without it this process is its own store.
        pub topology: Option<PathBuf> = TOPOLOGY,
        /// Whether responses name the tier that served them (field Cache-Status).
        pub cache_status: bool = SettingKey::new(Kind::Bool).preset("true"),
        /// Whether one request in some dozens is looked at for the hottest keys in `/v1/status`, which shows their names.
        pub hot_keys: bool = SettingKey::new(Kind::Bool).preset("true"),
        /// How long an edge serves its copy of a node's value without asking the node again; 0s keeps no copies.
        // It bounds the staleness of reads after writes of other edges; more than an hour would be a mistake of the unit.
        pub edge_ttl: Duration = SettingKey::duration(Duration::ZERO, HOUR).preset("1s").flag("edge-ttl", "DURATION").formerly("near_ttl"),
        /// How long connections are still taken after SIGTERM, while `/readyz` is 503; in its second half every response ends its connection.
        pub lame_duck: Duration = LAME_DUCK,
        /// How long requests in flight may take after SIGTERM and `lame_duck`.
        pub drain_timeout: Duration = DRAIN_TIMEOUT,
        /// Number of the region of this process; part of every version it assigns.
        pub region: u8 = REGION,
        /// The log on standard error.
        pub log: LogSettings = LogSettings::TABLE,
        /// The log of responses.
        pub access_log: AccessLogSettings = AccessLogSettings::TABLE,
        /// TLS towards clients.
        pub tls: TlsSettings = TlsSettings::TABLE,
        /// Where certificates are ordered.
        pub acme: AuthoritySettings = AuthoritySettings::TABLE,
        /// Who this process is to its nodes: docs/tls.md.
        pub cluster: ClusterSettings = ClusterSettings::TABLE,
        /// The KV API.
        pub kv: WrittenTable<KvSettings> = KvSettings::TABLE,
        /// Bounds.
        pub limits: EdgeLimits = EdgeLimits::TABLE,
        /// Requests to nodes.
        pub upstream: UpstreamSettings = UpstreamSettings::TABLE,
        /// Keyspaces by name; `default` is always there.
        pub keyspace: BTreeMap<String, KeyspaceSettings> =
            NamedTables::new(KeyspaceSettings::TABLE, KEYSPACES_MAX, &[DEFAULT_KEYSPACE]),
        /// Certificates by name, for clients.
        pub certificate: BTreeMap<String, CertificateSettings> =
            NamedTables::new(CertificateSettings::TABLE, CERTIFICATES_MAX, &[]),
        /// Services by name: docs/proxy.md.
        pub service: Arc<BTreeMap<String, WrittenTable<ServiceSettings>>> =
            NamedTables::new(ServiceSettings::TABLE, SERVICES_MAX, &[]),
        /// Routes, in any order: docs/proxy.md.
        pub route: Arc<Vec<WrittenTable<RouteSettings>>> =
            ListedTables::new(RouteSettings::TABLE, ROUTES_MAX, Change::Reload),
        /// Listeners besides those of `listen` and `listen_tls`.
        pub listener: Vec<ListenerSettings> = ListedTables::new(ListenerSettings::TABLE, LISTENERS_MAX, Change::Restart),
    }
}

settings! {
    /// The log of responses: docs/access-log.md.
    pub struct AccessLogSettings {
        /// File or named pipe that gets a line for each response, or `-` for standard output; without it there is no access log.
        pub path: Option<PathBuf> = SettingKey::new(Kind::Path),
        /// How lines are written: an object in JSON, or `name=value` pairs.
        pub format: LogFormat = SettingKey::new(Kind::Choice(LogFormat::WORDS)).preset("json"),
        /// One response in so many is logged, chosen at random; besides, all that are 5xx or slow.
        pub sample: u32 = SettingKey::count(1, SAMPLE_MAX).preset("1"),
        /// Responses that take at least this long are logged whatever the sample; 0s logs none for its time.
        pub slow: Duration = SettingKey::duration(Duration::ZERO, HOUR).preset("0s"),
    }
}

settings! {
    /// Bounds on what one client, one connection and one core may use. Rates are per second.
    pub struct EdgeLimits {
        /// Largest request head; beyond it 431.
        // Below 1 KiB no browser gets through; above 1 MiB a head no longer fits any buffer the reactor hands out.
        pub header_bytes: usize = SettingKey::bytes(KIB, MIB).preset("16KiB"),
        /// Most header lines of a request; beyond it 431.
        // The parser counts header lines in 16 bits; a proxy in front adds up to a dozen to a client's own.
        pub header_count: usize = SettingKey::count(16, 4096).preset("100"),
        /// Longest request target; beyond it 414; the default is never above `limits.header_bytes`.
        pub target_bytes: usize = SettingKey::bytes(256, MIB).preset("8KiB"),
        /// Largest request body; beyond it 413; the default is never above `limits.body_memory_bytes`.
        pub body_bytes: usize = SettingKey::bytes(KIB, VALUE_BYTES_MAX).preset("64MiB"),
        /// Time for a request head from its first byte; then 408.
        pub header_timeout: Duration =
            SettingKey::duration(Duration::from_millis(100), Duration::from_secs(600)).preset("10s").formerly("header_time"),
        /// Slowest body, per second; below it 408; 0B allows any.
        pub body_rate_min: u64 = SettingKey::bytes(0, GIB).preset("1KiB"),
        /// Time before the rate of a body is checked, and the longest pause within a body (at least 1s).
        pub body_rate_grace: Duration = SettingKey::duration(Duration::ZERO, HOUR).preset("10s"),
        /// Time for a whole request body from when it is first waited for, however fast it is; then 408.
        pub body_timeout: Duration = SettingKey::duration(SECOND, DAY).preset("15m"),
        /// Time a connection is kept open between requests.
        pub idle_timeout: Duration = SettingKey::duration(SECOND, DAY).preset("75s").formerly("idle_time"),
        /// Most connections of a core; one more is answered 503 and closed.
        pub connections_per_core: usize = SettingKey::count(1, CONNECTIONS_PER_CORE_MAX).preset("65536"),
        /// Most pipelined requests of a connection that are served before other connections get their turn.
        pub pipelined_requests_max: usize =
            SettingKey::count(1, 4096).preset("128").formerly("requests_per_connection_queue"),
        /// Bytes queued for a client above which its connection is not read until half of them are sent.
        // One receive buffer of 64 KiB may turn into as much to send; 1 GiB is a whole host's patience for one client.
        pub send_queue_bytes: usize = SettingKey::bytes(64 * KIB, GIB).preset("1MiB"),
        /// Memory of each core for responses that clients have not taken, and as much again for heads that have not come
        /// whole. As it fills, each connection may queue less; when it is full, clients that take nothing are cut off and heads get 503.
        pub connection_memory_bytes: usize = SettingKey::bytes(MIB, TIB).preset("64MiB"),
        /// Memory of each core for request bodies until they are stored, and as much again for copies of values to send; beyond it 503.
        pub body_memory_bytes: usize = SettingKey::bytes(KIB, TIB).preset("256MiB"),
        /// Most keys that a core fetches from nodes at a time; beyond it 503.
        pub fills_per_core: usize = SettingKey::count(1, CONNECTIONS_PER_CORE_MAX).preset("65536"),
        /// Most requests that wait for one fetched key; beyond it 503.
        pub waiters_per_fill: usize = SettingKey::count(1, CONNECTIONS_PER_CORE_MAX).preset("65536"),
    }
}

settings! {
    /// Requests to nodes.
    pub struct UpstreamSettings {
        /// Time within which a node must begin to respond; large values get more, at 8 MiB a second.
        pub request_timeout: Duration =
            SettingKey::duration(MILLISECOND, MINUTE).preset("1s").formerly("request_time"),
        /// Time to connect to a node and exchange HELLOs.
        pub connect_timeout: Duration =
            SettingKey::duration(MILLISECOND, MINUTE).preset("500ms").formerly("connect_time"),
        /// Most connections of a core to one node; at most one for each of the node's cores is used.
        pub connections_per_node: usize = SettingKey::count(1, 256).preset("8").restart(),
        /// Most requests of a core that wait for one node; beyond it 503.
        pub queue_per_node: usize = SettingKey::count(1, 1 << 20).preset("1024"),
        /// Failures in a row that open a node's circuit breaker.
        pub breaker_failures: u32 = SettingKey::count(1, 1000).preset("3"),
        /// Mean time between two probes of a node whose breaker is open.
        // A node that is back must be in use within a second.
        pub breaker_probe_time: Duration = SettingKey::duration(MILLISECOND, SECOND).preset("250ms"),
    }
}

settings! {
    /// The policy of one keyspace.
    pub struct KeyspaceSettings {
        /// Time to live of values stored without one; 0s keeps them until they are evicted.
        pub ttl: Duration = SettingKey::duration(Duration::ZERO, YEAR).preset("0s"),
        /// Largest value; beyond it 413; `limits.body_bytes` holds as well.
        pub value_bytes_max: usize = SettingKey::bytes(1, VALUE_BYTES_MAX).preset("64MiB").formerly("max_value"),
    }
}

settings! {
    /// One listener.
    pub struct ListenerSettings {
        /// Address to listen on.
        pub address: ListenAddress = SettingKey::new(Kind::Address).required().restart(),
        /// Protocol of its connections.
        pub protocol: Protocol = SettingKey::new(Kind::Choice(Protocol::WORDS)).preset("http").restart(),
        /// Whether its connections are TLS.
        pub tls: bool = SettingKey::new(Kind::Bool).preset("false").restart(),
    }
}

choice! {
    /// The protocol of a listener.
    pub enum Protocol {
        /// HTTP/1.1.
        Http = "http",
    }
}

choice! {
    /// How new connections are spread over the cores.
    pub enum AcceptSteering {
        /// By the kernel's hash of addresses and ports.
        Hash = "hash",
        /// To the core on the CPU that received the packet.
        Cpu = "cpu",
    }
}

impl EdgeSettings {
    /// All listeners, however they are written.
    pub fn listeners(&self) -> impl Iterator<Item = ListenerSettings> {
        let of = |tls| {
            move |address: &ListenAddress| ListenerSettings { address: address.clone(), protocol: Protocol::Http, tls }
        };
        let short = self.listen.iter().map(of(false)).chain(self.listen_tls.iter().map(of(true)));
        let listed = short.chain(self.listener.iter().cloned());
        let is_first_try =
            self.self_signed.is_some() && self.listen_tls.is_empty() && !self.listener.iter().any(|it| it.tls);
        let first_try = is_first_try.then(|| of(true)(&ListenAddress::Tcp(FIRST_TRY)));
        listed.chain(first_try)
    }
}

impl Settings for EdgeSettings {
    const SCHEMA: &'static Schema = &SCHEMA;

    fn misfits(&self) -> Vec<SettingMisfit> {
        let mut misfits = self.certificate_misfits();
        misfits.extend(self.tls.misfits());
        misfits.extend(gateway::misfits(self));
        misfits
    }

    fn explain(&self, request: &str) -> Result<String, String> {
        let question = RouteQuestion::parse(request).map_err(|fault| fault.to_string())?;
        let explanation = corelane_gateway::explain(&gateway::route_table(self), &question);
        explanation.map(|explanation| explanation.to_string()).map_err(|fault| fault.to_string())
    }
}

impl Bootable for EdgeSettings {
    fn topology_file(&self) -> Option<&std::path::Path> {
        self.topology.as_deref()
    }

    fn command_listen(&self) -> Option<&ListenAddress> {
        self.command_listen.as_ref()
    }

    fn cpus(&self) -> CpuSettings<'_> {
        CpuSettings { cores: &self.cores, map: &self.cores_map, control: self.control_cpu }
    }

    fn node_connections_per_core(&self, topology: &Topology) -> usize {
        topology.nodes().len() * self.upstream.connections_per_node
    }

    fn check_start(&self, cores: usize, _: Option<&Topology>) -> Result<(), HostFault> {
        check_memory(self.memory, cores)
    }

    fn memory_bound(&self, cores: usize) -> MemoryBound {
        let limits = &self.limits;
        let per_core = |key, bytes: u64| MemoryPart { key: Some(key), bytes: bytes.saturating_mul(cores as u64) };
        // Bodies and copies of values; with nodes, also what is fetched of them, and what of bodies is queued for them: copies of
        // what is leased.
        let body_budgets = if self.topology.is_some() { 4 } else { 2 };
        let mut parts = vec![
            MemoryPart { key: Some("memory"), bytes: self.memory },
            per_core("limits.body_memory_bytes", (limits.body_memory_bytes as u64).saturating_mul(body_budgets)),
            // Send queues, with their slack, and heads in part.
            per_core("limits.connection_memory_bytes", {
                let bytes = limits.connection_memory_bytes as u64;
                bytes.saturating_mul(2).saturating_add(bytes / SLACK_PART as u64)
            }),
            per_core("limits.connections_per_core", limits.connections_per_core as u64 * memory::CONNECTION_BYTES),
        ];
        if self.tls.early_data {
            let bytes = self.tls.early_sessions as u64 * SESSION_MEMORY_MAX;
            parts.push(MemoryPart { key: Some("tls.early_sessions"), bytes });
        }
        MemoryBound::new(cores, parts)
    }

    fn memory(&self) -> u64 {
        self.memory
    }

    fn memory_at_start(&self) -> u64 {
        if self.memory_commit == Commit::AtStart { self.memory } else { 0 }
    }

    fn security_files(&self) -> Vec<PathBuf> {
        Security::files(self)
    }

    fn check_security(&self, security: &SecurityAtStart, topology: Option<&Topology>) -> Result<(), String> {
        Security::at_start(self, security, topology, None).map(drop)
    }

    fn check_host(&self, looking: &LookingAt) -> Result<(), HostFault> {
        let Some(path) = &self.access_log.path else { return Ok(()) };
        looking.note(path);
        access_log::check_place(path).map_err(|reason| HostFault { key: "access_log.path", reason })
    }
}
