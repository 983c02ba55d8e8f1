//! Peers that do not belong: nodes with another name or id, clients that speak something else.

use std::time::Duration;

use super::keys::{check_round, get, put, spread};
use super::member::{Member, until};
use super::rig::{NAME, Rig, topology};
use crate::support::client::Client;

const KEYS: usize = 30;

/// The node whose place a stranger takes.
const PLACE: usize = 3;

/// Kills the node of [`PLACE`], starts `stranger` there, and shows that edges use the others and refuse it.
fn check_refused(rig: &mut Rig, edge_counts: &[&str], stranger: impl FnOnce(&Rig) -> Member) -> Member {
    let owned = spread(&rig.edges[0], &rig.edges[1], KEYS);
    rig.nodes[PLACE - 1].crash();
    let before: Vec<u64> = rig.edges.iter().map(|edge| sum(edge, edge_counts)).collect();
    let mut stranger = stranger(rig);
    stranger.start();
    for (edge, before) in rig.edges.iter().zip(before) {
        until("a refusal that is counted", || (sum(edge, edge_counts) > before).then_some(()));
        check_round(edge, &owned, PLACE);
    }
    for edge in &mut rig.edges {
        assert!(edge.lives());
    }
    assert!(stranger.lives());
    stranger
}

fn ended_links(edge: &Member) -> u64 {
    sum(edge, &["connections_ended", "frame_errors"])
}

fn sum(edge: &Member, counts: &[&str]) -> u64 {
    counts.iter().map(|event| edge.upstream(event)).sum()
}

#[test]
fn a_node_of_another_cluster_is_refused() {
    let mut rig = Rig::start_impatient(Duration::ZERO);
    let stranger = check_refused(&mut rig, &["hellos_refused", "frame_errors"], |rig| {
        let address = rig.nodes[PLACE - 1].address;
        rig.impostor(PLACE - 1, PLACE, &topology("other", 1, &[(PLACE, address)]))
    });
    assert!(stranger.metric("reason=\"cluster_tag\"") + stranger.metric("reason=\"hello_cluster\"") > 0);
    stranger.await_log(&["peer_refused", "belongs to cluster"]);
    rig.edges[0].await_log(&["node_unreachable", "belongs to cluster"]);
}

#[test]
fn a_node_with_another_id_is_refused() {
    // Whatever epochs say: both operators read it in words.
    for epoch in [1, 2] {
        let mut rig = Rig::start_impatient(Duration::ZERO);
        let stranger = check_refused(&mut rig, &["hellos_refused"], |rig| {
            let address = rig.nodes[PLACE - 1].address;
            rig.impostor(PLACE - 1, 9, &topology(NAME, epoch, &[(9, address)]))
        });
        stranger.await_log(&["peer_refused", "node 3 was expected and node 9 answers"]);
        rig.edges[0].await_log(&["node_unreachable", "the node calls itself 9, the topology says 3"]);
    }
}

#[test]
fn who_speaks_something_else_to_a_node_is_cut_off() {
    let rig = Rig::start_impatient(Duration::ZERO);
    let owned = spread(&rig.edges[0], &rig.edges[1], KEYS);
    let garbage: Vec<u8> = (0..4096_u32).map(|at| ((at * 7919) >> 3) as u8).collect();
    let hello = b"\x16\x03\x01\x00\xc4\x01\x00\x00\xc0\x03\x03randomrandomrandomrandomrandomra\x20session";
    let strange: [&[u8]; 4] = [b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", hello, b"*1\r\n$4\r\nPING\r\n", &garbage];
    let node = &rig.nodes[0];
    let before = node.metric("reason=\"magic\"");
    // Edges that were up before the nodes have seen connections fail.
    let ended: Vec<u64> = rig.edges.iter().map(ended_links).collect();
    for bytes in strange {
        let mut client = Client::connect(node.address);
        client.try_send(bytes);
        // The node closes without a word: what came is no HELLO.
        let fault = client.answer().expect_err("a node does not speak HTTP");
        assert!(!matches!(fault, crate::support::client::Fault::Silent(_)), "{fault:?}: left open");
    }
    until("a count of each", || (node.metric("reason=\"magic\"") == before + strange.len() as u64).then_some(()));
    let mut client = rig.edges[0].connect();
    for owned in &owned {
        assert_eq!(get(&mut client, &owned.key).body, owned.key.as_bytes());
        assert_eq!(put(&mut client, &owned.key, b"after", "").status, 204);
    }
    assert_eq!(rig.edges.iter().map(ended_links).collect::<Vec<_>>(), ended, "no edge has noticed");
}
