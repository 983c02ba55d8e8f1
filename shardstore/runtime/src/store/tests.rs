//! A core reads what another holds, without asking it.

use reactor::{CoreId, Mailbox};
use shardstore::cache::METADATA_BYTES_MAX;
use shardstore::key::STORED_KEY_BYTES_MAX;
use shardstore::shard::NewValue;

use super::*;
use crate::kind::ItemKind;
use crate::remote::unpublished;
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
fn what_another_core_holds_is_read_in_place_unless_it_is_large() {
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
                    write(&store, &short, &[], IN_PLACE_BYTES_MAX * 2);
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
                assert_eq!(read(&store, &short), Came::AskOwner, "it is large");
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
