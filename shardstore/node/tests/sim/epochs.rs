//! Who owns a slot, as asker and node know it.

use std::time::Duration;

use reactor::Signal;
use reactor::sim::NetworkOptions;
use shardstore::key::SlotId;
use shardstore::wire::batch::{BatchAnswers, MgetKeys};
use shardstore::wire::{Flags, Op, Status};

use crate::peer::{Peer, key};
use crate::rig::{Rig, script};

pub(crate) const TWO: &str = "cluster = \"test\"\nepoch = 5\n[[node]]\nid = 1\naddress = \"10.0.0.1:7401\"\n[[node]]\nid = 2\n\
                   address = \"10.0.0.2:7402\"\n[[assign]]\nslots = \"0-8191\"\nnode = 1\n[[assign]]\nslots = \"8192-16383\"\nnode = 2\n";

pub(crate) fn swapped(epoch: u32) -> String {
    TWO.replace("epoch = 5", &format!("epoch = {epoch}"))
        .replace("slots = \"0-8191\"\nnode = 1", "slots = \"0-8191\"\nnode = 2")
        .replace("slots = \"8192-16383\"\nnode = 2", "slots = \"8192-16383\"\nnode = 1")
}

/// A key of the lower or the upper half of the slots.
fn key_in(peer: &Peer, upper: bool) -> Vec<u8> {
    let mut names = (0..).map(|n| key(format!("{n}")));
    names.find(|key| (peer.hasher.hash(key).slot().number() >= 8192) == upper).unwrap()
}

#[test]
fn every_case_of_epoch_and_owner() {
    for seed in 0..20 {
        let mut rig = Rig::with(seed, TWO, NetworkOptions::default(), &[]);
        rig.run(script!(|reactor| {
            let mut peer = Peer::any(&reactor).await;
            let (own, foreign) = (key_in(&peer, false), key_in(&peer, true));
            let same = peer.set(&own, b"v").await;
            assert_eq!((same.status, same.flags, same.slot_epoch), (Status::Ok, Flags::NONE, 5));
            peer.epoch = 4;
            let older = peer.get(&own).await;
            assert_eq!((older.status, older.flags, older.slot_epoch), (Status::Ok, Flags::MAP_HINT, 5));
            for epoch in [4, 5] {
                peer.epoch = epoch;
                let moved = peer.get(&foreign).await;
                assert_eq!(moved.status, Status::Moved);
                let to = moved.moved.unwrap();
                assert_eq!((to.node, to.epoch, to.address), (2, 5, "10.0.0.2:7402".parse().unwrap()));
                assert_eq!((to.first.number(), to.last.number()), (8192, 16383));
            }
            peer.epoch = 6;
            assert_eq!(peer.get(&own).await.status, Status::Stale);
            assert_eq!(peer.get(&foreign).await.status, Status::Stale);
            peer.epoch = 5;
            let mut payload = Vec::new();
            let batch = Op::Mget(MgetKeys::write(&mut payload, &[&own, &foreign]).unwrap());
            let mixed = peer.call(batch).await;
            let statuses: Vec<_> = BatchAnswers::parse(&mixed.value, 8).unwrap().iter().map(|a| a.status).collect();
            assert_eq!((statuses, mixed.flags.contains(Flags::MAP_HINT)), (vec![Status::Ok, Status::Moved], true));
        }));
    }
}

#[test]
fn a_peer_that_knows_more_makes_the_node_read_again() {
    for seed in 0..30 {
        let mut rig = Rig::with(seed, TWO, NetworkOptions::default(), &[]);
        let peer = rig.peer(script!(|reactor| {
            let mut peer = Peer::any(&reactor).await;
            let upper = key_in(&peer, true);
            assert_eq!(peer.get(&upper).await.status, Status::Moved);
            peer.epoch = 6;
            // A burst that comes before the node can have looked.
            for _ in 0..20 {
                peer.send(Op::Get { key: &upper });
            }
            for _ in 0..20 {
                let status = peer.answer().await.unwrap().unwrap().status;
                assert!(matches!(status, Status::Stale | Status::NotFound), "{status:?}");
            }
            // The file is there within a second of simulated time; the node looks when it is told.
            loop {
                match peer.get(&upper).await.status {
                    Status::Stale => reactor.sleep(Duration::from_millis(20)).await,
                    status => break assert_eq!(status, Status::NotFound),
                }
            }
            let asked = peer.counted("node_newer_epochs").await;
            assert!((1..=2).contains(&asked), "asked {asked} times: once in a while, not once per request");
        }));
        rig.file.write(&swapped(6));
        rig.finish(peer);
        assert_eq!(rig.log.text().matches("event=topology_loaded epoch=6").count(), 1, "{}", rig.log.text());
    }
}

#[test]
fn a_change_of_the_file_and_a_signal_are_noticed_and_bad_files_are_not_taken() {
    let mut rig = Rig::with(7, TWO, NetworkOptions::default(), &[]);
    rig.run(script!(|reactor| {
        let mut peer = Peer::connect(&reactor, 0).await;
        assert_eq!(peer.get(&key_in(&peer, true)).await.moved.unwrap().epoch, 5);
    }));
    let bad = [
        ("epoch = 6\n", "topology.toml:1: "),
        (&swapped(4)[..], "raise it with every change"),
        (&swapped(5)[..], "raise the epoch"),
        (&swapped(6).replace("\"test\"", "\"prod\"")[..], "another cluster"),
    ];
    for (text, complaint) in bad {
        rig.file.write(text);
        rig.world.signal(rig.node, Signal::Reload);
        rig.world.run_for(Duration::from_millis(100));
        assert!(rig.log.text().contains(complaint), "{complaint}: {}", rig.log.text());
    }
    assert!(!rig.log.text().contains("topology_loaded"));
    rig.file.write(&swapped(9));
    rig.world.run_for(Duration::from_secs(4));
    assert!(rig.log.text().contains("topology_loaded epoch=9"), "{}", rig.log.text());
    rig.run(script!(|reactor| {
        let mut peer = Peer::any(&reactor).await;
        assert_eq!(peer.epoch, 9, "HELLO tells the new epoch");
        assert_eq!(peer.get(&key_in(&peer, true)).await.status, Status::NotFound);
        let moved = peer.get(&key_in(&peer, false)).await.moved.unwrap();
        assert_eq!((moved.node, moved.epoch, moved.last.number()), (2, 9, 8191));
    }));
}

#[test]
fn a_slot_that_is_not_the_keys_is_refused() {
    Rig::new(2, &[]).run(script!(|reactor| {
        let mut peer = Peer::any(&reactor).await;
        let name = key("k");
        let real = peer.hasher.hash(&name).slot().number();
        peer.send_with(Op::Get { key: &name }, |request| request.slot = SlotId::new(real ^ 1).unwrap());
        assert_eq!(peer.answer().await.unwrap().unwrap().status, Status::Unsupported);
        assert_eq!(peer.counted("node_slot_mismatches").await, 1);
    }));
}
