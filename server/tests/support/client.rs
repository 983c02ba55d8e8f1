//! A blocking client with deadlines, which sends exactly the bytes it is given.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use super::PATIENCE;
use super::answer::{self, Answer};

#[expect(clippy::disallowed_types, reason = "a client that knows nothing of the reactor")]
pub(crate) type Socket = std::net::TcpStream;

/// What there was instead of an answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The server closed; this was left over.
    Ended(Vec<u8>),
    /// The answer is malformed; the reason.
    Malformed(String),
    /// Nothing came in time; this had come.
    Silent(Vec<u8>),
    /// The socket failed.
    Socket(std::io::Error),
}

/// A connection.
pub(crate) struct Client {
    pub(crate) socket: Socket,
    /// Bytes received and not used.
    buffer: Vec<u8>,
    /// All bytes received, for reports; only the first [`KEPT_BYTES_MAX`].
    pub(crate) received: Vec<u8>,
}

/// Enough of what was received to see what went wrong.
const KEPT_BYTES_MAX: usize = 4096;

impl Client {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::on(Socket::connect_timeout(&address, PATIENCE).expect("the server listens"))
    }

    /// Speaks over a socket that is connected.
    pub(crate) fn on(socket: Socket) -> Self {
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Client { socket, buffer: Vec::new(), received: Vec::new() }
    }

    /// Sends bytes; whether the server was still there to take them.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.socket.write_all(bytes).is_ok()
    }

    /// Sends bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("the server takes what is sent");
    }

    /// Waits for the next answer to anything but HEAD.
    pub(crate) fn answer(&mut self) -> Result<Answer, Fault> {
        self.answer_to(false)
    }

    /// Waits for the next answer; `is_head`: it has no body.
    pub(crate) fn answer_to(&mut self, is_head: bool) -> Result<Answer, Fault> {
        loop {
            match Answer::read(&self.buffer, is_head).map_err(Fault::Malformed)? {
                answer::Read::Whole(answer, length) => {
                    self.buffer.drain(..length);
                    return Ok(answer);
                }
                answer::Read::Partial => {}
            }
            match self.receive() {
                Ok(0) => return Err(Fault::Ended(std::mem::take(&mut self.buffer))),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => return Err(Fault::Silent(self.buffer.clone())),
                Err(error) => return Err(Fault::Socket(error)),
            }
        }
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ask(&mut self, request: &str) -> Answer {
        self.send(request.as_bytes());
        self.answer_to(request.starts_with("HEAD ")).expect("a server that works answers")
    }

    /// Waits for the end of the connection; an error when anything else comes first.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        if !self.buffer.is_empty() {
            return Err(Fault::Malformed(format!("left over: {:?}", self.buffer.escape_ascii().to_string())));
        }
        match self.receive() {
            Ok(0) => Ok(()),
            // What was sent and not read by the server is answered by a reset.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => Ok(()),
            Ok(_) => Err(Fault::Malformed(format!("one more: {:?}", self.buffer.escape_ascii().to_string()))),
            Err(error) if is_timeout(&error) => Err(Fault::Silent(Vec::new())),
            Err(error) => Err(Fault::Socket(error)),
        }
    }

    /// Whether nothing has come that was not asked for.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        let came = self.receive();
        self.socket.set_nonblocking(false).unwrap();
        self.buffer.is_empty() && came.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Says that nothing more will be sent.
    pub(crate) fn end_sending(&self) {
        // The server may be gone already.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// How long this client waits for an answer.
    pub(crate) fn wait_at_most(&self, patience: Duration) {
        self.socket.set_read_timeout(Some(patience)).unwrap();
    }

    fn receive(&mut self) -> std::io::Result<usize> {
        let mut chunk = [0; 16 * 1024];
        let count = uninterrupted(|| self.socket.read(&mut chunk))?;
        let kept = KEPT_BYTES_MAX.saturating_sub(self.received.len()).min(count);
        self.received.extend_from_slice(&chunk[..kept]);
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(count)
    }
}

/// Reads again where a signal came in between: a read with a timeout is not restarted by the kernel (signal(7)).
pub(crate) fn uninterrupted(mut read: impl FnMut() -> std::io::Result<usize>) -> std::io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
