//! What is asked of the store, and what it answers.
//!
//! **Not** tied to a core: both cross mailboxes.
//!
//! **Invariants**: every ask has a deadline; a write whose outcome is not known is [`Refusal::Unknown`], never reported
//! as failed.

use std::sync::Arc;

use reactor::Instant;
use shardstore::key::KeyHash;
use shardstore::version::Condition;

/// One operation on one key.
#[derive(Debug)]
pub(crate) struct Ask {
    /// The stored key (keyspace and user's key).
    pub(crate) key: Box<[u8]>,
    pub(crate) hash: KeyHash,
    pub(crate) op: Op,
    pub(crate) deadline: Instant,
}

#[derive(Debug)]
pub(crate) enum Op {
    /// `fresh`: the client wants the owner's answer, not a copy.
    Get {
        fresh: bool,
    },
    Set(SetValue),
    Delete {
        condition: Condition,
    },
}

/// A value to be written.
#[derive(Debug)]
pub(crate) struct SetValue {
    pub(crate) value: Vec<u8>,
    pub(crate) metadata: Box<[u8]>,
    pub(crate) condition: Condition,
    /// Milliseconds from now; 0 for ever.
    pub(crate) ttl_ms: u64,
}

/// What became of an ask, and where.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    pub(crate) source: Source,
}

#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Found(Found),
    Absent,
    Stored {
        version: u64,
        replaced: bool,
    },
    Deleted,
    /// The condition did not hold.
    NotApplied,
    Refused(Refusal),
}

/// A value that was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) version: u64,
    /// Unix milliseconds; 0 for never.
    pub(crate) expire_ms: u64,
    pub(crate) metadata: Arc<[u8]>,
    pub(crate) value: Arc<[u8]>,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The shard of the core that owns the key.
    Shard,
    /// A node; `collapsed`: one question served several clients.
    Node { id: u32, collapsed: bool },
}

/// Why an ask was not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A bound is reached, here or at the node.
    Busy,
    /// The node does not answer, or not in time.
    Unavailable,
    /// A write was sent and its outcome is not known.
    Unknown,
    /// The value is larger than its keeper takes.
    TooLarge,
    /// A value did not match its checksum.
    Corrupt,
}

impl Answer {
    pub(crate) fn from_shard(outcome: Outcome) -> Answer {
        Answer { outcome, source: Source::Shard }
    }

    pub(crate) fn is_unavailable(&self) -> bool {
        matches!(self.outcome, Outcome::Refused(Refusal::Unavailable))
    }

    pub(crate) fn refused(refusal: Refusal) -> Answer {
        Answer::from_shard(Outcome::Refused(refusal))
    }
}
