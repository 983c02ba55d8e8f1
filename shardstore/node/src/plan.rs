//! What a node is started with, and what it says of itself when it has started.
//!
//! **Not**: reading flags, files or the CPU list; `main` does that and fills in a [`NodePlan`].
//!
//! **Invariants**: whatever touches the outside world (files, log) is a function in the plan, so that a node runs on the
//! simulator unchanged.
//!
//! **Source**: docs/config.md for the settings.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use crate::settings::NodeSettings;
use control::context::ProcessContext;
use control::descriptors::DescriptorPlan;
use control::exit::Ending;
use control::log::LineSink;
use control::memory::HostMemory;
use control::metrics::ReadUsage;
use control::reload::ConfigSource;
use control::security::SecurityAtStart;
use control::settings::Loaded;
use control::topology_file::TopologySource;
use reactor::Address;
use shardstore::placement::Topology;
use store_runtime::shared_budget::SharedBudget;

/// All that a node needs to start.
pub struct NodePlan {
    /// The settings, valid.
    pub loaded: Loaded<NodeSettings>,
    /// Where they are read again.
    pub config: ConfigSource<NodeSettings>,
    /// The topology in force at the start; must list the `node_id` of the settings.
    pub topology: Topology,
    /// How it is read again.
    pub source: TopologySource,
    /// Who it is to its edges, and whom it trusts.
    pub security: SecurityAtStart,
    /// Differs between two starts of the same node.
    pub incarnation: u64,
    /// One entry per data core, at least one: the CPU to pin it to, `None` to leave it to the scheduler.
    pub cpus: Vec<Option<usize>>,
    /// What the process knows of itself.
    pub process: ProcessContext,
    /// How the open files are shared out; `None` on the simulator, which has none.
    pub descriptors: Option<DescriptorPlan>,
    /// Where log lines go.
    pub log: Box<dyn LineSink + Send>,
    /// How the process's own use of memory and CPU is read; `None` on the simulator, whose processes share one.
    pub usage: Option<ReadUsage>,
    /// The memory that the process finds; `None` where the kernel does not say, and in a simulation.
    pub host_memory: Option<HostMemory>,
}

/// A node that has started.
#[derive(Clone, Debug)]
pub struct Started {
    /// The addresses of the shard protocol, with the ports that were chosen where the settings say 0.
    pub listen: Vec<Address>,
    /// The address of the admin listener, likewise.
    pub admin: Address,
    /// How it ends, once it has.
    pub ending: Ending,
}

/// What all data cores know alike, and what is fixed when they start.
#[derive(Debug)]
pub(crate) struct Shared {
    /// As at the start: what of it can change is in [`crate::snapshot::NodeSnapshot`].
    pub(crate) settings: NodeSettings,
    pub(crate) incarnation: u64,
    /// Connections for which each core has descriptors.
    pub(crate) connections_max: usize,
    /// Data cores, at least one.
    pub(crate) cores: u16,
    pub(crate) hash_seed: u64,
    pub(crate) cluster: Arc<str>,
    pub(crate) cluster_tag: u32,
    /// For the answers to batches.
    pub(crate) batch_answers: Arc<SharedBudget>,
    /// By core: the epoch of the map in force there; 0 while items of slots that have left may still be in its shard.
    pub(crate) settled: Box<[AtomicU32]>,
}

/// How long a peer may take to say HELLO: an honest one sends it with its first packet.
pub(crate) const HELLO_TIME: Duration = Duration::from_secs(5);

/// How long a connection that is being ended waits for its peer to be done.
pub(crate) const LINGER_TIME: Duration = Duration::from_secs(1);
