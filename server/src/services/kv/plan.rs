//! What a request for a key needs beyond the poll that parsed it.

use shardstore::key::KeyHash;

use crate::snapshot::keyspaces::Policy;

/// What is to be done for a key.
#[derive(Debug)]
pub(crate) enum KvPlan {
    /// Read it where this core cannot.
    Read(Key),
    /// Store the body under it.
    Put(Key),
    Delete(Key),
}

/// The key of a request under way.
#[derive(Debug)]
pub(crate) struct Key {
    /// In its stored form.
    pub(crate) stored: Box<[u8]>,
    pub(crate) hash: KeyHash,
    /// Of its keyspace, when the request began.
    pub(crate) policy: Policy,
}
