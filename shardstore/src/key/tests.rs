//! Tests of keys: golden hashes, the hash-tag rule, the stored form, the spread over slots and cores.

use super::*;

/// The short ones were also made by another implementation, from the text of docs/wire.md. Values that other releases and other languages rely on: (seed, stored key, place hash, index hash).
const GOLDEN: &[(u64, &[u8], u64, u64)] = &[
    (0, b"\0a", 0x0e8b_5613_c597_44e9, 0x7cb3_6d2e_2c07_5c80),
    (0, b"\0user:1", 0x5fdf_6914_42e5_6d37, 0xed8d_1811_a8bd_2b16),
    (0, b"\x04sess{tag}x", 0xdbd1_12c0_143b_5928, 0xab41_cba0_74c6_2393),
    (0x1234_5678_9abc_def0, b"\0user:1", 0x05aa_bd15_f493_5b30, 0x4cd3_9a4a_8bc7_ad86),
    (
        0x1234_5678_9abc_def0,
        b"\0a key of more than forty-eight bytes, to take the long path of the hash",
        0xe6ea_14cc_8373_147f,
        0xdb8a_c119_c423_f9a0,
    ),
];

#[test]
fn hashes_are_stable() {
    for (seed, key, place, index) in GOLDEN {
        let hash = KeyHasher::new(*seed).hash(key);
        assert_eq!(
            (hash.place(), hash.index()),
            (*place, *index),
            "seed {seed:#x} key {:?}: {:#018x} {:#018x}",
            String::from_utf8_lossy(key),
            hash.place(),
            hash.index()
        );
    }
}

#[test]
fn only_a_non_empty_tag_counts() {
    let cases: &[(&[u8], Option<&[u8]>)] = &[
        (b"\0plain", None),
        (b"\0{user}.a", Some(b"user")),
        (b"\0a{user}b{other}", Some(b"user")),
        (b"\0{}a{b}", None),
        (b"\0{unclosed", None),
        (b"\0}a{b}", Some(b"b")),
        (b"\0{{a}}", Some(b"{a")),
        (b"\x02ks{a}", Some(b"a")),
    ];
    for (key, tag) in cases {
        assert_eq!(hash_tag(key), *tag, "{:?}", String::from_utf8_lossy(key));
    }
}

#[test]
fn one_tag_is_one_place_but_many_index_hashes() {
    let hasher = KeyHasher::new(7);
    let (a, b) = (hasher.hash(b"\0{cart}1"), hasher.hash(b"\0{cart}2"));
    assert_eq!(a.place(), b.place());
    assert_ne!(a.index(), b.index());
}

#[test]
fn stored_keys_round_trip_and_differ() {
    let long = vec![b'k'; KEY_BYTES_MAX];
    let name = vec![b'n'; KEYSPACE_NAME_BYTES_MAX];
    let cases: &[(&[u8], &[u8])] =
        &[(b"default", b"k"), (b"a", b"bc"), (b"ab", b"c"), (b"default", b"abc"), (b"x_-9", b"\0\xff"), (&name, &long)];
    let mut seen = std::collections::HashSet::new();
    for (keyspace, key) in cases {
        let mut stored = Vec::new();
        StoredKey::encode(keyspace, key, &mut stored).unwrap();
        assert_eq!(StoredKey::split(&stored).unwrap(), StoredKey { keyspace, key });
        let mut buffer = StoredKeyBuffer::new();
        assert_eq!(buffer.set(keyspace, key).unwrap(), stored);
        assert_eq!(buffer.as_bytes(), stored);
        assert!(stored.len() <= STORED_KEY_BYTES_MAX);
        assert!(seen.insert(stored), "two pairs share a stored key");
    }
}

#[test]
fn bad_parts_are_refused() {
    let long = vec![b'k'; KEY_BYTES_MAX + 1];
    let name = vec![b'n'; KEYSPACE_NAME_BYTES_MAX + 1];
    let cases: &[(&[u8], &[u8], KeyError)] = &[
        (b"default", b"", KeyError::KeyEmpty),
        (b"default", &long, KeyError::KeyTooLong(KEY_BYTES_MAX + 1)),
        (b"", b"k", KeyError::KeyspaceName),
        (b"Upper", b"k", KeyError::KeyspaceName),
        (b"br{ace", b"k", KeyError::KeyspaceName),
        (&name, b"k", KeyError::KeyspaceName),
    ];
    for (keyspace, key, error) in cases {
        let mut out = vec![1];
        assert_eq!(StoredKey::encode(keyspace, key, &mut out), Err(*error));
        assert_eq!(out, [1], "a refused key leaves the buffer as it was");
        assert_eq!(StoredKeyBuffer::new().set(keyspace, key), Err(*error));
    }
    let stored: &[(&[u8], KeyError)] = &[
        (b"", KeyError::Truncated),
        (b"\0", KeyError::KeyEmpty),
        (b"\x05ab", KeyError::Truncated),
        (b"\x07defaultk", KeyError::DefaultSpelled),
        (b"\x02A{k", KeyError::KeyspaceName),
    ];
    for (bytes, error) in stored {
        assert_eq!(StoredKey::split(bytes), Err(*error), "{bytes:?}");
    }
}

#[test]
fn one_slot_spreads_over_all_cores_and_all_slots_are_used() {
    const CORES: u16 = 12;
    let hasher = KeyHasher::new(99);
    let mut by_slot = vec![0_u32; usize::from(SLOT_COUNT)];
    let mut by_core_in_slots = [0_u32; CORES as usize];
    for n in 0..400_000_u32 {
        let mut key = vec![0];
        key.extend_from_slice(n.to_string().as_bytes());
        let hash = hasher.hash(&key);
        by_slot[hash.slot().index()] += 1;
        if hash.slot().number() < 512 {
            by_core_in_slots[hash.shard(CORES).index()] += 1;
        }
    }
    assert!(by_slot.iter().all(|&count| count > 0), "a slot without a single key of 400,000");
    let mean = by_core_in_slots.iter().sum::<u32>() / u32::from(CORES);
    for count in by_core_in_slots {
        assert!(count.abs_diff(mean) < mean / 5, "{by_core_in_slots:?}");
    }
}

#[test]
fn slot_ids_are_bounded() {
    assert_eq!(SlotId::new(SLOT_COUNT), None);
    assert_eq!(SlotId::new(SLOT_COUNT - 1).map(SlotId::number), Some(16_383));
    assert_eq!(SlotId::all().count(), 16_384);
}
