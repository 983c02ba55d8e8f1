//! Who is not one of the cluster, or says that it is another: refused in words on both sides, and told nothing.
//!
//! **Not** the product's own client: OpenSSL's shows certificates here, and what it writes out is all that a node has told.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use corelane_pki::{Authority, HolderRole, Issued};
use rustix::process::Signal;
use shardstore::key::HASH_ID_RAPIDHASH_V3;
use shardstore::placement::Topology;
use shardstore::wire::hello::{self, Hello, HelloExtension, Role, WANTED_CORE_ANY};

use super::authority::{authority, issue, issue_ended, revoked};
use super::keys::{check_round, spread};
use super::member::{Member, until};
use super::rig::{NAME, Rig};
use crate::support::client::Client;
use crate::support::tool;

/// The HELLO of a process of the cluster.
fn hello(rig: &Rig, role: Role, node_id: u32) -> Vec<u8> {
    let topology = Topology::parse(&rig.topology(1, "")).unwrap();
    let hello = Hello {
        version_min: shardstore::wire::VERSION_MIN,
        version_max: shardstore::wire::VERSION_MAX,
        role,
        hash_id: HASH_ID_RAPIDHASH_V3,
        hash_seed: topology.hash_seed(),
        cores: 1,
        wanted_core: WANTED_CORE_ANY,
        features: hello::FEATURE_READ,
        node_id,
        topology_epoch: 1,
        incarnation: 7,
        frame_value_bytes_max: hello::FRAME_VALUE_BYTES_DEFAULT,
        value_bytes_max: shardstore::wire::VALUE_BYTES_MAX,
        credit_requests: hello::CREDIT_REQUESTS_DEFAULT,
        credit_bytes: hello::CREDIT_BYTES_DEFAULT,
        batch_entries_max: shardstore::wire::batch::BATCH_ENTRIES_MAX,
        key_bytes_max: shardstore::key::STORED_KEY_BYTES_MAX as u16,
        cluster: NAME.to_owned(),
        extension: Some(HelloExtension {
            clock_us: 1,
            map: Arc::clone(topology.digest()),
            owners: None,
            wanted_node: 0,
        }),
    };
    let mut bytes = Vec::new();
    hello.encode(&mut bytes);
    bytes
}

/// Shows a node a certificate and says HELLO; what the node has told until it ends the connection, or until the stranger does.
fn told(rig: &Rig, shown: Option<&Issued>, hello: &[u8]) -> Vec<u8> {
    let node = &rig.nodes[0];
    let mut command = Command::new(tool::find("openssl", "openssl"));
    command.args(["s_client", "-quiet", "-alpn", "corelane/1", "-connect"]).arg(node.address.to_string());
    if let Some(shown) = shown {
        rig.files().put("stranger", shown);
        let [chain, key] = rig.files().pair("stranger");
        command.arg("-cert").arg(chain).arg("-key").arg(key);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may be gone already: refused.
    let _ = stdin.write_all(hello);
    // The node ends what it refuses; of one that it takes, the first byte is enough.
    let mut first = [0; 1];
    let mut stdout = child.stdout.take().unwrap();
    let count = std::io::Read::read(&mut stdout, &mut first).unwrap();
    let _ = child.kill();
    let _ = child.wait();
    first[..count].to_vec()
}

/// Who comes, what it shows, what it says, and what the node's log says of it.
type Case<'a> = (&'a str, Option<Issued>, &'a [u8], &'a [&'a str]);

#[test]
fn a_stranger_on_the_port_of_a_node_learns_nothing_and_is_named() {
    let rig = Rig::start_impatient_with_certificates();
    let own = rig.authority();
    let edge = hello(&rig, Role::Edge, 0);
    let leaf = |role, id: &str| issue(own, role, id);
    // Without this, silence would mean nothing.
    assert_eq!(told(&rig, Some(&leaf(HolderRole::Edge, "e")), &edge).len(), 1, "one of the cluster is answered");

    let foreign = issue(&authority(NAME), HolderRole::Edge, "e");
    let ended = issue_ended(own, HolderRole::Edge, "e");
    let [as_node, as_tool] = [hello(&rig, Role::Node, 2), hello(&rig, Role::Tool, 0)];
    let cases: [Case<'_>; 8] = [
        ("no certificate", None, &edge, &["no certificate"]),
        ("a foreign authority", Some(foreign), &edge, &["not signed by an authority that is trusted here"]),
        ("one that has ended", Some(ended), &edge, &["has expired"]),
        ("an operator", Some(leaf(HolderRole::Operator, "o")), &edge, &["spiffe://trial/operator/o"]),
        ("an edge that says node", Some(leaf(HolderRole::Edge, "e2")), &as_node, &["node 2", "spiffe://trial/edge/e2"]),
        ("an edge that says tool", Some(leaf(HolderRole::Edge, "e3")), &as_tool, &["tool", "spiffe://trial/edge/e3"]),
        ("a node that says edge", Some(leaf(HolderRole::Node, "2")), &edge, &["edge", "spiffe://trial/node/2"]),
        ("a node that says another", Some(leaf(HolderRole::Node, "3")), &as_node, &["node 2", "spiffe://trial/node/3"]),
    ];
    for (who, shown, hello, words) in cases {
        assert_eq!(told(&rig, shown.as_ref(), hello), b"", "{who} is told nothing");
        rig.nodes[0].await_log(&[&["peer_refused"][..], words].concat());
    }
}

#[test]
fn a_stranger_in_the_clear_gets_an_alert_and_no_more() {
    let rig = Rig::start_impatient_with_certificates();
    let hello = hello(&rig, Role::Edge, 0);
    for bytes in [&hello[..], b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"] {
        let mut client = Client::connect(rig.nodes[0].address);
        client.try_send(bytes);
        client.answer().expect_err("a node does not speak in the clear");
        let got = &client.received;
        assert!(got.len() <= 7 && got.first().is_none_or(|kind| *kind == 0x15), "{}", got.escape_ascii());
    }
    rig.nodes[0].await_log(&["peer_refused", "does not speak TLS"]);
}

#[test]
fn who_is_revoked_is_refused_from_the_next_handshake_on() {
    let rig = Rig::start_impatient_with_certificates();
    let (lost, hello) = (issue(rig.authority(), HolderRole::Edge, "lost"), hello(&rig, Role::Edge, 0));
    assert_eq!(told(&rig, Some(&lost), &hello).len(), 1);
    rig.files().put_revoked(&revoked(rig.authority(), &[&lost.chain]));
    rig.nodes[0].signal(Signal::HUP);
    rig.nodes[0].await_log(&["certificates_in_force"]);
    assert_eq!(told(&rig, Some(&lost), &hello), b"");
    rig.nodes[0].await_log(&["peer_refused", "was revoked"]);
}

/// Whoever holds a connection longer than the nodes' `link_time` allows has to show its certificate again. The product's edges do that
/// by themselves; this one does not.
#[test]
fn a_node_ends_a_connection_that_is_older_than_it_may_be() {
    let rig = Rig::start_impatient_with_certificates();
    let node = &rig.nodes[0];
    let edge = hello(&rig, Role::Edge, 0);
    rig.files().put("stranger", &issue(rig.authority(), HolderRole::Edge, "e"));
    let [chain, key] = rig.files().pair("stranger");
    let mut command = Command::new(tool::find("openssl", "openssl"));
    command.args(["s_client", "-quiet", "-alpn", "corelane/1", "-connect"]).arg(node.address.to_string());
    command.arg("-cert").arg(chain).arg("-key").arg(key);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&edge).unwrap();
    // It is answered, and then reads to the end of the connection, which nobody but the node brings about.
    let mut told = Vec::new();
    std::io::Read::read_to_end(&mut child.stdout.take().unwrap(), &mut told).unwrap();
    assert!(!told.is_empty(), "one of the cluster is answered");
    let _ = child.kill();
    let _ = child.wait();
    assert!(node.metric("reason=\"link_too_old\"") > 0);
}

/// One bundle of authorities for two clusters, as a company's PKI may have it.
#[test]
fn a_process_of_another_cluster_under_a_common_authority_is_refused_on_both_sides() {
    let mut rig = Rig::start_impatient_with_certificates();
    let other = authority("other");
    rig.files().put_bundle(&[rig.authority(), &other]);
    for member in rig.nodes.iter().chain(&rig.edges) {
        member.signal(Signal::HUP);
        member.await_log(&["certificates_in_force"]);
    }
    let edge = issue(&other, HolderRole::Edge, "0");
    assert_eq!(told(&rig, Some(&edge), &hello(&rig, Role::Edge, 0)), b"");
    rig.nodes[0].await_log(&["peer_refused", "spiffe://other/edge/0", "wrong cluster"]);
    rig.nodes[PLACE - 1].crash();
    let address = rig.nodes[PLACE - 1].address;
    let place = |rig: &Rig| {
        rig.files().put("stranger", &issue(&other, HolderRole::Node, &PLACE.to_string()));
        let settings = rig.files().settings("stranger");
        let settings: String =
            settings.lines().filter(|line| !line.starts_with("crl")).map(|line| format!("{line}\n")).collect();
        rig.impostor_with(PLACE - 1, PLACE, &super::rig::topology("other", 1, &[(PLACE, address)]), &settings)
    };
    let edge_says = ["spiffe://other/node/3", "wrong cluster"];
    check_refused(&mut rig, place, (&edge_says, &["peer_refused", "ended the handshake"]));
}

/// The node whose place a stranger takes.
const PLACE: usize = 3;

/// Puts a stranger in the place of a node, and waits until both sides have said what is wrong with it.
fn check_refused(rig: &mut Rig, stranger: impl FnOnce(&Rig) -> Member, (edge_says, it_says): (&[&str], &[&str])) {
    let mut stranger = stranger(rig);
    stranger.start();
    for edge in &rig.edges {
        until(&format!("{edge_says:?} in {}", edge.status()["topology"]["nodes"]), || {
            let nodes = edge.status()["topology"]["nodes"].to_string();
            edge_says.iter().all(|part| nodes.contains(part)).then_some(())
        });
    }
    stranger.await_log(it_says);
    let members = [&rig.nodes[0], &rig.edges[0], &rig.edges[1]];
    assert!(members.iter().all(|member| member.runs()), "nobody ends for a stranger");
}

#[test]
fn a_node_that_is_not_the_one_of_the_topology_is_refused_in_words_on_both_sides() {
    let mut rig = Rig::start_impatient_with_certificates();
    let owned = spread(&rig.edges[0], &rig.edges[1], 30);
    rig.nodes[PLACE - 1].crash();
    let address = rig.nodes[PLACE - 1].address;
    let files = rig.files();
    let topology = move |cluster: &str, id: usize| super::rig::topology(cluster, 1, &[(id, address)]);
    let place = |rig: &Rig, issuer: &Authority, id: usize| {
        // It trusts itself and the cluster, and says nothing of revocations.
        files.put("stranger", &issue(issuer, HolderRole::Node, &id.to_string()));
        let settings = rig.files().settings("stranger");
        let settings: String =
            settings.lines().filter(|line| !line.starts_with("crl")).map(|line| format!("{line}\n")).collect();
        rig.impostor_with(PLACE - 1, id, &topology(NAME, id), &settings)
    };
    let own = rig.authority.take().unwrap();
    check_refused(
        &mut rig,
        |rig| place(rig, &own, 9),
        (&["spiffe://trial/node/9"], &["peer_refused", "ended the handshake"]),
    );
    let in_the_clear = |rig: &Rig| rig.impostor(PLACE - 1, PLACE, &topology(NAME, PLACE));
    check_refused(&mut rig, in_the_clear, (&["TLS with the node failed"], &[]));
    check_round(&rig.edges[0], &owned, PLACE);
}
