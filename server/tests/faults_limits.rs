//! Bounds that hold exactly: connections admitted at once, endings in a drain, bodies that stall, memory for bodies, and
//! what is counted and said of what was refused. Against the real binary.
//!
//! **Not** slow heads, deaf clients and ends under load: `faults.rs`.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use support::client::Client;
use support::server::{Plan, Server};

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
