//! Who a certificate is for.
//!
//! ```text
//!  spiffe://CLUSTER/edge/ID    spiffe://CLUSTER/node/ID    spiffe://CLUSTER/operator/NAME    spiffe://CLUSTER (the authority)
//! ```
//!
//! **Invariants**: an [`Identity`] can be written as a URI, read again, and is equal then. Names are compared by their bytes; the
//! cluster's is that of its topology, with its capitals.

use std::fmt;
use std::str::FromStr;

use crate::error::PkiError;

const SCHEME: &str = "spiffe://";

/// As in a topology.
const CLUSTER_BYTES_MAX: usize = 63;

/// So that "operator" and an id fit the 64 characters of a common name.
const ID_BYTES_MAX: usize = 48;

/// Nodes have numbers, as in a topology.
const NODE_ID_MAX: u32 = 65_535;

/// What the holder of a certificate may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HolderRole {
    /// An edge: client of nodes, client and server of edges.
    Edge,
    /// A node: server of edges, client of nodes.
    Node,
    /// A person or a program that operates the cluster: client of admin listeners.
    Operator,
    /// A public or admin listener, known by DNS names and addresses. It has no identity in the cluster.
    Server,
}

impl HolderRole {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Edge, Self::Node, Self::Operator, Self::Server];

    /// The word in URIs, file names and command lines.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Node => "node",
            Self::Operator => "operator",
            Self::Server => "server",
        }
    }

    /// Checks an id: nodes have a number from 1 to 65535, all others a name.
    ///
    /// # Errors
    /// It does not fit. The operator is at fault.
    pub fn check_id(self, id: &str) -> Result<(), PkiError> {
        let (fits, allowed) = match self {
            Self::Node => (is_node_id(id), "a node's number in the topology, 1 to 65535"),
            Self::Edge | Self::Operator | Self::Server => {
                (is_name(id), "1 to 48 characters of a-z A-Z 0-9 . _ -, the first a letter or a digit")
            }
        };
        if fits { Ok(()) } else { Err(PkiError::Id { role: self.word(), found: id.to_owned(), allowed }) }
    }
}

impl fmt::Display for HolderRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for HolderRole {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|role| role.word() == word);
        found.ok_or_else(|| format!("{word:?}: edge, node, operator or server"))
    }
}

/// The holder of a certificate within a cluster. Servers have none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    cluster: String,
    role: HolderRole,
    id: String,
}

impl Identity {
    /// An identity of a cluster.
    ///
    /// # Errors
    /// Cluster or id do not fit, or the role is [`HolderRole::Server`]. The operator is at fault.
    pub fn new(cluster: &str, role: HolderRole, id: &str) -> Result<Self, PkiError> {
        check_cluster(cluster)?;
        role.check_id(id)?;
        if role == HolderRole::Server {
            let allowed = "no identity: servers have DNS names and addresses";
            return Err(PkiError::Id { role: role.word(), found: id.to_owned(), allowed });
        }
        Ok(Self { cluster: cluster.to_owned(), role, id: id.to_owned() })
    }

    /// Reads a URI; `None` for all that is not exactly an identity.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        let (cluster, path) = uri.strip_prefix(SCHEME)?.split_once('/')?;
        let (role, id) = path.split_once('/')?;
        Self::new(cluster, role.parse().ok()?, id).ok()
    }

    /// The URI that a certificate carries.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("{SCHEME}{}/{}/{}", self.cluster, self.role, self.id)
    }

    /// The cluster's name.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The role.
    #[must_use]
    pub fn role(&self) -> HolderRole {
        self.role
    }

    /// The id within the role.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The URI of a cluster's authority.
pub(crate) fn authority_uri(cluster: &str) -> String {
    format!("{SCHEME}{cluster}")
}

/// The cluster that an authority's URI names.
pub(crate) fn cluster_of_authority(uri: &str) -> Option<&str> {
    uri.strip_prefix(SCHEME).filter(|cluster| check_cluster(cluster).is_ok())
}

/// Checks a cluster's name against what topologies allow.
pub(crate) fn check_cluster(name: &str) -> Result<(), PkiError> {
    let is_plain = name.bytes().all(is_plain);
    if is_plain && (1..=CLUSTER_BYTES_MAX).contains(&name.len()) {
        return Ok(());
    }
    Err(PkiError::Cluster { found: name.to_owned() })
}

fn is_node_id(id: &str) -> bool {
    let is_written_plainly = id.bytes().all(|byte| byte.is_ascii_digit()) && !id.starts_with('0');
    is_written_plainly && id.parse::<u32>().is_ok_and(|number| number <= NODE_ID_MAX)
}

fn is_name(id: &str) -> bool {
    let begins_well = id.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    begins_well && id.len() <= ID_BYTES_MAX && id.bytes().all(is_plain)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_as_it_was_written() {
        for (role, id) in [
            (HolderRole::Edge, "e-1"),
            (HolderRole::Node, "1"),
            (HolderRole::Node, "65535"),
            (HolderRole::Operator, "Alice.B_c-d"),
        ] {
            let identity = Identity::new("Blue.prod", role, id).unwrap();
            assert_eq!(Identity::from_uri(&identity.uri()).as_ref(), Some(&identity));
            assert_eq!((identity.cluster(), identity.role(), identity.id()), ("Blue.prod", role, id));
        }
        assert_eq!(Identity::new("c", HolderRole::Node, "7").unwrap().uri(), "spiffe://c/node/7");
    }

    #[test]
    fn what_is_not_exactly_an_identity_is_none() {
        for uri in [
            "",
            "spiffe://c",
            "spiffe://c/",
            "spiffe://c/node",
            "spiffe://c/node/",
            "spiffe://c/node/0",
            "spiffe://c/node/01",
            "spiffe://c/node/+1",
            "spiffe://c/node/65536",
            "spiffe://c/node/4294967297",
            "spiffe://c/node/1/",
            "spiffe://c/node/1?x",
            "spiffe://c/Node/1",
            "spiffe://c/server/a",
            "spiffe://c/edge/a/b",
            "spiffe://c/edge/..",
            "spiffe://c/edge/-a",
            "spiffe://c/edge/a%62",
            "spiffe:///edge/a",
            "spiffe://c d/edge/a",
            "SPIFFE://c/edge/a",
            "https://c/edge/a",
        ] {
            assert_eq!(Identity::from_uri(uri), None, "{uri}");
        }
        let long = format!("spiffe://c/edge/{}", "a".repeat(49));
        assert_eq!(Identity::from_uri(&long), None);
        assert!(Identity::from_uri(&long[..long.len() - 1]).is_some());
        assert_eq!(Identity::from_uri(&format!("spiffe://{}/edge/a", "c".repeat(64))), None);
    }

    #[test]
    fn an_authority_is_no_identity() {
        assert_eq!(cluster_of_authority(&authority_uri("blue")), Some("blue"));
        for uri in ["spiffe://", "spiffe://blue/node/1", "http://blue"] {
            assert_eq!(cluster_of_authority(uri), None, "{uri}");
        }
    }
}
