//! A core reads what another holds, without asking it.

use reactor::{CoreId, Mailbox};
use shardstore::cache::METADATA_BYTES_MAX;
use shardstore::key::STORED_KEY_BYTES_MAX;
use shardstore::shard::NewValue;
use shardstore::version::Version;

use super::*;
use crate::kind::ItemKind;
use crate::remote::unpublished;
use crate::request::{FIRST_PART_BYTES, PART_BYTES_MAX};
use crate::rig;

const HASHER: KeyHasher = KeyHasher::new(1);

/// The largest value that is read in place, whatever its key and metadata. (Of a shard below 128 MiB: half of that.)
const IN_PLACE_BYTES_MAX: usize = 16 * 1024;

fn start(reactor: &Reactor, published: &Published) -> Store {
    let plan = ShardPlan {
        limit_bytes: 128 << 20,
        commit: Commit::default(),
        hasher: HASHER,
        region: 0,
        published: Published::clone(published),
    };
    Store::start(reactor, plan).unwrap()
}

/// A key of this length that core 1 of two owns.
fn key_of_core_1(length: usize) -> Vec<u8> {
    let keys = (0..u8::MAX).map(|number| vec![number; length]);
    let mut owned = keys.filter(|key| crate::cores::owner_core(HASHER.hash(key), 2) == CoreId(1));
    owned.next().expect("half of the keys are")
}

#[derive(Debug, PartialEq)]
enum Came {
    Found { metadata: Vec<u8>, value: Vec<u8>, expires: bool, kind: ItemKind },
    Large { metadata: Vec<u8>, value_bytes: usize },
    Absent,
    AskOwner,
}

fn read(store: &Store, key: &[u8]) -> Came {
    store.read_remote((HASHER.hash(key), key), |read| match read {
        RemoteRead::Found(item) => Came::Found {
            metadata: item.metadata.into(),
            value: item.value.into(),
            expires: item.expire_ms > 0,
            kind: item.kind,
        },
        RemoteRead::Large(item) => {
            assert!(item.value.is_empty());
            Came::Large { metadata: item.metadata.into(), value_bytes: item.value_bytes }
        }
        RemoteRead::Absent => Came::Absent,
        RemoteRead::AskOwner => Came::AskOwner,
    })
}

fn write(store: &Store, key: &[u8], metadata: &[u8], value_bytes: usize) {
    let value = vec![b'v'; value_bytes];
    let set = NewValue { metadata, ttl_ms: 60_000, ..NewValue::new(&value[..]) };
    let written = store.write((HASHER.hash(key), key), &Write::Set(set));
    assert!(matches!(written, Written::Stored(_)), "{written:?}");
}

async fn message(mailbox: &Mailbox<()>, reactor: &Reactor) {
    while mailbox.try_receive().is_none() {
        mailbox.notified(reactor).await;
    }
}

/// Core 1 writes before and after core 0 looks; messages say when.
#[test]
fn what_another_core_holds_is_read_in_place_but_for_the_bytes_of_large_values() {
    let (short, long) = (key_of_core_1(2), key_of_core_1(STORED_KEY_BYTES_MAX));
    let metadata = [b'm'; METADATA_BYTES_MAX];
    rig::run_sharing(
        2,
        8,
        || unpublished(2),
        move |reactor: Reactor, mailbox: Mailbox<()>, published| {
            let (short, long) = (short.clone(), long.clone());
            let spawning = reactor.clone();
            let task = async move {
                if reactor.core() == CoreId(1) {
                    message(&mailbox, &reactor).await;
                    let store = start(&reactor, &published);
                    write(&store, &short, b"large", 3 << 20);
                    write(&store, &long, &metadata, IN_PLACE_BYTES_MAX);
                    mailbox.send(&reactor, CoreId(0), ()).unwrap();
                    message(&mailbox, &reactor).await;
                    return reactor.stop();
                }
                let store = start(&reactor, &published);
                assert_eq!((store.cores().cores(), store.cores().control()), (2, CoreId(2)));
                assert!(!store.cores().owns(HASHER.hash(&short)) && !store.cores().owns(HASHER.hash(&long)));
                assert_eq!(read(&store, &short), Came::AskOwner, "that core starts");
                mailbox.send(&reactor, CoreId(1), ()).unwrap();
                message(&mailbox, &reactor).await;
                let facts = Came::Large { metadata: b"large".to_vec(), value_bytes: 3 << 20 };
                assert_eq!(read(&store, &short), facts, "what is known of it");
                let Some(Outcome::Found(known)) = store.inspect_remote((HASHER.hash(&short), &short)) else {
                    panic!("it is there")
                };
                let expected = (3 << 20, &b"large"[..], 0, shardstore::wire::checksum(&vec![b'v'; 3 << 20]));
                let found = (known.value_bytes, &known.metadata[..], known.part.len(), known.value_crc32c);
                assert_eq!(found, expected);
                let value = vec![b'v'; IN_PLACE_BYTES_MAX];
                let found = Came::Found { metadata: metadata.to_vec(), value, expires: true, kind: ItemKind::VALUE };
                assert!(read(&store, &long) == found, "as large as what is read in place may be");
                assert_eq!(read(&store, &key_of_core_1(3)), Came::Absent);
                mailbox.send(&reactor, CoreId(1), ()).unwrap();
                reactor.stop();
            };
            spawning.spawn(task).unwrap();
        },
    );
}

/// Runs a test on the only core of a process, with its store.
fn alone(test: impl Fn(&Reactor, &Store) + Clone + Send + 'static) {
    rig::run_sharing(
        1,
        8,
        || unpublished(1),
        move |reactor: Reactor, _: Mailbox<()>, published| {
            test(&reactor, &start(&reactor, &published));
            reactor.stop();
        },
    );
}

const KEY: &[u8] = b"\0key";

fn ask(store: &Store, part: ReadPart) -> Result<(Vec<u8>, Version), Outcome> {
    match store.read((HASHER.hash(KEY), KEY), &part) {
        Outcome::Found(found) => Ok((found.part.to_vec(), found.version)),
        outcome => Err(outcome),
    }
}

fn part(offset: usize, version: Version) -> ReadPart {
    ReadPart { offset, bytes_max: usize::MAX, version: Some(version), is_first: false, fresh: false }
}

#[test]
fn a_value_is_read_part_by_part() {
    alone(|_, store| {
        assert!(matches!(ask(store, ReadPart::beginning(false)), Err(Outcome::Absent)));
        for value_bytes in [0, 1, PART_BYTES_MAX, PART_BYTES_MAX + 1, 1_000_000] {
            write(store, KEY, b"text/plain", value_bytes);
            let (mut bytes, version) = ask(store, ReadPart::beginning(false)).unwrap();
            assert_eq!(bytes.len(), value_bytes.min(FIRST_PART_BYTES), "a part is bounded");
            while bytes.len() < value_bytes {
                let (next, _) = ask(store, part(bytes.len(), version)).unwrap();
                assert!((1..=PART_BYTES_MAX).contains(&next.len()));
                bytes.extend(next);
            }
            assert!(bytes == vec![b'v'; value_bytes]);
            assert_eq!(store.held(), 0, "nothing is held for a reader that has everything");
            let Outcome::Found(facts) = store.inspect((HASHER.hash(KEY), KEY)) else { panic!("it is there") };
            assert_eq!((facts.value_bytes, facts.part.len(), facts.version), (value_bytes, 0, version));
        }
        let other = Version::from_bits(1);
        assert!(matches!(ask(store, part(0, other)), Err(Outcome::NotApplied)), "another version is there");
    });
}

/// A reader gets the value that it has begun to read, whatever becomes of the key meanwhile; not for ever.
#[test]
fn a_value_stays_for_those_who_read_it() {
    alone(|reactor, store| {
        write(store, KEY, &[], 300_000);
        let (_, version) = ask(store, ReadPart::beginning(false)).unwrap();
        ask(store, ReadPart::beginning(false)).unwrap();
        assert_eq!(store.held(), 1, "held once for two readers");
        let delete = Write::Delete(shardstore::shard::Delete::default());
        assert!(matches!(store.write((HASHER.hash(KEY), KEY), &delete), Written::Deleted { .. }));
        let last = part(299_999, version);
        for readers_left in [1, 0] {
            assert_eq!(ask(store, part(200_000, version)).unwrap().0.len(), 100_000.min(PART_BYTES_MAX));
            assert_eq!(store.held(), readers_left, "the part to the end was the last of a reader");
        }
        assert!(matches!(ask(store, last), Err(Outcome::Absent)));

        write(store, KEY, &[], 300_000);
        ask(store, ReadPart::beginning(false)).unwrap();
        store.holds.borrow_mut().expire(reactor.now() + crate::holds::HOLD_TIME - std::time::Duration::from_nanos(1));
        assert_eq!(store.held(), 1);
        store.holds.borrow_mut().expire(reactor.now() + crate::holds::HOLD_TIME);
        assert_eq!(store.held(), 0, "nobody has asked for a while");
    });
}

#[test]
fn the_number_of_held_values_is_bounded() {
    alone(|_, store| {
        for number in 0..crate::holds::HOLDS_MAX as u32 + 9 {
            let key = [&b"\0"[..], &number.to_le_bytes()].concat();
            write(store, &key, &[], PART_BYTES_MAX + 1);
            assert!(matches!(store.read((HASHER.hash(&key), &key), &ReadPart::beginning(false)), Outcome::Found(_)));
            assert!(store.held() <= crate::holds::HOLDS_MAX);
        }
        let pinned = store.shard().stats().bytes_pinned;
        assert!(pinned <= store.shard().stats().bytes_limit / 20, "{pinned} bytes pinned");
    });
}
