//! Constant load on the fleet: reads and writes at a steady rate, whose answers are checked to the byte.
//!
//! ```text
//!  corelane-hosts load (in the bridge's namespace)  ─▶  load.log:  failed GET k-1-7: status 503       a line for each failure
//!                                                                  requests=1200 failed=1 missing=0  every half second
//! ```
//!
//! **Not**: a measurement of speed; coreperf measures.
//!
//! **Invariants**: a key has one value for good, so that any other answer is wrong. Each is written before it is read: that it is
//! not there (404) is a lost value, which only a scenario that restarts nodes allows.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use corelane_lab::child::ChildProcess;
use corelane_lab::poll::{self, Stop};

use super::balancer::{self, in_namespace};
use crate::run::wait;

/// Connections; each has one request under way.
const CONNECTIONS: u64 = 8;

/// Keys of each connection.
const KEYS: u64 = 64;

/// Between two requests of a connection: 200 requests a second in all, a few percent of a core.
const PACE: Duration = Duration::from_millis(40);

/// One request in so many writes.
const WRITES_ONE_IN: u64 = 4;

/// The longest a client waits; HAProxy and the servers give up earlier.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// A bound on what a failing fleet makes the log grow to.
const FAILURES_LISTED_MAX: u64 = 20;

/// What the load did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LoadCount {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    /// Values that were written and are not there.
    pub(crate) missing: u64,
}

impl LoadCount {
    fn in_log(text: &str) -> Self {
        text.lines().rev().find_map(Self::of_line).unwrap_or_default()
    }

    fn of_line(line: &str) -> Option<Self> {
        let mut fields = line.split_whitespace();
        let mut count = |name: &str| fields.next()?.strip_prefix(name)?.strip_prefix('=')?.parse().ok();
        Some(Self { requests: count("requests")?, failed: count("failed")?, missing: count("missing")? })
    }
}

/// The load as a process.
pub(crate) struct Load {
    child: ChildProcess,
    log: PathBuf,
    stop: Stop,
}

impl Load {
    /// Starts it, and waits until it is answered.
    ///
    /// # Errors
    /// Nobody answers.
    pub(crate) fn start(folder: &Path, namespace: &str, stop: &Stop) -> Result<Self> {
        let log = folder.join("load.log");
        let file = fs::File::create(&log).context("no file for the load's log")?;
        let program = std::env::current_exe().context("this program's own path")?;
        let mut command = in_namespace(namespace, &program.display().to_string());
        command.args(["load", "--address", balancer::ADDRESS]).stdout(file.try_clone()?).stderr(file);
        let load = Self { child: ChildProcess::start(&mut command)?, log, stop: stop.clone() };
        load.wait_for_more(100)?;
        Ok(load)
    }

    /// The counts so far.
    pub(crate) fn count(&self) -> LoadCount {
        LoadCount::in_log(&self.text())
    }

    /// Waits until `more` requests were answered since now.
    ///
    /// # Errors
    /// They were not within a minute.
    pub(crate) fn wait_for_more(&self, more: u64) -> Result<()> {
        const LIMIT: Duration = Duration::from_secs(60);
        let before = self.count().requests;
        wait(&self.stop, LIMIT, "answers to the load", || (self.count().requests >= before + more).then_some(()))
            .with_context(|| self.text())
    }

    /// Checks that nothing has failed so far, and that every value is there.
    ///
    /// # Errors
    /// Something has, or one is not; the error lists what failed.
    pub(crate) fn check(&self) -> Result<LoadCount> {
        let count = self.check_of_emptied_nodes()?;
        ensure!(count.missing == 0, "{} of {} requests found no value: {count:?}", count.missing, count.requests);
        Ok(count)
    }

    /// Checks that nothing has failed so far, where nodes were restarted and have lost their values.
    ///
    /// # Errors
    /// Something has; the error lists it.
    pub(crate) fn check_of_emptied_nodes(&self) -> Result<LoadCount> {
        let count = self.count();
        ensure!(count.failed == 0, "{} of {} requests failed:\n{}", count.failed, count.requests, self.failures());
        Ok(count)
    }

    /// Ends it; what it counted.
    ///
    /// # Errors
    /// It had ended before.
    pub(crate) fn finish(mut self) -> Result<LoadCount> {
        ensure!(self.child.exited().is_none(), "the load has ended by itself\n{}", self.text());
        self.child.terminate();
        self.child.finish(&Stop::never());
        Ok(self.count())
    }

    /// The failures that were listed.
    pub(crate) fn failures(&self) -> String {
        self.text()
            .lines()
            .filter(|line| line.starts_with("failed "))
            .fold(String::new(), |text, line| text + line + "\n")
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Loads `address` until SIGTERM.
///
/// # Errors
/// Standard output is gone.
pub(crate) fn generate(address: SocketAddr) -> Result<()> {
    const REPORT_EVERY: Duration = Duration::from_millis(500);
    let stop = Stop::on_signals()?;
    let counters = LoadCounters::default();
    thread::scope(|scope| {
        for number in 0..CONNECTIONS {
            let (counters, stop) = (&counters, &stop);
            scope.spawn(move || client(number, address, stop, counters));
        }
        while !stop.requested() {
            let _ = poll::until(Instant::now() + REPORT_EVERY, &stop, || None::<()>);
            counters.report()?;
        }
        anyhow::Ok(())
    })?;
    counters.report()
}

/// What the connections count, as in [`LoadCount`].
#[derive(Default)]
struct LoadCounters {
    requests: AtomicU64,
    failed: AtomicU64,
    missing: AtomicU64,
}

impl LoadCounters {
    fn report(&self) -> Result<()> {
        let [requests, failed, missing] =
            [&self.requests, &self.failed, &self.missing].map(|count| count.load(Ordering::Relaxed));
        writeln!(io::stdout(), "requests={requests} failed={failed} missing={missing}")
            .context("standard output is gone")
    }
}

/// What came back where nothing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LoadAnswer {
    Value,
    NotFound,
}

/// One connection, made again where it was closed.
fn client(number: u64, address: SocketAddr, stop: &Stop, counters: &LoadCounters) {
    let mut connection = None;
    let mut turn = 0_u64;
    while !stop.requested() {
        let next = Instant::now() + PACE;
        let key = format!("k-{number}-{}", turn % KEYS);
        // The first round writes every key.
        let writes = turn < KEYS || turn.is_multiple_of(WRITES_ONE_IN);
        let method = if writes { "PUT" } else { "GET" };
        match exchange(&mut connection, address, method, &key) {
            Ok(LoadAnswer::Value) => {}
            Ok(LoadAnswer::NotFound) => {
                counters.missing.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                connection = None;
                if counters.failed.fetch_add(1, Ordering::Relaxed) < FAILURES_LISTED_MAX {
                    println!("failed {method} {key}: {error:#}");
                }
            }
        }
        counters.requests.fetch_add(1, Ordering::Relaxed);
        turn += 1;
        let _ = poll::until(next, stop, || None::<()>);
    }
}

/// A request and its answer, which must be right.
fn exchange(
    connection: &mut Option<BufReader<TcpStream>>,
    address: SocketAddr,
    method: &str,
    key: &str,
) -> Result<LoadAnswer> {
    let stream = match connection {
        Some(stream) => stream,
        None => connection.insert(connect(address)?),
    };
    let value = format!("value of {key}");
    let mut request = format!("{method} /v1/kv/default/{key} HTTP/1.1\r\nhost: fleet\r\n");
    if method == "PUT" {
        let _ = write!(request, "content-length: {}\r\n\r\n{value}", value.len());
    } else {
        request.push_str("\r\n");
    }
    stream.get_mut().write_all(request.as_bytes()).context("sending")?;
    let (status, closes, body) = answer(stream)?;
    if closes {
        *connection = None;
    }
    match (method, status) {
        ("PUT", 200..=299) => Ok(LoadAnswer::Value),
        ("GET", 404) => Ok(LoadAnswer::NotFound),
        ("GET", 200) if body == value.as_bytes() => Ok(LoadAnswer::Value),
        ("GET", 200) => bail!("another value: {:?}", String::from_utf8_lossy(&body)),
        _ => bail!("status {status}: {}", String::from_utf8_lossy(&body).trim()),
    }
}

fn connect(address: SocketAddr) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address).context("connecting")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    Ok(BufReader::new(stream))
}

/// Status, whether the connection ends with it, and body of a response with a length.
pub(super) fn answer(stream: &mut impl BufRead) -> Result<(u16, bool, Vec<u8>)> {
    let mut line = String::new();
    ensure!(stream.read_line(&mut line).context("reading")? > 0, "closed before an answer");
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
    let (mut closes, mut length) = (false, 0_usize);
    loop {
        line.clear();
        ensure!(stream.read_line(&mut line).context("reading")? > 0, "closed within a head");
        let field = line.trim_end().to_ascii_lowercase();
        if field.is_empty() {
            break;
        }
        if let Some(value) = field.strip_prefix("content-length:") {
            length = value.trim().parse().context("content-length")?;
        }
        closes |= field.starts_with("connection:") && field.ends_with("close");
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).context("reading a body")?;
    Ok((status, closes, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_counts_are_taken() {
        let log = "requests=4 failed=0 missing=0\nfailed GET k-1-2: status 503\nrequests=9 failed=1 missing=2\nfailed";
        assert_eq!(LoadCount::in_log(log), LoadCount { requests: 9, failed: 1, missing: 2 });
        assert_eq!(LoadCount::in_log("requests=9 failed=1 missing="), LoadCount::default());
        assert_eq!(LoadCount::in_log(""), LoadCount::default());
    }
}
