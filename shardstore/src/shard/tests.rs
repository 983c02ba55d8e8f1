use super::*;
use crate::key::KeyHasher;

const NOW: u64 = 1_700_000_000_000;

/// A steady clock and a wall clock that say the same.
fn at(now_ms: u64) -> ClockReadings {
    ClockReadings { steady_ms: now_ms, wall_ms: now_ms }
}

struct Rig {
    shard: Shard,
    hash: KeyHash,
}

const KEY: &[u8] = b"\0key";

impl Rig {
    fn new() -> Self {
        let hasher = KeyHasher::new(5);
        let shard = Shard::new(&CacheOptions::new(2 << 20, hasher), 9).unwrap();
        Self { shard, hash: hasher.hash(KEY) }
    }

    fn set(&mut self, set: &NewValue<'_>, now_ms: u64) -> SetOutcome {
        self.shard.set(self.hash, KEY, set, at(now_ms))
    }

    fn stored(&mut self, now_ms: u64) -> Stored {
        match self.set(&NewValue::new(b"value"), now_ms) {
            SetOutcome::Stored(stored) => stored,
            other => panic!("{other:?}"),
        }
    }

    fn version(&mut self, now_ms: u64) -> Option<Version> {
        self.shard.get(self.hash, KEY, now_ms).map(|hit| hit.version())
    }
}

/// Every condition against an absent, an expired and a living key: is it applied?
#[test]
fn conditions_hold_when_they_should() {
    let other = Version::from_bits(1);
    for expired in [None, Some(true), Some(false)] {
        let alive = expired == Some(false);
        let table = [
            (Condition::Any, true),
            (Condition::Absent, !alive),
            (Condition::Present, alive),
            (Condition::VersionEquals(other), false),
            (Condition::VersionEquals(Version::from_bits(NOW << 18 | 9)), alive),
        ];
        for (condition, applied) in table {
            let prepare = || {
                let mut rig = Rig::new();
                if let Some(expired) = expired {
                    let ttl_ms = if expired { 10 } else { 0 };
                    rig.set(&NewValue { ttl_ms, ..NewValue::new(b"old") }, NOW);
                }
                rig
            };
            let (mut rig, later) = (prepare(), NOW + 10);
            let before = rig.shard.current(rig.hash, KEY, later);
            match rig.set(&NewValue { condition, ..NewValue::new(b"new") }, later) {
                SetOutcome::Stored(stored) => {
                    assert!(applied, "set {condition:?} {expired:?}");
                    assert_eq!(stored.replaced, before);
                    assert_eq!(rig.version(later), Some(stored.version));
                }
                SetOutcome::NotApplied { current } => {
                    assert!(!applied, "set {condition:?} {expired:?}");
                    assert_eq!((current, rig.version(later)), (before, before));
                }
                outcome => panic!("{outcome:?}"),
            }
            let mut rig = prepare();
            match rig.shard.delete(rig.hash, KEY, Delete { condition, version: None }, at(later)) {
                Deleted::Deleted { version, removed } => {
                    assert!(applied && Some(removed) == before && version > removed);
                    assert_eq!(rig.version(later), None);
                }
                Deleted::NotFound => assert!(applied && before.is_none()),
                Deleted::VersionAhead => panic!("no version was brought"),
                Deleted::NotApplied { current } => {
                    assert!(!applied, "delete {condition:?} {expired:?}");
                    assert_eq!((current, rig.version(later)), (before, before));
                }
            }
        }
    }
}

#[test]
fn versions_grow_across_sets_and_deletes_whatever_the_time_does() {
    let mut rig = Rig::new();
    let first = rig.stored(NOW);
    assert_eq!((first.version.region(), first.replaced), (9, None));
    let second = rig.stored(NOW - 5_000);
    assert_eq!(second.replaced, Some(first.version));
    assert!(second.version > first.version);
    let Deleted::Deleted { version, removed } = rig.shard.delete(rig.hash, KEY, Delete::default(), at(NOW)) else {
        panic!("there was something to delete");
    };
    assert!(removed == second.version && version > removed);
    assert!(rig.stored(NOW).version > version);
    let foreign = Version::from_bits((NOW + 1_000) << 18);
    assert!(matches!(rig.set(&NewValue { version: Some(foreign), ..NewValue::new(b"") }, NOW), SetOutcome::Stored(_)));
    assert!(rig.stored(NOW).version > foreign);
}

#[test]
fn a_value_is_checked_against_the_checksum_it_came_with() {
    let mut rig = Rig::new();
    let crc = crc32c::crc32c(b"value");
    let whole = NewValue { value_crc32c: Some(crc), metadata: b"text/plain", flags: 3, ..NewValue::new(b"value") };
    assert!(matches!(rig.set(&whole, NOW), SetOutcome::Stored(_)));
    let hit = rig.shard.get(rig.hash, KEY, NOW).unwrap();
    assert_eq!((hit.value_crc32c(), hit.metadata(), hit.flags()), (crc, &b"text/plain"[..], 3));
    let parts: [&[u8]; 3] = [b"va", b"", b"lue"];
    let parts = NewValue { value_crc32c: Some(crc), ..NewValue::new(&parts[..]) };
    let SetOutcome::Stored(stored) = rig.set(&parts, NOW) else { panic!("the parts have the same checksum") };
    let damaged = NewValue { value_crc32c: Some(crc), ..NewValue::new(b"valuE") };
    let computed = crc32c::crc32c(b"valuE");
    assert_eq!(rig.set(&damaged, NOW), SetOutcome::Corrupt { given: crc, computed });
    assert_eq!(rig.version(NOW), Some(stored.version), "the old value stays");
    // Nobody computed one: the shard does.
    rig.stored(NOW);
    assert_eq!(rig.shard.get(rig.hash, KEY, NOW).unwrap().value_crc32c(), crc);
}

#[test]
fn a_touch_moves_the_expiry_and_not_the_version() {
    let mut rig = Rig::new();
    assert_eq!(rig.shard.touch(rig.hash, KEY, 100, NOW), Touched::NotFound);
    let version = rig.stored(NOW).version;
    assert_eq!(rig.shard.touch(rig.hash, KEY, 100, NOW), Touched::Touched { version });
    assert_eq!(rig.version(NOW + 99), Some(version));
    assert_eq!(rig.shard.touch(rig.hash, KEY, 0, NOW + 99), Touched::Touched { version });
    assert_eq!(rig.version(NOW + 100), Some(version));
    assert_eq!(rig.shard.touch(rig.hash, KEY, 1, NOW + 100), Touched::Touched { version });
    assert_eq!(rig.shard.touch(rig.hash, KEY, 100, NOW + 101), Touched::NotFound);
}

#[test]
fn refusals_keep_their_reason() {
    let mut rig = Rig::new();
    let version = rig.stored(NOW).version;
    let value_bytes_max = rig.shard.value_bytes_max();
    let large = vec![0; value_bytes_max + 1];
    assert_eq!(rig.set(&NewValue::new(&large[..]), NOW), SetOutcome::ValueTooLarge { value_bytes_max });
    let metadata = [0; crate::cache::METADATA_BYTES_MAX + 1];
    assert_eq!(rig.set(&NewValue { metadata: &metadata, ..NewValue::new(b"") }, NOW), SetOutcome::MetadataTooLong);
    let long = vec![0; crate::key::STORED_KEY_BYTES_MAX + 1];
    let hash = KeyHasher::new(5).hash(&long);
    assert_eq!(rig.shard.set(hash, &long, &NewValue::new(b""), at(NOW)), SetOutcome::KeyTooLong);
    assert_eq!(rig.version(NOW), Some(version));
}

/// A write that brings its version along loses against anything as new, whether it stores or removes.
#[test]
fn a_version_that_comes_along_never_replaces_anything_as_new() {
    let mut rig = Rig::new();
    let current = rig.stored(NOW).version;
    let brought = |delta: i64| Version::from_bits(current.bits().wrapping_add_signed(delta));
    for delta in [-64, 0] {
        let version = Some(brought(delta));
        let refused = SetOutcome::NotApplied { current: Some(current) };
        assert_eq!(rig.set(&NewValue { version, ..NewValue::new(b"old") }, NOW), refused, "{delta}");
        let delete = Delete { version, ..Delete::default() };
        assert_eq!(
            rig.shard.delete(rig.hash, KEY, delete, at(NOW)),
            Deleted::NotApplied { current: Some(current) },
            "{delta}"
        );
    }
    let newer = brought(64);
    let stored = SetOutcome::Stored(Stored { version: newer, replaced: Some(current) });
    let set = NewValue { version: Some(newer), ttl_ms: 100, ..NewValue::new(b"new") };
    assert_eq!(
        rig.set(&NewValue { condition: Condition::Absent, ..set }, NOW),
        SetOutcome::NotApplied { current: Some(current) }
    );
    assert_eq!(rig.set(&set, NOW), stored);
    assert_eq!((rig.version(NOW + 99), rig.version(NOW + 100)), (Some(newer), None));
    assert!(rig.stored(NOW).version > newer, "the shard's own next version is newer than what it was handed");

    let version = rig.version(NOW).unwrap();
    let removal = Version::from_bits(version.bits() + 64);
    let delete = Delete { version: Some(removal), ..Delete::default() };
    assert_eq!(
        rig.shard.delete(rig.hash, KEY, delete, at(NOW)),
        Deleted::Deleted { version: removal, removed: version }
    );
    assert_eq!(rig.shard.delete(rig.hash, KEY, delete, at(NOW)), Deleted::NotFound);
}

#[test]
fn a_version_in_the_future_is_refused() {
    let mut rig = Rig::new();
    let current = rig.stored(NOW).version;
    let version = Some(Version::from_bits(u64::MAX));
    assert_eq!(rig.set(&NewValue { version, ..NewValue::new(b"new") }, NOW), SetOutcome::VersionAhead);
    let delete = Delete { version, ..Delete::default() };
    assert_eq!(rig.shard.delete(rig.hash, KEY, delete, at(NOW)), Deleted::VersionAhead);
    assert_eq!(rig.version(NOW), Some(current));
}

/// Lifetimes are counted on the steady clock, versions on the wall clock; a wall clock that is set back ends neither their order
/// nor their growth.
#[test]
fn a_wall_clock_that_is_set_moves_versions_only() {
    let mut rig = Rig::new();
    let mut last = Version::default();
    for wall_ms in [NOW, NOW - 60_000, NOW + 3_600_000, 0] {
        let now = ClockReadings { steady_ms: 5_000, wall_ms };
        let set = NewValue { ttl_ms: 1_000, ..NewValue::new(b"value") };
        let SetOutcome::Stored(stored) = rig.shard.set(rig.hash, KEY, &set, now) else { panic!("it is stored") };
        assert!(stored.version > last && stored.version.ms() >= wall_ms, "{} at {wall_ms}", stored.version);
        last = stored.version;
        assert_eq!(rig.version(5_999), Some(last), "at {wall_ms}");
        let Deleted::Deleted { version, .. } = rig.shard.delete(rig.hash, KEY, Delete::default(), now) else {
            panic!("it is there until its own time is over")
        };
        assert!(version > last);
        last = version;
        assert!(matches!(rig.shard.set(rig.hash, KEY, &set, now), SetOutcome::Stored(_)));
        assert_eq!(rig.version(6_000), None, "its own time is over");
    }
}

/// Slots that leave, come back while the sweep is under way, and leave again.
mod slots {
    use super::*;
    use crate::key::SlotId;

    const KEYS: u16 = 3000;

    fn key(number: u16) -> Vec<u8> {
        format!("\0{number}").into_bytes()
    }

    struct Rig {
        shard: Shard,
        hasher: KeyHasher,
    }

    impl Rig {
        fn full() -> Self {
            let hasher = KeyHasher::new(5);
            let mut rig = Rig { shard: Shard::new(&CacheOptions::new(8 << 20, hasher), 9).unwrap(), hasher };
            (0..KEYS).for_each(|number| rig.put(number));
            rig
        }

        fn hash(&self, number: u16) -> KeyHash {
            self.hasher.hash(&key(number))
        }

        fn put(&mut self, number: u16) {
            let stored = self.shard.set(self.hash(number), &key(number), &NewValue::new(b"value"), at(NOW));
            assert!(matches!(stored, SetOutcome::Stored(_)), "{stored:?}");
        }

        fn has(&mut self, number: u16) -> bool {
            self.shard.get(self.hash(number), &key(number), NOW).is_some()
        }

        fn is_lower(&self, number: u16) -> bool {
            self.hash(number).slot().number() < 8192
        }

        fn disown(&mut self, is_lost: impl Fn(u16) -> bool) {
            self.shard.disown(SlotId::all().filter(|slot| is_lost(slot.number())));
        }

        fn sweep(&mut self) -> u64 {
            let mut dropped = 0;
            for _ in 0..KEYS {
                let slice = self.shard.sweep(NOW);
                dropped += slice.dropped;
                if slice.is_done {
                    return dropped;
                }
            }
            panic!("the sweep does not end")
        }
    }

    #[test]
    fn what_a_slot_held_is_dropped_and_counted_and_the_rest_stays() {
        let mut rig = Rig::full();
        let lost = (0..KEYS).filter(|number| rig.is_lower(*number)).count() as u64;
        assert!(!rig.shard.is_sweeping() && rig.shard.sweep(NOW).is_done);
        rig.disown(|slot| slot < 8192);
        assert!(!rig.shard.sweep(NOW).is_done, "the work of a slice is bounded");
        let before = rig.shard.stats().disowned;
        assert_eq!(before + rig.sweep(), lost);
        assert_eq!(rig.shard.stats().disowned, lost);
        assert!(!rig.shard.is_sweeping());
        for number in 0..KEYS {
            assert_eq!(rig.has(number), !rig.is_lower(number), "{number}");
        }
    }

    #[test]
    fn a_slot_that_comes_back_at_once_shows_nothing_of_before_and_keeps_what_came_since() {
        let mut rig = Rig::full();
        rig.disown(|slot| slot < 8192);
        let lower: Vec<u16> = (0..KEYS).filter(|number| rig.is_lower(*number)).collect();
        let (written, read) = lower.split_at(lower.len() / 2);
        let mut purged = 0;
        for number in written {
            purged += u64::from(rig.shard.purge(rig.hash(*number), &key(*number), NOW));
            rig.put(*number);
        }
        for number in &read[..10] {
            purged += u64::from(rig.shard.purge(rig.hash(*number), &key(*number), NOW));
            assert!(!rig.has(*number));
        }
        assert_eq!(purged, written.len() as u64 + 10);
        // Other slots leave meanwhile: what was written since the first came back is not theirs.
        rig.disown(|slot| slot >= 16000);
        let others = (0..KEYS).filter(|number| rig.hash(*number).slot().number() >= 16000).count();
        assert_eq!(rig.sweep() as usize, read.len() - 10 + others);
        assert!(
            written.iter().all(|number| rig.shard.get(rig.hasher.hash(&key(*number)), &key(*number), NOW).is_some())
        );
        assert!(!rig.shard.purge(rig.hash(written[0]), &key(written[0]), NOW), "the sweep is over");
    }

    #[test]
    fn a_write_that_brings_a_version_from_before_is_not_applied() {
        let mut rig = Rig::full();
        let version = Version::from_bits((NOW + 5) << 18);
        let set = NewValue { version: Some(version), ..NewValue::new(b"copy") };
        let (hash, name) = (rig.hash(1), key(1));
        assert!(matches!(rig.shard.set(hash, &name, &set, at(NOW)), SetOutcome::Stored(_)));
        rig.disown(|slot| slot == hash.slot().number());
        rig.shard.purge(hash, &name, NOW);
        assert_eq!(rig.shard.set(hash, &name, &set, at(NOW)), SetOutcome::NotApplied { current: None });
        rig.sweep();
        assert!(matches!(rig.shard.set(hash, &name, &set, at(NOW)), SetOutcome::Stored(_)), "its past is forgotten");
    }

    #[test]
    fn what_had_expired_is_not_counted() {
        let mut rig = Rig::full();
        let (hash, name) = (rig.hash(7), key(7));
        rig.shard.set(hash, &name, &NewValue { ttl_ms: 1, ..NewValue::new(b"short") }, at(NOW));
        rig.disown(|slot| slot == hash.slot().number());
        assert!(!rig.shard.purge(hash, &name, NOW + 1));
        let others = (0..KEYS).filter(|number| *number != 7 && rig.hash(*number).slot() == hash.slot()).count() as u64;
        assert_eq!(rig.sweep(), others);
    }
}
