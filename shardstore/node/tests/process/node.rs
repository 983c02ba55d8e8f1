//! The real `shardstored` as a child process with files and addresses of its own.
//!
//! **Invariants**: a process is ended with its handle, by its own id; readiness is what it says itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// No answer takes this long; a test that waits longer has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A node process with its files; killed when dropped.
pub(crate) struct Node {
    pub(crate) child: Child,
    pub(crate) folder: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// Addresses that nobody uses at the moment.
pub(crate) fn free_addresses() -> [SocketAddr; 2] {
    let taken = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    taken.map(|listener| listener.local_addr().unwrap())
}

pub(crate) fn command(folder: &Path, listen: SocketAddr, admin: SocketAddr) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shardstored"));
    let environment = [("CORELANE_NODE_ID", "1"), ("CORELANE_MEMORY", "64MiB"), ("CORELANE_DRAIN_TIMEOUT", "5s")];
    command.env_clear().envs(environment).env("CORELANE_LISTEN", listen.to_string());
    command.arg(format!("--admin={admin}"));
    command.arg(format!("--topology={}", folder.join("topology.toml").display())).stderr(Stdio::piped());
    command
}

pub(crate) fn topology(listen: SocketAddr) -> String {
    format!("cluster = \"test\"\nepoch = 1\n[[node]]\nid = 1\naddress = \"{listen}\"\n")
}

impl Node {
    pub(crate) fn start(name: &str) -> Node {
        Node::start_with(name, |_, _| {})
    }

    /// Starts one whose command `change` has had a look at, with the folder of its files.
    pub(crate) fn start_with(name: &str, change: impl FnOnce(&mut Command, &Path)) -> Node {
        let [listen, admin] = free_addresses();
        let folder = std::env::temp_dir().join(format!("shardstored-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("topology.toml"), topology(listen)).unwrap();
        let mut command = command(&folder, listen, admin);
        change(&mut command, &folder);
        let child = command.spawn().unwrap();
        let node = Node { child, folder, listen, admin };
        node.wait_ready();
        node
    }

    pub(crate) fn restart(&mut self) {
        self.child = command(&self.folder, self.listen, self.admin).spawn().unwrap();
        self.wait_ready();
    }

    pub(crate) fn wait_ready(&self) {
        let start = clock();
        while !self.page("/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            assert!(start.elapsed() < PATIENCE, "the node is not ready in time");
            std::thread::yield_now();
        }
    }

    /// An admin page, as it comes.
    pub(crate) fn page(&self, path: &str) -> Option<String> {
        self.ask("GET", path)
    }

    /// A number of the node, of all its cores together.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let page = self.page("/metrics").unwrap();
        let values = page.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with([' ', '{']).then(|| rest.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        });
        let values: Vec<u64> = values.collect();
        assert!(!values.is_empty(), "{name} in {page}");
        values.iter().sum()
    }

    /// What a POST to the admin listener is answered.
    pub(crate) fn posted(&self, path: &str) -> String {
        self.ask("POST", path).unwrap()
    }

    fn ask(&self, method: &str, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.admin).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end, and returns what was said on standard error.
    pub(crate) fn wait(&mut self) -> (ExitStatus, String) {
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
pub(crate) fn clock() -> std::time::Instant {
    std::time::Instant::now()
}
