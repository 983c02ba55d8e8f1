//! The end of a node under load: every request that was sent before its peer could know is answered.

use std::time::Duration;

use reactor::Signal;
use shardstore::wire::{Op, Status};

use crate::peer::{Peer, dial, key};
use crate::rig::{Rig, node_address, pattern, script};

#[test]
fn under_load_every_request_is_answered_and_the_exit_is_clean() {
    for seed in 0..25 {
        let mut rig = Rig::new(seed, &["--drain-timeout=1s"]);
        let peers: Vec<_> = (0..5)
            .map(|_| {
                rig.peer(script!(|reactor| {
                    let mut peer = Peer::connect(&reactor, (reactor.random() % 2) as u16).await;
                    let value = pattern(2_000);
                    let mut refused = 0;
                    // A peer that hardly pauses, until it is told that the node is going.
                    while refused == 0 {
                        let count = 1 + reactor.random() % 20;
                        for n in 0..count {
                            let name = key(format!("{n}"));
                            if n % 3 == 0 {
                                peer.send(crate::peer::set(&name, &value));
                            } else {
                                peer.send(Op::Get { key: &name });
                            }
                        }
                        reactor.sleep(Duration::from_millis(reactor.random() % 8)).await;
                        for _ in 0..count {
                            let answer = peer.answer().await.unwrap().expect("not a request is lost");
                            match answer.status {
                                Status::Ok | Status::NotFound => {}
                                Status::Unavailable => refused += 1,
                                status => panic!("{status:?}"),
                            }
                        }
                    }
                    assert_eq!(peer.answer().await.unwrap(), None, "then the connection is ended in order");
                }))
            })
            .collect();
        rig.world.run_for(Duration::from_millis(300));
        rig.world.signal(rig.node, Signal::Terminate);
        for peer in peers {
            rig.finish(peer);
        }
        let node = rig.node;
        let deadline = rig.world.now() + Duration::from_secs(1);
        assert!(rig.world.run_until(deadline, |world| !world.is_running(node)), "seed {seed}: {}", rig.log.text());
        assert_eq!(rig.started.ending.status(), Some(0), "seed {seed}: {}", rig.log.text());
        rig.world.run_for(Duration::from_secs(5));
        assert_eq!(rig.world.open_endpoints(), 0, "seed {seed}");
    }
}

#[test]
fn idle_and_silent_connections_do_not_hold_up_the_end() {
    for seed in 0..30 {
        let mut rig = Rig::new(seed, &[]);
        let peer = rig.peer(script!(|reactor| {
            let mut idle = Peer::any(&reactor).await;
            let mute = dial(&reactor, &node_address()).await;
            assert_eq!(idle.answer().await.unwrap(), None);
            let _ = mute.receive().await;
        }));
        rig.world.run_for(Duration::from_millis(100));
        let told_at = rig.world.now();
        rig.world.signal(rig.node, Signal::Terminate);
        rig.finish(peer);
        let node = rig.node;
        let deadline = told_at + Duration::from_secs(3);
        assert!(rig.world.run_until(deadline, |world| !world.is_running(node)), "seed {seed}: {}", rig.log.text());
        assert_eq!(rig.started.ending.status(), Some(0));
    }
}

#[test]
fn a_second_signal_cuts_and_says_so() {
    let mut rig = Rig::new(3, &[]);
    let peer = rig.peer(script!(|reactor| {
        let mut peer = Peer::any(&reactor).await;
        while let Ok(Some(_)) = {
            peer.send(Op::Ping);
            peer.answer().await
        } {}
    }));
    rig.world.run_for(Duration::from_millis(100));
    rig.world.signal(rig.node, Signal::Terminate);
    rig.world.run_for(Duration::from_millis(100));
    assert_eq!(rig.started.ending.status(), None, "it drains");
    rig.world.signal(rig.node, Signal::Terminate);
    rig.finish(peer);
    assert_eq!(rig.started.ending.status(), Some(3), "{}", rig.log.text());
}
