//! Near copies: values of nodes, kept in the owner core's shard for a short time.
//!
//! ```text
//! metadata of a near copy:  [ expire_ms of the value, u64 LE | the value's own metadata ]
//! ```
//!
//! The item itself expires when the copy may no longer be served without asking; the value's own expiry, which clients
//! are told, is kept in front of its metadata.
//!
//! **Not** the truth: any copy may be gone at any time.
//!
//! **Invariants**: a copy is served for at most the near time, counted from before the node was asked, and never past
//! the value's own expiry; a newer version is never replaced by an older one.

use shardstore::cache::{Cache, Insert, METADATA_BYTES_MAX};
use shardstore::key::KeyHash;
use shardstore::version::Version;

use super::ask::Found;

const EXPIRE_BYTES: usize = size_of::<u64>();

/// What fits beside a near copy's own bookkeeping, and is therefore what a client may store.
pub(crate) const CLIENT_METADATA_BYTES_MAX: usize = METADATA_BYTES_MAX - EXPIRE_BYTES;

/// Work units of maintenance after a copy was put in.
const UNITS_PER_COPY: u32 = 64;

/// Takes a near copy's metadata apart: the value's own expiry (unix milliseconds, 0 for never), and its metadata.
pub(crate) fn split_metadata(metadata: &[u8]) -> (u64, &[u8]) {
    match metadata.split_first_chunk::<EXPIRE_BYTES>() {
        Some((expire, rest)) => (u64::from_le_bytes(*expire), rest),
        None => (0, &[]),
    }
}

/// Keeps a copy until `serve_until_ms`, unless a newer one is there.
pub(crate) fn keep(cache: &mut Cache, hash: KeyHash, key: &[u8], found: &Found, times: Times) {
    let Times { now_ms, serve_until_ms } = times;
    let until_ms = if found.expire_ms == 0 { serve_until_ms } else { serve_until_ms.min(found.expire_ms) };
    if until_ms <= now_ms || found.metadata.len() > CLIENT_METADATA_BYTES_MAX {
        return;
    }
    let version = Version::from_bits(found.version);
    if cache.peek(hash, key, now_ms).is_some_and(|hit| hit.version() > version) {
        return;
    }
    let mut metadata = found.expire_ms.to_le_bytes().to_vec();
    metadata.extend_from_slice(&found.metadata);
    let insert = Insert {
        metadata: &metadata,
        expire_ms: until_ms,
        ..Insert::new(&found.value[..], version, shardstore::wire::checksum(&found.value))
    };
    // A copy that finds no room is no loss: the node has the value.
    let _ = cache.insert(hash, key, &insert, now_ms);
    cache.maintain(now_ms, UNITS_PER_COPY);
}

/// When a copy is put in, and how long it may be served, in unix milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub(crate) now_ms: u64,
    pub(crate) serve_until_ms: u64,
}

#[cfg(test)]
mod tests {
    use shardstore::cache::CacheOptions;
    use shardstore::key::KeyHasher;

    use super::*;

    fn found(version: u64, expire_ms: u64) -> Found {
        Found { version, expire_ms, metadata: b"text/plain"[..].into(), value: b"value"[..].into() }
    }

    fn cache() -> (Cache, KeyHash) {
        let hasher = KeyHasher::new(1);
        (Cache::new(&CacheOptions::new(4 << 20, hasher)).unwrap(), hasher.hash(b"\0key"))
    }

    #[test]
    fn a_copy_is_gone_at_the_earlier_of_its_two_ends() {
        for (expire_ms, serve_until_ms, gone_ms) in [(0, 2_000, 2_000), (1_500, 2_000, 1_500), (9_000, 2_000, 2_000)] {
            let (mut cache, hash) = cache();
            keep(&mut cache, hash, b"\0key", &found(1, expire_ms), Times { now_ms: 1_000, serve_until_ms });
            let hit = cache.peek(hash, b"\0key", gone_ms - 1).expect("still there");
            assert_eq!(split_metadata(hit.metadata()), (expire_ms, &b"text/plain"[..]));
            assert!(cache.peek(hash, b"\0key", gone_ms).is_none());
        }
    }

    #[test]
    fn an_older_version_never_replaces_a_newer_one() {
        let (mut cache, hash) = cache();
        let times = Times { now_ms: 1_000, serve_until_ms: 2_000 };
        for (version, expected) in [(5, 5), (4, 5), (5, 5), (6, 6)] {
            keep(&mut cache, hash, b"\0key", &found(version, 0), times);
            assert_eq!(cache.peek(hash, b"\0key", 1_001).unwrap().version().bits(), expected);
        }
    }

    #[test]
    fn no_near_time_keeps_nothing() {
        let (mut cache, hash) = cache();
        keep(&mut cache, hash, b"\0key", &found(1, 0), Times { now_ms: 1_000, serve_until_ms: 1_000 });
        assert!(cache.peek(hash, b"\0key", 1_000).is_none());
    }
}
