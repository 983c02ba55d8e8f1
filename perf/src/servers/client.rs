//! A plain blocking HTTP client: readiness, values to be read later, idle connections, and what an answer says of itself.
//!
//! **Not**: a load generator, and no general client: it understands answers with Content-Length only.
//!
//! **Source**: RFC 9112 sections 4 and 6.3.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// On loopback an answer takes microseconds; a server that takes this long does not work.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Largest answer understood: the largest value, and room for a head.
const ANSWER_BYTES_MAX: usize = (64 << 20) + 4096;

/// Read at once.
const PIECE_BYTES: usize = 4096;

/// A whole answer.
pub(crate) struct WholeAnswer {
    pub(crate) status: u16,
    /// Head and body, as they came.
    pub(crate) bytes: Vec<u8>,
}

/// One keep-alive connection.
pub(crate) struct BlockingClient {
    stream: TcpStream,
    address: SocketAddr,
}

impl BlockingClient {
    /// Connects to `address`.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, ANSWER_LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        stream.set_write_timeout(Some(ANSWER_LIMIT))?;
        Ok(Self { stream, address })
    }

    /// Sends one request and reads its whole answer; returns the status.
    pub(crate) fn request(&mut self, method: &str, path: &str, body: &str) -> io::Result<u16> {
        Ok(self.exchange(method, path, body)?.status)
    }

    /// Sends one request and reads its whole answer.
    pub(crate) fn exchange(&mut self, method: &str, path: &str, body: &str) -> io::Result<WholeAnswer> {
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n", self.address, body.len());
        let head = if body.is_empty() { head.replace("Content-Length: 0\r\n", "") } else { head };
        self.stream.write_all((head + body).as_bytes())?;
        let (mut answer, mut piece) = (Vec::new(), [0; PIECE_BYTES]);
        loop {
            let received = match self.stream.read(&mut piece) {
                // A read with a timeout is not restarted by the kernel after a signal (signal(7)).
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                outcome => outcome?,
            };
            if received == 0 || answer.len() > ANSWER_BYTES_MAX {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer ends early or is too long"));
            }
            answer.extend_from_slice(&piece[..received]);
            if let Some(status) = complete_status(&answer)? {
                return Ok(WholeAnswer { status, bytes: answer });
            }
        }
    }

    /// The connection, between requests.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }
}

/// Whether something accepts connections at `address`.
pub(crate) fn accepts(address: SocketAddr) -> bool {
    BlockingClient::connect(address).is_ok()
}

/// Whether the admin listener at `address` says that its process is ready.
pub(crate) fn is_ready(address: SocketAddr) -> bool {
    BlockingClient::connect(address)
        .and_then(|mut client| client.request("GET", "/readyz", ""))
        .is_ok_and(|status| status == 200)
}

/// The status of an answer, once all of it is there.
fn complete_status(answer: &[u8]) -> io::Result<Option<u16>> {
    let refused = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| refused("the head is not text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let status: u16 = status.ok_or_else(|| refused("no HTTP/1.1 status line"))?;
    let field = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    let body = match field {
        Some(length) => length.map_err(|_| refused("Content-Length is not a number"))?,
        None if status == 204 => 0,
        None => return Err(refused("the answer has no Content-Length")),
    };
    Ok((answer.len() >= end + 4 + body).then_some(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_complete_with_their_body() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab", Some(200)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", None),
            ("HTTP/1.1 204 No Content\r\n\r\n", Some(204)),
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r", None),
        ] {
            assert_eq!(complete_status(answer.as_bytes()).expect("it is HTTP"), expected, "{answer}");
        }
        for bad in ["HTTP/1.1 200 OK\r\n\r\n", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"] {
            assert!(complete_status(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
