use shardstore::cache::CacheOptions;
use shardstore::key::KeyHasher;
use shardstore::shard::{Delete, NewValue};
use shardstore::version::Condition;

use super::*;

const KEY: &[u8] = b"\0key";
const NOW: u64 = 1_700_000_000_000;

fn at(now_ms: u64) -> ClockReadings {
    ClockReadings { steady_ms: now_ms, wall_ms: now_ms }
}

fn shard() -> (Shard, KeyHash) {
    let hasher = KeyHasher::new(1);
    (Shard::new(&CacheOptions::new(4 << 20, hasher), 0).unwrap(), hasher.hash(KEY))
}

fn set(value: &[u8], condition: Condition, ttl_ms: u64) -> Write<'_> {
    Write::Set(NewValue { metadata: b"text/plain", condition, ttl_ms, ..NewValue::new(value) })
}

#[test]
fn what_is_asked_is_done_and_said() {
    let (mut shard, hash) = shard();
    let large = vec![0; shard.value_bytes_max() + 1];
    let mut ask = |asked: &Write<'_>, now_ms| apply(&mut shard, (hash, KEY), asked, at(now_ms));
    let delete = |condition| Write::Delete(Delete { condition, version: None });
    assert!(matches!(ask(&delete(Condition::Any), NOW), Outcome::Absent));
    assert!(matches!(ask(&set(b"a", Condition::Present, 0), NOW), Outcome::NotApplied));
    let Outcome::Stored { version, replaced: false } = ask(&set(b"a", Condition::Absent, 50), NOW) else {
        panic!("it is the first")
    };
    let changed = ask(&set(b"b", Condition::VersionEquals(version), 0), NOW + 49);
    assert!(matches!(changed, Outcome::Stored { replaced: true, .. }));
    assert!(matches!(ask(&delete(Condition::VersionEquals(version)), NOW), Outcome::NotApplied));
    assert!(matches!(ask(&delete(Condition::Any), NOW), Outcome::Deleted));
    let refused = ask(&set(&large, Condition::Any, 0), NOW);
    assert!(matches!(refused, Outcome::Refused(Refusal::TooLarge)));
}

/// What only nodes are asked: versions that come along, times to live that change, checksums.
#[test]
fn a_write_says_what_became_of_it() {
    let (mut shard, hash) = shard();
    let mut ask = |asked: &Write<'_>| write(&mut shard, hash, KEY, asked, at(NOW));
    assert_eq!(ask(&Write::Touch { ttl_ms: 5 }), Written::Absent);
    let damaged = NewValue { value_crc32c: Some(1), ..NewValue::new(b"value") };
    assert_eq!(ask(&Write::Set(damaged)), Written::Corrupt);
    let version = Version::from_bits(NOW << 18);
    let brought = NewValue { version: Some(version), ..NewValue::new(b"value") };
    assert_eq!(ask(&Write::Set(brought)), Written::Stored(Stored { version, replaced: None }));
    assert_eq!(ask(&Write::Set(brought)), Written::NotApplied { current: Some(version) });
    assert_eq!(ask(&Write::Touch { ttl_ms: 5 }), Written::Touched { version });
    let ahead = Some(Version::from_bits(u64::MAX));
    assert_eq!(ask(&Write::Set(NewValue { version: ahead, ..brought })), Written::VersionAhead);
    let delete = Delete { condition: Condition::Any, version: ahead };
    assert_eq!(ask(&Write::Delete(delete)), Written::VersionAhead);
    let removal = Version::from_bits(version.bits() + 64);
    let delete = Delete { condition: Condition::Any, version: Some(removal) };
    assert_eq!(ask(&Write::Delete(delete)), Written::Deleted { version: removal, removed: version });
    assert_eq!(ask(&Write::Delete(delete)), Written::Absent);
}

/// Writes alone keep a full shard going: what one write uses up, its own part of the background work has reclaimed.
#[test]
fn writes_keep_ahead_of_what_they_use_up() {
    let hasher = KeyHasher::new(1);
    let mut shard = Shard::new(&CacheOptions::new(4 << 20, hasher), 0).unwrap();
    let value = [7; 200];
    for number in 0..100_000_u64 {
        let key = [&b"\0"[..], &number.to_le_bytes()].concat();
        let (set, now) = (Write::Set(NewValue::new(&value)), at(NOW + number / 100));
        let written = write(&mut shard, hasher.hash(&key), &key, &set, now);
        assert!(matches!(written, Written::Stored(_)), "{number}: {written:?}");
    }
    let stats = shard.stats();
    assert!(stats.evicted_for_room > 50_000, "{stats:?}");
    assert_eq!(stats.stalls, 0, "no insert had to wait for a segment");
}
