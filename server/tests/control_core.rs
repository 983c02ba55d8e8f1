//! The control core never blocks: pipes that nobody reads or writes, files that are none, connections that rest, against the
//! real binary.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::client::Client;
use support::server::{Addresses, Plan, Running, Server, Waiting, own_folder, program};

const READYZ: &str = "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n";

/// `O_NONBLOCK` of fcntl.h.
const NONBLOCKING: i32 = 0o4000;

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// A named pipe that is full and that nobody reads, though it has a reader.
fn full_pipe(folder: &Path) -> (std::fs::File, PathBuf) {
    let path = folder.join("full");
    make_fifo(&path);
    let mut pipe = OpenOptions::new().read(true).write(true).custom_flags(NONBLOCKING).open(&path).unwrap();
    for size in [4096, 1] {
        while let Ok(count) = pipe.write(&vec![b'x'; size]) {
            assert!(count > 0);
        }
    }
    assert_eq!(pipe.write(b"x").unwrap_err().kind(), ErrorKind::WouldBlock);
    (pipe, path)
}

#[test]
fn a_standard_error_that_nobody_reads_stops_neither_admin_nor_the_end() {
    let folder = own_folder();
    let (_pipe, path) = full_pipe(&folder);
    let addresses = Addresses::own();
    let mut command = program(env!("CARGO_BIN_EXE_corelane"));
    command.args(addresses.flags()).args(["--cores", "0", "--memory", "64MiB"]);
    command.stderr(Stdio::from(OpenOptions::new().read(true).write(true).open(path).unwrap()));
    let mut server = Running(command.spawn().unwrap());
    addresses.await_ready();
    for _ in 0..3 {
        server.signal("HUP");
        assert_eq!(Client::connect(addresses.admin).ask(READYZ).status, 200);
    }
    server.signal("TERM");
    let status = server.await_end();
    let _ = std::fs::remove_dir_all(folder);
    assert_eq!(status, Some(0));
}

/// A topology of one node, at an address where nobody listens.
const TOPOLOGY: &str = "cluster = \"c\"\nepoch = 1\n[[node]]\nid = 1\naddress = \"127.0.0.1:1\"\n";

#[test]
fn files_that_become_pipes_are_refused_by_name_and_hold_up_nobody() {
    let folder = own_folder();
    let (topology, pipe) = (folder.join("topology.toml"), folder.join("pipe"));
    std::fs::write(&topology, TOPOLOGY).unwrap();
    make_fifo(&pipe);
    let flag = format!("--topology={}", topology.display());
    let mut server = Server::start(&Plan { flags: &[&flag], ..Plan::default() });
    std::fs::rename(&pipe, &topology).unwrap();
    server.signal("HUP");
    let line = server.await_event("topology_refused");
    assert!(line.contains("a named pipe (FIFO)") && line.contains("topology.toml"), "{line}");
    make_fifo(&pipe);
    std::fs::rename(&pipe, server.folder.join("corelane.toml")).unwrap();
    server.signal("HUP");
    let line = server.await_event("config_refused");
    assert!(line.contains("a named pipe (FIFO)") && line.contains("corelane.toml"), "{line}");
    let status = Client::connect(server.admin).ask("GET /v1/status HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(status.status, 200, "what was read before is in use");
    server.terminate();
    assert_eq!(server.await_exit(support::PATIENCE), 0);
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn idle_admin_connections_keep_no_probe_out() {
    let server = Server::start(&Plan { config: "memory = \"64MiB\"\n", ..Plan::default() });
    let idle: Vec<Client> = (0..100).map(|_| Client::connect(server.admin)).collect();
    let mut begun: Vec<Client> = (0..70).map(|_| Client::connect(server.admin)).collect();
    for _ in 0..3 {
        assert_eq!(Client::connect(server.admin).ask(READYZ).status, 200);
    }
    drop(idle);
    begun.iter_mut().for_each(|client| client.send(b"GET /"));
    for _ in 0..3 {
        assert_eq!(Client::connect(server.admin).ask(READYZ).status, 200);
    }
}

#[test]
fn an_edge_that_reaches_no_node_is_not_ready() {
    let folder = own_folder();
    let topology = folder.join("topology.toml");
    std::fs::write(&topology, TOPOLOGY).unwrap();
    let flag = format!("--topology={}", topology.display());
    let server = Server::start(&Plan { flags: &[&flag], ..Plan::default() });
    // It may be told before the server serves.
    let warnings = || Client::connect(server.admin).ask("GET /v1/status HTTP/1.1\r\nHost: h\r\n\r\n").body;
    let waiting = Waiting::begin();
    while !String::from_utf8(warnings()).unwrap().contains("event=node_unreachable node=1 address=127.0.0.1:1 ") {
        waiting.go_on(|| String::from_utf8(warnings()).unwrap());
    }
    let mut client = Client::connect(server.admin);
    client.send(READYZ.as_bytes());
    // It is no problem of the request's, and has the reasons as they are.
    let _ = client.answer();
    let text = String::from_utf8(client.received).unwrap();
    assert!(text.starts_with("HTTP/1.1 503 ") && text.contains("no node of the topology can be reached"), "{text}");
    let _ = std::fs::remove_dir_all(folder);
}

#[test]
fn the_admin_listener_answers_under_the_names_that_are_set() {
    let config = "memory = \"64MiB\"\nadmin_hosts = \"edge.example.org\"\n";
    let server = Server::start(&Plan { config, ..Plan::default() });
    let ask = |host: &str| {
        let request = format!("GET /v1/status HTTP/1.1\r\nHost: {host}\r\n\r\n");
        Client::connect(server.admin).ask(&request).status
    };
    assert_eq!((ask("edge.example.org"), ask("other.example.org")), (200, 403));
}

#[test]
fn a_topology_that_is_older_than_the_one_in_force_is_refused() {
    let folder = own_folder();
    let topology = folder.join("topology.toml");
    std::fs::write(&topology, TOPOLOGY.replace("epoch = 1", "epoch = 2")).unwrap();
    let flag = format!("--topology={}", topology.display());
    let server = Server::start(&Plan { flags: &[&flag], ..Plan::default() });
    std::fs::write(folder.join("older"), TOPOLOGY).unwrap();
    std::fs::rename(folder.join("older"), &topology).unwrap();
    server.signal("HUP");
    let line = server.await_event("topology_refused");
    assert!(line.contains("epoch"), "{line}");
    let _ = std::fs::remove_dir_all(folder);
}
