//! Batches of many slices: their order among the requests of a connection, their bounds, and what becomes of them when a peer goes.

use std::time::Duration;

use shardstore::version::Condition;
use shardstore::wire::batch::{BatchAnswers, MgetKeys, MsetItem, MsetItems};
use shardstore::wire::{Kind, Op, Status, checksum};

use crate::peer::{Peer, key, set};
use crate::rig::{Rig, script};

/// As many as a batch may have: eight slices.
const ENTRIES: usize = 1024;

fn names() -> Vec<Vec<u8>> {
    (0..ENTRIES).map(|number| key(format!("many:{number}"))).collect()
}

fn mset<'a>(payload: &'a mut Vec<u8>, names: &'a [Vec<u8>], value: &'a [u8]) -> Op<'a> {
    let value_crc32c = checksum(value);
    let item = |key: &'a Vec<u8>| MsetItem {
        key,
        metadata: b"",
        value,
        value_crc32c,
        ttl_ms: 0,
        version: 0,
        condition: Condition::Any,
    };
    let items: Vec<MsetItem<'_>> = names.iter().map(item).collect();
    Op::Mset(MsetItems::write(payload, &items).unwrap())
}

/// Statuses of the entries of a batch, which were all the same.
fn status_of_all(payload: &[u8]) -> Status {
    let answers = BatchAnswers::parse(payload, ENTRIES as u16).unwrap();
    let first = answers.iter().next().unwrap().status;
    assert!(usize::from(answers.count()) == ENTRIES && answers.iter().all(|answer| answer.status == first));
    first
}

/// Requests behind a batch, and before it, take effect in the order in which they were sent, whatever core has their keys.
#[test]
fn a_batch_keeps_its_place_among_the_requests_of_its_connection() {
    for seed in 0..6 {
        Rig::new(seed, &[]).run(script!(|reactor| {
            let mut peer = Peer::any(&reactor).await;
            let (names, mut payload) = (names(), Vec::new());
            let (first, last) = (&names[0], &names[ENTRIES - 1]);
            let mut sent = vec![peer.send(set(last, b"before"))];
            sent.push(peer.send(mset(&mut payload, &names, b"batch")));
            for name in [first, last] {
                sent.push(peer.send(Op::Get { key: name }));
                sent.push(peer.send(set(name, b"behind")));
            }
            let keys: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
            sent.push(peer.send(Op::Mget(MgetKeys::write(&mut payload, &keys).unwrap())));
            sent.push(peer.send(set(last, b"last")));
            let mut answers = Vec::new();
            for _ in &sent {
                answers.push(peer.answer().await.unwrap().unwrap());
            }
            let answer_to = |index: usize| answers.iter().find(|answer| answer.id == sent[index]).unwrap();
            assert_eq!(status_of_all(&answer_to(1).value), Status::Ok);
            for index in [2, 4] {
                assert_eq!(answer_to(index).value, b"batch", "a read behind the batch");
            }
            let read = BatchAnswers::parse(&answer_to(6).value, ENTRIES as u16).unwrap();
            for (index, answer) in read.iter().enumerate() {
                let expected: &[u8] = if index == 0 || index == ENTRIES - 1 { b"behind" } else { b"batch" };
                assert_eq!((answer.status, answer.value), (Status::Ok, expected), "entry {index}");
            }
            assert_eq!(peer.get(last).await.value, b"last");
        }));
    }
}

/// A batch that nobody wants an answer to is done, though its sender has said all that it will say.
#[test]
fn a_one_way_batch_is_done_after_its_sender_has_ended() {
    for seed in 0..4 {
        let mut rig = Rig::new(seed, &[]);
        rig.run(script!(|reactor| {
            let mut peer = Peer::any(&reactor).await;
            let (names, mut payload) = (names(), Vec::new());
            peer.send_with(mset(&mut payload, &names, b"batch"), |request| request.kind = Kind::OneWay);
            peer.connection.finish(Duration::from_secs(5)).await;
            let mut peer = Peer::any(&reactor).await;
            let keys: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
            let read = peer.call(Op::Mget(MgetKeys::write(&mut payload, &keys).unwrap())).await;
            assert_eq!(status_of_all(&read.value), Status::Ok);
        }));
    }
}

/// Nothing of a batch is done that is more than one turn checks, copies and parses.
#[test]
fn a_batch_of_more_than_a_mebibyte_is_refused() {
    Rig::new(1, &[]).run(script!(|reactor| {
        let mut peer = Peer::any(&reactor).await;
        let (names, mut payload) = (names(), Vec::new());
        for (value_bytes, expected) in [(2_000, Status::TooLarge), (900, Status::Ok)] {
            let value = vec![7; value_bytes];
            let answer = peer.call(mset(&mut payload, &names, &value)).await;
            assert_eq!(answer.status, expected, "{value_bytes}");
            reactor.sleep(Duration::from_millis(10)).await;
            let stored = if expected == Status::Ok { ENTRIES as u64 } else { 0 };
            assert_eq!(peer.counted("cache_inserts").await, stored, "{value_bytes}");
        }
    }));
}
