//! One process of the cluster, edge or node: started, watched, signalled, ended.
//!
//! **Invariants**: the process is ended with its handle, by its id, also while it is stopped; what it logs is kept, so
//! that a test that fails can show it.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::PATIENCE;
use crate::support::client::{Client, Socket};
use crate::support::server::{lines, program};

/// Where the clock is read: waits need bounds.
#[expect(clippy::disallowed_methods, reason = "a test has no reactor; it bounds its waits for other processes")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none in time; the message says what was waited for.
pub(crate) fn until<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::yield_now();
    }
}

/// Which of the two programs a process runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Program {
    Edge,
    Node,
}

impl Program {
    fn file(self) -> PathBuf {
        let edge = PathBuf::from(env!("CARGO_BIN_EXE_corelane"));
        if self == Program::Edge {
            return edge;
        }
        let node = edge.with_file_name("shardstored");
        let profile = if cfg!(debug_assertions) { "" } else { " --release" };
        assert!(node.is_file(), "{} is missing: cargo build{profile} -p shardstored", node.display());
        node
    }

    const fn port(self) -> u16 {
        match self {
            Program::Edge => 8080,
            Program::Node => 7401,
        }
    }
}

const ADMIN_PORT: u16 = 9180;

/// A process with its address and its files.
pub(crate) struct Member {
    program: Program,
    config: PathBuf,
    running: Option<Child>,
    log: Option<Receiver<String>>,
    /// Lines of the log that have been looked at.
    seen: RefCell<Vec<String>>,
    /// Where it serves.
    pub(crate) address: SocketAddr,
    /// Where it answers operators.
    pub(crate) admin: SocketAddr,
}

impl Member {
    /// A process on this address that is not running; `settings` are the lines of its file beside its addresses.
    pub(crate) fn new(program: Program, ip: Ipv4Addr, folder: &Path, settings: &str) -> Self {
        let (address, admin) = (SocketAddr::from((ip, program.port())), SocketAddr::from((ip, ADMIN_PORT)));
        let config = folder.join(format!("{ip}.toml"));
        let text = format!("listen = [\"{address}\"]\nadmin = \"{admin}\"\n{settings}");
        std::fs::write(&config, text).unwrap();
        Member { program, config, running: None, log: None, seen: RefCell::default(), address, admin }
    }

    /// Writes its file anew.
    pub(crate) fn rewrite(&self, change: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(&self.config).unwrap();
        std::fs::write(&self.config, change(text)).unwrap();
    }

    /// Starts the process; [`Member::await_ready`] waits for it.
    pub(crate) fn launch(&mut self) {
        let mut command = program(self.program.file());
        command.arg("--config").arg(&self.config).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        self.log = Some(lines(child.stderr.take().unwrap()));
        self.running = Some(child);
    }

    /// Starts the process anew and waits until it is ready; when that was.
    pub(crate) fn start(&mut self) -> Instant {
        self.launch();
        self.await_ready()
    }

    /// Waits until it says that it is ready; when that was.
    pub(crate) fn await_ready(&mut self) -> Instant {
        let start = now();
        loop {
            if self.is_ready() {
                return now();
            }
            let ended = self.running.as_mut().unwrap().try_wait().unwrap();
            let is_late = start.elapsed() > PATIENCE;
            assert!(ended.is_none() && !is_late, "{} is not ready ({ended:?}): {:#?}", self.address, self.log_so_far());
            std::thread::yield_now();
        }
    }

    fn is_ready(&self) -> bool {
        // Refused until it listens. A predecessor that was killed may have listened a moment ago: what has connected is asked,
        // since a second connection need not find it any more.
        let Ok(socket) = Socket::connect(self.admin) else { return false };
        let mut client = Client::on(socket);
        client.try_send(b"GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n");
        client.answer().is_ok_and(|answer| answer.status == 200)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    fn id(&self) -> u32 {
        self.running.as_ref().expect("it runs").id()
    }

    /// Stops it as a debugger does, and waits until none of its threads runs: on a busy host that takes a moment after the signal.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        let threads = format!("/proc/{}/task", self.id());
        until("it stands still", || {
            let mut threads = std::fs::read_dir(&threads).unwrap().map(|thread| thread.unwrap().path().join("stat"));
            // A thread that has just ended is still listed; workers of the kernel for the process bear another name.
            let stands = |stat: String| stat.contains("(iou-") || stat.rsplit_once(") ").unwrap().1.starts_with('T');
            threads.all(|stat| std::fs::read_to_string(stat).map_or(true, stands)).then_some(())
        });
    }

    /// Ends it without a word, as a crash does.
    ///
    /// The kernel takes an io_uring apart after the process is gone, and with it the listening sockets: for some
    /// milliseconds its addresses are still in use, and whoever starts it again at once has to bear with that.
    pub(crate) fn crash(&mut self) {
        self.signal(Signal::KILL);
        self.running.take().unwrap().wait().unwrap();
    }

    /// Waits for its own end; the exit status.
    pub(crate) fn await_exit(&mut self) -> i32 {
        let child = self.running.as_mut().unwrap();
        let status = until("its end", || child.try_wait().unwrap());
        self.running = None;
        status.code().expect("it ends by itself, not by a signal")
    }

    /// Whether it was started and has not been seen to end.
    pub(crate) const fn runs(&self) -> bool {
        self.running.is_some()
    }

    /// Whether the process lives.
    pub(crate) fn lives(&mut self) -> bool {
        self.running.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    fn page(&self, path: &str) -> String {
        let answer = Client::connect(self.admin).ask(&format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert_eq!(answer.status, 200, "{path}");
        String::from_utf8(answer.body).unwrap()
    }

    /// The sum of the samples at `/metrics` whose lines contain `part`.
    pub(crate) fn metric(&self, part: &str) -> u64 {
        let page = self.page("/metrics");
        let samples = page.lines().filter(|line| !line.starts_with('#') && line.contains(part));
        let values: Vec<f64> = samples.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
        assert!(!values.is_empty(), "{part} is not among the metrics of {}", self.address);
        values.iter().sum::<f64>() as u64
    }

    /// A counter of an edge's calls to nodes.
    pub(crate) fn upstream(&self, what: &str) -> u64 {
        self.metric(&format!("corelane_upstream_{what}_total"))
    }

    /// What it tells at `/v1/status`.
    pub(crate) fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.page("/v1/status")).unwrap()
    }

    /// The epoch of the topology in force.
    pub(crate) fn epoch(&self) -> u64 {
        self.status()["topology"]["epoch"].as_u64().unwrap()
    }

    /// Waits for a line of the log that contains all `parts`.
    pub(crate) fn await_log(&self, parts: &[&str]) -> String {
        until(&format!("{parts:?} in {:#?}", self.log_so_far()), || {
            self.log_so_far().into_iter().find(|line| parts.iter().all(|part| line.contains(part)))
        })
    }

    /// The lines of its log.
    pub(crate) fn log_so_far(&self) -> Vec<String> {
        let mut seen = self.seen.borrow_mut();
        seen.extend(self.log.iter().flat_map(Receiver::try_iter));
        seen.clone()
    }

    /// A connection to where it serves.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(child) = &mut self.running {
            // It may have ended by itself; then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
