//! Writes to the shard that owns a key.
//!
//! **Not**: whether the key belongs here; the caller has looked.
//!
//! **Invariants**: a write touches one shard, and does a bounded part of its background work.

use shardstore::key::KeyHash;
use shardstore::shard::{ClockReadings, Deleted, SetOutcome, Shard, Stored, Touched};
use shardstore::version::Version;

use crate::request::{Outcome, Refusal, Write};

/// Units of background work after each write, of an edge's copy too: twice what a small write makes, so that reclaiming stays
/// ahead of need. A large write has done its own part by then (the cache paces reclaiming by bytes written), and more at
/// once would be a pause that the next request of the core waits for.
pub const MAINTENANCE_UNITS_PER_WRITE: u32 = 4;

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is stored.
    Stored(Stored),
    /// It is removed.
    Deleted {
        /// The version of the removal.
        version: Version,
        /// The version that was removed.
        removed: Version,
    },
    /// It lives for the time that was asked.
    Touched {
        /// The version, which stays.
        version: Version,
    },
    /// The condition did not hold, or what is there is newer.
    NotApplied {
        /// The version that is there; `None` when the key is absent.
        current: Option<Version>,
    },
    /// There was nothing to remove or touch.
    Absent,
    /// The value does not match its checksum.
    Corrupt,
    /// Its version lies in the future: a clock is wrong, and storing it would hide later writes.
    VersionAhead,
    /// The value, key or metadata is larger than the shard takes.
    TooLarge,
    /// There is no room now.
    NoRoom,
}

/// Applies a write to the shard that owns its key, with its part of background work.
pub fn write(shard: &mut Shard, hash: KeyHash, key: &[u8], write: &Write<'_>, now: ClockReadings) -> Written {
    let written = match write {
        Write::Set(set) => set_outcome(&shard.set(hash, key, set, now)),
        Write::Delete(delete) => delete_outcome(&shard.delete(hash, key, *delete, now)),
        Write::Touch { ttl_ms } => match shard.touch(hash, key, *ttl_ms, now.steady_ms) {
            Touched::Touched { version } => Written::Touched { version },
            Touched::NotFound => Written::Absent,
        },
    };
    shard.maintain(now.steady_ms, MAINTENANCE_UNITS_PER_WRITE);
    written
}

pub(crate) const fn set_outcome(outcome: &SetOutcome) -> Written {
    match outcome {
        SetOutcome::Stored(stored) => Written::Stored(*stored),
        SetOutcome::NotApplied { current } => Written::NotApplied { current: *current },
        SetOutcome::Corrupt { .. } => Written::Corrupt,
        SetOutcome::VersionAhead => Written::VersionAhead,
        SetOutcome::ValueTooLarge { .. } | SetOutcome::KeyTooLong | SetOutcome::MetadataTooLong => Written::TooLarge,
        SetOutcome::NoRoom => Written::NoRoom,
    }
}

const fn delete_outcome(outcome: &Deleted) -> Written {
    match outcome {
        Deleted::Deleted { version, removed } => Written::Deleted { version: *version, removed: *removed },
        Deleted::NotApplied { current } => Written::NotApplied { current: *current },
        Deleted::VersionAhead => Written::VersionAhead,
        Deleted::NotFound => Written::Absent,
    }
}

/// Applies a write of a request to the shard that owns its key.
pub fn apply(shard: &mut Shard, (hash, key): (KeyHash, &[u8]), asked: &Write<'_>, now: ClockReadings) -> Outcome {
    outcome_of(write(shard, hash, key, asked, now))
}

pub(crate) const fn outcome_of(written: Written) -> Outcome {
    match written {
        Written::Stored(stored) => Outcome::Stored { version: stored.version, replaced: stored.replaced.is_some() },
        Written::Touched { version } => Outcome::Stored { version, replaced: true },
        Written::Deleted { .. } => Outcome::Deleted,
        Written::NotApplied { .. } => Outcome::NotApplied,
        Written::Absent => Outcome::Absent,
        Written::Corrupt => Outcome::Refused(Refusal::Corrupt),
        Written::VersionAhead => Outcome::Refused(Refusal::Unavailable),
        Written::TooLarge => Outcome::Refused(Refusal::TooLarge),
        Written::NoRoom => Outcome::Refused(Refusal::Busy),
    }
}

#[cfg(test)]
mod tests;
