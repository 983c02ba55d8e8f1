//! Operations on one core's shard, as answers.
//!
//! **Not**: whether the key belongs here (the caller has checked), and the fast path of GET ([`super::serve`]).
//!
//! **Invariants**: an operation touches no other core; a write does a bounded slice of the cache's background work.
//!
//! **Source**: docs/wire.md, "Operations".

use shardstore::cache::{Hit, Insert};
use shardstore::key::KeyHash;
use shardstore::shard::{self, Deleted, SetOutcome, Shard, Touched};
use shardstore::version::{Condition, Version};
use shardstore::wire::batch::MsetItem;
use shardstore::wire::request::Set;
use shardstore::wire::{Op, Status};

use super::Core;
use super::answer::Answer;
use super::respond::{BUSY_RETRY_US, UNAVAILABLE_RETRY_US};

/// Units of background work after each write: twice what a small write makes, so that reclaiming stays ahead.
const MAINTAIN_UNITS_PER_WRITE: u32 = 4;

/// Does what `op` asks of one key. Operations without a key are not taken: batches are cut by core first ([`super::batch`]),
/// the others concern the node.
pub(crate) fn operate(core: &Core, hash: KeyHash, op: &Op<'_>) -> Answer {
    let now_ms = core.reactor.wall_ms();
    match op {
        Op::Get { key } => {
            let mut shard = core.shard.borrow_mut();
            shard.get(hash, key, now_ms).map_or(Answer::status(Status::NotFound), |hit| copied(&hit, now_ms))
        }
        Op::Set(set) => core.write(|shard| store(shard, hash, set, now_ms)),
        Op::Delete { key, version: 0, condition } => {
            core.write(|shard| Ok(removed(&shard.delete(hash, key, *condition, now_ms))))
        }
        Op::Delete { key, version, condition } => {
            let stamp = Stamp::new(*version, *condition);
            core.write(|shard| remove_as(shard, hash, key, stamp, now_ms))
        }
        Op::Touch { key, ttl_ms } => match core.shard.borrow_mut().touch(hash, key, u64::from(*ttl_ms), now_ms) {
            Touched::Touched { version } => Answer { version: version.bits(), ..Answer::status(Status::Ok) },
            Touched::NotFound => Answer::status(Status::NotFound),
        },
        Op::Ping | Op::Mget(_) | Op::Mset(_) | Op::Stats | Op::Topology => Answer::status(Status::Unsupported),
    }
}

/// What is wrong with a write, beyond what its sender could have known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteFault {
    /// The value is not what its sender made.
    ValueCrc,
    /// Its version lies in the future: a clock is wrong, and storing it would hide later writes.
    VersionAhead,
}

impl WriteFault {
    const fn name(self) -> &'static str {
        match self {
            WriteFault::ValueCrc => "value_crc",
            WriteFault::VersionAhead => "version_ahead",
        }
    }
}

impl Core {
    /// A write with its share of background work.
    fn write(&self, write: impl FnOnce(&mut Shard) -> Result<Answer, WriteFault>) -> Answer {
        let mut shard = self.shard.borrow_mut();
        let outcome = write(&mut shard);
        shard.maintain(self.reactor.wall_ms(), MAINTAIN_UNITS_PER_WRITE);
        outcome.unwrap_or_else(|fault| {
            self.metrics().faults.note(fault.name());
            match fault {
                WriteFault::ValueCrc => Answer::status(Status::Corrupt),
                WriteFault::VersionAhead => Answer::retry(Status::Unavailable, UNAVAILABLE_RETRY_US),
            }
        })
    }
}

/// A version that a write brings along.
#[derive(Clone, Copy)]
struct Stamp {
    version: Version,
    condition: Condition,
}

impl Stamp {
    fn new(version: u64, condition: Condition) -> Self {
        Stamp { version: Version::from_bits(version), condition }
    }

    /// Whether a write of this version may replace what is there: the condition holds, and nothing newer is there.
    fn beats(&self, current: Option<Version>) -> bool {
        self.condition.holds(current) && current.is_none_or(|current| current < self.version)
    }
}

fn store(shard: &mut Shard, hash: KeyHash, set: &Set<'_>, now_ms: u64) -> Result<Answer, WriteFault> {
    if set.version != 0 {
        return store_as(shard, hash, set, now_ms);
    }
    let write = shard::Set {
        metadata: set.metadata,
        condition: set.condition,
        ttl_ms: u64::from(set.ttl_ms),
        value_crc32c: Some(set.value_crc32c),
        ..shard::Set::new(set.value)
    };
    stored(&shard.set(hash, set.key, &write, now_ms))
}

fn stored(outcome: &SetOutcome) -> Result<Answer, WriteFault> {
    Ok(match outcome {
        SetOutcome::Stored(stored) => Answer {
            version: stored.version.bits(),
            previous_version: stored.replaced.map(Version::bits),
            ..Answer::status(Status::Ok)
        },
        SetOutcome::NotApplied { current } => not_applied(*current),
        SetOutcome::Corrupt { .. } => return Err(WriteFault::ValueCrc),
        SetOutcome::ValueTooLarge { .. } | SetOutcome::KeyTooLong | SetOutcome::MetadataTooLong => {
            Answer::status(Status::TooLarge)
        }
        SetOutcome::NoRoom => Answer::retry(Status::Busy, BUSY_RETRY_US),
    })
}

/// Stores under the version that came with the value: a fill, or a copy of another node's item. It loses against anything
/// newer.
fn store_as(shard: &mut Shard, hash: KeyHash, set: &Set<'_>, now_ms: u64) -> Result<Answer, WriteFault> {
    if shardstore::wire::checksum(set.value) != set.value_crc32c {
        return Err(WriteFault::ValueCrc);
    }
    let stamp = Stamp::new(set.version, set.condition);
    shard.observe(stamp.version, now_ms).map_err(|_| WriteFault::VersionAhead)?;
    let cache = shard.cache_mut();
    let current = cache.peek(hash, set.key, now_ms).map(|hit| hit.version());
    if !stamp.beats(current) {
        return Ok(not_applied(current));
    }
    let insert = Insert {
        metadata: set.metadata,
        expire_ms: if set.ttl_ms == 0 { 0 } else { now_ms + u64::from(set.ttl_ms) },
        ..Insert::new(set.value, stamp.version, set.value_crc32c)
    };
    Ok(match cache.insert(hash, set.key, &insert, now_ms) {
        Ok(_) => {
            Answer { version: set.version, previous_version: current.map(Version::bits), ..Answer::status(Status::Ok) }
        }
        Err(shardstore::cache::CacheError::NoRoom) => Answer::retry(Status::Busy, BUSY_RETRY_US),
        Err(_) => Answer::status(Status::TooLarge),
    })
}

fn removed(outcome: &Deleted) -> Answer {
    match outcome {
        Deleted::Deleted { version, removed } => {
            Answer { version: version.bits(), previous_version: Some(removed.bits()), ..Answer::status(Status::Ok) }
        }
        Deleted::NotApplied { current } => not_applied(*current),
        Deleted::NotFound => Answer::status(Status::NotFound),
    }
}

/// Removes a key unless it has a newer version than the removal.
fn remove_as(shard: &mut Shard, hash: KeyHash, key: &[u8], stamp: Stamp, now_ms: u64) -> Result<Answer, WriteFault> {
    shard.observe(stamp.version, now_ms).map_err(|_| WriteFault::VersionAhead)?;
    let cache = shard.cache_mut();
    let current = cache.peek(hash, key, now_ms).map(|hit| hit.version());
    if !stamp.beats(current) {
        return Ok(not_applied(current));
    }
    Ok(match cache.remove(hash, key, now_ms) {
        Some(removed) => Answer {
            version: stamp.version.bits(),
            previous_version: Some(removed.bits()),
            ..Answer::status(Status::Ok)
        },
        None => Answer::status(Status::NotFound),
    })
}

fn not_applied(current: Option<Version>) -> Answer {
    Answer { previous_version: current.map(Version::bits), ..Answer::status(Status::NotApplied) }
}

fn copied(hit: &Hit<'_>, now_ms: u64) -> Answer {
    let mut value = Vec::new();
    hit.value().copy_to(&mut value);
    Answer { value, metadata: hit.metadata().to_vec(), ..described(hit, now_ms) }
}

/// A hit without its bytes.
pub(crate) fn described(hit: &Hit<'_>, now_ms: u64) -> Answer {
    Answer {
        version: hit.version().bits(),
        ttl_ms: ttl_left_ms(hit.expire_ms(), now_ms),
        value_crc32c: Some(hit.value_crc32c()),
        ..Answer::status(Status::Ok)
    }
}

/// Time to live left; 0 stands for "for ever", so that the last moment is at least 1.
#[inline]
pub(crate) fn ttl_left_ms(expire_ms: u64, now_ms: u64) -> u32 {
    if expire_ms == 0 {
        return 0;
    }
    u32::try_from(expire_ms.saturating_sub(now_ms)).unwrap_or(u32::MAX).max(1)
}

/// An item of a batch as a write of its own.
pub(crate) fn set_of<'a>(item: &MsetItem<'a>) -> Set<'a> {
    Set {
        key: item.key,
        value: item.value,
        metadata: item.metadata,
        value_crc32c: item.value_crc32c,
        ttl_ms: item.ttl_ms,
        version: item.version,
        condition: item.condition,
    }
}
