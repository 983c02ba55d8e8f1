//! What is asked of a store, and what it answers.
//!
//! **Not** tied to a core: both cross mailboxes.
//!
//! **Invariants**: every request has a deadline; a write whose outcome is not known is [`Refusal::Unknown`], never reported as
//! failed.

use std::sync::Arc;

use reactor::Instant;
use shardstore::key::KeyHash;
use shardstore::shard::{Delete, NewValue};
use shardstore::version::{Condition, Version};

/// One operation on one key.
#[derive(Debug)]
pub struct StoreRequest {
    /// The stored key (keyspace and user's key).
    pub key: Box<[u8]>,
    /// Of the stored key.
    pub hash: KeyHash,
    /// What is to be done.
    pub op: StoreOp,
    /// By when the answer is wanted.
    pub deadline: Instant,
}

/// What is to be done with a key.
#[derive(Debug)]
pub enum StoreOp {
    /// Read it. `fresh`: the client wants the answer of the key's owner, not a copy.
    Get {
        /// No copy, and no answer to a question that was asked earlier.
        fresh: bool,
    },
    /// Write it.
    Set(SetValue),
    /// Remove it.
    Delete {
        /// When to remove it.
        condition: Condition,
    },
}

/// A value to be written.
#[derive(Debug)]
pub struct SetValue {
    /// The value.
    pub value: Vec<u8>,
    /// What is stored beside it.
    pub metadata: Box<[u8]>,
    /// When to write it.
    pub condition: Condition,
    /// Milliseconds from now; 0 for ever.
    pub ttl_ms: u64,
}

/// A write to one key.
#[derive(Clone, Copy, Debug)]
pub enum Write<'a> {
    /// Store a value.
    Set(NewValue<'a>),
    /// Remove the key.
    Delete(Delete),
    /// Give it a new time to live.
    Touch {
        /// Milliseconds from now; 0 for ever.
        ttl_ms: u64,
    },
}

impl StoreOp {
    /// Whether nothing is written.
    #[must_use]
    pub const fn is_read(&self) -> bool {
        matches!(self, StoreOp::Get { .. })
    }

    /// The write that it is, if it is one.
    #[must_use]
    pub fn as_write(&self) -> Option<Write<'_>> {
        match self {
            StoreOp::Get { .. } => None,
            StoreOp::Set(set) => Some(Write::Set(NewValue {
                metadata: &set.metadata,
                condition: set.condition,
                ttl_ms: set.ttl_ms,
                ..NewValue::new(set.value.as_slice())
            })),
            StoreOp::Delete { condition } => Some(Write::Delete(Delete { condition: *condition, version: None })),
        }
    }
}

/// What became of a request, and where.
#[derive(Clone, Debug)]
pub struct StoreResponse {
    /// What became of it.
    pub outcome: Outcome,
    /// Where it was answered.
    pub source: Source,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The value.
    Found(StoredValue),
    /// There is none.
    Absent,
    /// It is written.
    Stored {
        /// The version of the write.
        version: Version,
        /// Whether there was a value before.
        replaced: bool,
    },
    /// It is removed.
    Deleted,
    /// The condition did not hold.
    NotApplied,
    /// It was not served.
    Refused(Refusal),
}

/// A value that was found.
#[derive(Clone, Debug)]
pub struct StoredValue {
    /// The version of the write that stored it.
    pub version: Version,
    /// Unix milliseconds; 0 for never.
    pub expire_ms: u64,
    /// What is stored beside it.
    pub metadata: Arc<[u8]>,
    /// The value.
    pub value: Arc<[u8]>,
}

/// Where a response came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The shard of the core that owns the key.
    Shard,
    /// A node.
    Node {
        /// Which.
        id: u32,
        /// One question to it served several clients.
        collapsed: bool,
    },
}

/// Why a request was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A bound is reached, here or at the node.
    Busy,
    /// The owner does not answer, or not in time; nothing was written.
    Unavailable,
    /// A write was sent and its outcome is not known.
    Unknown,
    /// The value is larger than its keeper takes.
    TooLarge,
    /// A value did not match its checksum.
    Corrupt,
}

impl StoreResponse {
    /// Answered by the shard of the key's owner core.
    #[must_use]
    pub const fn from_shard(outcome: Outcome) -> Self {
        StoreResponse { outcome, source: Source::Shard }
    }

    /// Refused by this process.
    #[must_use]
    pub const fn refused(refusal: Refusal) -> Self {
        StoreResponse::from_shard(Outcome::Refused(refusal))
    }

    /// Whether the owner did not answer.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(self.outcome, Outcome::Refused(Refusal::Unavailable))
    }
}
