//! The real binary on real sockets: readiness, service, drain, `kill -9`, refusals, writes that stay, what service managers and
//! operators rely on.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_types, reason = "the test is a plain blocking client, outside of any reactor")]

mod client;
mod node;
mod operability;
#[path = "../../../../server/tests/support/process_control.rs"]
mod process_control;
mod writes;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use client::{Client, set};
use node::{Node, PATIENCE, clock, command, free_addresses, topology};
use shardstore::wire::{Op, Status};

#[test]
fn it_serves_tells_of_itself_and_drains() {
    let mut node = Node::start("serves");
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    for wanted in [0, 1, u16::MAX] {
        let mut client = Client::connect(node.listen, wanted);
        for n in 0..50 {
            let key = format!("\0key:{n}").into_bytes();
            assert_eq!(client.call(set(&key, &key)).0, Status::Ok);
            assert_eq!(client.call(Op::Get { key: &key }), (Status::Ok, key.clone()));
        }
        assert_eq!(client.call(set(b"\0large", &large)).0, Status::Ok);
        assert!(client.call(Op::Get { key: b"\0large" }) == (Status::Ok, large.clone()));
        assert_eq!(client.call(Op::Get { key: b"\0absent" }).0, Status::NotFound);
    }
    let metrics = node.page("/metrics").unwrap();
    for part in ["corelane_node_requests_total{core=\"0\",operation=\"get\"}", "corelane_topology_epoch 1"] {
        assert!(metrics.contains(part), "{part} in {metrics}");
    }
    let key_page = ("/v1/debug/key/default/key:1", "\"value_bytes\": 6");
    let told =
        [key_page, ("/v1/status", "16384"), ("/v1/status", "\"node request: get\""), ("/v1/config", "\"64MiB\"")];
    for (path, part) in told {
        let page = node.page(path).unwrap();
        assert!(page.contains(part), "{part} in {page}");
    }
    // A request that was sent before the signal is answered, then the connection is ended, then the process.
    let mut client = Client::connect(node.listen, 0);
    client.send(Op::Get { key: b"\0key:1" });
    node.signal("TERM");
    assert_eq!(client.answer(), Some((Status::Ok, b"\0key:1".to_vec())));
    assert_eq!(client.answer(), None);
    drop(client);
    let (status, log) = node.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("event=started") && log.contains("event=stopped status=0"), "{log}");
    assert!(log.contains("event=draining cause=\"SIGTERM or SIGINT\" connections="), "{log}");
}

#[test]
fn killed_it_comes_back_at_once() {
    let mut node = Node::start("killed");
    let mut client = Client::connect(node.listen, 0);
    client.call(set(b"\0key", b"value"));
    let before = client.session.peer_incarnation;
    node.signal("KILL");
    node.wait();
    assert_eq!(client.answer(), None, "a connection of a process that is gone");
    node.restart();
    let mut client = Client::connect(node.listen, 0);
    assert_ne!(client.session.peer_incarnation, before);
    assert_eq!(client.call(Op::Get { key: b"\0key" }).0, Status::NotFound);
    assert_eq!(client.call(set(b"\0key", b"again")).0, Status::Ok);
}

#[test]
fn a_signal_makes_it_read_the_topology() {
    let node = Node::start("reload");
    let file = node.folder.join("topology.toml");
    let waits_for = |part: &str| {
        let start = clock();
        while !node.page("/metrics").unwrap().contains(part) {
            assert!(start.elapsed() < PATIENCE, "{part}: {}", node.page("/metrics").unwrap());
            std::thread::yield_now();
        }
    };
    std::fs::write(&file, "cluster = \"test\"\nepoch = \"two\"\n").unwrap();
    node.signal("HUP");
    waits_for("corelane_topology_refused_total 1");
    assert!(node.page("/readyz").unwrap().starts_with("HTTP/1.1 200"), "the old one stays in force");
    std::fs::write(&file, topology(node.listen).replace("epoch = 1", "epoch = 2")).unwrap();
    node.signal("HUP");
    waits_for("corelane_topology_epoch 2");
}

#[test]
fn the_files_of_its_unix_sockets_have_the_modes_that_are_set() {
    let [listen, admin] = free_addresses();
    let folder = std::env::temp_dir().join(format!("shardstored-modes-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("topology.toml"), topology(listen)).unwrap();
    let (peers, pages) = (folder.join("peers"), folder.join("pages"));
    let text = format!("admin = \"unix:{}\"\nadmin_mode = \"0600\"\nlisten_mode = \"0666\"\n", pages.display());
    std::fs::write(folder.join("node.toml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_shardstored"));
    command.env_clear().arg("--node-id=1").arg("--memory=64MiB").arg("--config").arg(folder.join("node.toml"));
    command.arg(format!("--listen={listen},unix:{}", peers.display())).stderr(Stdio::piped());
    let child = command.arg("--topology").arg(folder.join("topology.toml")).spawn().unwrap();
    let node = Node { child, folder, listen, admin };
    let mode = |path: &PathBuf| std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode() & 0o7777);
    let start = clock();
    while [&peers, &pages].map(mode) != [0o666, 0o600] {
        assert!(start.elapsed() < PATIENCE, "{:o} {:o}", mode(&peers), mode(&pages));
        std::thread::yield_now();
    }
    drop(node);
}

#[test]
fn what_it_cannot_start_with_is_said_with_place_and_remedy() {
    let [listen, admin] = free_addresses();
    let folder = std::env::temp_dir().join(format!("shardstored-refused-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let refused = |topology: Option<&str>, flags: &[&str]| {
        let file = folder.join("topology.toml");
        let _ = std::fs::remove_file(&file);
        if let Some(text) = topology {
            std::fs::write(&file, text).unwrap();
        }
        let output = command(&folder, listen, admin).args(flags).output().unwrap();
        // An address that is in use may be free later.
        let is_taken = flags.iter().any(|flag| flag.starts_with("--listen"));
        assert_eq!(output.status.code(), Some(if is_taken { 75 } else { 2 }), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let good = topology(listen);
    let bad_epoch = good.replace("epoch = 1", "epoch = 0");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken_flag = format!("--listen={}", taken.local_addr().unwrap());
    let cases: &[(Option<&str>, &[&str], &str)] = &[
        (None, &[], "topology.toml: cannot read the topology"),
        (Some(&bad_epoch), &[], "topology.toml:2: epoch"),
        (
            Some(&good),
            &["--node-id=9"],
            "node_id: 9 cannot be used: the topology has no such node, it has 1; correct node_id",
        ),
        (Some(&good), &["--memory=1KiB"], "memory"),
        (Some(&good), &["--no-such-flag"], "no-such-flag"),
        (Some(&good), &[&taken_flag], "set another address (`listen`"),
    ];
    for (topology, flags, part) in cases {
        let said = refused(*topology, flags);
        assert!(said.contains(part), "{part}: {said}");
        // A check refuses it too, unless it takes a start to see it.
        if *flags != [&*taken_flag] {
            let said = refused(*topology, &[flags, &["--check"][..]].concat());
            assert!(said.contains(part), "--check: {part}: {said}");
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
