//! The access log of the real binary: every field, what clients send, samples, reloads, renames, files that take nothing.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use support::client::Client;
use support::load::Load;
use support::logfmt;
use support::server::{Plan, Server, Waiting, own_address, own_folder};

const WRITTEN: &str = "corelane_access_log_written_total";
const DROPPED: &str = "corelane_access_log_dropped_total";
const APPLIED: &str = "corelane_config_reloads_total{result=\"applied\"}";

/// The configuration with this `[access_log]`, whose path is relative to the file.
fn config(access_log: &str) -> String {
    format!("memory = \"64MiB\"\n[access_log]\n{access_log}\n")
}

fn start(access_log: &str) -> Server {
    Server::start(&Plan { config: &config(access_log), ..Plan::default() })
}

/// The same with a file, once it is there.
fn start_with_file(access_log: &str) -> Server {
    let server = start(&format!("path = \"access.log\"\n{access_log}"));
    let waiting = Waiting::begin();
    while !server.folder.join("access.log").exists() {
        waiting.go_on(|| "there is no file".to_owned());
    }
    server
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")
}

fn put(path: &str, body: &str) -> String {
    format!("PUT {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// The lines of a file, all of them whole, once there are so many.
fn await_lines(file: &Path, count: usize) -> Vec<String> {
    let waiting = Waiting::begin();
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if text.ends_with('\n') && text.lines().count() >= count {
            assert_eq!(text.lines().count(), count, "{text}");
            return text.lines().map(str::to_owned).collect();
        }
        waiting.go_on(|| format!("{count} lines of {}: {text}", file.display()));
    }
}

/// The records in a file of JSON, once there are so many.
fn await_records(file: &Path, count: usize) -> Vec<Value> {
    await_lines(file, count).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What differs from case to case in a record.
fn facts(record: &Value) -> (u64, [Option<&str>; 7], [u64; 2]) {
    let text = |name: &str| record.get(name).map(|value| value.as_str().unwrap());
    let names = ["method", "uri", "protocol", "route", "keyspace", "source", "cache"];
    let bytes = ["body_bytes_sent", "body_bytes_received"].map(|name| record[name].as_u64().unwrap());
    (record["status"].as_u64().unwrap(), names.map(text), bytes)
}

#[test]
fn every_response_has_a_line_in_which_every_field_is_right() {
    let server = start_with_file("");
    let mut client = Client::connect(server.address);
    let local = client.socket.local_addr().unwrap();
    let key = "/v1/kv/default/a";
    let stored = client.ask(&put(key, "hello"));
    let etag = stored.field("ETag").unwrap().to_owned();
    client.ask(&get(key));
    let none = client.ask(&get("/v1/kv/default/none%3Fx=1"));
    client.ask(&format!("GET {key} HTTP/1.1\r\nHost: h\r\nIf-None-Match: {etag}\r\n\r\n"));
    client.ask(&format!("GET {key} HTTP/1.1\r\nHost: h\r\nRange: bytes=1-2\r\n\r\n"));
    client.ask(&format!("HEAD {key} HTTP/1.1\r\nHost: h\r\n\r\n"));
    client.ask(&format!(
        "PUT {key} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    ));
    client.ask(&format!("DELETE {key} HTTP/1.1\r\nHost: h\r\n\r\n"));
    let root = client.ask("GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n");
    let refused = client.ask(&get("/v1/kv/nobody/a"));
    let bad = client.ask("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n");

    let records = await_records(&server.folder.join("access.log"), 11);
    let one = Some("HTTP/1.1");
    let kv = |method, route, source, cache| {
        [Some(method), Some(key), one, Some(route), Some("default"), Some(source), cache]
    };
    let own = "own_core";
    let absent = Some("/v1/kv/default/none%3Fx=1");
    let expected = [
        (201, kv("PUT", "write", own, None), [0, 5]),
        (200, kv("GET", "read", own, Some("hit")), [5, 0]),
        (
            404,
            [Some("GET"), absent, one, Some("read"), Some("default"), Some(own), Some("miss")],
            [none.body.len() as u64, 0],
        ),
        (304, kv("GET", "read", own, Some("hit")), [0, 0]),
        (206, kv("GET", "read", own, Some("hit")), [2, 0]),
        (200, kv("HEAD", "read", own, Some("hit")), [0, 0]),
        (204, kv("PUT", "write", own, None), [0, 7]),
        (204, kv("DELETE", "write", own, None), [0, 0]),
        (
            200,
            [Some("GET"), Some("/"), Some("HTTP/1.0"), Some("other"), None, Some("none"), None],
            [root.body.len() as u64, 0],
        ),
        (
            404,
            [Some("GET"), Some("/v1/kv/nobody/a"), one, Some("read"), Some("nobody"), Some("none"), None],
            [refused.body.len() as u64, 0],
        ),
        (400, [Some("GET"), Some("/a"), None, None, None, Some("none"), None], [bad.body.len() as u64, 0]),
    ];
    for (number, (record, expected)) in records.iter().zip(&expected).enumerate() {
        assert_eq!(&facts(record), expected, "{record}");
        assert_eq!(record["connection_requests"], number + 1, "{record}");
        assert_eq!(record["remote_addr"], local.ip().to_string());
        assert_eq!(record["remote_port"], local.port());
        assert_eq!(record["listener"], server.address.to_string());
        assert_eq!((&record["core"], &record["sampled"]), (&0.into(), &true.into()));
        assert!(record["duration_us"].as_u64().unwrap() < 60_000_000, "{record}");
        let time = record["time"].as_str().unwrap();
        assert!(time.len() == 24 && time.starts_with("20") && time.ends_with('Z') && &time[19..20] == ".", "{time}");
    }
    assert!(records.iter().map(|record| record["time"].as_str().unwrap()).is_sorted());
    server.await_metric(WRITTEN, 11);
}

#[test]
fn hostile_requests_break_no_line() {
    for format in ["json", "logfmt"] {
        let server = start_with_file(&format!("format = \"{format}\""));
        let hostile: [&[u8]; 7] = [
            b"/\"},{\"status\":200,\"uri\":\"",
            b"/a=b%0a%22\\\\x0a",
            b"/\x01\x1b[31m\x7f",
            b"/\xff\xfe\xc3\x28",
            "/größe\u{2028}".as_bytes(),
            b"/\xc2\x85\ttab",
            b"/'`$(id)<script>",
        ];
        for target in hostile {
            let mut client = Client::connect(server.address);
            client.send(&[b"GET ", target, b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat());
            assert!(client.answer().unwrap().status >= 400);
        }
        // No request at all: the line ends where the client's first line does.
        let mut client = Client::connect(server.address);
        client.send(b"\x16\x03\x01\nGET / HTTP/1.1\r\n\r\n");
        assert_eq!(client.answer().unwrap().status, 400);
        let lines = await_lines(&server.folder.join("access.log"), hostile.len() + 1);
        for (line, target) in lines.iter().zip(hostile.iter().chain([&b"\x16\x03\x01".as_slice()])) {
            let uri = match format {
                "json" => serde_json::from_str::<Value>(line).unwrap()["uri"].as_str().unwrap().to_owned(),
                _ => logfmt::pairs(line).unwrap()["uri"].clone(),
            };
            assert_eq!(logfmt::bytes_of(&uri), *target, "{line}");
        }
    }
}

#[test]
fn a_sample_leaves_out_most_but_nothing_that_failed() {
    let server = start_with_file("sample = 1000000\n[limits]\nconnections_per_core = 1");
    let mut client = Client::connect(server.address);
    for _ in 0..100 {
        client.ask(&get("/v1/kv/default/a"));
    }
    let mut shed = Client::connect(server.address);
    assert_eq!(shed.answer().unwrap().status, 503);
    let records = await_records(&server.folder.join("access.log"), 1);
    assert_eq!((&records[0]["status"], &records[0]["sampled"]), (&503.into(), &false.into()), "{}", records[0]);
    let port = shed.socket.local_addr().unwrap().port();
    assert_eq!((&records[0]["remote_port"], records[0].get("uri")), (&port.into(), None));
}

#[test]
fn slow_requests_are_logged_whatever_the_sample() {
    let server = start_with_file("sample = 1000000\nslow = \"300ms\"");
    let mut client = Client::connect(server.address);
    let mut quick = Client::connect(server.address);
    let head = "PUT /v1/kv/default/slow HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab";
    client.send(head.as_bytes());
    // Its body is late by more than that: another connection is asked meanwhile, until the log's clock has moved on.
    let started = Waiting::begin();
    while started.elapsed_ms() < 350 {
        quick.ask(&get("/v1/kv/default/quick"));
    }
    client.send(b"cd");
    assert_eq!(client.answer().unwrap().status, 201);
    let waiting = Waiting::begin();
    let is_slow = |line: &&str| line.contains("/v1/kv/default/slow");
    loop {
        let text = fs::read_to_string(server.folder.join("access.log")).unwrap_or_default();
        if let Some(line) = text.lines().find(is_slow) {
            let record: Value = serde_json::from_str(line).unwrap();
            assert!(record["duration_us"].as_u64().unwrap() >= 300_000, "{record}");
            assert_eq!((&record["sampled"], &record["body_bytes_received"]), (&false.into(), &4.into()));
            break;
        }
        waiting.go_on(|| text.clone());
    }
}

#[test]
fn it_is_turned_on_and_off_under_load() {
    let mut server = start("format = \"logfmt\"");
    let load = Load::start(server.address, 4);
    load.await_warm();
    assert_eq!(server.metric(WRITTEN), 0);
    let mut written = 0;
    for round in 1..=10 {
        let path = if round % 2 == 1 { format!("path = \"access-{round}.log\"") } else { String::new() };
        server.write("corelane.toml", &config(&path));
        server.signal("HUP");
        server.await_metric(APPLIED, round);
        let waiting = Waiting::begin();
        while round % 2 == 1 && server.metric(WRITTEN) < written + 100 {
            waiting.go_on(|| format!("{} lines", server.metric(WRITTEN)));
        }
        written = server.metric(WRITTEN);
    }
    server.terminate();
    for account in load.finish() {
        assert!(account.faults.is_empty() && account.sent == account.answered, "{account:?}");
    }
    let folder = server.folder.clone();
    let kept = folder.with_extension("kept");
    fs::rename(&folder, &kept).unwrap();
    assert_eq!(server.await_exit(support::PATIENCE), 0);
    for round in [1, 3, 5, 7, 9] {
        let text = fs::read_to_string(kept.join(format!("access-{round}.log"))).unwrap();
        assert!(text.ends_with('\n'));
        text.lines().for_each(|line| assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}"));
    }
    fs::remove_dir_all(kept).unwrap();
}

#[test]
fn a_rotation_loses_no_line() {
    // All of them fit the queue: whatever the writer's delay, none may be missing.
    const ROUNDS: usize = 20;
    const REQUESTS_PER_ROUND: usize = 200;
    let mut server = start_with_file("");
    let (current, folder) = (server.folder.join("access.log"), own_folder());
    let mut client = Client::connect(server.address);
    for round in 0..ROUNDS {
        for request in 0..REQUESTS_PER_ROUND {
            client.ask(&get(&format!("/v1/kv/default/{round}-{request}")));
        }
        fs::rename(&current, folder.join(format!("access-{round}.log"))).unwrap();
        // Without a signal the writer sees it by itself.
        if round % 7 != 0 {
            server.signal("HUP");
        }
        let waiting = Waiting::begin();
        while !current.exists() {
            waiting.go_on(|| format!("no file after rotation {round}"));
        }
    }
    fs::hard_link(&current, folder.join("access-last.log")).unwrap();
    let line = server.await_event("access_log_opened");
    assert!(line.contains("access.log"), "{line}");
    server.terminate();
    assert_eq!(server.await_exit(support::PATIENCE), 0);
    let mut lines = Vec::new();
    let names = (0..ROUNDS).map(|round| round.to_string()).chain(["last".to_owned()]);
    for name in names {
        let text = fs::read_to_string(folder.join(format!("access-{name}.log"))).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        lines.extend(
            text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["uri"].as_str().unwrap().to_owned()),
        );
    }
    let all = (0..ROUNDS)
        .flat_map(|round| (0..REQUESTS_PER_ROUND).map(move |request| format!("/v1/kv/default/{round}-{request}")));
    assert!(lines.iter().cloned().eq(all), "{} lines: one is missing, or there twice", lines.len());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_pipe_that_nobody_reads_holds_up_nobody() {
    let folder = own_folder();
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // A reader that opens it and does not read: what it holds and what the queue holds is soon full.
    let mut reader = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let mut server = start(&format!("path = {pipe:?}"));
    let mut client = Client::connect(server.address);
    let round = get("/v1/kv/default/a").repeat(100);
    let waiting = Waiting::begin();
    while server.metric(DROPPED) == 0 {
        client.send(round.as_bytes());
        (0..100).for_each(|_| assert_eq!(client.answer().unwrap().status, 404));
        waiting.go_on(|| "nothing is dropped".to_owned());
    }
    // Neither the control thread nor a reload waits.
    server.write("corelane.toml", &config("path = \"access.log\""));
    server.signal("HUP");
    server.await_metric(APPLIED, 1);
    let file = server.folder.join("access.log");
    let waiting = Waiting::begin();
    while fs::metadata(&file).map_or(0, |metadata| metadata.len()) == 0 {
        waiting.go_on(|| "nothing is written to the other file".to_owned());
    }
    let mut first = [0; 8];
    reader.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"{\"time\":");
    server.terminate();
    assert_eq!(server.await_exit(support::PATIENCE), 0);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_full_pipe_does_not_keep_a_process_from_ending() {
    let folder = own_folder();
    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let _reader = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let mut server = start(&format!("path = {pipe:?}"));
    let mut client = Client::connect(server.address);
    for _ in 0..10 {
        client.send(get("/v1/kv/default/a").repeat(100).as_bytes());
        (0..100).for_each(|_| assert_eq!(client.answer().unwrap().status, 404));
    }
    server.terminate();
    assert_eq!(server.await_exit(support::PATIENCE), 0);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_was_answered_before_the_end_is_in_the_file() {
    let mut server = start_with_file("");
    let mut client = Client::connect(server.address);
    for _ in 0..50 {
        client.ask(&get("/v1/kv/default/a"));
    }
    let kept = own_folder().join("access.log");
    fs::hard_link(server.folder.join("access.log"), &kept).unwrap();
    server.terminate();
    assert_eq!(server.await_exit(support::PATIENCE), 0);
    assert_eq!(await_lines(&kept, 50).len(), 50);
    fs::remove_dir_all(kept.parent().unwrap()).unwrap();
}

#[test]
fn a_path_that_cannot_be_used_is_refused_with_its_place() {
    let folder = own_folder();
    let file = folder.join("corelane.toml");
    let cases = [
        ("no/access.log", "the folder ", "/no: No such file or directory (os error 2); make it, or name another file"),
        (".", "it is a folder; name a file in it", ""),
        ("corelane.toml/access.log", "Not a directory (os error 20); name another file", ""),
        ("new/", "it names a folder; name a file in it", ""),
    ];
    for (path, first, second) in cases {
        fs::write(&file, config(&format!("path = {path:?}"))).unwrap();
        for check in [true, false] {
            let mut command = support::server::program(env!("CARGO_BIN_EXE_corelane"));
            command.args(["--listen", &format!("{}:8080", own_address()), "--config"]).arg(&file);
            let output = command.args(check.then_some("--check")).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            let place = format!("corelane: {}:3: access_log.path: {}", file.display(), folder.display());
            assert!(said.starts_with(&place) && said.contains(" cannot be used: "), "{said}");
            assert!(said.contains(first) && said.trim_end().ends_with(second), "{said}");
            assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        }
    }
    for path in ["access.log", "-"] {
        fs::write(&file, config(&format!("path = {path:?}"))).unwrap();
        let output = support::server::program(env!("CARGO_BIN_EXE_corelane"))
            .arg("--config")
            .arg(&file)
            .arg("--check")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{path}");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "a check makes no file");
    fs::remove_dir_all(folder).unwrap();
}
