//! `coreperf run` with a trace, as its users have it: the binary against a cache of this process, alone and with agents.
//!
//! The host may be busy while this runs, so whether a run was valid is not asserted.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    reason = "a test that serves over plain sockets, from threads"
)]

#[path = "support/agent.rs"]
mod agent;
mod support;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Output;
use std::sync::{Arc, Mutex};

use agent::AgentProcess;
use support::{Folder, coreperf, result, text};

type ReplayedCache = Arc<Mutex<HashMap<String, Vec<u8>>>>;

/// A cache that keeps all keys but 0 and 5 of ten, and takes only values that live a minute.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let cache = ReplayedCache::default();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let cache = Arc::clone(&cache);
            std::thread::spawn(move || answer(stream.unwrap(), &cache));
        }
    });
    address
}

fn answer(stream: TcpStream, cache: &ReplayedCache) {
    stream.set_nodelay(true).unwrap();
    let (mut out, mut lines) = (stream.try_clone().unwrap(), BufReader::new(stream));
    loop {
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            if lines.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        if let Some((_, rest)) = head.split_once("Content-Length: ") {
            length = rest.lines().next().unwrap().parse().unwrap();
        }
        let mut body = vec![0; length];
        lines.read_exact(&mut body).unwrap();
        let mut words = head.split(' ');
        let (method, key) = (words.next().unwrap(), words.next().unwrap().to_owned());
        let mut cache = cache.lock().unwrap();
        let (status, value) = match (method, cache.get(&key)) {
            ("GET", Some(value)) => ("200 OK", value.clone()),
            ("GET", None) => ("404 Not Found", Vec::new()),
            _ if !head.contains("\r\nCache-Control: max-age=60\r\n") => ("400 Bad Request", Vec::new()),
            _ if key.ends_with(['0', '5']) => ("201 Created", Vec::new()),
            _ => {
                cache.insert(key, body);
                ("201 Created", Vec::new())
            }
        };
        drop(cache);
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", value.len());
        if out.write_all(&[head.into_bytes(), value].concat()).is_err() {
            return;
        }
    }
}

fn write(folder: &Folder, name: &str, bytes: &[u8]) {
    std::fs::write(folder.0.join(name), bytes).unwrap();
}

/// Runs the scenario of the folder, with `more` arguments.
fn run(folder: &Folder, more: &[&str]) -> Output {
    coreperf(&folder.0.join("scenario.toml"), &folder.0).args(more).output().unwrap()
}

/// The files are named from the scenario's folder. Five requests of ten keys each, so that a fifth asks for 0 or 5.
fn prepare(folder: &Folder) {
    let trace: String = (0..50).map(|n| format!("key {}\n", n % 10)).collect();
    write(folder, "trace.txt", trace.as_bytes());
    write(folder, "sizes.json", br#"{"valSizeRange": [10, 9000], "valSizeRangeProbability": [1, 1]}"#);
    let scenario = format!(
        "url = \"http://{}/{{key}}\"\nrate = 500\nconnections = 4\nwarmup = \"1s\"\nduration = \"1s\"\n\
         [keys]\ntrace = \"trace.txt\"\nformat = \"text\"\n[values]\nhistogram = \"sizes.json\"\nttls = [[\"60s\", 1]]\n\
         [mix]\nfill_misses = true\n[expect]\nstatus = [200, 201, 404]\nbody = \"value\"\n",
        serve()
    );
    folder.scenario(&scenario);
}

fn check(folder: &Folder, output: &Output) {
    let result = result(&folder.0);
    let ratio = result["hit_ratio"].as_f64().unwrap();
    assert!((ratio - 0.8).abs() < 0.03, "{ratio}: {}", text(output));
    assert_eq!(result["errors"]["total"], 0, "values come back as they were, and live a minute: {result}");
    let timeline = result["timeline"].as_array().unwrap();
    assert!((timeline.last().unwrap()["hit_ratio"].as_f64().unwrap() - 0.8).abs() < 0.1, "{timeline:?}");
    assert!(text(output).contains(&format!("hits: {:.2} % of the GETs", ratio * 100.0)), "{}", text(output));
    assert!(text(output).contains("hits %"), "{}", text(output));
}

#[test]
fn a_replay_that_fills_its_misses_tells_the_hit_ratio() {
    let folder = Folder::new("replay-alone");
    prepare(&folder);
    let output = run(&folder, &[]);
    check(&folder, &output);
    assert!(text(&output).contains("50 requests for 10 keys"), "{}", text(&output));
}

#[test]
fn agents_replay_a_trace_together() {
    let folder = Folder::new("replay-agents");
    prepare(&folder);
    let agents = [AgentProcess::start(), AgentProcess::start()];
    let output = run(&folder, &["--agents", &format!("{},{}", agents[0].1, agents[1].1)]);
    check(&folder, &output);
}

#[test]
fn a_file_that_is_not_what_it_should_be_is_named() {
    let folder = Folder::new("replay-bad");
    for (name, bytes, expected) in [
        ("trace.txt", &b"one\n\ntwo\n"[..], "line 2: an empty line where a key is expected; remove it"),
        ("sizes.json", b"{\n\"valSizeRange\": 1}", "line 2"),
    ] {
        prepare(&folder);
        write(&folder, name, bytes);
        let output = run(&folder, &[]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        let file = folder.0.join(name).display().to_string();
        assert!(text(&output).contains(&file) && text(&output).contains(expected), "{}", text(&output));
    }
    assert!(!folder.0.join("result.json").exists(), "nothing was measured");
}
