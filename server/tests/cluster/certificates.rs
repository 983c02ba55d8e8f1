//! A cluster whose members show each other certificates: it serves, also while certificates and authorities are replaced.

use corelane_pki::{Authority, HolderRole};
use rustix::process::Signal;

use super::authority::{authority, issue, revoked};
use super::keys::{get, put, spread};
use super::member::{Member, until};
use super::rig::{NAME, Rig};
use crate::support::client::Client;
use crate::support::load::Load;

/// Values of every way to send them: in one frame, in parts, in a stream.
const SIZES: [usize; 5] = [0, 128, 40_000, 300_000, 3 << 20];

/// Deletes a key.
fn delete(client: &mut Client, key: &str) -> u16 {
    client.ask(&format!("DELETE /v1/kv/default/{key} HTTP/1.1\r\nHost: h\r\n\r\n")).status
}

/// Writes, reads and deletes through both edges.
fn check_serves(rig: &Rig, round: usize) {
    let (mut first, mut second) = (rig.edges[0].connect(), rig.edges[1].connect());
    for number in 0..SIZES.len() * 4 {
        let key = format!("round/{round}/{number}");
        let value: Vec<u8> = (0..SIZES[number % SIZES.len()]).map(|at| (at * 31 + at / 251 + number) as u8).collect();
        assert_eq!(put(&mut first, &key, &value, "").status, 201, "{key}");
        let read = get(&mut second, &key);
        assert!(read.status == 200 && read.body == value, "{key}: {} with {} bytes", read.status, read.body.len());
        assert_eq!([delete(&mut second, &key), get(&mut first, &key).status], [204, 404], "{key}");
    }
}

#[test]
fn a_cluster_with_certificates_serves_and_is_started_again() {
    let mut rig = Rig::start_with_certificates();
    check_serves(&rig, 1);
    if std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1) {
        let handed_over = rig.nodes.iter().map(|node| node.metric("corelane_node_connections_handed_over_total"));
        assert!(handed_over.sum::<u64>() > 0, "no connection went to another core with its keys");
    }
    rig.nodes[0].crash();
    rig.nodes[0].start();
    rig.edges[0].signal(Signal::TERM);
    assert_eq!(rig.edges[0].await_exit(), 0);
    rig.edges[0].start();
    for edge in &rig.edges {
        until("every node is used again", || {
            let mut client = edge.connect();
            (0..20).all(|number| get(&mut client, &format!("any/{number}")).status == 404).then_some(())
        });
    }
    check_serves(&rig, 2);
    let shown = rig.nodes[0].status()["tls"]["certificates"][0]["other_names"].to_string();
    assert!(shown.contains("spiffe://trial/node/1"), "{shown}");
}

/// What is counted of certificates that were put in force.
const APPLIED: &str = "corelane_tls_reloads_total{result=\"applied\"}";

/// Writes files, has every process read them, and waits until each has.
fn replace(rig: &Rig, what: &str, write: impl FnOnce()) {
    let members: Vec<&Member> = rig.nodes.iter().chain(&rig.edges).collect();
    let before: Vec<u64> = members.iter().map(|member| member.metric(APPLIED)).collect();
    write();
    members.iter().for_each(|member| member.signal(Signal::HUP));
    for (member, before) in members.iter().zip(before) {
        until(what, || (member.metric(APPLIED) > before).then_some(()));
    }
}

/// Gives every process another certificate.
fn put_all(rig: &Rig, authority: &Authority) {
    for (role, name) in [(HolderRole::Node, "1"), (HolderRole::Node, "2"), (HolderRole::Node, "3")] {
        rig.files().put(&format!("{role}-{name}"), &issue(authority, role, name));
    }
    for name in ["0", "1"] {
        rig.files().put(&format!("edge-{name}"), &issue(authority, HolderRole::Edge, name));
    }
}

#[test]
fn certificates_and_authorities_are_replaced_under_load_without_a_failed_request() {
    const CONNECTIONS: usize = 2;
    let mut rig = Rig::start_with_certificates();
    let next = authority(NAME);
    let load = Load::start(rig.edges[0].address, CONNECTIONS);
    load.await_warm();
    let files = rig.files();
    replace(&rig, "renewed certificates in force", || put_all(&rig, rig.authority()));
    replace(&rig, "both authorities in force", || files.put_bundle(&[rig.authority(), &next]));
    replace(&rig, "certificates of the new authority in force", || put_all(&rig, &next));
    replace(&rig, "the new authority alone in force", || {
        files.put_revoked(&revoked(&next, &[]));
        files.put_bundle(&[&next]);
    });
    until("connections that were renewed", || (rig.edges[0].upstream("connections_renewed") > 0).then_some(()));
    // Who comes now is let in by the new one, and nobody else.
    rig.edges[1].signal(Signal::TERM);
    assert_eq!(rig.edges[1].await_exit(), 0);
    rig.edges[1].start();
    spread(&rig.edges[1], &rig.edges[0], 20);
    rig.edges[0].signal(Signal::TERM);
    for account in load.finish() {
        assert!(account.faults.is_empty() && account.sent == account.answered, "{account:?}");
    }
    assert_eq!(rig.edges[0].await_exit(), 0);
}

/// What was let in before it was revoked leaves, too.
#[test]
fn an_edge_that_is_revoked_loses_the_connections_that_it_has() {
    let rig = Rig::start_impatient_with_certificates();
    spread(&rig.edges[0], &rig.edges[1], 20);
    let lost = std::fs::read_to_string(&rig.files().pair("edge-0")[0]).unwrap();
    rig.files().put_revoked(&revoked(rig.authority(), &[&lost]));
    for node in &rig.nodes {
        node.signal(Signal::HUP);
        node.await_log(&["certificates_in_force"]);
    }
    let mut client = rig.edges[0].connect();
    let refused = |client: &mut Client| (0..20).all(|number| get(client, &format!("key:{number}")).status == 503);
    until("an edge that gets nothing any more", || refused(&mut client).then_some(()));
    for node in &rig.nodes {
        node.await_log(&["peer_refused", "was revoked"]);
    }
    rig.edges[0].await_log(&["node_unreachable"]);
    assert_eq!(get(&mut rig.edges[1].connect(), "key:1").status, 200, "the other edge goes on");
}

/// What a process that must not start says.
fn refusal(rig: &Rig, settings: &str) -> String {
    let topology = rig.topology(1, "");
    let mut member = rig.impostor_with(2, 3, &topology, settings);
    member.launch();
    assert_ne!(member.await_exit(), 0, "{:#?}", member.log_so_far());
    member.await_log(&["cluster."])
}

#[test]
fn a_process_whose_own_certificate_is_wrong_does_not_start_and_says_why() {
    let mut rig = Rig::start_impatient_with_certificates();
    rig.nodes[2].crash();
    let (files, settings) = (rig.files(), rig.files().settings("node-9"));
    for (role, id) in [(HolderRole::Edge, "3"), (HolderRole::Node, "9")] {
        files.put("node-9", &issue(rig.authority(), role, id));
        let said = refusal(&rig, &settings);
        assert!(said.contains(&format!("spiffe://{NAME}/{role}/{id}")), "{said}");
    }
    files.put("node-9", &issue(&authority("other"), HolderRole::Node, "3"));
    let said = refusal(&rig, &settings);
    assert!(said.contains("UnknownIssuer") && said.contains("have it issued by the authority in"), "{said}");
    let said = refusal(&rig, &settings.replace("key = ", "#"));
    assert!(said.contains("cluster.chain, cluster.key and cluster.ca go together"), "{said}");
}
