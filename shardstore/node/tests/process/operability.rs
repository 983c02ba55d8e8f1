//! What service managers and operators rely on: signs of start, reload, end and life; a drain by request, and one by a signal.

use std::os::unix::fs::PermissionsExt;

use shardstore::wire::{Op, Status};

use super::client::{Client, set};
use super::node::{Node, PATIENCE, clock};
use super::process_control::{HeldThread, Manager, order};

/// A node that a manager has started.
fn managed(name: &str, watchdog_us: &str) -> (Node, Manager) {
    let mut manager = None;
    let node = Node::start_with(name, |command, folder| {
        let path = folder.join("notify");
        manager = Some(Manager::at(&path));
        command.env("NOTIFY_SOCKET", path).env("WATCHDOG_USEC", watchdog_us);
    });
    (node, manager.unwrap())
}

#[test]
fn a_process_control_is_told_of_start_reload_and_end() {
    let (mut node, mut manager) = managed("notify", "0");
    let first = manager.next();
    assert!(first.starts_with("READY=1\nSTATUS=Serving: 0 connections"), "{first}");
    node.signal("HUP");
    manager.expect_reload();
    node.signal("TERM");
    let stopping = manager.expect("STOPPING=1\n");
    // drain_timeout, and five seconds.
    assert!(stopping.contains("\nEXTEND_TIMEOUT_USEC=10000000\nSTATUS=Ending"), "{stopping}");
    let (status, log) = node.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

/// Waits until `/readyz` is refused with a text that `accepts` takes; it.
fn unready(node: &Node, accepts: impl Fn(&str) -> bool) -> String {
    let start = clock();
    loop {
        let page = node.page("/readyz").unwrap_or_default();
        if page.starts_with("HTTP/1.1 503 ") && accepts(&page) {
            return page;
        }
        assert!(start.elapsed() < PATIENCE, "{page}");
        std::thread::yield_now();
    }
}

#[test]
fn a_data_core_that_stands_still_ends_the_signs_of_life() {
    let (node, mut manager) = managed("watchdog", "400000");
    manager.expect("READY=1");
    manager.expect("WATCHDOG=1");
    let held = HeldThread::hold(node.child.id(), "core-0");
    // The control thread runs on. What came until its beats were missed is of the time before.
    let mut silent = unready(&node, |page| page.contains("has not answered for"));
    manager.arrived();
    // Two of the control thread's seconds: signs of life would come every 0.2 s.
    for _ in 0..2 {
        silent = unready(&node, |page| page.contains("has not answered for") && *page != silent);
    }
    let arrived = manager.arrived();
    assert!(!arrived.iter().any(|message| message.starts_with("WATCHDOG")), "{arrived:?}");
    drop(held);
    manager.expect("WATCHDOG=1");
}

/// A node that commands can be sent to, with a lame-duck time that no test waits for.
fn commanded(name: &str) -> Node {
    Node::start_with(name, |command, folder| {
        command.env("CORELANE_LAME_DUCK", "1h");
        command.arg(format!("--command-listen=unix:{}", folder.join("command").display()));
    })
}

/// Sends a command to a node; the status and the body that came back.
fn ordered(node: &Node, target: &str) -> (u16, serde_json::Value) {
    order(&node.folder.join("command"), target)
}

fn status(node: &Node) -> serde_json::Value {
    let page = node.page("/v1/status").unwrap();
    serde_json::from_str(page.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// The time since which a node drains, by its metrics.
fn drain_start(node: &Node) -> u64 {
    let page = node.page("/metrics").unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix("corelane_drain_start_time_seconds "));
    line.unwrap_or_else(|| panic!("{page}")).parse().unwrap()
}

#[test]
fn a_drain_by_request_is_told_everywhere_serves_and_can_be_taken_back() {
    let node = commanded("drained");
    let mode = std::fs::metadata(node.folder.join("command")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "the owner alone commands");
    assert!(node.posted("/v1/drain").starts_with("HTTP/1.1 403 "), "not where it is scraped");
    assert!(node.page("/readyz").unwrap().starts_with("HTTP/1.1 200 "));

    let mut early = Client::connect(node.listen, 0);
    assert_eq!(early.call(set(b"\0key", b"value")).0, Status::Ok);
    let (code, answer) = ordered(&node, "/v1/drain");
    assert_eq!((code, &answer["drain"]["cause"], &answer["connections"]), (200, &"request".into(), &1.into()));
    let since = answer["drain"]["since"].as_str().unwrap();
    unready(&node, |page| page.contains(&format!("draining by request since {since}")));
    assert_eq!(status(&node)["drain"]["since"], since);
    assert!(drain_start(&node) > 1_700_000_000);
    // Edges go where the topology sends them: who is connected stays, who connects is served.
    let mut late = Client::connect(node.listen, 0);
    for client in [&mut early, &mut late] {
        assert_eq!(client.call(Op::Get { key: b"\0key" }), (Status::Ok, b"value".to_vec()));
    }

    let (code, answer) = ordered(&node, "/v1/undrain");
    assert_eq!((code, &answer["drain"]), (200, &serde_json::Value::Null));
    assert!(node.page("/readyz").unwrap().starts_with("HTTP/1.1 200 "));
    assert_eq!((&status(&node)["drain"], drain_start(&node)), (&serde_json::Value::Null, 0));
    assert_eq!(early.call(Op::Get { key: b"\0key" }).0, Status::Ok);
}

#[test]
fn a_lame_duck_takes_connections_after_the_signal_and_cannot_be_undrained() {
    let mut node = commanded("duck");
    let mut early = Client::connect(node.listen, 0);
    early.call(set(b"\0key", b"value"));
    node.signal("TERM");
    unready(&node, |page| page.contains("draining by signal since"));
    assert_eq!(status(&node)["state"], "lame-duck");
    let mut late = Client::connect(node.listen, 0);
    for client in [&mut early, &mut late] {
        assert_eq!(client.call(Op::Get { key: b"\0key" }).0, Status::Ok);
    }
    assert_eq!(ordered(&node, "/v1/undrain").0, 409);
    assert_eq!(ordered(&node, "/v1/drain").1["drain"]["cause"], "signal");
    // A second signal: whoever sends it does not want to wait.
    node.signal("TERM");
    assert_eq!((early.answer(), late.answer()), (None, None));
    drop((early, late));
    let (ended, log) = node.wait();
    assert_eq!(ended.code(), Some(0), "{log}");
    assert!(log.contains("event=lame_duck cause=\"SIGTERM or SIGINT\" connections=1 seconds=3600"), "{log}");
    assert!(log.contains("event=draining cause="), "{log}");
    assert!(!node.folder.join("command").exists(), "a clean stop removes its sockets");
}
