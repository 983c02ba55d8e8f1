//! What two HELLOs agree on.
//!
//! **Not**: the frames themselves, or what happens to a connection that cannot agree.
//!
//! **Invariants**: pure and symmetric: both sides come to the same verdict from the same two HELLOs, so a refusal needs no
//! frame of its own; every agreed limit is the smaller of the two.
//!
//! **Source**: docs/wire.md, "HELLO".

use thiserror::Error;

use super::frame::Limits;
use super::hello::{FEATURE_READ, Hello, Role, WANTED_CORE_ANY};
use super::request::Dialect;

/// What holds on a connection after both HELLOs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTerms {
    /// Major version that both sides write from now on.
    pub version: u8,
    /// Features that both sides have.
    pub features: u64,
    /// What the peer is.
    pub peer_role: Role,
    /// The peer's node id, 0 when it is not a node.
    pub peer_node_id: u32,
    /// The peer's incarnation; another one than before means it has lost its memory.
    pub peer_incarnation: u64,
    /// The peer's data cores.
    pub peer_cores: u16,
    /// Our core that the peer wants this connection on, when it named one that exists.
    pub core: Option<u16>,
    /// The peer's topology epoch.
    pub peer_epoch: u32,
    /// Checksum of the peer's map, if it has told.
    pub peer_map: Option<u32>,
    /// The peer's monotonic clock when it wrote its HELLO, in microseconds. Where both sides have told theirs, deadlines
    /// of requests are absolute, on the node's clock.
    pub peer_clock_us: Option<u64>,
    /// What every frame is checked against, both ways.
    pub limits: Limits,
    /// Longest value in chunks, both ways.
    pub value_bytes_max: u32,
    /// Longest stored key, both ways.
    pub key_bytes_max: u16,
    /// Most entries of a batch, both ways.
    pub batch_entries_max: u16,
    /// Requests we may have in flight.
    pub send_requests: u32,
    /// Bytes of requests we may have in flight.
    pub send_bytes: u32,
}

impl SessionTerms {
    /// Whether the peer understands the operation READ.
    #[must_use]
    pub const fn has_read(&self) -> bool {
        self.features & FEATURE_READ != 0
    }

    /// In what version and for which cluster frames are written on this connection.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        Dialect { version: self.version, cluster_tag: self.limits.cluster_tag }
    }
}

fn slots_text(first: usize, last: usize) -> String {
    if first == last { format!("at slot {first}") } else { format!("among slots {first} to {last}") }
}

/// Why two processes cannot talk. Most often the operator's fault: a wrong address, file or release.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HelloError {
    /// No version is spoken by both.
    #[error("no common protocol version: we speak {ours_min} to {ours_max}, the peer {theirs_min} to {theirs_max}")]
    Version {
        /// Our lowest.
        ours_min: u8,
        /// Our highest.
        ours_max: u8,
        /// The peer's lowest.
        theirs_min: u8,
        /// The peer's highest.
        theirs_max: u8,
    },
    /// The peer belongs to another cluster.
    #[error("the peer belongs to cluster {theirs:?}, we to {ours:?}")]
    Cluster {
        /// Our cluster.
        ours: String,
        /// The peer's.
        theirs: String,
    },
    /// The two hash keys differently, so they disagree on every key's slot.
    #[error("the peer hashes keys with function {theirs}, we with {ours}")]
    HashFunction {
        /// Our hash id.
        ours: u8,
        /// The peer's.
        theirs: u8,
    },
    /// As `HashFunction`, for the seed. The seeds are not shown: they are what keeps keys from being forged.
    #[error("the peer's hash seed differs from ours; check hash_seed in both topology files")]
    HashSeed,
    /// The two roles have nothing to say to each other.
    #[error("a process of role {ours} and one of role {theirs} do not talk to each other")]
    Roles {
        /// Our role's name.
        ours: &'static str,
        /// The peer's.
        theirs: &'static str,
    },
    /// Two processes claim the same node id, or a node connected to itself.
    #[error("the peer claims our own node id {0}")]
    SameNode(u32),
    /// A process takes a node for another one.
    #[error(
        "node {wanted} was expected and node {found} answers; compare the node's node_id and the addresses in the topology files"
    )]
    OtherNode {
        /// The node's id by the file of who connected.
        wanted: u32,
        /// Its id by its own settings.
        found: u32,
    },
    /// Two maps of one epoch: the files differ, although their epochs do not.
    #[error(
        "the peer has another map of epoch {epoch}: the owners differ, first {}; compare the topology files, and raise the \
         epoch of the right one", slots_text(*first, *last)
    )]
    Map {
        /// The epoch of both.
        epoch: u32,
        /// The first slot that may differ; those before it have the same owners.
        first: usize,
        /// The same, when it is known to differ; otherwise the last slot of the first block that does.
        last: usize,
    },
}

impl HelloError {
    /// The stable snake_case name for metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Version { .. } => "hello_version",
            Self::Cluster { .. } => "hello_cluster",
            Self::HashFunction { .. } => "hello_hash_function",
            Self::HashSeed => "hello_hash_seed",
            Self::Roles { .. } => "hello_roles",
            Self::SameNode(_) => "hello_same_node",
            Self::OtherNode { .. } => "hello_other_node",
            Self::Map { .. } => "hello_map",
        }
    }
}

/// Finds what two HELLOs agree on, or why they do not.
///
/// # Errors
///
/// [`HelloError`]; the connection has to end after our own HELLO was sent, so that the peer comes to the same verdict.
pub fn negotiate(ours: &Hello, theirs: &Hello) -> Result<SessionTerms, HelloError> {
    refuse(ours, theirs)?;
    let core = (theirs.wanted_core != WANTED_CORE_ANY && theirs.wanted_core < ours.cores).then_some(theirs.wanted_core);
    Ok(SessionTerms {
        version: ours.version_max.min(theirs.version_max),
        features: ours.features & theirs.features,
        peer_role: theirs.role,
        peer_node_id: theirs.node_id,
        peer_incarnation: theirs.incarnation,
        peer_cores: theirs.cores,
        core,
        peer_epoch: theirs.topology_epoch,
        peer_map: theirs.extension.as_ref().map(|extension| extension.map.sum()),
        peer_clock_us: theirs
            .extension
            .as_ref()
            .filter(|_| ours.extension.is_some())
            .map(|extension| extension.clock_us),
        limits: Limits {
            frame_value_bytes_max: ours.frame_value_bytes_max.min(theirs.frame_value_bytes_max),
            cluster_tag: super::cluster_tag(&ours.cluster),
        },
        value_bytes_max: ours.value_bytes_max.min(theirs.value_bytes_max),
        key_bytes_max: ours.key_bytes_max.min(theirs.key_bytes_max),
        batch_entries_max: ours.batch_entries_max.min(theirs.batch_entries_max),
        send_requests: theirs.credit_requests,
        send_bytes: theirs.credit_bytes,
    })
}

fn refuse(ours: &Hello, theirs: &Hello) -> Result<(), HelloError> {
    if ours.version_max < theirs.version_min || theirs.version_max < ours.version_min {
        return Err(HelloError::Version {
            ours_min: ours.version_min,
            ours_max: ours.version_max,
            theirs_min: theirs.version_min,
            theirs_max: theirs.version_max,
        });
    }
    if ours.cluster != theirs.cluster {
        return Err(HelloError::Cluster { ours: ours.cluster.clone(), theirs: theirs.cluster.clone() });
    }
    if ours.hash_id != theirs.hash_id {
        return Err(HelloError::HashFunction { ours: ours.hash_id, theirs: theirs.hash_id });
    }
    if ours.hash_seed != theirs.hash_seed {
        return Err(HelloError::HashSeed);
    }
    if ours.role != Role::Node && theirs.role != Role::Node {
        return Err(HelloError::Roles { ours: ours.role.name(), theirs: theirs.role.name() });
    }
    if ours.node_id != 0 && ours.node_id == theirs.node_id {
        return Err(HelloError::SameNode(ours.node_id));
    }
    refuse_other_node(ours, theirs)?;
    refuse_other_node(theirs, ours)?;
    if let (Some(our), Some(their)) = (&ours.extension, &theirs.extension)
        && ours.topology_epoch == theirs.topology_epoch
        && let Some(slots) = our.map.first_difference(&their.map)
    {
        let exact = our.owners.as_ref().zip(their.owners.as_ref()).and_then(|(our, their)| our.first_difference(their));
        let (first, last) = exact.map_or((*slots.start(), *slots.end()), |slot| (slot, slot));
        return Err(HelloError::Map { epoch: ours.topology_epoch, first, last });
    }
    Ok(())
}

/// Refuses a pair of which `client` takes `node` for another node.
fn refuse_other_node(client: &Hello, node: &Hello) -> Result<(), HelloError> {
    let wanted = client.extension.as_ref().map_or(0, |extension| extension.wanted_node);
    if node.role != Role::Node || wanted == 0 || wanted == node.node_id {
        return Ok(());
    }
    Err(HelloError::OtherNode { wanted, found: node.node_id })
}
