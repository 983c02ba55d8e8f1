//! What a service manager and an operator do to a process: its socket for notifications, commands to its socket, a thread held still.
//!
//! **Not** the product's own code, and nothing of one binary: the tests of the edge and of the node have this file.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::PATIENCE;

/// A service manager's socket.
pub(crate) struct Manager {
    socket: UnixDatagram,
    /// What came, for messages.
    seen: Vec<String>,
}

impl Manager {
    pub(crate) fn at(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Manager { socket, seen: Vec::new() }
    }

    pub(crate) fn next(&mut self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{error}: {:#?}", self.seen));
        let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
        self.seen.push(message.clone());
        message
    }

    /// Waits for a message that begins like this; it.
    pub(crate) fn expect(&mut self, start: &str) -> String {
        loop {
            let message = self.next();
            if message.starts_with(start) {
                return message;
            }
        }
    }

    /// What has come by now and nobody waits for.
    pub(crate) fn arrived(&self) -> Vec<String> {
        self.socket.set_nonblocking(true).unwrap();
        let mut buffer = [0; 4096];
        let mut messages = Vec::new();
        while let Ok(length) = self.socket.recv(&mut buffer) {
            messages.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        self.socket.set_nonblocking(false).unwrap();
        messages
    }

    /// Waits for the signs of a reload.
    pub(crate) fn expect_reload(&mut self) {
        let reloading = self.expect("RELOADING=1\n");
        let stamp: u64 = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!(stamp > 0, "{reloading}");
        self.expect("READY=1\n");
    }
}

/// A thread of a process that stands still until this is dropped.
pub(crate) struct HeldThread(Child);

impl HeldThread {
    pub(crate) fn hold(process: u32, thread: &str) -> Self {
        let script = include_str!("hold_thread.py");
        let mut command = Command::new("python3");
        command.args(["-c", script, &process.to_string(), thread]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3, which holds a thread: apt-get install python3");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n", "the thread is held");
        HeldThread(child)
    }
}

impl Drop for HeldThread {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[expect(clippy::disallowed_types, reason = "a client that knows nothing of the reactor")]
type Stream = std::os::unix::net::UnixStream;

/// Sends a command to a process's socket; the status and the body that came back.
pub(crate) fn order(socket: &Path, target: &str) -> (u16, serde_json::Value) {
    let mut stream = Stream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "POST {target} HTTP/1.1\r\nHost: corelane\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
}
