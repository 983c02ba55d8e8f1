//! What became of an operation.
//!
//! **Not**: statuses of HTTP or of the shard protocol; those are made from these.
//!
//! **Invariants**: every outcome but the first of its enum left the shard's items as they were (eviction apart).
//!
//! **Source**: docs/wire.md, "Responses".

use crate::cache::CacheError;
use crate::version::Version;

/// A write that was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The version of this write.
    pub version: Version,
    /// The version it replaced; `None` when the key was absent.
    pub replaced: Option<Version>,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOutcome {
    /// It was applied.
    Stored(Stored),
    /// Its condition did not hold.
    NotApplied {
        /// The version that is there; `None` when the key is absent.
        current: Option<Version>,
    },
    /// The value is not what its sender computed the checksum of.
    Corrupt {
        /// CRC-32C as it was given.
        given: u32,
        /// CRC-32C of the value that arrived.
        computed: u32,
    },
    /// The version it brought along lies in the future: a clock is wrong, and storing it would hide later writes.
    VersionAhead,
    /// The value is larger than this shard takes.
    ValueTooLarge {
        /// The largest value in bytes.
        value_bytes_max: usize,
    },
    /// The key is too long.
    KeyTooLong,
    /// The metadata is too long.
    MetadataTooLong,
    /// Too much of the shard is pinned, or it is shrinking; worth another try.
    NoRoom,
}

impl SetOutcome {
    pub(super) fn refused(error: &CacheError) -> Self {
        match *error {
            CacheError::ValueTooLarge { value_bytes_max, .. } => Self::ValueTooLarge { value_bytes_max },
            CacheError::KeyTooLong(_) => Self::KeyTooLong,
            CacheError::MetadataTooLong(_) => Self::MetadataTooLong,
            CacheError::NoRoom => Self::NoRoom,
            CacheError::LimitTooSmall { .. } | CacheError::LimitAboveCeiling { .. } | CacheError::Map(_) => {
                unreachable!("an insert neither makes nor resizes the cache")
            }
        }
    }
}

/// What became of a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// The key was removed.
    Deleted {
        /// The version of the delete: newer than what it removed.
        version: Version,
        /// The version that was removed.
        removed: Version,
    },
    /// The condition did not hold.
    NotApplied {
        /// The version that is there; `None` when the key is absent.
        current: Option<Version>,
    },
    /// The version it brought along lies in the future; as [`SetOutcome::VersionAhead`].
    VersionAhead,
    /// There was nothing to remove.
    NotFound,
}

/// What became of a touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// The key has its new time to live.
    Touched {
        /// The version of the item, which a touch does not change.
        version: Version,
    },
    /// The key is absent.
    NotFound,
}
