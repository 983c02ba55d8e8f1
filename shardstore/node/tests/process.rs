//! The real binary on real sockets: readiness, service, drain, `kill -9`, refusals.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_types, reason = "the test is a plain blocking client, outside of any reactor")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use shardstore::key::{HASH_ID_RAPIDHASH_V3, KeyHasher, STORED_KEY_BYTES_MAX};
use shardstore::placement::Topology;
use shardstore::version::Condition;
use shardstore::wire::frame::{self, Decoded, Limits};
use shardstore::wire::hello::{Hello, Role};
use shardstore::wire::reassembly::{Progress, Reassembler, split};
use shardstore::wire::request::{Dialect, Set};
use shardstore::wire::terms::{SessionTerms, negotiate};
use shardstore::wire::{Op, Request, Response, Status};

/// No answer takes this long; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A node process with its files; killed when dropped.
struct Node {
    child: Child,
    folder: PathBuf,
    listen: SocketAddr,
    admin: SocketAddr,
}

/// Addresses that nobody uses at the moment.
fn free_addresses() -> [SocketAddr; 2] {
    let taken = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    taken.map(|listener| listener.local_addr().unwrap())
}

fn command(folder: &std::path::Path, listen: SocketAddr, admin: SocketAddr) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shardstored"));
    let environment = [("CORELANE_NODE_ID", "1"), ("CORELANE_MEMORY", "64MiB"), ("CORELANE_DRAIN_TIMEOUT", "5s")];
    command.env_clear().envs(environment).env("CORELANE_LISTEN", listen.to_string());
    command.arg(format!("--admin={admin}"));
    command.arg(format!("--topology={}", folder.join("topology.toml").display())).stderr(Stdio::piped());
    command
}

fn topology(listen: SocketAddr) -> String {
    format!("cluster = \"test\"\nepoch = 1\n[[node]]\nid = 1\naddress = \"{listen}\"\n")
}

impl Node {
    fn start(name: &str) -> Node {
        let [listen, admin] = free_addresses();
        let folder = std::env::temp_dir().join(format!("shardstored-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("topology.toml"), topology(listen)).unwrap();
        let child = command(&folder, listen, admin).spawn().unwrap();
        let node = Node { child, folder, listen, admin };
        node.wait_ready();
        node
    }

    fn restart(&mut self) {
        self.child = command(&self.folder, self.listen, self.admin).spawn().unwrap();
        self.wait_ready();
    }

    fn wait_ready(&self) {
        let start = clock();
        while !self.page("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            assert!(start.elapsed() < PATIENCE, "the node is not ready in time");
            std::thread::yield_now();
        }
    }

    /// An admin page, as it comes.
    fn page(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.admin).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end, and returns what was said on standard error.
    fn wait(&mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap(), log)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[expect(clippy::disallowed_methods, reason = "a bound on waiting for another process")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}

/// A blocking client.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    session: SessionTerms,
    hasher: KeyHasher,
    reassembler: Reassembler,
    ids: u64,
}

impl Client {
    fn connect(listen: SocketAddr, wanted_core: u16) -> Client {
        let topology = Topology::parse(&topology(listen)).unwrap();
        let ours = Hello {
            version_min: 1,
            version_max: 1,
            role: Role::Tool,
            hash_id: HASH_ID_RAPIDHASH_V3,
            hash_seed: topology.hash_seed(),
            cores: 1,
            wanted_core,
            features: 0,
            node_id: 0,
            topology_epoch: 1,
            incarnation: 1,
            frame_value_bytes_max: 1 << 20,
            value_bytes_max: 64 << 20,
            credit_requests: 256,
            credit_bytes: 4 << 20,
            batch_entries_max: 1024,
            key_bytes_max: STORED_KEY_BYTES_MAX as u16,
            cluster: "test".to_owned(),
            extension: None,
        };
        let mut stream = TcpStream::connect(listen).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut bytes = Vec::new();
        ours.encode(&mut bytes);
        stream.write_all(&bytes).unwrap();
        let limits = Hello::limits(shardstore::wire::cluster_tag("test"));
        let mut buffer = Vec::new();
        let theirs = next(&mut stream, &mut buffer, &limits, |frame| Hello::parse(frame).unwrap()).unwrap();
        Client {
            stream,
            buffer,
            session: negotiate(&ours, &theirs).unwrap(),
            hasher: KeyHasher::new(topology.hash_seed()),
            reassembler: Reassembler::new(64 << 20, 8, 256 << 20),
            ids: 0,
        }
    }

    fn send(&mut self, op: Op<'_>) {
        self.ids += 1;
        let slot = if op.key().is_empty() { shardstore::key::SlotId::ZERO } else { self.hasher.hash(op.key()).slot() };
        let request = Request::new(self.ids, slot, 1, op);
        let dialect: Dialect = self.session.dialect();
        let mut bytes = Vec::new();
        for part in split(op.value().len() as u32, self.session.limits.frame_value_bytes_max) {
            request.encode_head(dialect, part, &mut bytes);
            bytes.extend_from_slice(&op.value()[part.range()]);
        }
        self.stream.write_all(&bytes).unwrap();
    }

    /// The next answer: its status and value; `None` at the end of the connection.
    fn answer(&mut self) -> Option<(Status, Vec<u8>)> {
        loop {
            let limits = self.session.limits;
            let reassembler = &mut self.reassembler;
            let answer = next(&mut self.stream, &mut self.buffer, &limits, |frame| {
                let owned = |response: Response<'_>| Some((response.status, response.value.to_vec()));
                match Reassembler::chunk_of(frame).unwrap() {
                    None => owned(Response::parse(frame).unwrap()),
                    Some(chunk) => match reassembler.accept(frame, chunk).unwrap() {
                        Progress::Whole(whole) => owned(Response::parse(&whole.frame()).unwrap()),
                        _ => None,
                    },
                }
            })?;
            if answer.is_some() {
                return answer;
            }
        }
    }

    fn call(&mut self, op: Op<'_>) -> (Status, Vec<u8>) {
        self.send(op);
        self.answer().expect("a request is answered")
    }
}

/// Reads one frame and gives it to `read`; `None` at the end of the stream.
fn next<T>(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    limits: &Limits,
    read: impl FnOnce(&shardstore::wire::Frame<'_>) -> T,
) -> Option<T> {
    loop {
        if let Decoded::Frame(frame) = frame::decode(buffer, limits).unwrap() {
            let bytes = frame.wire_bytes();
            let value = read(&frame);
            buffer.drain(..bytes);
            return Some(value);
        }
        let mut piece = vec![0; 1 << 16];
        match stream.read(&mut piece) {
            Ok(count @ 1..) => buffer.extend_from_slice(&piece[..count]),
            // Neither an answer nor an end: a read with a timeout is not restarted by the kernel (signal(7)).
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return None,
        }
    }
}

fn set<'a>(key: &'a [u8], value: &'a [u8]) -> Op<'a> {
    let value_crc32c = shardstore::wire::checksum(value);
    Op::Set(Set { key, value, metadata: b"", value_crc32c, ttl_ms: 0, version: 0, condition: Condition::Any })
}

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
