//! Slots that move to another node, and topologies that are refused.

use std::time::Duration;

use rustix::process::Signal;

use super::keys::{get, node_of, put, spread};
use super::member::{Member, until};
use super::rig::Rig;

/// Every slot, to node 1.
const ALL_TO_FIRST: &str = "\n[[assign]]\nslots = \"0-16383\"\nnode = 1\n";

const KEYS: usize = 40;

fn await_epoch(member: &Member, epoch: u64) {
    until(&format!("epoch {epoch} at {}", member.address), || (member.epoch() == epoch).then_some(()));
}

#[test]
fn edges_follow_slots_that_have_moved() {
    let rig = Rig::start(Duration::ZERO);
    let owned = spread(&rig.edges[0], &rig.edges[1], KEYS);
    // The file of the edges changes too; that they are to read it, nodes tell them before they would look by themselves.
    rig.write_edges_topology(&rig.topology(2, ALL_TO_FIRST));
    rig.write_nodes_topology(&rig.topology(2, ALL_TO_FIRST));
    for node in &rig.nodes {
        node.signal(Signal::HUP);
    }
    for node in &rig.nodes {
        await_epoch(node, 2);
    }
    let (mut first, mut second) = (rig.edges[0].connect(), rig.edges[1].connect());
    for owned in &owned {
        let key = &owned.key;
        // Values stay where they are: the new owner does not have those of the others.
        let status = if owned.node == 1 { 204 } else { 201 };
        assert_eq!(put(&mut first, key, b"moved", "").status, status, "{key} of node {}", owned.node);
        let answer = get(&mut second, key);
        assert_eq!((answer.status, &answer.body[..], node_of(&answer)), (200, &b"moved"[..], 1), "{key}");
    }
    for edge in &rig.edges {
        await_epoch(edge, 2);
        edge.await_log(&["topology_loaded", "edges.toml", "epoch=2"]);
        until("the edge asks the new owners first", || {
            let before = edge.upstream("moved");
            let mut client = edge.connect();
            owned.iter().for_each(|owned| assert_eq!(get(&mut client, &owned.key).status, 200));
            (edge.upstream("moved") == before).then_some(())
        });
    }
}

/// Edges whose file lags serve moved slots all the same, and say so; what nodes claim changes nothing at them.
#[test]
fn an_edge_whose_file_lags_asks_the_node_that_is_named_and_keeps_its_map() {
    let rig = Rig::start(Duration::ZERO);
    let owned = spread(&rig.edges[0], &rig.edges[1], KEYS);
    rig.write_nodes_topology(&rig.topology(2, ALL_TO_FIRST));
    for node in &rig.nodes {
        await_epoch(node, 2);
    }
    let lost: u64 = owned.iter().filter(|owned| owned.node != 1).count() as u64;
    let dropped = |member: &Member| member.metric("corelane_cache_disowned_total");
    until("all that moved is dropped", || (rig.nodes.iter().map(dropped).sum::<u64>() == lost).then_some(()));
    let mut client = rig.edges[0].connect();
    for owned in &owned {
        let status = if owned.node == 1 { 204 } else { 201 };
        assert_eq!(put(&mut client, &owned.key, b"moved", "").status, status, "{} of node {}", owned.key, owned.node);
        let answer = get(&mut rig.edges[1].connect(), &owned.key);
        assert_eq!((answer.status, &answer.body[..], node_of(&answer)), (200, &b"moved"[..], 1), "{}", owned.key);
    }
    for edge in &rig.edges {
        assert_eq!(edge.epoch(), 1);
        assert!(edge.upstream("moved") >= 1 && edge.metric("corelane_topology_hints_total") >= 1);
        edge.await_log(&["topology_behind", "edges.toml", "claims=2"]);
    }
}

/// The nodes' file is read again also without a signal.
#[test]
fn nodes_read_a_file_that_has_changed() {
    let rig = Rig::start(Duration::ZERO);
    rig.write_nodes_topology(&rig.topology(7, ""));
    for node in &rig.nodes {
        await_epoch(node, 7);
    }
}

#[test]
fn a_broken_topology_is_refused_with_its_line_and_the_old_one_stays() {
    let rig = Rig::start(Duration::ZERO);
    let owned = spread(&rig.edges[0], &rig.edges[1], KEYS);
    let broken = "cluster = \"trial\"\nepoch = 2\n\n[[node]]\nid = 1\naddress = \"nowhere\"\n";
    rig.write_nodes_topology(broken);
    rig.write_edges_topology(broken);
    let refusals = |member: &Member, name: &str| {
        member.signal(Signal::HUP);
        until(&format!("a refusal at {}", member.address), || (member.metric(name) > 0).then_some(()));
    };
    for node in &rig.nodes {
        refusals(node, "corelane_topology_refused_total");
        node.await_log(&["topology_refused", "nodes.toml:6", "address"]);
    }
    for edge in &rig.edges {
        refusals(edge, "corelane_topology_refused_total");
        edge.await_log(&["topology_refused", "edges.toml:6", "address"]);
    }
    for member in rig.nodes.iter().chain(&rig.edges) {
        assert_eq!(member.epoch(), 1, "{}", member.address);
    }
    let mut client = rig.edges[0].connect();
    for owned in &owned {
        assert_eq!(get(&mut client, &owned.key).body, owned.key.as_bytes(), "{}", owned.key);
    }
}
