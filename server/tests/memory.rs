//! What a process may take of the host's memory, as it says itself and as it does, against the real binary.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::process::Output;

use support::client::Client;
use support::server::{Plan, Server, program};

fn check(flags: &[&str]) -> Output {
    program(env!("CARGO_BIN_EXE_corelane")).args(["--check", "--cores", "0"]).args(flags).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_check_says_what_the_process_may_take_and_warns_where_the_host_has_less() {
    let small = check(&["--memory=16MiB"]);
    let said = text(&small.stdout);
    assert!(small.status.success() && said.contains("\nmemory: at most "), "{said}");
    let large = check(&["--memory=1TiB"]);
    let said = text(&large.stdout);
    assert!(large.status.success() && said.contains("\nwarning: the process may take 10"), "{said}");
    assert!(said.contains(": lower memory first"), "{said}");
}

#[test]
fn memory_that_is_not_there_is_not_taken_at_the_start() {
    let folder = support::server::own_folder();
    let config = folder.join("corelane.toml");
    std::fs::write(&config, "memory = \"1TiB\"\nmemory_commit = \"at-start\"\n").unwrap();
    let refused = check(&["--config", config.to_str().unwrap()]);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("corelane.toml:1: memory: 1TiB cannot be used: memory_commit = \"at-start\""), "{said}");
}

/// The total is the same in the status and the metrics; the parts that add up to it are all there.
#[test]
fn one_total_is_told_everywhere() {
    let server = Server::start(&Plan { config: "memory = \"64MiB\"\n", ..Plan::default() });
    let total = server.metric("corelane_process_memory_bound_bytes");
    let answer = Client::connect(server.admin).ask("GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let status: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(status["memory"]["bytes_max"], total);
    let parts = status["memory"]["parts"].as_array().unwrap();
    assert_eq!(parts.iter().map(|part| part["bytes_max"].as_u64().unwrap()).sum::<u64>(), total);
    assert!(status["memory"]["limit_bytes"].as_u64().unwrap() > 0, "{status}");
}

/// Small values that many clients ask for and do not take are copied into send queues: all of them together have a bound.
#[test]
fn clients_that_pipeline_and_do_not_read_share_a_bound() {
    const CLIENTS: usize = 300;
    let server = Server::start(&Plan {
        config: "memory = \"64MiB\"\n[limits]\nconnection_memory_bytes = \"4MiB\"\n",
        ..Plan::default()
    });
    let mut neighbour = Client::connect(server.address);
    let mut readers: Vec<Client> = (0..16).map(|_| Client::connect(server.address)).collect();
    let value = "v".repeat(10_000);
    let put = format!("PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{value}", value.len());
    assert_eq!(neighbour.ask(&put).status, 201);
    let get = "GET /v1/kv/default/a HTTP/1.1\r\nHost: h\r\n\r\n";
    let before = server.resident_bytes();
    let cut = || server.metric("corelane_http_connections_cut_total{core=\"0\"}");
    // Each asks for 10 MB, more than the kernel takes for it.
    let mut deaf: Vec<Client> = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Client::connect(server.address);
        client.try_send(get.repeat(1_000).as_bytes());
        deaf.push(client);
        let reader = deaf.len() % readers.len();
        assert_eq!(readers[reader].ask(get).status, 200, "whoever reads is served");
    }
    // Those that hold memory are found out in a second, in which nobody who reads is cut off.
    let mut asked = 0;
    while cut() == 0 {
        let reader = asked % readers.len();
        assert_eq!(readers[reader].ask(get).status, 200, "whoever reads is served");
        asked += 1;
    }
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 24 << 20, "{CLIENTS} clients that do not read cost {grown} bytes");
}
