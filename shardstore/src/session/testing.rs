//! What the tests of the engines have in common: two HELLOs that agree.

use crate::version::Version;
use crate::wire::hello::{Hello, Role, WANTED_CORE_ANY};

/// A version for conditions.
pub(super) const VERSION: Version = Version::from_bits(77);

/// What an edge says of itself.
pub(super) fn edge_hello() -> Hello {
    Hello {
        version_min: 1,
        version_max: 1,
        role: Role::Edge,
        hash_id: 1,
        hash_seed: 2,
        cores: 1,
        wanted_core: WANTED_CORE_ANY,
        features: 0,
        node_id: 0,
        topology_epoch: 0,
        incarnation: 4,
        frame_value_bytes_max: 4096,
        value_bytes_max: 1 << 20,
        credit_requests: 256,
        credit_bytes: 1 << 20,
        batch_entries_max: 6,
        key_bytes_max: 70,
        cluster: "test".to_owned(),
        extension: None,
    }
}

/// What a node says of itself.
pub(super) fn node_hello() -> Hello {
    Hello { role: Role::Node, node_id: 1, credit_requests: 5, credit_bytes: 1 << 20, ..edge_hello() }
}
