//! Edge copies: values of nodes, kept in the owner core's shard for a short time.
//!
//! ```text
//! metadata of an edge copy:  [ expire_ms of the value, u64 LE | the value's own metadata ]
//! ```
//!
//! The item itself expires when the copy may no longer be served without asking the node. The value's own expiry, from which
//! clients get `max-age`, is stored in front of its metadata. The item's kind says that it is a copy.
//!
//! **Not** the truth: any copy may be gone at any time.
//!
//! **Invariants**: a large copy is brought in slice by slice, as [`crate::staging`] does it; a copy is served for at most the edge time to live, counted from before the node was asked, and never past
//! the value's own expiry; a newer version is never replaced by an older one.

use shardstore::cache::{Cache, Insert, METADATA_BYTES_MAX, StagedItem};
use shardstore::key::KeyHash;
use shardstore::shard::Shard;
use shardstore::version::Version;

use crate::budget::Lease;
use crate::kind::ItemKind;
use crate::owner::MAINTENANCE_UNITS_PER_WRITE;
use crate::request::StoredValue;
use crate::store::Store;

const EXPIRE_BYTES: usize = size_of::<u64>();

/// What fits beside an edge copy's own bookkeeping, and is therefore what a client may store.
pub const CLIENT_METADATA_BYTES_MAX: usize = METADATA_BYTES_MAX - EXPIRE_BYTES;

/// The value's own expiry (steady milliseconds, 0 for never) and metadata, from an item's.
#[inline(always)]
#[must_use]
pub fn of_value(kind: ItemKind, expire_ms: u64, metadata: &[u8]) -> (u64, &[u8]) {
    if kind.is_edge_copy() { split_metadata(metadata) } else { (expire_ms, metadata) }
}

#[inline]
fn split_metadata(metadata: &[u8]) -> (u64, &[u8]) {
    match metadata.split_first_chunk::<EXPIRE_BYTES>() {
        Some((expire, rest)) => (u64::from_le_bytes(*expire), rest),
        None => (0, &[]),
    }
}

/// When a copy is put in, and how long it may be served, in steady milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Now.
    pub now_ms: u64,
    /// The end of the edge time to live.
    pub serve_until_ms: u64,
}

/// Until when a copy of this value may be served; `None` where none may be kept, for a newer one is there.
fn served_until(cache: &Cache, (hash, key): (KeyHash, &[u8]), value: &StoredValue, times: Times) -> Option<u64> {
    let Times { now_ms, serve_until_ms } = times;
    let until_ms = if value.expire_ms == 0 { serve_until_ms } else { serve_until_ms.min(value.expire_ms) };
    let may_be_kept = until_ms > now_ms && value.metadata.len() <= CLIENT_METADATA_BYTES_MAX && value.is_whole();
    let is_older = || cache.peek(hash, key, now_ms).is_some_and(|hit| hit.version() > value.version);
    (may_be_kept && !is_older()).then_some(until_ms)
}

/// A copy's metadata: the value's own expiry in front of its own.
fn metadata_of(value: &StoredValue) -> Vec<u8> {
    let mut metadata = value.expire_ms.to_le_bytes().to_vec();
    metadata.extend_from_slice(&value.metadata);
    metadata
}

fn insert_of<'a>(value: &'a StoredValue, metadata: &'a [u8], until_ms: u64) -> Insert<'a> {
    Insert {
        metadata,
        expire_ms: until_ms,
        flags: ItemKind::EDGE_COPY.flags(),
        ..Insert::new(&value.part[..], value.version, value.value_crc32c)
    }
}

/// Keeps a copy of a value that is there as a whole until `serve_until_ms`, unless a newer one is there.
pub fn keep(shard: &mut Shard, (hash, key): (KeyHash, &[u8]), value: &StoredValue, times: Times) {
    let cache = shard.cache_mut();
    let Some(until_ms) = served_until(cache, (hash, key), value, times) else { return };
    let metadata = metadata_of(value);
    // A copy that finds no room is no loss: the node has the value.
    let _ = cache.insert(hash, key, &insert_of(value, &metadata, until_ms), times.now_ms);
    cache.maintain(times.now_ms, MAINTENANCE_UNITS_PER_WRITE);
}

/// The bytes of a large copy, which nobody sees yet. Given up when it is dropped.
pub(crate) struct StagedCopy<'s> {
    store: &'s Store,
    item: Option<StagedItem>,
    _room: Lease,
}

impl<'s> StagedCopy<'s> {
    /// Brings the bytes of a value that is longer than [`crate::staging::STAGED_BYTES_MIN`] into the shard of this core, slice by slice;
    /// `None` where that is not worth the trouble, or `is_wanted` has said before a slice that no copy may be kept any more.
    pub(crate) async fn stage(
        store: &'s Store,
        (hash, key): (KeyHash, &[u8]),
        value: &StoredValue,
        times: Times,
        is_wanted: impl Fn() -> bool,
    ) -> Option<Self> {
        let room = store.staging().try_enter(value.value_bytes)?;
        let until_ms = served_until(store.shard().cache_mut(), (hash, key), value, times)?;
        let metadata = metadata_of(value);
        let insert = insert_of(value, &metadata, until_ms);
        let item = store.shard().cache_mut().stage(hash, key, &insert, times.now_ms).ok()?;
        let mut copy = StagedCopy { store, item: Some(item), _room: room };
        while is_wanted() && store.reactor().steady_ms() < until_ms {
            let item = copy.item.as_mut().expect("it is not kept yet");
            let rest = &value.part[item.copied_bytes()..];
            store.shard().cache_mut().stage_slice(item, rest, store.reactor().steady_ms()).ok()?;
            if item.is_whole() {
                return Some(copy);
            }
            // The shard is not borrowed while others have their turn.
            store.reactor().yield_now().await;
        }
        None
    }

    /// Shows the copy, as [`keep`] does it. `value` as it was staged with.
    pub(crate) fn keep(mut self, (hash, key): (KeyHash, &[u8]), value: &StoredValue, times: Times) {
        let mut shard = self.store.shard();
        let cache = shard.cache_mut();
        let Some(until_ms) = served_until(cache, (hash, key), value, times) else { return };
        let item = self.item.take().expect("a copy is kept once");
        cache.link_staged(item, key, &insert_of(value, &metadata_of(value), until_ms), times.now_ms);
        cache.maintain(times.now_ms, MAINTENANCE_UNITS_PER_WRITE);
    }
}

impl Drop for StagedCopy<'_> {
    fn drop(&mut self) {
        if let Some(item) = self.item.take() {
            self.store.shard().cache_mut().abandon_staged(item);
        }
    }
}

/// Drops the copy of a key, if there is one.
pub fn forget(shard: &mut Shard, (hash, key): (KeyHash, &[u8]), now_ms: u64) {
    shard.cache_mut().remove(hash, key, now_ms);
}

/// Drops a copy that is older than what the key's owner has just said: `owner` is the version there, `None` for no value.
pub fn forget_older(shard: &mut Shard, (hash, key): (KeyHash, &[u8]), owner: Option<Version>, now_ms: u64) {
    let cache = shard.cache_mut();
    let held = cache.peek(hash, key, now_ms).map(|hit| hit.version());
    if held.is_some_and(|held| owner.is_none_or(|owner| held < owner)) {
        cache.remove(hash, key, now_ms);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use shardstore::cache::CacheOptions;
    use shardstore::key::KeyHasher;

    use super::*;

    const KEY: &[u8] = b"\0key";

    fn value(version: u64, expire_ms: u64) -> StoredValue {
        let version = Version::from_bits(version);
        StoredValue { version, expire_ms, metadata: b"text/plain"[..].into(), ..of_bytes(b"value") }
    }

    fn of_bytes(bytes: &[u8]) -> StoredValue {
        StoredValue {
            version: Version::from_bits(1),
            expire_ms: 0,
            metadata: Arc::default(),
            value_bytes: bytes.len(),
            value_crc32c: shardstore::wire::checksum(bytes),
            offset: 0,
            part: Arc::new(bytes.to_vec()),
        }
    }

    /// A copy that may be served.
    fn get(shard: &mut Shard, (hash, key): (KeyHash, &[u8]), now_ms: u64) -> Option<StoredValue> {
        let hit = shard.get(hash, key, now_ms)?;
        let (expire_ms, metadata) = of_value(ItemKind::of_flags(hit.flags()), hit.expire_ms(), hit.metadata());
        let mut bytes = Vec::new();
        hit.value().copy_to(&mut bytes);
        Some(StoredValue { version: hit.version(), expire_ms, metadata: metadata.into(), ..of_bytes(&bytes) })
    }

    fn shard() -> (Shard, KeyHash) {
        let hasher = KeyHasher::new(1);
        (Shard::new(&CacheOptions::new(4 << 20, hasher), 0).unwrap(), hasher.hash(KEY))
    }

    fn version_of(shard: &mut Shard, hash: KeyHash, now_ms: u64) -> Option<u64> {
        get(shard, (hash, KEY), now_ms).map(|value| value.version.bits())
    }

    #[test]
    fn a_copy_is_gone_at_the_earlier_of_its_two_ends() {
        for (expire_ms, serve_until_ms, gone_ms) in [(0, 2_000, 2_000), (1_500, 2_000, 1_500), (9_000, 2_000, 2_000)] {
            let (mut shard, hash) = shard();
            keep(&mut shard, (hash, KEY), &value(1, expire_ms), Times { now_ms: 1_000, serve_until_ms });
            let copy = get(&mut shard, (hash, KEY), gone_ms - 1).expect("still there");
            assert_eq!(
                (copy.expire_ms, &copy.metadata[..], &copy.part[..]),
                (expire_ms, &b"text/plain"[..], &b"value"[..])
            );
            assert!(get(&mut shard, (hash, KEY), gone_ms).is_none());
        }
    }

    #[test]
    fn a_part_of_a_value_is_not_kept() {
        let (mut shard, hash) = shard();
        let part = StoredValue { value_bytes: 9, ..value(1, 0) };
        keep(&mut shard, (hash, KEY), &part, Times { now_ms: 1_000, serve_until_ms: 2_000 });
        assert_eq!(version_of(&mut shard, hash, 1_000), None);
    }

    #[test]
    fn an_older_version_never_replaces_a_newer_one() {
        let (mut shard, hash) = shard();
        let times = Times { now_ms: 1_000, serve_until_ms: 2_000 };
        for (version, expected) in [(5, 5), (4, 5), (5, 5), (6, 6)] {
            keep(&mut shard, (hash, KEY), &value(version, 0), times);
            assert_eq!(version_of(&mut shard, hash, 1_001), Some(expected));
        }
    }

    #[test]
    fn no_time_to_live_keeps_nothing() {
        let (mut shard, hash) = shard();
        keep(&mut shard, (hash, KEY), &value(1, 0), Times { now_ms: 1_000, serve_until_ms: 1_000 });
        assert_eq!(version_of(&mut shard, hash, 1_000), None);
    }

    #[test]
    fn a_copy_older_than_its_owners_answer_is_dropped() {
        for (owner, left) in [(Some(4), Some(5)), (Some(5), Some(5)), (Some(6), None), (None, None)] {
            let (mut shard, hash) = shard();
            keep(&mut shard, (hash, KEY), &value(5, 0), Times { now_ms: 1_000, serve_until_ms: 2_000 });
            forget_older(&mut shard, (hash, KEY), owner.map(Version::from_bits), 1_000);
            assert_eq!(version_of(&mut shard, hash, 1_000), left, "{owner:?}");
        }
        let (mut shard, hash) = shard();
        forget_older(&mut shard, (hash, KEY), None, 1_000);
        assert_eq!(version_of(&mut shard, hash, 1_000), None, "nothing to drop");
    }

    /// The kind decides how an item's metadata is read, also where an item is no copy but might pass for one.
    #[test]
    fn what_an_item_is_it_says_itself() {
        let (mut shard, hash) = shard();
        let metadata = 7_u64.to_le_bytes();
        let set = shardstore::shard::NewValue {
            metadata: &metadata,
            ttl_ms: 500,
            ..shardstore::shard::NewValue::new(b"value")
        };
        let now = shardstore::shard::ClockReadings { steady_ms: 1_000, wall_ms: 0 };
        shard.set(hash, KEY, &set, now);
        let hit = shard.get(hash, KEY, 1_000).unwrap();
        let kind = ItemKind::of_flags(hit.flags());
        assert_eq!(kind, ItemKind::VALUE);
        assert_eq!(of_value(kind, hit.expire_ms(), hit.metadata()), (1_500, &metadata[..]));
        assert_eq!(of_value(ItemKind::EDGE_COPY, 1_500, &metadata), (7, &b""[..]));
    }

    /// The same version asked for again is as fresh as the second answer.
    #[test]
    fn the_same_version_again_is_served_for_longer() {
        let (mut shard, hash) = shard();
        keep(&mut shard, (hash, KEY), &value(5, 0), Times { now_ms: 1_000, serve_until_ms: 2_000 });
        keep(&mut shard, (hash, KEY), &value(5, 0), Times { now_ms: 1_500, serve_until_ms: 2_500 });
        assert_eq!(version_of(&mut shard, hash, 2_499), Some(5));
        assert_eq!(version_of(&mut shard, hash, 2_500), None);
    }

    #[test]
    fn what_is_over_takes_no_room() {
        let (mut shard, hash) = shard();
        for serve_until_ms in [0, 999, 1_000] {
            keep(&mut shard, (hash, KEY), &value(1, 0), Times { now_ms: 1_000, serve_until_ms });
        }
        assert_eq!(shard.stats().items, 0);
    }

    #[test]
    fn the_longest_metadata_of_a_client_fits_beside_a_copys_own() {
        assert_eq!(CLIENT_METADATA_BYTES_MAX, 247, "what the service tells clients");
        for (length, is_kept) in [(CLIENT_METADATA_BYTES_MAX, true), (CLIENT_METADATA_BYTES_MAX + 1, false)] {
            let (mut shard, hash) = shard();
            let value = StoredValue { metadata: vec![b'm'; length].into(), ..value(1, 0) };
            keep(&mut shard, (hash, KEY), &value, Times { now_ms: 1_000, serve_until_ms: 2_000 });
            let copy = get(&mut shard, (hash, KEY), 1_000);
            assert_eq!(copy.map(|copy| copy.metadata.len()), is_kept.then_some(length));
        }
    }

    /// As writes to a shard that is the truth do: what one copy uses up, its own part of the background work has reclaimed.
    #[test]
    fn copies_keep_ahead_of_what_they_use_up() {
        let (mut shard, _) = shard();
        let hasher = KeyHasher::new(1);
        for number in 0..100_000_u64 {
            let (key, now_ms) = ([&b"\0"[..], &number.to_le_bytes()].concat(), 1_000 + number / 100);
            let copied = StoredValue { version: Version::from_bits(number + 1), ..of_bytes(&[7; 200]) };
            let times = Times { now_ms, serve_until_ms: now_ms + 60_000 };
            keep(&mut shard, (hasher.hash(&key), &key), &copied, times);
        }
        let stats = shard.stats();
        assert!(stats.inserts == 100_000 && stats.evicted_for_room > 50_000, "{stats:?}");
        assert_eq!(stats.stalls, 0, "no copy had to wait for a segment");
    }
}
