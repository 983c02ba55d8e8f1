//! Clients that are slow, silent, too many or deaf, ends under load, and bad configurations, against the real binary.
//!
//! Time is told by the server: a deadline has passed when a connection that only waits for it is answered or closed.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::process::Stdio;
use std::time::{Duration, Instant};

use support::client::{Client, Fault};
use support::load::Load;
use support::server::{Plan, Server, own_folder, program, raise_open_files};

const GET_ROOT: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

fn serve(config: &str) -> Server {
    Server::start(&Plan { config, ..Plan::default() })
}

fn get(key: &str) -> String {
    format!("GET /v1/kv/default/{key} HTTP/1.1\r\nHost: h\r\n\r\n")
}

/// Stores a value of so many bytes.
fn store(client: &mut Client, key: &str, bytes: usize) {
    let head = format!("PUT /v1/kv/default/{key} HTTP/1.1\r\nHost: h\r\nContent-Length: {bytes}\r\n\r\n");
    client.send(head.as_bytes());
    client.send(&vec![b'v'; bytes]);
    assert!(matches!(client.answer().unwrap().status, 201 | 204));
}

#[test]
fn a_slow_head_is_answered_408() {
    let server = serve("memory = \"64MiB\"\n[limits]\nheader_timeout = \"200ms\"\n");
    let mut neighbour = Client::connect(server.address);
    neighbour.ask(GET_ROOT);
    for part in ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: h\r\nX-A: b"] {
        let mut client = Client::connect(server.address);
        client.send(part.as_bytes());
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.slug().as_deref()), (408, Some("header-timeout")), "{part:?}");
        client.end().unwrap();
    }
    // A head that goes on arriving has no more time than one that does not.
    let mut client = Client::connect(server.address);
    client.wait_at_most(Duration::from_millis(20));
    let mut answer = Err(Fault::Silent(Vec::new()));
    client.send(b"GET / HTTP/1.1\r\nX-A: ");
    for _ in 0..1000 {
        client.try_send(b"a");
        answer = client.answer();
        if !matches!(answer, Err(Fault::Silent(_))) {
            break;
        }
    }
    assert_eq!(answer.unwrap().status, 408);
    assert_eq!(neighbour.ask(GET_ROOT).status, 200);
}

#[test]
fn a_slow_body_is_answered_408() {
    let server = serve("memory = \"64MiB\"\n[limits]\nbody_rate_min = \"1KiB\"\nbody_rate_grace = \"200ms\"\n");
    let mut neighbour = Client::connect(server.address);
    let framings = ["Content-Length: 100000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n20\r\n"];
    for framing in framings {
        let mut client = Client::connect(server.address);
        client.send(format!("PUT /v1/kv/default/slow HTTP/1.1\r\nHost: h\r\n{framing}abc").as_bytes());
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.slug().as_deref()), (408, Some("body-timeout")), "{framing:?}");
        client.end().unwrap();
    }
    assert_eq!(neighbour.ask(&get("slow")).status, 404);
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let server = serve("memory = \"64MiB\"\n[limits]\nidle_timeout = \"1s\"\n");
    let mut fresh = Client::connect(server.address);
    let mut used = Client::connect(server.address);
    used.ask(GET_ROOT);
    fresh.end().unwrap();
    used.end().unwrap();
}

/// A client that does not read is cut off after `idle_timeout`; until then what waits for it is bounded.
#[test]
#[expect(clippy::disallowed_methods, reason = "a test has no reactor to tell the time")]
fn a_client_that_never_reads_costs_little_and_is_cut_off() {
    const CLIENTS: usize = 8;
    const VALUE_BYTES: usize = 8 << 20;
    let server = serve("memory = \"256MiB\"\n[limits]\nidle_timeout = \"1s\"\n");
    let mut neighbour = Client::connect(server.address);
    store(&mut neighbour, "large", VALUE_BYTES);
    assert_eq!(neighbour.ask(&get("large")).body.len(), VALUE_BYTES);
    let before = server.resident_bytes();
    let mut deaf: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(server.address)).collect();
    for client in &mut deaf {
        // Far more than any queue takes; the server stops reading, so that not all of it may leave.
        client.try_send(get("large").repeat(100).as_bytes());
    }
    let mut peak = 0;
    let (began, mut cut) = (Instant::now(), 0);
    while cut < CLIENTS as u64 {
        assert!(began.elapsed() < support::PATIENCE, "{cut} of {CLIENTS} clients were cut off");
        assert_eq!(neighbour.ask(GET_ROOT).status, 200);
        peak = peak.max(server.resident_bytes());
        cut = server.metric("corelane_http_timeouts_total{core=\"0\"}");
    }
    let grown = peak.saturating_sub(before);
    println!("{CLIENTS} clients that do not read: {} KiB more", grown >> 10);
    assert!(grown < 16 << 20, "{CLIENTS} clients that do not read cost {grown} bytes");
    for client in &mut deaf {
        let cut = std::iter::repeat_with(|| client.answer()).take(100).find_map(Result::err);
        assert!(cut.is_some(), "a client that did not read got everything");
    }
}

/// Values that cannot be pinned are copied for each client; those copies have a bound, beyond it 503.
#[test]
fn copies_for_clients_that_never_read_are_bounded() {
    // More than there is memory for parts of 128 KiB.
    const CLIENTS: usize = 64;
    const VALUE_BYTES: usize = 4 << 20;
    // 5 % of the shard are 3 MiB, so that no value of 4 MiB can be pinned.
    let server = serve("memory = \"64MiB\"\n[limits]\nbody_bytes = \"4MiB\"\nbody_memory_bytes = \"4MiB\"\n");
    let mut neighbour = Client::connect(server.address);
    store(&mut neighbour, "large", VALUE_BYTES);
    assert_eq!(neighbour.ask(&get("large")).body.len(), VALUE_BYTES);
    let before = server.resident_bytes();
    let mut deaf: Vec<Client> = (0..CLIENTS).map(|_| Client::connect(server.address)).collect();
    for client in &mut deaf {
        client.send(get("large").repeat(4).as_bytes());
        neighbour.ask(GET_ROOT);
    }
    // Whoever finds no memory waits for some, for the time of a request.
    let shed = || server.metric("corelane_http_bodies_shed_total{core=\"0\"}") > 0;
    assert!((0..20_000).any(|_| shed()), "somebody waits in vain");
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < 24 << 20, "{CLIENTS} clients that do not read cost {grown} bytes");
    let mut statuses: Vec<u16> = deaf.iter_mut().map(|client| client.answer().unwrap().status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    assert_eq!(statuses, [200, 503]);
    drop(deaf);
    // What was held is given back with the connections.
    let mut last = 503;
    for _ in 0..1000 {
        last = neighbour.ask(&get("large")).status;
        if last == 200 {
            break;
        }
    }
    assert_eq!(last, 200);
}

/// An answer that takes its client longer than any linger arrives whole.
#[test]
fn a_last_answer_to_a_slow_client_is_not_cut() {
    const VALUE_BYTES: usize = 48 << 20;
    let server = serve("memory = \"256MiB\"\n[limits]\nheader_timeout = \"900ms\"\n");
    let mut client = Client::connect(server.address);
    store(&mut client, "large", VALUE_BYTES);
    client.send(get("large").replace("Host: h\r\n", "Host: h\r\nConnection: close\r\n").as_bytes());
    // Three unfinished heads, one after the other, are the clock: the client reads nothing for 2.7 seconds.
    for _ in 0..3 {
        let mut clock = Client::connect(server.address);
        clock.send(b"G");
        assert_eq!(clock.answer().unwrap().status, 408);
    }
    let answer = client.answer().unwrap();
    assert!(answer.status == 200 && answer.body.len() == VALUE_BYTES && answer.closes());
    client.end().unwrap();
}

/// A client that sends its whole body before it reads gets to read why it was refused.
#[test]
fn a_client_that_goes_on_sending_reads_its_last_answer() {
    const BODY_BYTES: usize = 8 << 20;
    let server = serve("memory = \"64MiB\"\n[limits]\nbody_bytes = \"1MiB\"\n");
    let mut client = Client::connect(server.address);
    client.send(format!("PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nContent-Length: {BODY_BYTES}\r\n\r\n").as_bytes());
    client.send(&vec![b'x'; BODY_BYTES]);
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.closes()), (413, true));
    client.end().unwrap();
}

#[test]
fn connections_over_the_bound_are_answered_503() {
    let server = serve("memory = \"64MiB\"\n[limits]\nconnections_per_core = 4\n");
    let mut served: Vec<Client> = (0..4).map(|_| Client::connect(server.address)).collect();
    for client in &mut served {
        assert_eq!(client.ask(GET_ROOT).status, 200);
    }
    for _ in 0..20 {
        let mut client = Client::connect(server.address);
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.slug().as_deref()), (503, Some("too-many-connections")));
        assert_eq!(answer.field("Retry-After"), Some("1"));
        client.end().unwrap();
    }
    for client in &mut served {
        assert_eq!(client.ask(GET_ROOT).status, 200);
    }
    // A place that becomes free is given again, once the server has seen that it is.
    let left = served.pop().unwrap();
    left.end_sending();
    drop(left);
    let admitted = (0..1000).any(|_| {
        let mut client = Client::connect(server.address);
        client.try_send(GET_ROOT.as_bytes());
        client.answer().is_ok_and(|answer| answer.status == 200)
    });
    assert!(admitted);
}

/// With `--release` this is the measurement of docs/testing.md: 10,000 connections.
#[test]
fn idle_memory() {
    let connections: u64 = if cfg!(debug_assertions) { 2_000 } else { 10_000 };
    raise_open_files(connections + 1_000);
    let server = serve("memory = \"64MiB\"\n");
    let mut first = Client::connect(server.address);
    first.ask(GET_ROOT);
    let before = server.resident_bytes();
    let idle: Vec<Client> = (0..connections)
        .map(|_| {
            let mut client = Client::connect(server.address);
            assert_eq!(client.ask(GET_ROOT).status, 200);
            client
        })
        .collect();
    first.ask(GET_ROOT);
    let each = server.resident_bytes().saturating_sub(before) / connections;
    println!("{connections} idle connections: {each} bytes of process memory each");
    assert!(each <= 2048, "an idle connection costs {each} bytes");
    drop(idle);
}

#[test]
fn an_end_under_load_loses_no_request() {
    for round in 0..10 {
        let mut server = serve("memory = \"64MiB\"\n");
        let load = Load::start(server.address, 8);
        load.await_warm();
        server.terminate();
        let accounts = load.finish();
        for account in &accounts {
            assert!(account.faults.is_empty() && account.sent == account.answered, "round {round}: {account:?}");
        }
        assert_eq!(server.await_exit(support::PATIENCE), 0, "round {round}");
    }
}

/// Requests that are half way when the process is asked to end, and need longer than idle connections get.
#[test]
fn an_end_waits_for_requests_under_way() {
    const VALUE_BYTES: usize = 32 << 20;
    let mut server = serve("memory = \"256MiB\"\n");
    let mut reading = Client::connect(server.address);
    store(&mut reading, "large", VALUE_BYTES);
    let mut sending = Client::connect(server.address);
    sending.send(b"PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc");
    let mut asking = Client::connect(server.address);
    asking.send(b"GET / HTTP/1.1\r\nHo");
    let mut idle = Client::connect(server.address);
    idle.ask(GET_ROOT);
    reading.send(get("large").as_bytes());
    idle.ask(GET_ROOT);

    server.terminate();
    // The idle connection ends when idle ones have had their time; the others are older than that by then.
    idle.end().unwrap();
    sending.send(b"def");
    let stored = sending.answer().unwrap();
    assert!(stored.status == 201 && stored.closes(), "{stored:?}");
    asking.send(b"st: h\r\n\r\n");
    let asked = asking.answer().unwrap();
    assert!(asked.status == 200 && asked.closes(), "{asked:?}");
    assert_eq!(reading.answer().unwrap().body.len(), VALUE_BYTES);
    for client in [sending, asking, reading] {
        client.end_sending();
    }
    let log = server.rest_of_log(support::PATIENCE);
    assert!(!log.iter().any(|line| line.contains("connections_cut")), "none was cut: {log:#?}");
    assert_eq!(server.await_exit(support::PATIENCE), 0);
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut server = serve("memory = \"64MiB\"\n");
    let mut client = Client::connect(server.address);
    client.send(b"PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc");
    Client::connect(server.address).ask(GET_ROOT);
    server.terminate();
    server.await_event("draining");
    server.terminate();
    assert_eq!(server.await_exit(Duration::from_secs(5)), 3);
}

#[test]
fn a_drain_that_takes_too_long_is_cut() {
    let mut server = serve("memory = \"64MiB\"\ndrain_timeout = \"300ms\"\n");
    let mut client = Client::connect(server.address);
    client.send(b"PUT /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nabc");
    Client::connect(server.address).ask(GET_ROOT);
    server.terminate();
    let line = server.await_event("connections_cut");
    assert!(line.contains("core=0") && line.contains("count=1"), "{line}");
    assert_eq!(server.await_exit(support::PATIENCE), 3);
    assert!(client.answer().is_err());
}

#[test]
fn a_bad_configuration_is_refused_with_its_place_and_a_remedy() {
    let folder = own_folder();
    let file = folder.join("bad.toml");
    let cases: &[(&str, &[&str])] = &[
        ("\nmemory = 1024\n", &["bad.toml:2:", "memory", "1024", "unit"]),
        ("memory = \"1KiB\"\n", &["bad.toml:1:", "memory", "16MiB"]),
        ("[limits]\n\nheder_bytes = \"1KiB\"\n", &["bad.toml:3:", "limits.heder_bytes", "limits.header_bytes"]),
        ("listen = [\"localhost:1\"]\n", &["bad.toml:1:", "listen"]),
        ("memory = \n", &["bad.toml:1"]),
    ];
    for (text, wanted) in cases {
        std::fs::write(&file, text).unwrap();
        let output =
            support::server::program(env!("CARGO_BIN_EXE_corelane")).arg("--config").arg(&file).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text:?}: {told}");
        for word in *wanted {
            assert!(told.contains(word), "{text:?}: {told} does not say {word}");
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_cannot_be_printed_ends_with_a_status() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    // A pipe without a reader.
    let closed = || std::io::pipe().unwrap().1;
    let run = |argument: &str, out: Stdio, error: Stdio| {
        let mut command = program(env!("CARGO_BIN_EXE_corelane"));
        let output = command.arg(argument).stdout(out).stderr(error).spawn().unwrap().wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for argument in ["--help", "--version", "--print-config", "--check"] {
        let (status, told) = run(argument, full().into(), Stdio::piped());
        assert_eq!(status, Some(2), "{argument}: {told}");
        assert!(told.starts_with("corelane: cannot write to standard output: "), "{argument}: {told}");
        assert_eq!(run(argument, closed().into(), Stdio::piped()), (Some(0), String::new()), "{argument}");
    }
    for deaf in [Stdio::from(full()), closed().into()] {
        assert_eq!(run("--unknown", Stdio::null(), deaf).0, Some(2));
    }
}

#[test]
fn an_address_in_use_is_refused_with_a_remedy() {
    let server = serve("memory = \"64MiB\"\n");
    let (listen, admin, free) = (server.address.to_string(), server.admin.to_string(), "127.0.0.1:0");
    for (taken, listen, admin) in [("admin", free, &*admin), ("listen", &listen, free)] {
        let mut command = support::server::program(env!("CARGO_BIN_EXE_corelane"));
        command.args(["--cores", "0", "--memory", "64MiB", "--listen", listen, "--admin", admin]);
        let output = command.output().unwrap();
        let refusal = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(75), "{refusal}");
        assert!(refusal.contains(&format!("{taken}: ")) && refusal.contains("in use by another process"), "{refusal}");
        assert!(refusal.contains(&format!("--{taken}")), "{refusal}");
    }
}
