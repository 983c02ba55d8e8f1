//! What a data core is made from.

use std::sync::Arc;

use control::listening::SharedListen;
use corelane_tls::crypto::WallClock;
use reactor::Mailbox;
use shardstore::key::KeyHasher;
use store_runtime::remote::Published;

use crate::access_log::CorePort;
use crate::message::Message;
use crate::metrics::CoreMetrics;
use crate::nodes::NameLookup;
use crate::snapshot::Snapshot;

/// What a data core is made from. Crosses to the core's thread.
pub(crate) struct CorePlan {
    pub(crate) snapshot: Arc<Snapshot>,
    /// Data cores of this process.
    pub(crate) cores: u16,
    pub(crate) mailbox: Mailbox<Message>,
    pub(crate) metrics: Arc<CoreMetrics>,
    /// `None` where no responses are recorded.
    pub(crate) access_log: Option<CorePort>,
    pub(crate) shard_bytes: u64,
    pub(crate) hasher: KeyHasher,
    pub(crate) incarnation: u64,
    /// Where the cores of this process put their shards' handles.
    pub(crate) shards: Published,
    /// Where names of nodes are resolved.
    pub(crate) names: Option<NameLookup>,
    /// The wall time by which certificates are valid.
    pub(crate) clock: Arc<WallClock>,
    /// What the cores of this process listen on.
    pub(crate) listening: Arc<SharedListen>,
    /// CPUs of the data cores of this process, in their order; empty if they are not pinned.
    pub(crate) cpus: Arc<[u32]>,
    /// Connections of clients for which this core has descriptors.
    pub(crate) connections_max: usize,
}
