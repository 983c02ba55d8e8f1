//! Every operation, on the core that holds the key and on the other.

use std::time::Duration;

use shardstore::version::{Condition, Version};
use shardstore::wire::batch::{BatchAnswers, MgetKeys, MsetItem, MsetItems};
use shardstore::wire::request::Set;
use shardstore::wire::topology::TopologyText;
use shardstore::wire::{Flags, HEADER_BYTES, Kind, Op, Request, Status};

use crate::peer::{Peer, dial, hello, key, read_hello, set};
use crate::rig::{ALONE, Rig, node_address, script};

const SEEDS: std::ops::Range<u64> = 0..20;

#[test]
fn values_are_stored_read_changed_and_removed() {
    for seed in SEEDS {
        Rig::new(seed, &[]).run(script!(|reactor| {
            let mut peer = Peer::any(&reactor).await;
            for n in 0..20 {
                let key = key(format!("user:{n}"));
                assert_eq!(peer.get(&key).await.status, Status::NotFound);
                let first = peer.set(&key, b"one").await;
                assert_eq!((first.status, first.previous_version), (Status::Ok, None));
                let read = peer.get(&key).await;
                assert_eq!((read.value.as_slice(), read.version, read.credits), (&b"one"[..], first.version, 1));
                assert_eq!(u16::from(read.core), peer.core_of(&key));
                let second = peer.set(&key, b"two").await;
                assert_eq!(second.previous_version, Some(first.version));
                assert!(second.version > first.version);
                let touched = peer.call(Op::Touch { key: &key, ttl_ms: 5_000 }).await;
                assert_eq!((touched.status, touched.version), (Status::Ok, second.version));
                // Two cores' calendars differ by a millisecond at most.
                assert!((4_000..=5_001).contains(&peer.get(&key).await.ttl_ms));
                let delete = |condition| Op::Delete { key: &key, version: 0, condition };
                let refused = peer.call(delete(Condition::VersionEquals(Version::from_bits(first.version)))).await;
                assert_eq!((refused.status, refused.previous_version), (Status::NotApplied, Some(second.version)));
                let removed = peer.call(delete(Condition::VersionEquals(Version::from_bits(second.version)))).await;
                assert_eq!((removed.status, removed.previous_version), (Status::Ok, Some(second.version)));
                assert_eq!(peer.call(delete(Condition::Any)).await.status, Status::NotFound);
                assert_eq!(peer.get(&key).await.status, Status::NotFound);
            }
        }));
    }
}

#[test]
fn conditions_versions_metadata_and_time_to_live() {
    for seed in SEEDS {
        Rig::new(seed, &[]).run(script!(|reactor| {
            let mut peer = Peer::any(&reactor).await;
            for n in 0..6 {
                let key = key(format!("item:{n}"));
                let write = |condition, version, ttl_ms| {
                    let value = b"value";
                    let value_crc32c = shardstore::wire::checksum(value);
                    Op::Set(Set { key: &key, value, metadata: b"text/plain", value_crc32c, ttl_ms, version, condition })
                };
                assert_eq!(peer.call(write(Condition::Present, 0, 0)).await.status, Status::NotApplied);
                let stored = peer.call(write(Condition::Absent, 0, 3_000)).await;
                assert_eq!(stored.status, Status::Ok);
                let read = peer.get(&key).await;
                assert_eq!(read.metadata, b"text/plain");
                assert!((1..=3_000).contains(&read.ttl_ms));
                assert_eq!(peer.call(write(Condition::Absent, 0, 0)).await.previous_version, Some(stored.version));
                // A fill loses against what is newer, and wins over what is older.
                assert_eq!(peer.call(write(Condition::Any, stored.version - 64, 0)).await.status, Status::NotApplied);
                assert_eq!(peer.call(write(Condition::Any, stored.version, 0)).await.status, Status::NotApplied);
                let newer = stored.version + (1 << 18);
                assert_eq!(peer.call(write(Condition::Any, newer, 1_000)).await.version, newer);
                assert!(peer.set(&key, b"next").await.version > newer, "later versions are greater");
                assert_eq!(peer.call(write(Condition::Any, u64::MAX, 0)).await.status, Status::Unavailable);
                let short = peer.call(write(Condition::Any, 0, 1_000)).await;
                assert_eq!(short.status, Status::Ok);
                reactor.sleep(Duration::from_millis(1_100)).await;
                assert_eq!(peer.get(&key).await.status, Status::NotFound, "its time is over");
            }
        }));
    }
}

#[test]
fn a_value_that_changed_on_the_way_is_not_stored() {
    Rig::new(1, &[]).run(script!(|reactor| {
        let mut peer = Peer::any(&reactor).await;
        for n in 0..4 {
            let key = key(format!("bad:{n}"));
            let Op::Set(good) = set(&key, b"value") else { unreachable!() };
            for version in [0, 1 << 20] {
                let bad = Op::Set(Set { value: b"velue", version, ..good });
                assert_eq!(peer.call(bad).await.status, Status::Corrupt);
            }
            assert_eq!(peer.get(&key).await.status, Status::NotFound);
        }
    }));
}

#[test]
fn batches_are_answered_in_order_whatever_core_holds_their_keys() {
    for seed in SEEDS {
        Rig::new(seed, &[]).run(script!(|reactor| {
            let mut peer = Peer::any(&reactor).await;
            let names: Vec<Vec<u8>> = (0..50).map(|n| key(format!("batch:{n}"))).collect();
            let values: Vec<Vec<u8>> = (0..50).map(|n| vec![n as u8; n * 10]).collect();
            let items: Vec<MsetItem<'_>> = names
                .iter()
                .zip(&values)
                .take(40)
                .map(|(key, value)| MsetItem {
                    key,
                    metadata: b"m",
                    value,
                    value_crc32c: shardstore::wire::checksum(value),
                    ttl_ms: 9_000,
                    version: 0,
                    condition: Condition::Any,
                })
                .collect();
            let (mut payload, mut versions) = (Vec::new(), Vec::new());
            for is_second in [false, true] {
                let stored = peer.call(Op::Mset(MsetItems::write(&mut payload, &items).unwrap())).await;
                assert!(stored.flags.contains(Flags::BATCH));
                let answers = BatchAnswers::parse(&stored.value, 1024).unwrap();
                assert_eq!(answers.count(), 40);
                assert!(answers.iter().all(|answer| answer.status == Status::Ok && answer.replaced == is_second));
                versions = answers.iter().map(|answer| answer.version).collect();
            }
            let keys: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
            let read = peer.call(Op::Mget(MgetKeys::write(&mut payload, &keys).unwrap())).await;
            let answers = BatchAnswers::parse(&read.value, 1024).unwrap();
            for (index, answer) in answers.iter().enumerate() {
                if index < 40 {
                    assert_eq!((answer.status, answer.value), (Status::Ok, values[index].as_slice()));
                    assert_eq!(answer.value_crc32c, shardstore::wire::checksum(answer.value));
                    assert_eq!((answer.version, answer.metadata), (versions[index], &b"m"[..]));
                    assert!((8_000..=9_001).contains(&answer.ttl_ms), "{} ms left", answer.ttl_ms);
                } else {
                    assert_eq!(answer.status, Status::NotFound);
                }
            }
        }));
    }
}

/// A batch of keys that one core holds, whichever that is, and as long as a batch may be.
#[test]
fn batches_may_be_of_one_core_and_as_long_as_was_agreed() {
    for seed in SEEDS {
        Rig::new(seed, &[]).run(script!(|reactor| {
            let mut ours = hello(0);
            ours.batch_entries_max = 4;
            let mut peer = Peer::greet(&reactor, &ours).await.unwrap();
            for core in [0, 1] {
                let names = (0..100).map(|n| key(format!("one:{n}"))).filter(|name| peer.core_of(name) == core);
                let names: Vec<Vec<u8>> = names.take(5).collect();
                let keys: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
                let mut payload = Vec::new();
                for (count, expected) in [(1, Status::Ok), (4, Status::Ok), (5, Status::TooLarge)] {
                    let read = peer.call(Op::Mget(MgetKeys::write(&mut payload, &keys[..count]).unwrap())).await;
                    assert_eq!(read.status, expected, "{count} keys of core {core}");
                    if expected == Status::Ok {
                        let answers = BatchAnswers::parse(&read.value, 4).unwrap();
                        assert!(
                            usize::from(answers.count()) == count
                                && answers.iter().all(|it| it.status == Status::NotFound)
                        );
                    }
                }
            }
        }));
    }
}

#[test]
fn the_node_tells_of_itself() {
    Rig::new(3, &[]).run(script!(|reactor| {
        let mut peer = Peer::any(&reactor).await;
        assert_eq!(peer.call(Op::Ping).await.status, Status::Ok);
        peer.set(&key("a"), b"1").await;
        assert_eq!(peer.stat("corelane_node_requests_total{operation=\"set\"}").await, 1);
        assert_eq!(peer.stat("corelane_node_connections").await, 1);
        let known = peer.send_with(Op::Topology, |request| request.slot_epoch = 5);
        let answer = peer.answer().await.unwrap().unwrap();
        assert_eq!(answer.id, known);
        assert_eq!(TopologyText::parse(&answer.value), Ok(TopologyText { epoch: 5, text: "" }));
        peer.send_with(Op::Topology, |request| request.slot_epoch = 0);
        let answer = peer.answer().await.unwrap().unwrap();
        assert_eq!(TopologyText::parse(&answer.value), Ok(TopologyText { epoch: 5, text: ALONE }));
    }));
}

#[test]
fn the_core_that_is_named_serves_and_others_are_reached_by_a_hop() {
    for seed in SEEDS {
        Rig::new(seed, &[]).run(script!(|reactor| {
            for wanted in [0, 1] {
                let mut peer = Peer::connect(&reactor, wanted).await;
                let names: Vec<Vec<u8>> = (0..40).map(|n| key(format!("{wanted}:{n}"))).collect();
                let (own, others): (Vec<_>, Vec<_>) = names.iter().partition(|name| peer.core_of(name) == wanted);
                assert!(own.len() > 5 && others.len() > 5);
                let before = peer.counted("store_hops").await;
                for name in own {
                    peer.set(name, b"own").await;
                    assert_eq!(peer.get(name).await.value, b"own");
                }
                assert_eq!(peer.counted("store_hops").await, before, "the connection was handed to the core it named");
                let count = others.len() as u64;
                for name in &others {
                    assert_eq!(peer.set(name, b"other").await.status, Status::Ok);
                }
                assert_eq!(peer.counted("store_hops").await, before + count, "writes go to the owner");
                let read = peer.counted("store_reads_in_place").await;
                for name in &others {
                    let answer = peer.get(name).await;
                    assert_eq!((answer.status, answer.value.as_slice()), (Status::Ok, b"other".as_slice()));
                    let absent = [name.as_slice(), b"?"].concat();
                    if peer.core_of(&absent) != wanted {
                        assert_eq!(peer.get(&absent).await.status, Status::NotFound);
                    }
                }
                assert!(peer.counted("store_reads_in_place").await >= read + count, "reads do not");
                assert_eq!(peer.counted("store_hops").await, before + count);
            }
        }));
    }
}

#[test]
fn quiet_and_one_way_requests_are_answered_only_when_they_ask_for_it() {
    for seed in SEEDS {
        Rig::new(seed, &[]).run(script!(|reactor| {
            let mut peer = Peer::any(&reactor).await;
            let (absent, present) = (key("absent"), key("present"));
            for n in 0..10 {
                let value = format!("{n}");
                peer.send_with(set(&present, value.as_bytes()), |request| request.kind = Kind::OneWay);
                peer.send_with(set(&present, value.as_bytes()), |request| request.flags = Flags::QUIET);
                peer.send_with(Op::Get { key: &absent }, |request| request.flags = Flags::QUIET);
                let wanted = peer.send_with(Op::Get { key: &present }, |request| request.flags = Flags::QUIET);
                let answer = peer.answer().await.unwrap().unwrap();
                assert_eq!((answer.id, answer.value.as_slice()), (wanted, value.as_bytes()));
            }
            assert_eq!(peer.counted("node_over_credit").await, 0);
        }));
    }
}

#[test]
fn requests_right_behind_the_hello_follow_it_to_the_core_it_names() {
    for seed in SEEDS {
        Rig::new(seed, &[]).run(script!(|reactor| {
            for wanted in [0, 1, 0, 1] {
                let name = key("early");
                let peer = Peer::any(&reactor).await;
                let connection = dial(&reactor, &node_address()).await;
                let mut bytes = Vec::new();
                hello(wanted).encode(&mut bytes);
                let slot = peer.slot(&Op::Get { key: &name });
                for id in 0..5 {
                    Request::new(id, slot, 5, Op::Get { key: &name }).encode(peer.session.dialect(), &mut bytes);
                }
                connection.write().extend_from_slice(&bytes);
                let mut said = Vec::new();
                assert!(read_hello(&connection, &mut said).await.is_some());
                // Five answers without a value: a header each.
                while said.len() < 5 * HEADER_BYTES {
                    said.extend_from_slice(&connection.receive().await.unwrap().unwrap());
                }
            }
        }));
    }
}
