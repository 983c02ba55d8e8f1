//! The real `corelane` binary as a child process on an address of its own.
//!
//! **Invariants**: a server is ended with its handle, by its own process id; readiness is what the process itself says,
//! never a guess by the clock.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::PATIENCE;

const PORT: u16 = 8080;
const TLS_PORT: u16 = 8443;
const ADMIN_PORT: u16 = 9180;

/// Lets this process and those it starts from now on have this many files open: one for each connection.
///
/// # Panics
/// When the host does not allow it.
pub(crate) fn raise_open_files(count: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= count) {
        return;
    }
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum });
    raised.unwrap_or_else(|error| panic!("{count} open files: {error}; raise the hard limit (ulimit -Hn)"));
}

/// A program of the product, with an environment of its own: no variable of this one configures it.
pub(crate) fn program(file: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(file);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CORELANE_")) {
        command.env_remove(name);
    }
    command
}

/// Sends a process a signal, by its name without `SIG`.
pub(crate) fn signal(process: u32, name: &str) {
    let script = format!("kill -{name} {process}");
    assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
}

/// The addresses of a server that has none yet.
#[derive(Clone, Copy)]
pub(crate) struct Addresses {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Addresses {
    /// Addresses of this test alone.
    pub(crate) fn own() -> Self {
        let ip = own_address();
        Addresses { listen: SocketAddr::from((ip, PORT)), admin: SocketAddr::from((ip, ADMIN_PORT)) }
    }

    /// The flags that set them.
    pub(crate) fn flags(&self) -> [String; 4] {
        ["--listen".to_owned(), self.listen.to_string(), "--admin".to_owned(), self.admin.to_string()]
    }

    /// Waits until whoever listens there says that it is ready.
    ///
    /// # Panics
    /// When that takes too long.
    pub(crate) fn await_ready(&self) {
        let waiting = Waiting::begin();
        loop {
            // Refused until it listens.
            if let Ok(socket) = super::client::Socket::connect(self.admin) {
                let mut client = super::client::Client::on(socket);
                client.try_send(b"GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n");
                if client.answer().is_ok_and(|answer| answer.status == 200) {
                    return;
                }
            }
            waiting.go_on(|| format!("nothing is ready at {}", self.admin));
            std::thread::yield_now();
        }
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// Lines of its log.
    log: Receiver<String>,
    /// Of its configuration, corelane.toml, and what that names.
    pub(crate) folder: PathBuf,
    /// Where it serves HTTP.
    pub(crate) address: SocketAddr,
    /// Where it serves HTTP over TLS, if the plan says so.
    pub(crate) tls_address: SocketAddr,
    /// Where it answers operators.
    pub(crate) admin: SocketAddr,
}

/// How a server is to be started.
#[derive(Default)]
pub(crate) struct Plan<'a> {
    /// Text of its configuration file, beside the addresses.
    pub(crate) config: &'a str,
    /// Further flags.
    pub(crate) flags: &'a [&'a str],
    /// CPUs of its data cores; the first one, if nothing is said.
    pub(crate) cores: Option<&'a str>,
    /// Whether it serves HTTP over TLS, too; the configuration names the certificates.
    pub(crate) listens_tls: bool,
}

/// A loopback address that no other test of this host uses: tests run side by side, and a port that was free a moment
/// ago may be taken, but no two living processes have the same id.
pub(crate) fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let process = std::process::id();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::new(127, 1 + ((process >> 8) % 250) as u8, process as u8, number)
}

/// A new folder of this test under the build's own temporary folder.
pub(crate) fn own_folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(own_address().to_string());
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

impl Server {
    /// Starts a server, with one data core unless the plan says more, and waits until it serves.
    pub(crate) fn start(plan: &Plan<'_>) -> Self {
        let addresses = Addresses::own();
        let Addresses { listen: address, admin } = addresses;
        let folder = own_folder();
        let config = folder.join("corelane.toml");
        std::fs::write(&config, plan.config).unwrap();
        let mut command = program(env!("CARGO_BIN_EXE_corelane"));
        command.args(addresses.flags());
        command.args(["--cores", plan.cores.unwrap_or("0"), "--config"]).arg(&config).args(plan.flags);
        let tls_address = SocketAddr::new(address.ip(), TLS_PORT);
        if plan.listens_tls {
            command.arg("--listen-tls").arg(tls_address.to_string());
        }
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = lines(child.stderr.take().unwrap());
        let server = Server { child, log, folder, address, tls_address, admin };
        server.await_event("serving");
        server
    }

    /// Waits until the log tells of an event; the line.
    ///
    /// # Panics
    /// When the process ends first, or takes too long.
    pub(crate) fn await_event(&self, event: &str) -> String {
        let words = [format!("event={event}"), format!("\"event\":\"{event}\"")];
        let mut seen = Vec::new();
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) if words.iter().any(|word| line.contains(word)) => return line,
                Ok(line) => seen.push(line),
                Err(error) => panic!("no event {event}: {error}; the log: {seen:#?}"),
            }
        }
    }

    /// The sum of one of its metrics over cores; `series` is a name and the beginning of its labels' last part.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let page = super::client::Client::connect(self.admin).ask("GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n");
        let text = String::from_utf8(page.body).unwrap();
        let samples = text.lines().filter(|line| !line.starts_with('#') && line.contains(series));
        samples.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap() as u64).sum()
    }

    /// Waits until one of its metrics has this sum.
    ///
    /// # Panics
    /// When that takes too long.
    pub(crate) fn await_metric(&self, series: &str, value: u64) {
        let waiting = Waiting::begin();
        while self.metric(series) != value {
            waiting.go_on(|| format!("{series} is {}, not {value}", self.metric(series)));
        }
    }

    /// Puts a file in its folder whole: there is no moment at which half of it can be read.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let (written, file) = (self.folder.join("written"), self.folder.join(name));
        std::fs::write(&written, text).unwrap();
        std::fs::rename(written, file).unwrap();
    }

    /// Waits until its log ends, as it does with the process; the lines that nobody has waited for.
    pub(crate) fn rest_of_log(&self, patience: Duration) -> Vec<String> {
        let mut rest = Vec::new();
        loop {
            match self.log.recv_timeout(patience) {
                Ok(line) => rest.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return rest,
                Err(error) => panic!("the server does not end: {error}"),
            }
        }
    }

    /// Its process id.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Memory of the process that is in RAM, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a running process has memory");
        let kilobytes = line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
        kilobytes * 1024
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends it a signal, by its name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits for its end; its exit status.
    pub(crate) fn await_exit(&mut self, patience: Duration) -> i32 {
        let _ = self.rest_of_log(patience);
        self.child.wait().unwrap().code().expect("it ends by itself, not by a signal")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A wait for something that is asked for again and again.
pub(crate) struct Waiting(std::time::Instant);

impl Waiting {
    #[expect(clippy::disallowed_methods, reason = "a test has no reactor; the bound is for a server that hangs")]
    pub(crate) fn begin() -> Self {
        Waiting(std::time::Instant::now())
    }

    /// How long it has taken, in milliseconds: for what is slow on purpose.
    pub(crate) fn elapsed_ms(&self) -> u128 {
        self.0.elapsed().as_millis()
    }

    /// # Panics
    /// When it has taken too long, with what was still missing.
    pub(crate) fn go_on(&self, missing: impl Fn() -> String) {
        assert!(self.0.elapsed() < PATIENCE, "{}", missing());
    }
}

/// Reads a pipe to its end on a thread of its own, so that the child never waits for its reader.
#[expect(clippy::disallowed_methods, reason = "a test has no reactor; a pipe needs a reader of its own")]
pub(crate) fn lines(pipe: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// A process that is ended with its test.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// Sends it a signal, by the name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.0.id(), name);
    }

    /// Waits until it has ended; its exit status, if it has ended by itself.
    pub(crate) fn await_end(&mut self) -> Option<i32> {
        let waiting = Waiting::begin();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code();
            }
            waiting.go_on(|| "the process does not end".to_owned());
            std::thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
