//! Bounds on connections and on silence.

use std::time::Duration;

use reactor::ConnectionError;
use reactor::sim::{CrashMode, NetworkOptions};
use shardstore::wire::hello::WANTED_CORE_ANY;
use shardstore::wire::{Op, Status};

use crate::peer::{Peer, dial, hello, key, read_hello};
use crate::rig::{ALONE, Rig, node_address, script};

#[test]
fn connections_over_the_bound_are_closed_at_once() {
    let mut rig = Rig::new(1, &["connections_per_core = 3"]);
    rig.run(script!(|reactor| {
        let mut kept = Vec::new();
        let mut refused = 0;
        for _ in 0..20 {
            let connection = dial(&reactor, &node_address()).await;
            hello(WANTED_CORE_ANY).encode(&mut connection.write());
            match read_hello(&connection, &mut Vec::new()).await {
                Some(_) => kept.push(connection),
                None => refused += 1,
            }
        }
        assert!((3..=6).contains(&kept.len()) && refused >= 14, "{} kept", kept.len());
        drop(kept);
        reactor.sleep(Duration::from_secs(2)).await;
        let mut peer = Peer::any(&reactor).await;
        assert_eq!(peer.counted("node_connections_shed").await, refused);
    }));
}

#[test]
fn silent_connections_are_closed_in_time() {
    let mut rig = Rig::new(2, &["idle_timeout = \"10s\""]);
    rig.run(script!(|reactor| {
        let mute = dial(&reactor, &node_address()).await;
        let mut idle = Peer::any(&reactor).await;
        let mut busy = Peer::any(&reactor).await;
        let begun_at = reactor.now();
        assert!(matches!(mute.receive().await, Ok(None) | Err(ConnectionError::Socket(_))));
        assert!((4..7).contains(&reactor.now().since(begun_at).as_secs()), "no HELLO in 5 s");
        for _ in 0..9 {
            busy.call(Op::Ping).await;
            reactor.sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(idle.answer().await.unwrap(), None);
        assert!((10..15).contains(&reactor.now().since(begun_at).as_secs()));
        assert_eq!(busy.call(Op::Ping).await.status, Status::Ok);
        assert_eq!((busy.counted("node_connections_idle").await, busy.counted("node_hellos_timed_out").await), (1, 1));
    }));
}

#[test]
fn drops_and_resets_leave_nothing_behind() {
    for seed in 0..20 {
        let network = NetworkOptions { loss_per_mille: 20, reset_per_mille: 20, ..NetworkOptions::default() };
        let mut rig = Rig::with(seed, ALONE, network, &["idle_timeout = \"5s\""]);
        let peer = rig.peer(script!(|reactor| {
            for round in 0..30 {
                let deadline = reactor.now() + Duration::from_secs(2);
                let work = async {
                    let Ok(connection) = reactor.connect(&node_address(), deadline).await else { return };
                    hello(round % 3).encode(&mut connection.write());
                    let mut buffer = Vec::new();
                    let Some(_) = read_hello(&connection, &mut buffer).await else { return };
                    connection.write().extend_from_slice(&buffer);
                };
                let _ = reactor.until(deadline, work).await;
            }
        }));
        rig.finish(peer);
        rig.assert_at_rest();
    }
}

#[test]
fn a_node_that_was_killed_comes_back_empty_and_serves() {
    for seed in 0..20 {
        for mode in [CrashMode::Killed, CrashMode::PowerLoss] {
            let mut rig = Rig::new(seed, &[]);
            let first = rig.peer(script!(|reactor| {
                let mut peer = Peer::any(&reactor).await;
                assert_eq!(peer.session.peer_incarnation, 1);
                for n in 0..50 {
                    peer.set(&key(format!("{n}")), b"value").await;
                }
            }));
            rig.finish(first);
            rig.world.kill(rig.node, mode);
            rig.restart();
            rig.run(script!(|reactor| {
                let mut peer = Peer::any(&reactor).await;
                assert_eq!(peer.session.peer_incarnation, 2, "a peer sees that the node has lost its memory");
                assert_eq!(peer.get(&key("1")).await.status, Status::NotFound);
                assert_eq!(peer.set(&key("1"), b"again").await.status, Status::Ok);
            }));
        }
    }
}
