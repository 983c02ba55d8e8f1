//! Asking the admin listener of a running process, from a program that has no reactor.
//!
//! **Not** a general client: one request on a connection, whose end is the end of the response.
//!
//! **Invariants**: at most `ANSWER_BYTES_MAX` bytes are read, and the time that is given passes, whatever answers or does not.
//!
//! **Source**: RFC 9112.

#![expect(clippy::disallowed_types, reason = "a program without a reactor asks")]

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    sync::mpsc::sync_channel,
    thread::Builder,
    time::Duration,
};

use crate::settings::ListenAddress;

/// Longest answer, in bytes: a thousand tables of a few keys, or the metrics of a few hundred cores.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// The body of the page at `path`, on a thread of its own: whatever a step waits for, a connection too, ends with `timeout`.
///
/// # Errors
/// Nobody answers in time, or not with 200.
pub fn ask(admin: &ListenAddress, path: &'static str, timeout: Duration) -> io::Result<Vec<u8>> {
    let (answering, answered) = sync_channel(1);
    let admin = admin.clone();
    Builder::new().name("ask".to_owned()).spawn(move || {
        // Nobody waits any more if this comes too late.
        let _ = answering.send(ask_and_wait(&admin, path));
    })?;
    let late = |_| Err(io::Error::other(format!("no response within {} s", timeout.as_secs_f32())));
    answered.recv_timeout(timeout).unwrap_or_else(late)
}

fn ask_and_wait(admin: &ListenAddress, path: &str) -> io::Result<Vec<u8>> {
    match admin {
        ListenAddress::Tcp(address) => read_page(TcpStream::connect(address)?, path),
        ListenAddress::Unix(socket) => read_page(UnixStream::connect(socket)?, path),
    }
}

fn read_page(mut stream: impl Read + Write, path: &str) -> io::Result<Vec<u8>> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
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
    use super::*;

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
        let folder = std::env::temp_dir().join(format!("corelane-ask-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("admin");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        // A byte for every one that is taken, without an end.
        Builder::new()
            .spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                while stream.write_all(b" ").is_ok() && stream.flush().is_ok() {
                    std::thread::yield_now();
                }
            })
            .unwrap();
        let error = ask(&ListenAddress::Unix(path), "/", Duration::from_millis(50)).unwrap_err().to_string();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(error, "no response within 0.05 s");
    }
}
