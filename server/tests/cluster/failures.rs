//! Nodes that die or hang: their slots fail fast, the others do not notice, and a node that is back is used again.

use std::time::Duration;

use rustix::process::Signal;

use super::keys::{Owned, assert_unavailable, check_round, get, put, spread};
use super::member::{Member, until};
use super::rig::Rig;

const KEYS: usize = 40;

/// The node that fails.
const VICTIM: usize = 2;

/// Uses the other nodes, and asks for the victim's keys, until both edges refuse them without asking.
fn until_breakers_refuse(rig: &Rig, owned: &[Owned]) {
    until("an open breaker at both edges", || {
        for edge in &rig.edges {
            check_round(edge, owned, VICTIM);
        }
        rig.edges.iter().all(|edge| edge.upstream("breaker_refused") > 0).then_some(())
    });
    for edge in &rig.edges {
        assert!(edge.upstream("breaker_opened") >= 1);
    }
}

/// Reads the keys of the other nodes while a request for the victim's key waits for its deadline.
fn check_neighbours_of_a_wait(edge: &Member, owned: &[Owned], theirs: &str) {
    let (mut waiting, mut client) = (edge.connect(), edge.connect());
    waiting.send(format!("GET /v1/kv/default/{theirs} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
    for Owned { key, .. } in owned.iter().filter(|owned| owned.node != VICTIM) {
        assert_eq!(get(&mut client, key).body, key.as_bytes(), "{key}");
    }
    assert_unavailable(&waiting.answer().unwrap());
}

/// Writes to the victim are refused as well; the breaker is open, so that nothing was sent.
fn check_writes_refused(edge: &Member, owned: &[Owned]) {
    let mut client = edge.connect();
    let before = edge.upstream("breaker_refused");
    let victims = owned.iter().filter(|owned| owned.node == VICTIM);
    let mut count = 0;
    for Owned { key, .. } in victims {
        assert_unavailable(&put(&mut client, key, b"refused", ""));
        count += 1;
    }
    let refused = edge.upstream("breaker_refused") - before;
    // A probe may let one of them through to a handshake that then fails.
    assert!(count > 0 && refused >= 1, "{refused} of {count} were refused at once");
}

/// Waits until an edge serves a key of the victim again. How soon it must is checked in virtual time (`server/tests/sim`).
fn await_service(edge: &Member, key: &str) {
    let mut client = edge.connect();
    until("the node is used again", || {
        let answer = get(&mut client, key);
        matches!(answer.status, 200 | 404).then_some(())
    });
}

#[test]
fn a_node_that_is_killed_costs_its_own_slots_until_it_is_back() {
    let mut rig = Rig::start_impatient(Duration::ZERO);
    let owned = spread(&rig.edges[0], &rig.edges[1], KEYS);
    let theirs = owned.iter().find(|owned| owned.node == VICTIM).unwrap();
    rig.nodes[VICTIM - 1].crash();
    until_breakers_refuse(&rig, &owned);
    check_writes_refused(&rig.edges[0], &owned);
    check_round(&rig.edges[1], &owned, VICTIM);

    rig.nodes[VICTIM - 1].start();
    for edge in &rig.edges {
        await_service(edge, &theirs.key);
    }
    let (mut first, mut second) = (rig.edges[0].connect(), rig.edges[1].connect());
    for Owned { key, node } in &owned {
        if *node == VICTIM {
            assert_eq!(get(&mut first, key).status, 404, "{key}: the node's memory is gone");
            assert_eq!(put(&mut first, key, key.as_bytes(), "").status, 201, "{key}");
        }
        assert_eq!(get(&mut second, key).body, key.as_bytes(), "{key}");
    }
}

#[test]
fn a_node_that_hangs_costs_its_own_slots_until_it_goes_on() {
    let rig = Rig::start_impatient(Duration::ZERO);
    let owned = spread(&rig.edges[0], &rig.edges[1], KEYS);
    let theirs = owned.iter().find(|owned| owned.node == VICTIM).unwrap();
    rig.nodes[VICTIM - 1].stop();
    check_neighbours_of_a_wait(&rig.edges[0], &owned, &theirs.key);
    until_breakers_refuse(&rig, &owned);
    check_writes_refused(&rig.edges[1], &owned);

    rig.nodes[VICTIM - 1].signal(Signal::CONT);
    for edge in &rig.edges {
        await_service(edge, &theirs.key);
    }
    for edge in &rig.edges {
        let mut client = edge.connect();
        for Owned { key, .. } in &owned {
            assert_eq!(get(&mut client, key).body, key.as_bytes(), "{key}: the node has kept what it held");
        }
    }
}
