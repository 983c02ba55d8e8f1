//! Settings that change while the real binary serves: nothing is lost, what can change does, what cannot is named.
//!
//! `RELOADS=1000 cargo test -p corelane --test reload` reloads that many times under load.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::path::Path;

use support::client::Client;
use support::load::Load;
use support::server::{Plan, Server, Waiting};

/// Reloads under load, unless `RELOADS` says more.
const RELOADS: u64 = 40;

/// Connections that are under load meanwhile.
const CONNECTIONS: usize = 4;

/// How much more memory may be in use after the reloads than after the first of them: a snapshot of 200 keyspaces that was
/// kept for each of a thousand reloads would be ten times that.
const GROWTH_BYTES_MAX: u64 = 4 << 20;

const APPLIED: &str = "corelane_config_reloads_total{result=\"applied\"}";
const REFUSED: &str = "corelane_config_reloads_total{result=\"refused\"}";
const GENERATION: &str = "corelane_config_generation";

/// The status of a write to the keyspace `extra`.
fn write_to_extra(server: &Server) -> u16 {
    let request = "PUT /v1/kv/extra/k HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx";
    Client::connect(server.address).ask(request).status
}

/// Waits until a write to the keyspace `extra` has one of these statuses: cores learn of a change by message.
fn await_extra(server: &Server, statuses: &[u16]) {
    let waiting = Waiting::begin();
    while !statuses.contains(&write_to_extra(server)) {
        waiting.go_on(|| format!("a write to `extra` is answered {}, not {statuses:?}", write_to_extra(server)));
    }
}

fn config(server: &Server) -> serde_json::Value {
    let page = Client::connect(server.admin).ask("GET /v1/config HTTP/1.1\r\nHost: h\r\n\r\n");
    serde_json::from_slice(&page.body).unwrap()
}

/// What the binary says about its file and the process that runs, and its exit status.
fn check_against(server: &Server) -> (String, i32) {
    check_file_against(&server.folder.join("corelane.toml"), server)
}

/// The same about a file that is named from the process's folder.
fn check_file_against(file: &Path, server: &Server) -> (String, i32) {
    let (listen, admin) = (server.address.to_string(), server.admin.to_string());
    let output = support::server::program(env!("CARGO_BIN_EXE_corelane"))
        .args(["--listen", &listen, "--admin", &admin, "--cores", "0", "--config"])
        .arg(file)
        .args(["--check", "--against", &admin])
        .current_dir(&server.folder)
        .output()
        .unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
}

#[expect(clippy::disallowed_methods, reason = "the one who runs the test says how long")]
fn reloads() -> u64 {
    std::env::var("RELOADS").map_or(RELOADS, |count| count.parse().unwrap())
}

#[test]
fn reloads_under_load_lose_nothing_and_keep_nothing() {
    let mut server = Server::start(&Plan { config: "memory = \"64MiB\"\n", ..Plan::default() });
    let load = Load::start(server.address, CONNECTIONS);
    load.await_warm();
    let reloads = reloads();
    let mut resident = 0;
    for round in 1..=reloads {
        let mut text = format!("memory = \"64MiB\"\ncache_status = {}\n", round % 3 == 0);
        text += &format!("[limits]\nidle_timeout = \"{}s\"\nsend_queue_bytes = \"{}KiB\"\n", 60 + round, 64 + round);
        text.extend((0..200).map(|number| format!("[keyspace.k{number}]\nttl = \"{}s\"\n", round + number)));
        if round % 2 == 1 {
            text += "[keyspace.extra]\n";
        }
        server.write("corelane.toml", &text);
        server.signal("HUP");
        server.await_metric(APPLIED, round);
        await_extra(&server, if round % 2 == 1 { &[201, 204] } else { &[404] });
        if round == reloads / 4 {
            resident = server.resident_bytes();
        }
    }
    assert_eq!(server.metric(GENERATION), 1 + reloads);
    let grown = server.resident_bytes().saturating_sub(resident);
    assert!(grown <= GROWTH_BYTES_MAX, "{grown} bytes more after {reloads} reloads");
    server.terminate();
    for account in load.finish() {
        assert!(account.faults.is_empty() && account.sent == account.answered, "{account:?}");
    }
    assert_eq!(server.await_exit(support::PATIENCE), 0);
}

#[test]
fn a_bad_file_changes_nothing() {
    let server = Server::start(&Plan { config: "memory = \"64MiB\"\n[keyspace.extra]\n", ..Plan::default() });
    server.write("corelane.toml", "memory = \"64MiB\"\nedge_tll = \"1s\"\n[limits]\nheader_count = 1\n");
    server.signal("HUP");
    server.await_metric(REFUSED, 1);
    let first = server.await_event("config_refused");
    assert!(first.contains("corelane.toml:2: edge_tll: unknown key; did you mean \\\"edge_ttl\\\"?"), "{first}");
    let second = server.await_event("config_refused");
    assert!(second.contains("corelane.toml:4: limits.header_count: found 1, allowed: a count from 16"), "{second}");
    assert_eq!(server.metric(GENERATION), 1);
    assert!(matches!(write_to_extra(&server), 201 | 204));
    assert_eq!(config(&server)["limits.header_count"]["value"], 100);
}

#[test]
fn what_needs_a_restart_is_named() {
    let server = Server::start(&Plan { config: "memory = \"64MiB\"\n", ..Plan::default() });
    assert_eq!(check_against(&server).1, 0);
    server.write("corelane.toml", "memory = \"64MiB\"\n[limits]\nidle_timeout = \"9s\"\n");
    let (said, status) = check_against(&server);
    assert_eq!(status, 3, "{said}");
    let line = "limits.idle_timeout: \"75s\" -> \"9s\" (takes effect by a reload)";
    assert!(said.lines().any(|said| said == line), "{said}");

    server.write("corelane.toml", "memory = \"128MiB\"\n[limits]\nidle_timeout = \"9s\"\n");
    server.signal("HUP");
    server.await_metric(APPLIED, 1);
    let line = server.await_event("config_needs_restart");
    assert!(line.contains("key=memory"), "{line}");
    let memory = &config(&server)["memory"];
    assert_eq!((&memory["value"], &memory["pending"]), (&"64MiB".into(), &"128MiB".into()), "{memory}");
    let (said, status) = check_against(&server);
    assert_eq!(status, 4, "{said}");
    assert!(said.lines().any(|said| said == "memory: \"64MiB\" -> \"128MiB\" (needs a restart)"), "{said}");
}

#[test]
fn where_a_file_is_named_from_is_no_difference() {
    let config = "memory = \"64MiB\"\n[access_log]\npath = \"access.log\"\n";
    let server = Server::start(&Plan { config, ..Plan::default() });
    for file in ["corelane.toml", "./corelane.toml", ".//corelane.toml"] {
        assert_eq!(check_file_against(Path::new(file), &server), check_against(&server), "{file}");
    }
    assert_eq!(check_against(&server).1, 0);
}

#[test]
fn what_is_logged_and_how_changes_while_it_runs() {
    let server = Server::start(&Plan { config: "memory = \"64MiB\"\n", ..Plan::default() });
    server.write("corelane.toml", "memory = \"64MiB\"\n[log]\nlevel = \"warn\"\nformat = \"json\"\n");
    server.signal("HUP");
    server.await_metric(APPLIED, 1);
    // That settings are in force is an event that matters less.
    server.write("corelane.toml", "memory = \"64MiB\"\n[log]\nlevel = \"loud\"\n");
    server.signal("HUP");
    let line = server.await_event("config_refused");
    let refused: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&refused["level"], &refused["event"]), (&"error".into(), &"config_refused".into()), "{line}");
    assert!(refused["error"].as_str().unwrap().contains("corelane.toml:3: log.level: found \"loud\""), "{line}");
}

#[test]
fn a_file_that_is_added_takes_effect_without_a_signal() {
    let server =
        Server::start(&Plan { config: "memory = \"64MiB\"\ninclude = [\"more-*.toml\"]\n", ..Plan::default() });
    assert_eq!(write_to_extra(&server), 404);
    server.write("more-1.toml", "[keyspace.extra]\nvalue_bytes_max = \"10B\"\n");
    await_extra(&server, &[201, 204]);
    let origin = config(&server)["keyspace.extra.value_bytes_max"]["from"].to_string();
    assert!(origin.contains("more-1.toml:2"), "{origin}");
    // The same again in another file: both places are named, and nothing changes.
    server.write("more-2.toml", "[keyspace.extra]\n");
    let line = server.await_event("config_refused");
    assert!(line.contains("more-2.toml:1: keyspace.extra: set a second time; the first is at file"), "{line}");
    assert!(matches!(write_to_extra(&server), 201 | 204));
}
