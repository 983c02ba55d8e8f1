//! Values larger than a frame, both ways.

use std::collections::BTreeMap;

use shardstore::wire::hello::FRAME_VALUE_BYTES_MIN;
use shardstore::wire::{Op, Status};

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
