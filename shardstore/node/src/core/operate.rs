//! Operations on one core's shard, as answers.
//!
//! **Not**: whether the key belongs here (the caller has checked), and the fast path of GET ([`super::serve`]).
//!
//! **Invariants**: an operation touches no other core.
//!
//! **Source**: docs/wire.md, "Operations".

use std::sync::Arc;

use shardstore::cache::Hit;
use shardstore::key::KeyHash;
use shardstore::shard::{self, Delete};
use shardstore::version::Version;
use shardstore::wire::batch::MsetItem;
use shardstore::wire::ext::{CarriedPart, WantedPart};
use shardstore::wire::request::Set;
use shardstore::wire::{Op, Status, checksum};
use store_runtime::owner::Written;
use store_runtime::request::{Outcome, ReadPart, StoredValue, Write};

use super::NodeCore;
use super::answer::OwnedResponse;
use super::gather::AnswerRoom;
use super::respond::{BUSY_RETRY_US, UNAVAILABLE_RETRY_US};

/// Does what `op` asks of one key. Operations without a key are not taken: batches are cut by core first ([`super::batch`]),
/// the others concern the node.
pub(crate) fn operate(core: &NodeCore, hash: KeyHash, op: &Op<'_>) -> OwnedResponse {
    core.purge(hash, op.key());
    match op {
        Op::Get { key } => {
            let now_ms = core.reactor.steady_ms();
            let mut shard = core.store.shard();
            shard.get(hash, key, now_ms).map_or(OwnedResponse::status(Status::NotFound), |hit| copied(&hit, now_ms))
        }
        Op::Read { key, wanted } => read(core, (hash, key), wanted),
        Op::Set(set) => core.write((hash, set.key), &Write::Set(shard_set(set))),
        Op::Delete { key, version, condition } => {
            core.write((hash, key), &Write::Delete(Delete { condition: *condition, version: brought(*version) }))
        }
        Op::Touch { key, ttl_ms } => core.write((hash, key), &Write::Touch { ttl_ms: u64::from(*ttl_ms) }),
        Op::Ping | Op::Mget(_) | Op::Mset(_) | Op::Stats | Op::Topology => OwnedResponse::status(Status::Unsupported),
    }
}

/// GET of a batch, whose answer is copied only if there is room for it.
pub(super) fn read_within(core: &NodeCore, hash: KeyHash, key: &[u8], room: &mut AnswerRoom) -> OwnedResponse {
    core.purge(hash, key);
    let now_ms = core.reactor.steady_ms();
    let mut shard = core.store.shard();
    let Some(hit) = shard.get(hash, key, now_ms) else { return OwnedResponse::status(Status::NotFound) };
    match room.take(hit.metadata().len() + hit.value().len()) {
        Ok(()) => copied(&hit, now_ms),
        Err(Status::Busy) => OwnedResponse::retry(Status::Busy, BUSY_RETRY_US),
        Err(status) => OwnedResponse::status(status),
    }
}

/// A part of a value of this core, or what is known of it.
fn read(core: &NodeCore, key: (KeyHash, &[u8]), wanted: &WantedPart) -> OwnedResponse {
    let part = part_of(wanted);
    let is_asked_whether = wanted.is_all_or_none || wanted.bytes_max == 0;
    let known = if is_asked_whether { core.store.inspect(key) } else { Outcome::Absent };
    let outcome = match &known {
        Outcome::Found(found) if !is_wanted(wanted, found.value_bytes) => known,
        _ if is_asked_whether && !matches!(known, Outcome::Found(_)) => known,
        _ => core.store.read(key, &part),
    };
    match outcome {
        Outcome::Found(found) if part.version.is_some_and(|version| version != found.version) => {
            OwnedResponse::status(Status::NotApplied)
        }
        Outcome::Found(found) => part_response(found, core.reactor.steady_ms()),
        Outcome::NotApplied => OwnedResponse::status(Status::NotApplied),
        _ => OwnedResponse::status(Status::NotFound),
    }
}

/// The part that a peer wants, as the store knows parts.
pub(crate) fn part_of(wanted: &WantedPart) -> ReadPart {
    ReadPart {
        offset: wanted.offset as usize,
        bytes_max: wanted.bytes_max as usize,
        version: brought(wanted.version),
        is_first: wanted.is_first,
        fresh: false,
    }
}

/// Whether bytes of a value of this length are wanted at all.
pub(crate) fn is_wanted(wanted: &WantedPart, value_bytes: usize) -> bool {
    let rest = value_bytes.saturating_sub(wanted.offset as usize);
    wanted.bytes_max > 0 && (!wanted.is_all_or_none || rest <= wanted.bytes_max as usize)
}

fn part_response(found: StoredValue, now_ms: u64) -> OwnedResponse {
    let part =
        CarriedPart { total: found.value_bytes as u32, offset: found.offset as u32, value_crc32c: found.value_crc32c };
    let crc = if found.is_whole() { found.value_crc32c } else { checksum(&found.part) };
    OwnedResponse {
        version: found.version.bits(),
        ttl_ms: ttl_left_ms(found.expire_ms, now_ms),
        value_crc32c: Some(crc),
        part: Some(part),
        metadata: found.metadata.to_vec(),
        // Nobody else has it: it was read just now.
        value: Arc::try_unwrap(found.part).unwrap_or_default(),
        ..OwnedResponse::status(Status::Ok)
    }
}

/// The version that a write brings along.
fn brought(version: u64) -> Option<Version> {
    (version != 0).then(|| Version::from_bits(version))
}

/// A SET as a write of the shard.
pub(super) fn shard_set<'a>(set: &Set<'a>) -> shard::NewValue<'a> {
    shard::NewValue {
        metadata: set.metadata,
        condition: set.condition,
        version: brought(set.version),
        ttl_ms: u64::from(set.ttl_ms),
        value_crc32c: Some(set.value_crc32c),
        ..shard::NewValue::new(set.value)
    }
}

impl NodeCore {
    fn write(&self, key: (KeyHash, &[u8]), write: &Write<'_>) -> OwnedResponse {
        self.written(self.store.write(key, write))
    }

    /// What became of a write, as an answer.
    pub(super) fn written(&self, written: Written) -> OwnedResponse {
        let previous = |version: Option<Version>| version.map(Version::bits);
        match written {
            Written::Stored(stored) => OwnedResponse {
                version: stored.version.bits(),
                previous_version: previous(stored.replaced),
                ..OwnedResponse::status(Status::Ok)
            },
            Written::Deleted { version, removed } => OwnedResponse {
                version: version.bits(),
                previous_version: Some(removed.bits()),
                ..OwnedResponse::status(Status::Ok)
            },
            Written::Touched { version } => {
                OwnedResponse { version: version.bits(), ..OwnedResponse::status(Status::Ok) }
            }
            Written::NotApplied { current } => {
                OwnedResponse { previous_version: previous(current), ..OwnedResponse::status(Status::NotApplied) }
            }
            Written::Absent => OwnedResponse::status(Status::NotFound),
            Written::Corrupt => {
                self.metrics().faults.note("value_crc");
                OwnedResponse::status(Status::Corrupt)
            }
            Written::VersionAhead => {
                self.metrics().faults.note("version_ahead");
                OwnedResponse::retry(Status::Unavailable, UNAVAILABLE_RETRY_US)
            }
            Written::TooLarge => OwnedResponse::status(Status::TooLarge),
            Written::NoRoom => OwnedResponse::retry(Status::Busy, BUSY_RETRY_US),
        }
    }
}

fn copied(hit: &Hit<'_>, now_ms: u64) -> OwnedResponse {
    let mut value = Vec::new();
    hit.value().copy_to(&mut value);
    OwnedResponse { value, metadata: hit.metadata().to_vec(), ..described(hit, now_ms) }
}

/// A hit without its bytes.
pub(crate) fn described(hit: &Hit<'_>, now_ms: u64) -> OwnedResponse {
    OwnedResponse {
        version: hit.version().bits(),
        ttl_ms: ttl_left_ms(hit.expire_ms(), now_ms),
        value_crc32c: Some(hit.value_crc32c()),
        ..OwnedResponse::status(Status::Ok)
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
