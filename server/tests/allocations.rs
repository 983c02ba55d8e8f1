//! No allocation per hit: shown by an allocator that counts for the whole process.
//!
//! The edge runs on its real reactor in this process; the client is a plain socket whose buffers are made beforehand. So
//! what is counted is a whole pass: receive, parse, look up, encode, send, and whatever the control core does meanwhile.
//!
//! Over TLS the client is a process of its own, which speaks TLS for the plain socket: a client in this one would allocate.
//!
//! The same with the access log on: its writer allocates nothing either once its batch has its size.
//!
//! **Not** for values over 16 KiB: those are pinned and sent in place, which takes a reference or two each.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod support;

use std::alloc::System;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use control::reload::ConfigSource;
use corelane::EdgePlan;
use corelane::settings::EdgeSettings;
use reactor::{Threads, block_signals};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use support::client::{Client, Socket, uninterrupted};
use support::server::own_address;
use support::tool::{self, Running};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Requests of one measurement: it is to be over well within a second, since the control core allocates with each of its ticks.
const REQUESTS: usize = 2_000;

/// Measurements of each kind of hit. The control core may allocate now and then (a log line, a clock tick); a hit that
/// allocates does so in every measurement.
const ROUNDS: usize = 20;

/// Most allocations of a measurement that are somebody else's.
const FOREIGN_MAX: usize = 200;

/// Whether responses are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AccessLog {
    Off,
    On,
}

/// Keys beside those that are asked for: so many that requests which come at once are looked at ahead of their turn.
const OTHER_KEYS: usize = 6_000;

/// Requests of one measurement over TLS: the process between costs several times what the server does.
const TLS_REQUESTS: usize = 160;

/// Starts an edge with so many cores in this process; it serves TLS, too, on the port after.
fn start(cores: usize, access_log: AccessLog) -> SocketAddr {
    block_signals();
    let ip = own_address();
    let flags = [
        format!("--listen={ip}:8080"),
        format!("--admin={ip}:9180"),
        "--memory=64MiB".to_owned(),
        format!("--listen-tls={ip}:8081"),
        "--self-signed=localhost".to_owned(),
    ];
    let files = |_: &Path| unreachable!("no file is named");
    let arguments = flags.iter().map(Into::into).collect();
    let path = (access_log == AccessLog::On).then(|| ("CORELANE_ACCESS_LOG_PATH".into(), "/dev/null".into()));
    let config = ConfigSource::<EdgeSettings>::new(arguments, path.into_iter().collect(), Box::new(files));
    let loaded = config.load_to_serve().unwrap();
    let (port, _) = corelane::access_log::start(cores, &loaded.settings).unwrap();
    let plan = EdgePlan {
        loaded,
        config,
        topology: None,
        cpus: vec![None; cores],
        process: control::context::ProcessContext::default(),
        incarnation: 1,
        hash_seed: 1,
        descriptors: None,
        log: Box::new(std::io::sink()),
        usage: None,
        host_memory: None,
        security: control::security::SecurityAtStart::none(),
        access_log: Some(port),
        key_log: None,
        names: None,
        acme: None,
    };
    let mut threads = Threads::new(None);
    // It serves until this process ends.
    corelane::start(&mut threads, plan).unwrap();
    SocketAddr::from((ip, 8080))
}

/// Sends requests `depth` at a time and reads answers of a known length, without allocating.
struct Hits {
    socket: Socket,
    /// `depth` requests.
    requests: Vec<u8>,
    /// Room for `depth` answers.
    answers: Vec<u8>,
    depth: usize,
    answer_bytes: usize,
    status_line: &'static [u8],
}

impl Hits {
    fn run(&mut self, count: usize) {
        for _ in 0..count / self.depth {
            self.socket.write_all(&self.requests).unwrap();
            self.socket.read_exact(&mut self.answers).unwrap();
            for answer in self.answers.chunks(self.answer_bytes) {
                assert!(answer.starts_with(self.status_line));
            }
        }
    }
}

/// One kind of hit.
struct Kind {
    name: &'static str,
    request: String,
    depth: usize,
    status: u16,
}

/// A connection over TLS of this version to the server's port after, in a process of its own.
fn over_tls(server: SocketAddr, version: &str) -> (Client, Running) {
    let listen = SocketAddr::from((own_address(), 8080));
    let mut command = Command::new(tool::find("python3", "python3"));
    let server = SocketAddr::new(server.ip(), server.port() + 1);
    command.args(["-c", include_str!("support/tls_client.py")]);
    command.args([listen.to_string(), server.to_string(), version.to_owned()]);
    let running = Running::start(&mut command, listen);
    (Client::connect(listen), running)
}

fn kinds(etag: &str) -> Vec<Kind> {
    let request = |method: &str, key: &str, fields: &str| {
        format!("{method} /v1/kv/default/{key} HTTP/1.1\r\nHost: h\r\nUser-Agent: a test\r\n{fields}\r\n")
    };
    let kind = |name, request, depth, status| Kind { name, request, depth, status };
    let not_modified = format!("If-None-Match: \"0\", W/{etag}\r\n");
    vec![
        kind("GET", request("GET", "small", ""), 1, 200),
        kind("GET, 16 pipelined", request("GET", "small", ""), 16, 200),
        kind("GET of 4 KiB", request("GET", "middle", ""), 1, 200),
        kind("GET of an encoded key", request("GET", "sm%61ll", ""), 16, 200),
        kind("GET of a part", request("GET", "small", "Range: bytes=3-9\r\n"), 16, 206),
        kind("GET of what the client has", request("GET", "small", &not_modified), 16, 304),
        kind("HEAD", request("HEAD", "small", ""), 16, 200),
        kind("GET of what is absent", request("GET", "absent", ""), 1, 404),
    ]
}

fn status_line(status: u16) -> &'static [u8] {
    match status {
        200 => b"HTTP/1.1 200 OK\r\n",
        206 => b"HTTP/1.1 206 Partial Content\r\n",
        304 => b"HTTP/1.1 304 Not Modified\r\n",
        _ => b"HTTP/1.1 404 Not Found\r\n",
    }
}

/// Bytes of one answer: as many as come before the answer to a second request, whose status is another.
fn answer_bytes(client: &mut Client, request: &str) -> usize {
    const MARK: &str = "DELETE / HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut all = Vec::new();
    let mut chunk = [0; 4096];
    client.send(format!("{request}{MARK}").as_bytes());
    loop {
        let count = uninterrupted(|| client.socket.read(&mut chunk)).unwrap();
        all.extend_from_slice(&chunk[..count]);
        let mark = support::answer::find(&all, b"HTTP/1.1 405");
        if let (Some(length), true) = (mark, all.ends_with(b"}\n")) {
            return length;
        }
    }
}

fn store(client: &mut Client, key: &str, bytes: usize) -> String {
    let body = "v".repeat(bytes);
    let answer =
        client.ask(&format!("PUT /v1/kv/default/{key} HTTP/1.1\r\nHost: h\r\nContent-Length: {bytes}\r\n\r\n{body}"));
    answer.field("ETag").unwrap().to_owned()
}

/// Stores [`OTHER_KEYS`].
fn store_others(client: &mut Client) {
    (0..OTHER_KEYS).for_each(|number| drop(store(client, &format!("other-{number}"), 16)));
}

/// Sends one kind of hit many times, and looks whether it allocates.
fn measure(client: &mut Client, kind: &Kind, requests: usize) {
    let Kind { name, request, depth, status } = kind;
    let answer_bytes = answer_bytes(client, request);
    let mut hits = Hits {
        socket: client.socket.try_clone().unwrap(),
        requests: request.repeat(*depth).into_bytes(),
        answers: vec![0; depth * answer_bytes],
        depth: *depth,
        answer_bytes,
        status_line: status_line(*status),
    };
    hits.run(requests / 10);
    let mut counts = [usize::MAX; ROUNDS];
    for count in &mut counts {
        let counted = Region::new(ALLOCATOR);
        hits.run(requests);
        let change = counted.change();
        *count = change.allocations + change.reallocations;
    }
    println!("{name}: {counts:?} allocations in {requests} requests each");
    assert!(counts.contains(&0), "{name}: every measurement allocates: {counts:?}");
    assert!(counts.iter().all(|&count| count <= FOREIGN_MAX), "{name}: {counts:?}");
}

/// A key that another core owns than the one that has the client's connection.
fn key_of_the_other_core(client: &mut Client) -> String {
    for number in 0..64 {
        let key = format!("key-{number}");
        store(client, &key, 128);
        let found = client.ask(&format!("GET /v1/kv/default/{key} HTTP/1.1\r\nHost: h\r\n\r\n"));
        if found.field("Cache-Status").unwrap().contains("detail=core") {
            return key;
        }
    }
    panic!("no key of 64 is the other core's");
}

// One test: the allocator counts for the whole process.
#[test]
fn hits_allocate_nothing() {
    let counted = Region::new(ALLOCATOR);
    drop(std::hint::black_box(Box::new(1_u64)));
    assert!(counted.change().allocations > 0, "the counter counts");

    for access_log in [AccessLog::Off, AccessLog::On] {
        println!("access log: {access_log:?}");
        let server = start(1, access_log);
        let mut client = Client::connect(server);
        let etag = store(&mut client, "small", 128);
        store(&mut client, "middle", 4096);
        store_others(&mut client);
        for kind in kinds(&etag) {
            measure(&mut client, &kind, REQUESTS);
        }
        // What is logged does not depend on what protects it.
        let versions: &[&str] = if access_log == AccessLog::Off { &["TLSv1_2", "TLSv1_3"] } else { &[] };
        for version in versions {
            println!("over {version}");
            let (mut client, _running) = over_tls(server, version);
            for kind in kinds(&etag) {
                measure(&mut client, &kind, TLS_REQUESTS);
            }
        }

        let mut client = Client::connect(start(2, access_log));
        store_others(&mut client);
        let key = key_of_the_other_core(&mut client);
        let request = format!("GET /v1/kv/default/{key} HTTP/1.1\r\nHost: h\r\nUser-Agent: a test\r\n\r\n");
        for (name, depth) in [("GET of another core's key", 1), ("the same, 16 pipelined", 16)] {
            measure(&mut client, &Kind { name, request: request.clone(), depth, status: 200 }, REQUESTS);
        }
    }
}
