//! Asking the admin listener of a running process, from a program that has no reactor; in the clear, or over TLS with an operator's
//! certificate.
//!
//! ```text
//!  ask ─▶ connect ─▶ DeadlineStream ─▶ [BlockingTls] ─▶ one request, one response
//! ```
//!
//! **Not** a general client: one request on a connection, whose end is the end of the response.
//!
//! **Invariants**: at most `ANSWER_BYTES_MAX` bytes are read. The time that is given passes, whatever answers or does not, and
//! nothing of the request is left behind then: no connection and no thread.
//!
//! **Source**: RFC 9112; connect(2) (`EAGAIN` of Unix sockets), socket(7) (`SO_RCVTIMEO`).

#![expect(clippy::disallowed_types, reason = "a program without a reactor asks")]

mod operator;

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use corelane_tls::handshake::blocking::BlockingTls;
use rustix::event::{Timespec, poll};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::time::{ClockId, clock_gettime};

pub use self::operator::OperatorPaths;
use crate::settings::ListenAddress;

/// Longest answer, in bytes: a thousand tables of a few keys, or the metrics of a few hundred cores.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// How a listener that speaks TLS answers what is not: an alert of any version.
const TLS_ALERT: [u8; 2] = [0x15, 0x03];

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Between two tries to connect to a Unix socket that has as many connections waiting as it takes.
const CONNECT_PAUSE: Duration = Duration::from_millis(10);

/// The body of the page at `path` of the admin listener at `admin`; over TLS if `operator` names files. All steps together, connecting
/// too, take `timeout` at most.
///
/// # Errors
/// The operator's: the files are no good. Or nobody answers in time, or not with 200, or one of the two does not trust the other; what
/// there is to do.
pub fn ask(
    admin: &ListenAddress,
    operator: Option<&OperatorPaths>,
    path: &'static str,
    timeout: Duration,
) -> io::Result<Vec<u8>> {
    let deadline = Deadline::after(timeout);
    match admin {
        ListenAddress::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, deadline.left()?).map_err(|error| deadline.or(error))?;
            ask_on(DeadlineStream { stream, deadline }, (address.ip(), operator), path)
        }
        ListenAddress::Unix(socket) => {
            let stream = connect_unix(socket, &deadline)?;
            // Who is on this host is asked by its loopback address.
            ask_on(DeadlineStream { stream, deadline }, (Ipv4Addr::LOCALHOST.into(), operator), path)
        }
    }
}

fn ask_on<S: TimedStream>(
    stream: DeadlineStream<S>,
    (name, operator): (IpAddr, Option<&OperatorPaths>),
    path: &str,
) -> io::Result<Vec<u8>> {
    let Some(operator) = operator else { return read_page(stream, path) };
    let config = operator.config().map_err(io::Error::other)?;
    let page = BlockingTls::connect(&config, name.into(), stream).and_then(|tls| read_page(tls, path));
    page.map_err(|error| operator.in_words(error))
}

/// When all of a request has to be over.
struct Deadline {
    timeout: Duration,
    at: Duration,
}

impl Deadline {
    fn after(timeout: Duration) -> Self {
        Deadline { timeout, at: now().saturating_add(timeout) }
    }

    /// The time until then, which is not none.
    fn left(&self) -> io::Result<Duration> {
        self.at.checked_sub(now()).filter(|left| !left.is_zero()).ok_or_else(|| self.late())
    }

    fn late(&self) -> io::Error {
        io::Error::other(format!("no response within {} s", self.timeout.as_secs_f32()))
    }

    /// The error of a step; one of a step that took until then says so.
    fn or(&self, error: io::Error) -> io::Error {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => self.late(),
            _ => error,
        }
    }
}

/// Time since some moment in the past.
fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// A connection whose steps can be given a time.
trait TimedStream: Read + Write {
    fn set_timeout(&self, time: Duration) -> io::Result<()>;
}

impl TimedStream for TcpStream {
    fn set_timeout(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time)).and_then(|()| self.set_write_timeout(Some(time)))
    }
}

impl TimedStream for UnixStream {
    fn set_timeout(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time)).and_then(|()| self.set_write_timeout(Some(time)))
    }
}

/// A stream none of whose steps goes beyond a deadline.
struct DeadlineStream<S> {
    stream: S,
    deadline: Deadline,
}

impl<S: TimedStream> Read for DeadlineStream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_timeout(self.deadline.left()?)?;
        self.stream.read(buffer).map_err(|error| self.deadline.or(error))
    }
}

impl<S: TimedStream> Write for DeadlineStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_timeout(self.deadline.left()?)?;
        self.stream.write(bytes).map_err(|error| self.deadline.or(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Connects to a Unix socket. Where as many wait there as it takes, the kernel says so at once, and only trying again helps.
fn connect_unix(path: &Path, deadline: &Deadline) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let address = SocketAddrUnix::new(path)?;
    loop {
        match connect(&socket, &address) {
            Ok(()) => break,
            Err(rustix::io::Errno::AGAIN) => {
                let pause = deadline.left()?.min(CONNECT_PAUSE);
                poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: i64::from(pause.subsec_nanos()) }))?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn read_page(mut stream: impl Read + Write, path: &str) -> io::Result<Vec<u8>> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut chunk) = (Vec::new(), vec![0; CHUNK_BYTES]);
    while answer.len() < ANSWER_BYTES_MAX {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(bytes) => answer.extend_from_slice(&chunk[..bytes]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if answer.starts_with(&TLS_ALERT) {
        return Err(io::Error::other(
            "it speaks TLS (admin_tls): name the authorities of its certificate with --ca, and your own operator's certificate with \
             --cert and --key",
        ));
    }
    body_in(&answer).map(<[u8]>::to_vec).ok_or_else(|| {
        let status = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let status = String::from_utf8_lossy(&status[..status.len().min(80)]).escape_debug().to_string();
        io::Error::other(format!("its response to {path} is {status:?}"))
    })
}

/// The body of a whole response: of a 200 that ends with the connection, or whose length is said.
fn body_in(answer: &[u8]) -> Option<&[u8]> {
    let head_bytes = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let (head, body) = answer.split_at(head_bytes);
    head.starts_with(b"HTTP/1.1 200 ").then_some(body)
}

#[cfg(test)]
mod tests {
    use std::thread::Builder;

    use super::*;

    /// A listener in a folder of its own, which goes with it.
    fn listening(name: &str) -> (std::os::unix::net::UnixListener, ListenAddress, std::path::PathBuf) {
        let folder = std::env::temp_dir().join(format!("corelane-ask-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("admin");
        (std::os::unix::net::UnixListener::bind(&path).unwrap(), ListenAddress::Unix(path), folder)
    }

    #[test]
    fn a_connection_ends_with_the_time_for_its_answer() {
        let (listener, admin, folder) = listening("silent");
        let error = ask(&admin, None, "/", Duration::from_millis(50)).unwrap_err().to_string();
        assert_eq!(error, "no response within 0.05 s");
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = String::new();
        // To the end of the connection, which nobody else would bring about.
        stream.read_to_string(&mut request).unwrap();
        assert!(request.starts_with("GET / HTTP/1.1\r\n"), "{request}");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_listener_that_takes_no_connection_is_not_waited_for() {
        let (listener, admin, folder) = listening("full");
        rustix::net::listen(&listener, 0).unwrap();
        let ListenAddress::Unix(path) = &admin else { unreachable!() };
        let deadline = Deadline::after(Duration::from_millis(50));
        let waiting: Vec<_> = std::iter::from_fn(|| connect_unix(path, &deadline).ok()).take(9).collect();
        assert!(waiting.len() < 9, "it takes no more");
        let error = ask(&admin, None, "/", Duration::from_millis(50)).unwrap_err().to_string();
        assert_eq!(error, "no response within 0.05 s");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_listener_that_speaks_tls_is_told_from_one_that_is_broken() {
        let (listener, admin, folder) = listening("tls");
        Builder::new()
            .spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 64];
                let _ = stream.read(&mut request).unwrap();
                stream.write_all(&[0x15, 3, 3, 0, 2, 2, 10]).unwrap();
            })
            .unwrap();
        let error = ask(&admin, None, "/v1/status", Duration::from_secs(10)).unwrap_err().to_string();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(error.contains("admin_tls") && error.contains("--ca"), "{error}");
    }

    #[test]
    fn only_the_body_of_a_page_is_taken() {
        for (answer, body) in [
            ("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{}", Some("{}")),
            ("HTTP/1.1 200 OK\r\n\r\n", Some("")),
            ("HTTP/1.1 404 Not Found\r\n\r\n{}", None),
            ("HTTP/1.1 200 OK\r\n", None),
            ("", None),
        ] {
            assert_eq!(body_in(answer.as_bytes()), body.map(str::as_bytes), "{answer}");
        }
    }

    #[test]
    fn what_never_ends_its_answer_is_not_waited_for() {
        let (listener, admin, folder) = listening("endless");
        // A byte for every one that is taken, without an end.
        Builder::new()
            .spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                while stream.write_all(b" ").is_ok() && stream.flush().is_ok() {
                    std::thread::yield_now();
                }
            })
            .unwrap();
        let error = ask(&admin, None, "/", Duration::from_millis(50)).unwrap_err().to_string();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(error, "no response within 0.05 s");
    }
}
