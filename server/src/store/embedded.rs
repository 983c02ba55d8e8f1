//! Embedded mode: the owner core's shard is the truth.
//!
//! **Not** I/O: one function call on the shard.
//!
//! **Invariants**: the same operations and outcomes as a node's.

use shardstore::key::KeyHash;
use shardstore::shard::{Deleted, Set, SetOutcome, Shard};
use shardstore::version::Condition;

use super::ask::{Answer, Found, Op, Outcome, Refusal, SetValue};

/// Work units of maintenance after a write: enough to keep ahead of what one write can use up.
const UNITS_PER_WRITE: u32 = 64;

/// Applies an operation to the shard that owns its key.
pub(crate) fn apply(shard: &mut Shard, hash: KeyHash, key: &[u8], op: &Op, now_ms: u64) -> Answer {
    let outcome = match op {
        Op::Get { .. } => get(shard, hash, key, now_ms),
        Op::Set(set) => self::set(shard, hash, key, set, now_ms),
        Op::Delete { condition } => delete(shard, hash, key, *condition, now_ms),
    };
    if !matches!(op, Op::Get { .. }) {
        shard.maintain(now_ms, UNITS_PER_WRITE);
    }
    Answer::from_shard(outcome)
}

fn get(shard: &mut Shard, hash: KeyHash, key: &[u8], now_ms: u64) -> Outcome {
    let Some(hit) = shard.get(hash, key, now_ms) else { return Outcome::Absent };
    let mut value = Vec::new();
    hit.value().copy_to(&mut value);
    Outcome::Found(Found {
        version: hit.version().bits(),
        expire_ms: hit.expire_ms(),
        metadata: hit.metadata().into(),
        value: value.into(),
    })
}

fn set(shard: &mut Shard, hash: KeyHash, key: &[u8], set: &SetValue, now_ms: u64) -> Outcome {
    let asked =
        Set { metadata: &set.metadata, condition: set.condition, ttl_ms: set.ttl_ms, ..Set::new(set.value.as_slice()) };
    match shard.set(hash, key, &asked, now_ms) {
        SetOutcome::Stored(stored) => {
            Outcome::Stored { version: stored.version.bits(), replaced: stored.replaced.is_some() }
        }
        SetOutcome::NotApplied { .. } => Outcome::NotApplied,
        SetOutcome::ValueTooLarge { .. } => Outcome::Refused(Refusal::TooLarge),
        SetOutcome::Corrupt { .. } => Outcome::Refused(Refusal::Corrupt),
        // Keys and metadata were bounded when the request was read.
        SetOutcome::NoRoom | SetOutcome::KeyTooLong | SetOutcome::MetadataTooLong => Outcome::Refused(Refusal::Busy),
    }
}

fn delete(shard: &mut Shard, hash: KeyHash, key: &[u8], condition: Condition, now_ms: u64) -> Outcome {
    match shard.delete(hash, key, condition, now_ms) {
        Deleted::Deleted { .. } => Outcome::Deleted,
        Deleted::NotApplied { .. } => Outcome::NotApplied,
        Deleted::NotFound => Outcome::Absent,
    }
}
