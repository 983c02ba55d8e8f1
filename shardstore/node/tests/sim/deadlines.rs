//! Deadlines on the node's clock: what was long under way is not applied. Maps that differ: nobody is served.

use std::sync::Arc;
use std::time::Duration;

use reactor::Reactor;
use reactor::Signal;
use reactor::sim::NetworkOptions;
use shardstore::placement::Topology;
use shardstore::wire::hello::{Hello, HelloExtension, WANTED_CORE_ANY};
use shardstore::wire::terms::{HelloError, negotiate};
use shardstore::wire::{Op, Status};

use crate::epochs::{TWO, swapped};
use crate::peer::{Peer, dial, hello, key, read_hello, set};
use crate::rig::{ALONE, Rig, node_address, script};

/// A HELLO that tells a clock and a map.
fn whole_hello(reactor: &Reactor, map: &str) -> Hello {
    let topology = Topology::parse(map).unwrap();
    let (clock_us, map) = (reactor.now().as_nanos() / 1000, Arc::clone(topology.digest()));
    let extension = HelloExtension { clock_us, map, owners: None, wanted_node: 0 };
    Hello { topology_epoch: topology.epoch(), extension: Some(extension), ..hello(WANTED_CORE_ANY) }
}

/// The node's clock now, as a PING tells it.
async fn node_clock_us(peer: &mut Peer) -> u64 {
    peer.call(Op::Ping).await.version
}

#[test]
fn a_write_that_waited_in_the_network_past_its_deadline_is_not_applied() {
    for seed in 0..20 {
        let mut rig = Rig::with(seed, ALONE, NetworkOptions::default(), &[]);
        let peer = rig.peer(script!(|reactor| {
            let mut peer = Peer::greet(&reactor, &whole_hello(&reactor, ALONE)).await.unwrap();
            let (late, fresh) = (key("late"), key("fresh"));
            let told = node_clock_us(&mut peer).await;
            assert!(told >= peer.session.peer_clock_us.unwrap());
            reactor.sleep(Duration::from_millis(100)).await;
            // 200 ms from now; the network is cut for longer than that.
            peer.deadline_us = (told + 300_000) as u32;
            peer.send(set(&late, b"late"));
            peer.send(Op::Delete { key: &fresh, version: 0, condition: Default::default() });
            for _ in 0..2 {
                assert_eq!(peer.answer().await.unwrap().unwrap().status, Status::Unavailable);
            }
            peer.deadline_us = 0;
            assert_eq!(peer.counted("node_deadlines_missed").await, 2);
            assert_eq!(peer.get(&late).await.status, Status::NotFound);
        }));
        rig.world.run_for(Duration::from_millis(50));
        rig.world.partition(rig.node, peer);
        rig.world.run_for(Duration::from_millis(500));
        rig.world.heal();
        rig.finish(peer);
    }
}

#[test]
fn a_peer_with_another_map_of_our_epoch_is_refused_and_told_where_they_differ() {
    let mut rig = Rig::with(3, TWO, NetworkOptions::default(), &[]);
    rig.run(script!(|reactor| {
        let other = TWO.replace("0-8191", "0-8000").replace("8192-", "8001-");
        let refused = Peer::greet(&reactor, &whole_hello(&reactor, &other)).await.err();
        assert_eq!(refused, Some(HelloError::Map { epoch: 5, first: 7936, last: 8063 }));
        let elsewhere = TWO.replace("10.0.0.2", "10.0.0.3");
        let refused = Peer::greet(&reactor, &whole_hello(&reactor, &elsewhere)).await.err();
        assert_eq!(refused, Some(HelloError::Map { epoch: 5, first: 8192, last: 8319 }), "the address is a part of it");
        // Of another epoch, requests tell who is behind.
        let newer = Peer::greet(&reactor, &whole_hello(&reactor, &swapped(6))).await;
        assert!(newer.is_ok());
        assert!(Peer::greet(&reactor, &whole_hello(&reactor, TWO)).await.is_ok());
    }));
    let log = rig.log.text();
    assert!(log.contains("event=peer_refused") && log.contains("slots 7936 to 8063"), "{log}");
}

/// Each shows the other the owners of the first block that differs.
#[test]
fn two_maps_of_one_epoch_are_compared_to_the_slot() {
    let mut rig = Rig::with(4, TWO, NetworkOptions::default(), &[]);
    rig.run(script!(|reactor| {
        let other = TWO.replace("0-8191", "0-8000").replace("8192-", "8001-");
        let connection = dial(&reactor, &node_address()).await;
        let mut ours = whole_hello(&reactor, &other);
        ours.encode(&mut connection.write());
        let theirs = read_hello(&connection, &mut Vec::new()).await.unwrap();
        ours.extension.as_mut().unwrap().owners = Some(Topology::parse(&other).unwrap().block_owners(7936).into());
        assert_eq!(negotiate(&ours, &theirs).err(), Some(HelloError::Map { epoch: 5, first: 8001, last: 8001 }));
        ours.encode(&mut connection.write());
        assert!(connection.receive().await.is_ok_and(|end| end.is_none()));
    }));
    let log = rig.log.text();
    assert!(log.contains("event=peer_refused") && log.contains("first at slot 8001;"), "{log}");
}

#[test]
fn a_map_that_differs_from_a_connected_peers_ends_the_connection() {
    for seed in 0..10 {
        let mut rig = Rig::with(seed, TWO, NetworkOptions::default(), &[]);
        let peer = rig.peer(script!(|reactor| {
            let mut peer = Peer::greet(&reactor, &whole_hello(&reactor, TWO)).await.unwrap();
            assert_eq!(peer.call(Op::Ping).await.status, Status::Ok);
            // It takes its next map before the node does.
            whole_hello(&reactor, &TWO.replace("epoch = 5", "epoch = 6")).encode(&mut peer.connection.write());
            assert_eq!(peer.call(Op::Ping).await.status, Status::Ok);
            assert!(peer.answer().await.is_ok_and(|end| end.is_none()), "the node has another one of that epoch");
            // And after it.
            let mut peer = Peer::greet(&reactor, &whole_hello(&reactor, TWO)).await.unwrap();
            whole_hello(&reactor, &TWO.replace("epoch = 5", "epoch = 6")).encode(&mut peer.connection.write());
            assert!(peer.answer().await.is_ok_and(|end| end.is_none()));
        }));
        rig.world.run_for(Duration::from_millis(50));
        rig.file.write(&swapped(6));
        rig.world.signal(rig.node, Signal::Reload);
        rig.finish(peer);
    }
}
