//! Bounds that hold exactly: connections admitted at once, endings in a drain, bodies that stall, memory for bodies, and
//! what is counted and said of what was refused. Against the real binary.
//!
//! **Not** slow heads, deaf clients and ends under load: `faults.rs`.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::io::Read as _;
use std::net::SocketAddr;
use std::time::Duration;

use support::client::Client;
use support::server::{Plan, Server, own_address, own_folder};
use support::slow_node;

const MIB: usize = 1 << 20;

/// 5 % of the shard are 3 MiB, so that no value of 4 MiB can be pinned: each client gets copies of 128 KiB, 64 of them at once.
const COPYING: &str = "memory = \"64MiB\"\n[limits]\nbody_bytes = \"8MiB\"\nbody_memory_bytes = \"8MiB\"\n";

const GET_ROOT: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

fn serve(config: &str) -> Server {
    Server::start(&Plan { config, ..Plan::default() })
}

/// Connections that come while the server looks elsewhere are admitted in one go, before the task of any of them runs.
#[test]
fn a_burst_of_connections_does_not_pass_the_bound() {
    const BOUND: usize = 4;
    const CLIENTS: usize = 40;
    let server = serve("memory = \"64MiB\"\n[limits]\nconnections_per_core = 4\n");
    let answers = || server.metric("corelane_http_responses_total{core=\"0\",class=\"5xx\"}");
    assert_eq!(answers(), 0);
    server.signal("STOP");
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(server.address)).collect();
    for client in &mut clients {
        client.send(GET_ROOT.as_bytes());
    }
    server.signal("CONT");
    let statuses: Vec<u16> = clients.iter_mut().map(|client| client.answer().unwrap().status).collect();
    let served = statuses.iter().filter(|status| **status == 200).count();
    let shed = statuses.iter().filter(|status| **status == 503).count();
    assert_eq!((served, shed), (BOUND, CLIENTS - BOUND));
    assert_eq!(answers(), shed as u64, "what is shed is answered, and so counted as an answer");
    assert_eq!(server.metric("corelane_http_connections_shed_total{core=\"0\"}"), shed as u64);
}

/// A connection whose last answer is written has its own short time for its client to read that; the beginning of a
/// drain must not cut it, or the answer may be lost in a reset.
#[test]
fn a_drain_does_not_hurry_a_connection_that_is_being_finished() {
    let mut server = serve("memory = \"64MiB\"\n");
    let mut idle = Client::connect(server.address);
    assert_eq!(idle.ask(GET_ROOT).status, 200);
    let mut refused = Client::connect(server.address);
    assert_eq!(refused.ask(GET_ROOT).status, 200);
    server.terminate();
    server.await_event("draining");
    refused.send(b"PUT /v1/kv/nowhere/a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
    assert_eq!(refused.answer().unwrap().status, 404);
    assert_eq!(server.metric("corelane_http_connections{core=\"0\"}"), 2, "one that is being finished is still open");
    // The idle connection ends when the drain hurries those that do nothing; it would have hurried the other just then.
    idle.end().unwrap();
    for _ in 0..20 {
        server.metric("corelane_http_connections{core=\"0\"}");
        assert!(refused.try_send(b"body"), "the server has closed, so that what is sent is answered by a reset");
    }
    drop(refused);
    drop(idle);
    assert_eq!(server.await_exit(support::PATIENCE), 0);
}

fn get(key: &str) -> String {
    format!("GET /v1/kv/default/{key} HTTP/1.1\r\nHost: h\r\n\r\n")
}

fn send_put(client: &mut Client, key: &str, bytes: usize) {
    client.send(format!("PUT /v1/kv/default/{key} HTTP/1.1\r\nHost: h\r\nContent-Length: {bytes}\r\n\r\n").as_bytes());
    client.try_send(&vec![b'v'; bytes]);
}

/// Clients that ask for a large value until the server has no memory for another copy, and do not read.
fn deaf_clients(server: &Server) -> Vec<Client> {
    let mut writer = Client::connect(server.address);
    send_put(&mut writer, "large", 4 * MIB);
    assert_eq!(writer.answer().unwrap().status, 201);
    let clients = (0..100).map(|_| {
        let mut client = Client::connect(server.address);
        client.send(get("large").repeat(4).as_bytes());
        // What it asked is served before this is.
        writer.ask(GET_ROOT);
        client
    });
    let clients = clients.collect();
    // Whoever finds no memory waits for some, for the time of a request.
    let shed = || server.metric("corelane_http_bodies_shed_total{core=\"0\"}") > 0;
    assert!((0..20_000).any(|_| shed()), "somebody waits in vain");
    clients
}

#[test]
fn clients_that_do_not_read_do_not_keep_others_from_writing() {
    let server = serve(COPYING);
    let deaf = deaf_clients(&server);
    let mut writer = Client::connect(server.address);
    for key in ["a", "b"] {
        send_put(&mut writer, key, 8 * MIB);
        let answer = writer.answer().unwrap();
        assert_eq!((answer.status, answer.slug()), (201, None));
    }
    drop(deaf);
}

/// An answer that could not be sent was not given: what counts is the 503 in its place.
#[test]
fn every_request_is_counted_with_one_answer() {
    let server = serve(COPYING);
    let deaf = deaf_clients(&server);
    let of_class =
        |class: &str| server.metric(&format!("corelane_http_responses_total{{core=\"0\",class=\"{class}\"}}"));
    // Some wait for memory, and are answered when they have waited in vain; what they have sent behind is served then.
    let all_are_answered = || {
        let (requests, fine, failed) =
            (server.metric("corelane_http_requests_total"), of_class("2xx"), of_class("5xx"));
        failed > 0 && fine + failed == requests
    };
    assert!((0..20_000).any(|_| all_are_answered()), "{} + {} answers", of_class("2xx"), of_class("5xx"));
    drop(deaf);
}

/// What was sent quickly earns time for what comes slowly, but no silence: a client that has gone away must not hold what
/// it has sent for as long as its speed would have allowed.
#[test]
fn a_body_that_stalls_is_answered_408_however_much_has_come() {
    let server = serve("memory = \"64MiB\"\n[limits]\nbody_rate_min = \"1KiB\"\nbody_rate_grace = \"200ms\"\n");
    // A thousand seconds' worth at the slowest rate.
    let framings = ["Content-Length: 4000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n3d0900\r\n"];
    for framing in framings {
        let mut client = Client::connect(server.address);
        client.send(format!("PUT /v1/kv/default/stalled HTTP/1.1\r\nHost: h\r\n{framing}").as_bytes());
        client.send(&vec![b'v'; 1_000_000]);
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.slug().as_deref()), (408, Some("body-timeout")), "{framing:?}");
        client.end().unwrap();
    }
}

/// A server whose only node takes connections and says nothing.
#[expect(clippy::disallowed_types, reason = "a node that is none needs a socket and no reactor")]
fn serve_before_a_mute_node(limits: &str) -> (Server, std::net::TcpListener) {
    let mute = std::net::TcpListener::bind(SocketAddr::from((own_address(), 7401))).unwrap();
    let node = mute.local_addr().unwrap();
    let topology = own_folder().join("topology.toml");
    let text = format!("cluster = \"test\"\nepoch = 1\n[[node]]\nid = 1\naddress = \"{node}\"\n");
    std::fs::write(&topology, text).unwrap();
    let upstream = "[upstream]\nconnect_timeout = \"60s\"\nrequest_timeout = \"2s\"\nbreaker_failures = 1000\n";
    let config = format!("memory = \"64MiB\"\ntopology = {topology:?}\n[limits]\n{limits}\n{upstream}");
    (serve(&config), mute)
}

/// A body counts until the store has answered, not only while it is being received.
#[test]
fn a_body_that_waits_for_its_node_counts() {
    let (server, _mute) = serve_before_a_mute_node("body_bytes = \"4MiB\"\nbody_memory_bytes = \"6MiB\"");
    let mut first = Client::connect(server.address);
    send_put(&mut first, "a", 4 * MIB);
    let held = || server.metric("corelane_http_body_bytes{core=\"0\"}");
    assert!((0..20_000).any(|_| held() == 4 << 20), "{} bytes are held", held());
    let mut second = Client::connect(server.address);
    send_put(&mut second, "b", 4 * MIB);
    assert_eq!(second.answer().unwrap().slug().as_deref(), Some("too-many-bodies"));
    assert_eq!(first.answer().unwrap().slug().as_deref(), Some("node-unavailable"));
    // What was held is given back with the answer.
    send_put(&mut first, "c", 4 * MIB);
    assert_eq!(first.answer().unwrap().slug().as_deref(), Some("node-unavailable"));
}

/// A 503 of this process's own says nothing of hits; one of a node that was asked says which.
#[test]
fn a_read_that_was_refused_is_no_hit() {
    let (server, _mute) = serve_before_a_mute_node("fills_per_core = 1");
    let mut clients: Vec<Client> = (0..2).map(|_| Client::connect(server.address)).collect();
    for (client, key) in clients.iter_mut().zip(["a", "b"]) {
        client.send(get(key).as_bytes());
    }
    let mut said: Vec<(String, String)> = clients
        .iter_mut()
        .map(|client| client.answer().unwrap())
        .map(|answer| (answer.slug().unwrap(), answer.field("Cache-Status").unwrap_or("nothing").to_owned()))
        .collect();
    said.sort();
    assert_eq!(said[0], ("busy".to_owned(), "nothing".to_owned()));
    assert_eq!(said[1].0, "node-unavailable");
    assert!(said[1].1.contains("fwd="), "{}", said[1].1);
}

/// A write with conditions that must be weighed asks several times. All of it has the time of one request.
#[test]
fn a_request_that_asks_often_has_one_deadline() {
    let address = SocketAddr::from((own_address(), 7401));
    let topology = own_folder().join("topology.toml");
    // Each answer is in time by itself; a read and a write together are not.
    std::fs::write(&topology, slow_node::start(address, Duration::from_millis(1_200))).unwrap();
    let limits = "[keyspace.default]\nvalue_bytes_max = \"64KiB\"\n[upstream]\nrequest_timeout = \"2s\"\n";
    let server = serve(&format!("memory = \"64MiB\"\ntopology = {topology:?}\n{limits}"));
    let mut client = Client::connect(server.address);
    client.send(b"PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nIf-Match: \"6\", \"7\"\r\nContent-Length: 1\r\n\r\nv");
    // The deadline comes while the write is under way. With one for each ask it would be refused as contended, later.
    assert_eq!(client.answer().unwrap().slug().as_deref(), Some("outcome-unknown"));
}

/// A client that sends all of a body before it reads finds the refusal, and no reset; one that reads while it sends has it at
/// once.
#[test]
fn a_refused_upload_is_answered_though_its_client_goes_on_sending() {
    let server = serve("memory = \"64MiB\"\n[limits]\nbody_bytes = \"8MiB\"\nbody_memory_bytes = \"8MiB\"\n");
    let head = format!("PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", 32 * MIB);
    let (mut early, mut late) = (Client::connect(server.address), Client::connect(server.address));
    early.send(head.as_bytes());
    assert_eq!(early.answer().unwrap().status, 413);
    late.send(head.as_bytes());
    late.send(&vec![b'x'; 32 * MIB]);
    let answer = late.answer().unwrap();
    assert_eq!((answer.status, answer.slug().as_deref()), (413, Some("body-too-large")));
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(body.contains("at most 8388608 bytes (limits.body_bytes)"), "{body}");
    late.end().unwrap();
}

/// A client that speaks HTTP/2 without asking is answered in it: on every listener.
#[test]
fn a_client_of_http_2_is_told_to_use_http_1() {
    let server = serve("memory = \"64MiB\"\n");
    for address in [server.address, server.admin] {
        let mut client = Client::connect(address);
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
        let mut received = Vec::new();
        client.socket.read_to_end(&mut received).unwrap();
        assert_eq!(received, corelane_http::h1::foreign::HTTP2_GOAWAY);
    }
}
