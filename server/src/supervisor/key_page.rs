//! What an edge knows of a key, for `/v1/debug/key/{keyspace}/{key}`.
//!
//! **Not** the page: that is the admin listener's, and the same at a node.

use control::admin::KeyDescriptions;
use serde_json::{Map, Value};
use store_runtime::key_facts;

use super::Supervisor;

impl KeyDescriptions for Supervisor {
    fn has_keyspace(&self, name: &str) -> bool {
        self.snapshot().keyspaces.contains(name.as_bytes())
    }

    fn describe(&self, stored: &[u8]) -> Result<Map<String, Value>, &'static str> {
        let hash = self.hasher.hash(stored);
        let node = self.snapshot().topology.as_ref().map(|topology| topology.owner(hash.slot()).id.0);
        key_facts::describe(&self.shards, (hash, stored), node, self.reactor.steady_ms())
    }
}
