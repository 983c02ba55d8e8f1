//! Credits, deadlines, pipelining, peers that do not read.

use std::collections::BTreeSet;
use std::time::Duration;

use shardstore::wire::{Flags, Op, Status};

use crate::peer::{Peer, key, set};
use crate::rig::{Rig, pattern, script};

const SEEDS: std::ops::Range<u64> = 0..20;

#[test]
fn a_full_window_is_served_and_more_is_busy() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed, &["requests_per_connection = 16"]);
        rig.run(script!(|reactor| {
            let mut peer = Peer::connect(&reactor, 0).await;
            assert_eq!(peer.session.send_requests, 16);
            // Of this core only, so that answers are written in the pass their requests come in.
            let all = (0..).map(|n| key(format!("key:{n}")));
            let names: Vec<Vec<u8>> = all.filter(|name| peer.core_of(name) == 0).take(16).collect();
            for name in &names {
                peer.set(name, b"value").await;
            }
            // Within the window nothing is refused, however it is split on the way.
            for _ in 0..20 {
                let mut open: BTreeSet<u64> = names.iter().map(|name| peer.send(Op::Get { key: name })).collect();
                while !open.is_empty() {
                    let answer = peer.answer().await.unwrap().unwrap();
                    assert_eq!((answer.status, open.remove(&answer.id)), (Status::Ok, true));
                }
            }
            assert_eq!(peer.counted("node_over_credit").await, 0);
            // Beyond it, every request is still answered. Those of the other core wait for it, and that is what the
            // window bounds.
            let all = (0..).map(|n| key(format!("other:{n}")));
            let others: Vec<Vec<u8>> = all.filter(|name| peer.core_of(name) == 1).take(16).collect();
            let write = |n: usize| set(&others[n % 16], b"value");
            let mut open: BTreeSet<u64> = (0..400).map(|n| peer.send(write(n))).collect();
            let mut busy = 0;
            while !open.is_empty() {
                let answer = peer.answer().await.unwrap().unwrap();
                assert!(open.remove(&answer.id));
                match answer.status {
                    Status::Ok => {}
                    Status::Busy => {
                        busy += 1;
                        assert!(answer.retry_after_us.is_some());
                    }
                    status => panic!("{status:?}"),
                }
            }
            assert_eq!(peer.counted("node_over_credit").await, busy);
            assert!(busy > 0, "a burst of 400 does not fit a window of 16");
            assert_eq!(peer.get(&names[0]).await.status, Status::Ok, "the window is whole again");
        }));
    }
}

/// At saturation the send queue of a connection is never empty. That is no reason to refuse a peer that has never had
/// more in flight than its window.
#[test]
fn a_peer_that_keeps_to_its_window_is_never_busy_however_slowly_it_reads() {
    for seed in 0..5 {
        let mut rig = Rig::new(seed, &["requests_per_connection = 64"]);
        rig.run(script!(|reactor| {
            let mut peer = Peer::connect(&reactor, 0).await;
            let name = (0..).map(|n| key(format!("{n}"))).find(|name| peer.core_of(name) == 0).unwrap();
            peer.set(&name, &pattern(64 * 1024)).await;
            let mut open: BTreeSet<u64> = (0..32).map(|_| peer.send(Op::Get { key: &name })).collect();
            for answered in 0..2_000 {
                if answered % 16 == 0 {
                    reactor.sleep(Duration::from_millis(2)).await;
                }
                let answer = peer.answer().await.unwrap().unwrap();
                assert_eq!((answer.status, open.remove(&answer.id)), (Status::Ok, true), "answer {answered}");
                open.insert(peer.send(Op::Get { key: &name }));
            }
            while !open.is_empty() {
                let answer = peer.answer().await.unwrap().unwrap();
                assert_eq!((answer.status, open.remove(&answer.id)), (Status::Ok, true));
            }
            assert_eq!(peer.counted("node_over_credit").await, 0);
        }));
    }
}

/// Whoever asks quietly gets its credit back with the next answer, of whatever size and from whichever core.
#[test]
fn credit_of_silenced_answers_comes_with_the_next_answer() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed, &["requests_per_connection = 16"]);
        rig.run(script!(|reactor| {
            let mut peer = Peer::connect(&reactor, 0).await;
            let (absent, large) = (key("absent"), key("large"));
            peer.set(&large, &pattern(3 << 20)).await;
            let mut free = peer.session.send_requests;
            for round in 0..200_u32 {
                let mut quiet = 0;
                while free > 1 {
                    let small = key(format!("{}", reactor.random() % 8));
                    let op =
                        if reactor.random().is_multiple_of(2) { Op::Get { key: &absent } } else { set(&small, b"v") };
                    peer.send_with(op, |request| request.flags |= Flags::QUIET);
                    (free, quiet) = (free - 1, quiet + 1);
                }
                // A round trip later nothing is under way any more, on either core.
                reactor.sleep(Duration::from_millis(10)).await;
                let answer = if round % 16 == 0 { peer.get(&large).await } else { peer.call(Op::Ping).await };
                assert_eq!((answer.status, u32::from(answer.credits)), (Status::Ok, quiet + 1), "round {round}");
                free += quiet;
                assert_eq!(free, peer.session.send_requests);
            }
            assert_eq!(peer.counted("node_over_credit").await, 0);
        }));
    }
}

#[test]
fn answers_come_for_every_request_of_many_connections() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed, &[]);
        let peers: Vec<_> = (0..6)
            .map(|_| {
                rig.peer(script!(|reactor| {
                    let mut peer = Peer::connect(&reactor, (reactor.random() % 2) as u16).await;
                    for round in 0..10_u32 {
                        let names: Vec<Vec<u8>> = (0..32).map(|n| key(format!("{n}"))).collect();
                        let value = pattern((reactor.random() % 3000) as usize);
                        let mut open: BTreeSet<u64> = BTreeSet::new();
                        for name in &names {
                            let op = if reactor.random().is_multiple_of(3) {
                                set(name, &value)
                            } else {
                                Op::Get { key: name }
                            };
                            open.insert(peer.send(op));
                        }
                        while !open.is_empty() {
                            let answer = peer.answer().await.unwrap().unwrap();
                            assert!(open.remove(&answer.id), "round {round}");
                            assert!(matches!(answer.status, Status::Ok | Status::NotFound), "{answer:?}");
                        }
                    }
                }))
            })
            .collect();
        for peer in peers {
            rig.finish(peer);
        }
        rig.assert_at_rest();
    }
}

#[test]
fn a_request_whose_time_is_over_is_not_served() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed, &[]);
        rig.run(script!(|reactor| {
            let mut peer = Peer::connect(&reactor, 0).await;
            let other = (0..).map(|n| key(format!("{n}"))).find(|key| peer.core_of(key) == 1).unwrap();
            let mut missed = 0;
            for n in 0..40 {
                // A simulated pass takes up to three microseconds: a hop may or may not be in time.
                peer.deadline_us = 1;
                let value = format!("{n}");
                let answer = peer.set(&other, value.as_bytes()).await;
                peer.deadline_us = 0;
                let is_applied = peer.get(&other).await.value == value.as_bytes();
                assert_eq!(is_applied, answer.status == Status::Ok, "{:?}", answer.status);
                missed += u64::from(answer.status == Status::Unavailable);
            }
            assert!(missed > 0, "some of forty are late");
            assert_eq!(peer.counted("node_deadlines_missed").await, missed);
        }));
    }
}

#[test]
fn a_peer_that_never_reads_is_cut_and_others_do_not_notice() {
    for seed in 0..10 {
        let mut rig = Rig::new(seed, &[]);
        let slow = rig.peer(script!(|reactor| {
            let mut peer = Peer::connect(&reactor, 0).await;
            let value = pattern(700_000);
            let name = key("large");
            peer.set(&name, &value).await;
            for _ in 0..200 {
                peer.send(Op::Get { key: &name });
            }
            // Never reads, far beyond what the node allows.
            reactor.sleep(Duration::from_secs(40)).await;
        }));
        let other = rig.peer(script!(|reactor| {
            let mut peer = Peer::connect(&reactor, 0).await;
            let name = key("small");
            peer.set(&name, b"value").await;
            while peer.counted("node_slow_readers").await == 0 {
                let asked_at = reactor.now();
                assert_eq!(peer.get(&name).await.value, b"value");
                assert!(reactor.now().since(asked_at) < Duration::from_millis(200));
                reactor.sleep(Duration::from_millis(100)).await;
                assert!(reactor.now() < reactor::Instant::from_nanos(60_000_000_000), "the slow peer is not cut");
            }
            assert!(peer.stat("corelane_node_copied_bytes").await <= 128 << 20);
        }));
        rig.finish(other);
        rig.finish(slow);
        rig.assert_at_rest();
    }
}

#[test]
fn nothing_more_is_read_from_a_peer_that_does_not_read() {
    for seed in SEEDS {
        let mut rig = Rig::new(seed, &[]);
        let greedy = rig.peer(script!(|reactor| {
            let mut peer = Peer::connect(&reactor, 0).await;
            let all = (0..).map(|n| key(format!("greedy:{n}")));
            let names: Vec<Vec<u8>> = all.filter(|name| peer.core_of(name) == 0).take(2).collect();
            peer.set(&names[0], &pattern(60_000)).await;
            let mut open: BTreeSet<u64> = (0..150).map(|_| peer.send(Op::Get { key: &names[0] })).collect();
            open.insert(peer.send(set(&key("last"), b"done")));
            reactor.sleep(Duration::from_secs(5)).await;
            // It was slow, not dead: everything is still answered.
            while !open.is_empty() {
                let answer = peer.answer().await.unwrap().unwrap();
                assert_eq!((answer.status, open.remove(&answer.id)), (Status::Ok, true));
            }
        }));
        let watcher = rig.peer(script!(|reactor| {
            let mut peer = Peer::any(&reactor).await;
            let begun_at = reactor.now();
            while peer.get(&key("last")).await.status == Status::NotFound {
                reactor.sleep(Duration::from_millis(50)).await;
            }
            assert!(reactor.now().since(begun_at) > Duration::from_secs(4), "it was served ahead of 9 MB unread");
        }));
        rig.finish(watcher);
        rig.finish(greedy);
        rig.assert_at_rest();
    }
}
