//! Values larger than a frame, both ways.

use std::collections::BTreeMap;
use std::time::Duration;

use reactor::Instant;
use shardstore::wire::batch::{BatchAnswers, MgetKeys};
use shardstore::wire::ext::{CarriedPart, WantedPart};
use shardstore::wire::hello::{FRAME_VALUE_BYTES_MIN, Hello};
use shardstore::wire::reassembly::ValuePart;
use shardstore::wire::{Op, Request, Status, checksum};

use crate::peer::{Peer, hello, key, set};
use crate::rig::{Rig, pattern, script};

#[test]
fn large_values_travel_in_chunks_both_ways() {
    for seed in 0..4 {
        let mut rig = Rig::new(seed, &["--memory=256MiB"]);
        rig.run(script!(|reactor| {
            for (wanted, frame_bytes) in [(0, 1 << 20), (1, 64 << 10), (1, FRAME_VALUE_BYTES_MIN)] {
                let mut ours = hello(wanted);
                ours.frame_value_bytes_max = frame_bytes;
                let mut peer = Peer::greet(&reactor, &ours).await.unwrap();
                for size in [0, 1, 4096, 4097, 65_536, 65_537, 300_000, 1 << 20, 3_000_001] {
                    let value = pattern(size);
                    // On both cores: one by a hop.
                    for n in 0..4 {
                        let name = key(format!("{size}:{n}"));
                        assert_eq!(peer.set(&name, &value).await.status, Status::Ok, "{size}");
                        let read = peer.get(&name).await;
                        assert_eq!(read.status, Status::Ok, "{size}");
                        assert!(read.value == value, "{size} bytes came back changed");
                    }
                }
            }
        }));
    }
}

#[test]
fn small_answers_pass_between_the_frames_of_large_ones() {
    for seed in 0..10 {
        let mut rig = Rig::new(seed, &["--memory=256MiB"]);
        rig.run(script!(|reactor| {
            let mut ours = hello(0);
            ours.frame_value_bytes_max = 32 << 10;
            let mut peer = Peer::greet(&reactor, &ours).await.unwrap();
            let (large, small) = (key("large"), key("small"));
            let value = pattern(2_000_000);
            peer.set(&large, &value).await;
            peer.set(&small, b"small").await;
            let mut open = BTreeMap::new();
            for n in 0..20 {
                let name = if n % 4 == 0 { &large } else { &small };
                open.insert(peer.send(Op::Get { key: name }), n % 4 == 0);
            }
            while !open.is_empty() {
                let answer = peer.answer().await.unwrap().unwrap();
                let is_large = open.remove(&answer.id).unwrap();
                assert_eq!(answer.status, Status::Ok);
                assert!(if is_large { answer.value == value } else { answer.value == b"small" });
            }
        }));
    }
}

#[test]
fn a_value_does_not_change_while_it_is_sent() {
    for seed in 0..5 {
        let mut rig = Rig::new(seed, &["--memory=64MiB"]);
        rig.run(script!(|reactor| {
            let mut peer = Peer::connect(&reactor, 0).await;
            let name = key("changing");
            for round in 0..30_u8 {
                let value = vec![round; 500_000];
                peer.set(&name, &value).await;
                let read = peer.send(Op::Get { key: &name });
                let next = vec![round + 100; 500_000];
                let write = peer.send(set(&name, &next));
                for _ in 0..2 {
                    let answer = peer.answer().await.unwrap().unwrap();
                    if answer.id == read {
                        assert!(answer.value.iter().all(|byte| *byte == answer.value[0]), "two values in one");
                    } else {
                        assert_eq!((answer.id, answer.status), (write, Status::Ok));
                    }
                }
            }
        }));
    }
}

#[test]
fn what_is_too_large_is_said_to_be() {
    let mut rig = Rig::new(1, &["value_bytes = \"128KiB\"", "frame_bytes = \"64KiB\""]);
    rig.run(script!(|reactor| {
        let mut peer = Peer::any(&reactor).await;
        assert_eq!((peer.session.value_bytes_max, peer.session.limits.frame_value_bytes_max), (128 << 10, 64 << 10));
        let name = key("k");
        assert_eq!(peer.set(&name, &pattern(128 << 10)).await.status, Status::Ok);
        assert_eq!(peer.set(&name, &pattern((128 << 10) + 1)).await.status, Status::TooLarge);
        assert_eq!(peer.get(&name).await.value, pattern(128 << 10), "the old one stays");
        // A peer that takes less gets no more.
        let mut ours = hello(0);
        ours.value_bytes_max = 8192;
        let mut modest = Peer::greet(&reactor, &ours).await.unwrap();
        assert_eq!(modest.get(&name).await.status, Status::TooLarge);
    }));
}

/// A peer that reads part by part gets the value it began with, from either core, and what is known of it without its bytes.
#[test]
fn values_are_read_part_by_part() {
    for seed in 0..6 {
        let mut rig = Rig::new(seed, &["--memory=256MiB"]);
        rig.run(script!(|reactor| {
            let mut peer = Peer::connect(&reactor, 0).await;
            for n in 0..4 {
                let name = key(format!("parts:{n}"));
                let value = pattern(1_000_001 + n);
                let version = peer.set(&name, &value).await.version;
                let facts = peer.call(Op::Read { key: &name, wanted: WantedPart::default() }).await;
                let part = CarriedPart { total: value.len() as u32, offset: 0, value_crc32c: checksum(&value) };
                assert_eq!((facts.status, facts.version, facts.part), (Status::Ok, version, Some(part)));
                assert!(facts.value.is_empty());
                let small = WantedPart { bytes_max: 16 << 10, is_all_or_none: true, ..WantedPart::default() };
                assert!(peer.call(Op::Read { key: &name, wanted: small }).await.value.is_empty(), "it is not small");

                let mut read = Vec::new();
                while read.len() < value.len() {
                    let is_first = read.is_empty();
                    let wanted = WantedPart {
                        offset: read.len() as u32,
                        bytes_max: 128 << 10,
                        is_first,
                        version: if is_first { 0 } else { version },
                        ..WantedPart::default()
                    };
                    let answer = peer.call(Op::Read { key: &name, wanted }).await;
                    assert_eq!((answer.status, answer.version), (Status::Ok, version));
                    assert_eq!(answer.part, Some(CarriedPart { offset: read.len() as u32, ..part }));
                    assert_eq!(answer.value_crc32c, Some(checksum(&answer.value)));
                    read.extend(answer.value);
                    if is_first {
                        // Whatever becomes of the key meanwhile.
                        assert_eq!(peer.set(&name, b"another").await.status, Status::Ok);
                    }
                }
                assert!(read == value, "parts of one value");
                let gone = WantedPart { bytes_max: 1, version, ..WantedPart::default() };
                assert_eq!(peer.call(Op::Read { key: &name, wanted: gone }).await.status, Status::NotApplied);
                let whole = peer.call(Op::Read { key: &name, wanted: small }).await;
                assert_eq!((&whole.value[..], whole.value_crc32c), (&b"another"[..], Some(checksum(b"another"))));
            }
            let absent = Op::Read { key: &key("nothing"), wanted: WantedPart::default() };
            assert_eq!(peer.call(absent).await.status, Status::NotFound);
        }));
    }
}

/// Whole values of the other core are read part by part, too: an asker that does not read costs what is leased for it.
#[test]
fn whole_values_of_another_core_are_within_the_memory_for_copies() {
    for seed in 0..3 {
        let mut rig = Rig::new(seed, &["--memory=1GiB"]);
        rig.run(script!(|reactor| {
            let mut peer = Peer::connect(&reactor, 0).await;
            let value = pattern(12 << 20);
            // Of each core some.
            let names: Vec<_> = (0..4).map(|n| key(format!("whole:{n}"))).collect();
            for name in &names {
                assert_eq!(peer.set(name, &value).await.status, Status::Ok);
            }
            // More than 128 MiB of copies are never made: what does not fit is BUSY at once.
            let asked: Vec<_> = names.iter().cycle().take(30).map(|name| peer.send(Op::Get { key: name })).collect();
            let (mut whole, mut busy) = (0, 0);
            for _ in &asked {
                match peer.answer().await.unwrap().unwrap() {
                    answer if answer.status == Status::Ok => whole += u32::from(answer.value == value),
                    answer => {
                        assert_eq!(answer.status, Status::Busy);
                        busy += 1;
                    }
                }
            }
            assert!(whole + busy == asked.len() as u32 && whole > 8 && busy > 0, "{whole} whole, {busy} busy");
        }));
    }
}

/// Begins to send a value of 64 MiB, of which 4 KiB come; the request's id.
fn begin_value(peer: &mut Peer, name: &[u8]) -> u64 {
    let value = [7; 4096];
    peer.ids += 1;
    let op = set(name, &value);
    let request = Request::new(peer.ids, peer.slot(&op), peer.epoch, op);
    let mut out = peer.connection.write();
    request.encode_head(peer.session.dialect(), ValuePart { offset: 0, length: 4096, total: 64 << 20 }, &mut out);
    out.extend_from_slice(&value);
    peer.ids
}

/// What is begun and not sent holds what has come of it, and not for ever.
#[test]
fn values_that_are_begun_and_not_sent_keep_nobody_from_writing() {
    for seed in 0..4 {
        let mut rig = Rig::new(seed, &["--memory=1GiB"]);
        rig.run(script!(|reactor| {
            let name = key("begun");
            let mut begun = Vec::new();
            for _ in 0..40 {
                let mut peer = Peer::connect(&reactor, 0).await;
                peer.connection.set_deadline(Instant::NEVER);
                let id = begin_value(&mut peer, &name);
                // The node has taken it in.
                assert_eq!(peer.call(Op::Ping).await.status, Status::Ok);
                begun.push((peer, id));
            }
            let mut bystander = Peer::connect(&reactor, 0).await;
            for n in 0..4 {
                let written = bystander.set(&key(format!("{n}")), &pattern(8 << 20)).await;
                assert_eq!(written.status, Status::Ok, "as if nobody had begun anything");
            }
            reactor.sleep(Duration::from_secs(61)).await;
            for (peer, id) in &mut begun {
                let answer = peer.answer().await.unwrap().unwrap();
                assert_eq!((answer.id, answer.status), (*id, Status::Unavailable));
                assert_eq!(peer.call(Op::Ping).await.status, Status::Ok, "the connection goes on");
            }
            assert_eq!(begun[0].0.stat("corelane_node_assembling_bytes").await, 0);
        }));
    }
}

/// A frame whose last byte does not come is held by its core; all of them together have a bound, whoever sends them.
#[test]
fn frames_that_do_not_end_are_within_the_memory_for_them() {
    const PEERS: usize = 100;
    const VALUE_BYTES: usize = 1_000_000;
    // 64 MiB for each of two cores, on which the keys of a connection's frames do not matter.
    const FIT: usize = (64 << 20) / VALUE_BYTES;
    let mut rig = Rig::new(5, &["--memory=256MiB"]);
    rig.run(script!(|reactor| {
        let (name, value) = (key("large"), pattern(VALUE_BYTES));
        let mut peers = Vec::new();
        for _ in 0..PEERS {
            let peer = Peer::connect(&reactor, 0).await;
            let op = set(&name, &value);
            let request = Request::new(1, peer.slot(&op), 5, op);
            let mut frame = Vec::new();
            request.encode_head(peer.session.dialect(), ValuePart::whole(VALUE_BYTES as u32), &mut frame);
            frame.extend_from_slice(&value[1..]);
            peer.connection.write().extend_from_slice(&frame);
            peers.push(peer);
        }
        reactor.sleep(Duration::from_secs(20)).await;
        let mut bystander = Peer::connect(&reactor, 0).await;
        let cut = bystander.counted("node_connections_cut").await as usize;
        assert!((PEERS - FIT..=PEERS - FIT + 8).contains(&cut), "{cut} of {PEERS} were cut, {FIT} fit");
        drop(peers);
        reactor.sleep(Duration::from_secs(1)).await;
        assert_eq!(bystander.set(&name, &value).await.status, Status::Ok, "what is given back serves others");
    }));
}

/// Batches are small requests whose answers are large: those of all peers together have a bound, and what has no room is BUSY.
#[test]
fn answers_to_batches_are_within_the_memory_for_them() {
    const PEERS: usize = 180;
    let mut rig = Rig::new(6, &["--memory=1GiB"]);
    rig.run(script!(|reactor| {
        let mut first = Peer::connect(&reactor, 0).await;
        let value = pattern(225_000);
        // Four for one answer, all of the other core; a fifth does not fit.
        let names: Vec<_> =
            (0..).map(|n| key(format!("batch:{n}"))).filter(|it| first.core_of(it) == 1).take(5).collect();
        for name in &names {
            assert_eq!(first.set(name, &value).await.status, Status::Ok);
        }
        let keys: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        let mut payload = Vec::new();
        let mut peers = Vec::new();
        for _ in 0..PEERS {
            // In frames of an eighth of its answer: what is not in the send queue is held.
            let mut peer =
                Peer::greet(&reactor, &Hello { frame_value_bytes_max: 128 << 10, ..hello(0) }).await.unwrap();
            peer.send(Op::Mget(MgetKeys::write(&mut payload, &keys).unwrap()));
            peers.push(peer);
        }
        // Nobody reads meanwhile.
        reactor.sleep(Duration::from_secs(2)).await;
        let copied = first.stat("corelane_node_copied_bytes").await;
        assert!((100 << 20..=128 << 20).contains(&copied), "{copied} bytes");
        let (mut whole, mut busy) = (0, 0);
        for peer in &mut peers {
            let answer = peer.answer().await.unwrap().unwrap();
            if answer.status == Status::Busy {
                busy += 1;
                continue;
            }
            let answers = BatchAnswers::parse(&answer.value, 5).unwrap();
            let statuses: Vec<Status> = answers.iter().map(|answer| answer.status).collect();
            let of_four = |status| statuses.iter().filter(|it| **it == status).count();
            assert!(of_four(Status::Ok) == 4 || of_four(Status::Busy) > 0, "{statuses:?}");
            assert!(of_four(Status::TooLarge) == 1 || of_four(Status::Busy) > 0, "{statuses:?}");
            assert!(answers.iter().filter(|it| it.status == Status::Ok).all(|it| it.value == value));
            whole += 1;
        }
        assert!(whole > 80 && busy > 0 && whole + busy == PEERS, "{whole} whole, {busy} busy");
        reactor.sleep(Duration::from_secs(1)).await;
        assert_eq!(first.stat("corelane_node_copied_bytes").await, 0, "what was read is given back");
    }));
}

/// A large value is written slice by slice: what comes behind it on the connection is answered first, on either core.
#[test]
fn requests_behind_a_large_write_do_not_wait_for_it() {
    for seed in 0..10 {
        let mut rig = Rig::new(seed, &["--memory=256MiB"]);
        rig.run(script!(|reactor| {
            let mut peer = Peer::connect(&reactor, 0).await;
            let (value, small) = (pattern(3_000_000), key("small"));
            peer.set(&small, b"small").await;
            for n in 0..8 {
                let large = key(format!("large {n}"));
                let write = peer.send(set(&large, &value));
                let read = peer.send(Op::Get { key: &small });
                let first = peer.answer().await.unwrap().unwrap();
                let second = peer.answer().await.unwrap().unwrap();
                assert_eq!((first.id, second.id), (read, write), "{n}");
                assert_eq!((first.status, second.status), (Status::Ok, Status::Ok));
                assert!(peer.get(&large).await.value == value);
            }
        }));
    }
}

/// A peer that leaves while its value is being written leaves nothing behind, and a late write is not applied.
#[test]
fn a_large_write_that_nobody_waits_for_leaves_nothing_behind() {
    for seed in 0..10 {
        let mut rig = Rig::new(seed, &["--memory=256MiB"]);
        rig.run(script!(|reactor| {
            let value = pattern(3_000_000);
            for n in 0..4 {
                let mut peer = Peer::connect(&reactor, n % 2).await;
                peer.send(set(&key(format!("{n}")), &value));
                reactor.sleep(Duration::from_micros(u64::from(n) * 100)).await;
            }
            let mut peer = Peer::connect(&reactor, 0).await;
            reactor.sleep(Duration::from_secs(2)).await;
            let filling = peer.stat("corelane_cache_filling_bytes").await;
            assert_eq!(filling, 0);
        }));
    }
}
