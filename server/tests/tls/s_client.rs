//! `openssl s_client`, a whole connection at a time or line by line.
//!
//! **Not** a judge of certificates, unless a test gives it an authority: it goes on whatever it finds, and says what.

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Receiver;

use super::pki::{Leaf, NAME};
use crate::support::PATIENCE;
use crate::support::server::{Server, Waiting, lines};
use crate::support::tool;

/// A request after which the server closes.
pub(super) const LAST_GET: &str = "GET /v1/kv/default/a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/// A request after which it does not.
pub(super) const GET: &str = "GET /v1/kv/default/a HTTP/1.1\r\nHost: h\r\n\r\n";

/// A running s_client.
pub(super) struct SClient {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
    seen: Vec<String>,
}

impl SClient {
    /// Connects, with these further arguments.
    pub(super) fn start(address: SocketAddr, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        // One pipe, so that what it says is read in the order in which it was said.
        command.args(["-c", "exec \"$0\" \"$@\" 2>&1"]).arg(tool::find("openssl", "openssl"));
        command.args(["s_client", "-connect", &address.to_string()]).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = lines(child.stdout.take().unwrap());
        SClient { input: child.stdin.take(), child, output, seen: Vec::new() }
    }

    /// Types; whether it was still there to be told.
    pub(super) fn try_say(&mut self, text: &str) -> bool {
        let input = self.input.as_mut().unwrap();
        input.write_all(text.as_bytes()).and_then(|()| input.flush()).is_ok()
    }

    /// Types.
    pub(super) fn say(&mut self, text: &str) {
        assert!(self.try_say(text), "s_client has ended: {:#?}", self.seen);
    }

    /// Waits for a line that contains this; it.
    pub(super) fn expect(&mut self, part: &str) -> String {
        self.try_expect(part).unwrap_or_else(|| panic!("no {part:?} in {:#?}", self.seen))
    }

    /// The same; nothing, if it ends before.
    pub(super) fn try_expect(&mut self, part: &str) -> Option<String> {
        loop {
            match self.output.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(part) {
                        return Some(line);
                    }
                }
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(error) => panic!("no {part:?} ({error}) in {:#?}", self.seen),
            }
        }
    }

    /// Waits for its end; all that it has said.
    pub(super) fn finish(mut self) -> String {
        while self.try_expect("\u{0}").is_some() {}
        std::mem::take(&mut self.seen).join("\n")
    }
}

impl Drop for SClient {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection with one request; all that s_client says.
pub(super) fn ask(address: SocketAddr, arguments: &[&str]) -> String {
    let mut client = SClient::start(address, &[&["-ign_eof"], arguments].concat());
    // A handshake that fails ends it before it reads what is typed.
    client.try_say(LAST_GET);
    client.finish()
}

/// Waits until new connections get this certificate: cores learn of it by message.
pub(super) fn await_certificate(server: &Server, leaf: &Leaf) {
    let waiting = Waiting::begin();
    let fingerprint = fingerprint(&leaf.chain);
    loop {
        let text = ask(server.tls_address, &["-servername", NAME]);
        if text.contains(&fingerprint) {
            return;
        }
        waiting.go_on(|| format!("{} is not in force: {text}", leaf.chain.display()));
    }
}

/// What s_client shows of a file's certificate, and of no other: the last whole line of its PEM, which is of its signature.
fn fingerprint(chain: &Path) -> String {
    let text = std::fs::read_to_string(chain).unwrap();
    let body: Vec<&str> = text.lines().filter(|line| !line.starts_with("-----")).collect();
    body[body.len() - 2].to_owned()
}

/// The value after a label of what s_client says.
pub(super) fn told<'a>(text: &'a str, label: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(label));
    line.unwrap_or_else(|| panic!("no {label:?} in {text}")).trim()
}
