//! Keys: how they are stored, hashed and placed.
//!
//! A key is seen in two forms. The user's key is what an HTTP client wrote; the *stored key* is the one representation
//! that travels on the wire and lies in the engine: `[keyspace name length][keyspace name][user's key]`. Everything that
//! hashes, compares or places a key takes the stored form.
//!
//! **Not**: percent-decoding, policy of keyspaces, ownership of slots (that is `placement`).
//!
//! **Invariants**: two different (keyspace, key) pairs never have the same stored key; the hash of a stored key depends
//! on nothing but its bytes and the cluster's seed, on every platform and in every release of one major version.
//!
//! **Source**: Redis cluster specification (hash tags, 16384 slots); rapidhash V3, portable output.

mod hash;
mod slot;
mod stored;

pub use hash::{HASH_ID_RAPIDHASH_V3, KeyHash, KeyHasher, hash_tag};
pub use slot::{SLOT_BITS, SLOT_COUNT, ShardId, SlotId};
pub use stored::{
    KEY_BYTES_MAX, KEYSPACE_NAME_BYTES_MAX, KeyError, STORED_KEY_BYTES_MAX, StoredKey, StoredKeyBuffer,
    is_keyspace_name,
};

#[cfg(test)]
mod tests;
