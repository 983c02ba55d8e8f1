//! Asking a process whether it is ready: `GET /readyz` on its admin listener.
//!
//! **Source**: RFC 9112 (status line). The answer's body is not read.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// On loopback an answer takes microseconds; a process that takes longer is asked again.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);

/// What a 200 starts with; the minor version is the server's choice.
const READY: &[u8] = b"HTTP/1.1 200";

/// Whether the admin listener at `admin` answers `/readyz` with 200 now.
pub(super) fn is_ready(admin: SocketAddr) -> bool {
    status_line(admin).is_ok_and(|line| line == READY)
}

fn status_line(admin: SocketAddr) -> std::io::Result<[u8; READY.len()]> {
    let mut stream = TcpStream::connect_timeout(&admin, ANSWER_LIMIT)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.set_write_timeout(Some(ANSWER_LIMIT))?;
    stream.write_all(format!("GET /readyz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut start = [0; READY.len()];
    stream.read_exact(&mut start)?;
    Ok(start)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn served(answer: &'static [u8]) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client connects");
            let mut request = [0; 512];
            let length = stream.read(&mut request).expect("the client sends");
            assert!(request[..length].starts_with(b"GET /readyz "));
            stream.write_all(answer).expect("the client reads");
        });
        let ready = is_ready(address);
        server.join().expect("the server saw a well-formed request");
        ready
    }

    #[test]
    fn only_a_200_is_ready() {
        assert!(served(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(!served(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"));
        assert!(!served(b"nonsense"));
    }
}
