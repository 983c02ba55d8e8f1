//! What must not come back, on the real binary: items of a slot that has left, and writes that come too late.

use shardstore::wire::{Op, Status};

use super::client::{Client, set};
use super::node::{Node, PATIENCE, clock, topology};

const KEYS: usize = 40;

/// A topology by which all slots are those of node 1, or of another one that does not run.
fn map(node: &Node, epoch: u32, owner: u32) -> String {
    let first = topology(node.listen).replace("epoch = 1", &format!("epoch = {epoch}"));
    let second = "[[node]]\nid = 2\naddress = \"127.0.0.1:1\"\n";
    format!("{first}{second}[[assign]]\nslots = \"0-16383\"\nnode = {owner}\n")
}

/// The answer to a request when all cores have the map that its core has: until then it is BUSY.
fn answer(client: &mut Client, op: Op<'_>) -> (Status, Vec<u8>) {
    let start = clock();
    loop {
        let answer = client.call(op);
        if answer.0 != Status::Busy {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "the cores do not agree in time");
    }
}

/// Items that lines of the log call dropped.
fn dropped(log: &str) -> u64 {
    let lines = log.lines().filter(|line| line.contains("event=slots_dropped "));
    let items = lines.map(|line| line.split(" items=").nth(1).unwrap().split(' ').next().unwrap());
    items.map(|items| items.parse::<u64>().unwrap()).sum()
}

/// Has the node read another topology; returns when keys are answered by it: with something else than `before`.
fn take_map(node: &Node, client: &mut Client, text: &str, before: Status) {
    std::fs::write(node.folder.join("topology.toml"), text).unwrap();
    node.signal("HUP");
    let start = clock();
    while answer(client, Op::Get { key: b"\0key:0" }).0 == before {
        assert!(start.elapsed() < PATIENCE, "the topology is not in force in time");
    }
}

#[test]
fn a_slot_that_leaves_and_comes_back_shows_nothing_of_what_it_held() {
    let mut node = Node::start("slots");
    let mut client = Client::connect(node.listen, 0);
    let keys: Vec<Vec<u8>> = (0..KEYS).map(|number| format!("\0key:{number}").into_bytes()).collect();
    for key in &keys {
        assert_eq!(client.call(set(key, b"before")).0, Status::Ok);
    }
    let (theirs, ours) = (map(&node, 2, 2), map(&node, 3, 1));
    take_map(&node, &mut client, &theirs, Status::Ok);
    assert!(keys.iter().all(|key| answer(&mut client, Op::Get { key }).0 == Status::Moved));
    assert_eq!(answer(&mut client, set(&keys[0], b"between")).0, Status::Moved);
    take_map(&node, &mut client, &ours, Status::Moved);
    for key in &keys {
        assert_eq!(answer(&mut client, Op::Get { key }).0, Status::NotFound, "{}", key.escape_ascii());
        assert_eq!(answer(&mut client, set(key, b"since")).0, Status::Ok);
        assert_eq!(answer(&mut client, Op::Get { key }), (Status::Ok, b"since".to_vec()));
    }
    assert_eq!(node.metric("corelane_cache_disowned_total"), KEYS as u64);
    node.signal("TERM");
    drop(client);
    let (_, log) = node.wait();
    assert_eq!(dropped(&log), KEYS as u64, "{log}");
}

#[test]
fn a_write_past_its_deadline_on_the_nodes_clock_is_not_applied() {
    let node = Node::start("late");
    let mut client = Client::connect_with_clock(node.listen);
    let told = client.session.peer_clock_us.expect("a node tells its clock to whoever does");
    // The node's clock has been there before its HELLO was sent.
    client.deadline_us = (told - 1) as u32;
    assert_eq!(client.call(set(b"\0late", b"late")).0, Status::Unavailable);
    assert_eq!(client.call(Op::Get { key: b"\0late" }).0, Status::Unavailable);
    client.deadline_us = (told + 60_000_000) as u32;
    assert_eq!(client.call(Op::Get { key: b"\0late" }).0, Status::NotFound);
    assert_eq!(client.call(set(b"\0early", b"early")).0, Status::Ok);
    client.deadline_us = 0;
    assert_eq!(client.call(Op::Get { key: b"\0early" }), (Status::Ok, b"early".to_vec()));
    assert_eq!(node.metric("corelane_node_deadlines_missed_total"), 2);
}
