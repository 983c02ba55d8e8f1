//! What is asked of a store, and what it answers.
//!
//! **Not** tied to a core: both cross mailboxes.
//!
//! **Invariants**: every request has a deadline; a write whose outcome is not known is [`Refusal::Unknown`], never reported as
//! failed.

use std::ops::Range;
use std::sync::Arc;

use reactor::Instant;
use shardstore::key::KeyHash;
use shardstore::shard::{Delete, NewValue};
use shardstore::version::{Condition, Version};

/// Most bytes of a value in one response: what a core copies in some 20 microseconds, so that no copy is a pause for others,
/// and what a reader that does not read costs. Longer values are read part by part.
pub const PART_BYTES_MAX: usize = 128 * 1024;

/// How much of a value is asked for first, before anybody knows how long it is: most values have no more, and as much memory is
/// taken for the answer.
pub const FIRST_PART_BYTES: usize = 32 * 1024;

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
    /// Say what is known of it, without its value.
    Inspect {
        /// The client wants the answer of the key's owner: no copy, and no answer to a question that was asked earlier.
        fresh: bool,
    },
    /// Read a part of its value.
    Read(ReadPart),
    /// Write it.
    Set(SetValue),
    /// Remove it.
    Delete {
        /// When to remove it.
        condition: Condition,
    },
}

/// A part of a value to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadPart {
    /// Where it begins.
    pub offset: usize,
    /// Its length at most; never more than [`PART_BYTES_MAX`] are handed out at once.
    pub bytes_max: usize,
    /// The version it must be of; `None` for whatever there is.
    pub version: Option<Version>,
    /// Whether it is the first that is read; more may follow, and the value should stay as it is for them.
    pub is_first: bool,
    /// As of [`StoreOp::Inspect`].
    pub fresh: bool,
}

impl ReadPart {
    /// The beginning of whatever value there is.
    #[must_use]
    pub const fn beginning(fresh: bool) -> Self {
        ReadPart { offset: 0, bytes_max: FIRST_PART_BYTES, version: None, is_first: true, fresh }
    }

    /// The bytes of a value of this length that the part has: empty where it begins behind the end.
    #[must_use]
    pub fn range(&self, value_bytes: usize) -> Range<usize> {
        let start = self.offset.min(value_bytes);
        start..value_bytes.min(start.saturating_add(self.bytes_max.min(PART_BYTES_MAX)))
    }
}

/// A value to be written, and its checksum, computed where its bytes came in.
#[derive(Debug)]
pub struct SetValue {
    /// The value.
    pub value: Arc<Vec<u8>>,
    /// Its CRC-32C.
    pub value_crc32c: u32,
    /// What is stored beside it.
    pub metadata: Box<[u8]>,
    /// When to write it.
    pub condition: Condition,
    /// Milliseconds from now; 0 for ever.
    pub ttl_ms: u64,
    /// No copy of it may be kept, only the value itself by its owner.
    pub no_store: bool,
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
        matches!(self, StoreOp::Inspect { .. } | StoreOp::Read(_))
    }

    /// The write that it is, if it is one.
    #[must_use]
    pub fn as_write(&self) -> Option<Write<'_>> {
        match self {
            StoreOp::Inspect { .. } | StoreOp::Read(_) => None,
            StoreOp::Set(set) => Some(Write::Set(NewValue {
                metadata: &set.metadata,
                condition: set.condition,
                ttl_ms: set.ttl_ms,
                value_crc32c: Some(set.value_crc32c),
                is_checked: true,
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
    /// What is known of the value, and the part that was asked for.
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
    /// The condition did not hold; of a read: another version than the one that was asked for is there.
    NotApplied,
    /// It was not served.
    Refused(Refusal),
}

/// A value that was found.
#[derive(Clone, Debug)]
pub struct StoredValue {
    /// The version of the write that stored it.
    pub version: Version,
    /// Steady milliseconds; 0 for never.
    pub expire_ms: u64,
    /// What is stored beside it.
    pub metadata: Arc<[u8]>,
    /// Bytes of the whole value.
    pub value_bytes: usize,
    /// CRC-32C of the whole value.
    pub value_crc32c: u32,
    /// Where `part` begins in the value.
    pub offset: usize,
    /// A part of the value, which may be all of it, or nothing.
    pub part: Arc<Vec<u8>>,
}

impl StoredValue {
    /// Whether the part is the whole value.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.part.len() == self.value_bytes
    }

    /// What is known of the value, with as much of its part as an operation asks for.
    #[must_use]
    pub fn for_op(self, op: &StoreOp) -> Self {
        let range = match op {
            StoreOp::Read(part) => part.range(self.value_bytes),
            _ => 0..0,
        };
        let end = self.offset + self.part.len();
        let (from, to) = (range.start.clamp(self.offset, end), range.end.clamp(self.offset, end));
        if (from, to) == (self.offset, end) {
            return self;
        }
        let part = Arc::new(self.part[from - self.offset..to - self.offset].to_vec());
        StoredValue { offset: from, part, ..self }
    }
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

    /// The same, with no more of a value than an operation asks for.
    #[must_use]
    pub fn for_op(self, op: &StoreOp) -> Self {
        match self.outcome {
            Outcome::Found(found) => StoreResponse { outcome: Outcome::Found(found.for_op(op)), ..self },
            _ => self,
        }
    }

    /// Whether the owner did not answer.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(self.outcome, Outcome::Refused(Refusal::Unavailable))
    }
}
