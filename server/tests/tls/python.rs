//! Python's `ssl`, which is OpenSSL: scripts beside this file, told what to do by their arguments and by lines.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use crate::support::PATIENCE;
use crate::support::server::lines;
use crate::support::tool;

/// A script that runs.
pub(super) struct Script {
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
}

/// The Python of the system, which the packages of the system belong to, or whatever there is.
fn interpreter() -> PathBuf {
    let of_system = PathBuf::from("/usr/bin/python3");
    if of_system.is_file() { of_system } else { tool::find("python3", "python3") }
}

/// Runs a script to its end; what it wrote.
pub(super) fn run(script: &str, arguments: &[&str]) -> String {
    tool::run(Command::new(interpreter()).args(["-c", script]).args(arguments))
}

impl Script {
    pub(super) fn start(script: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(interpreter());
        command.args(["-c", script]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = lines(child.stdout.take().unwrap());
        Script { input: child.stdin.take().unwrap(), child, output }
    }

    /// Tells it a line.
    pub(super) fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    /// The next line that it writes.
    pub(super) fn next(&self) -> String {
        self.next_within(PATIENCE)
    }

    /// The same, of a script that has much to do.
    pub(super) fn next_within(&self, patience: Duration) -> String {
        self.output.recv_timeout(patience).expect("a script that works says something")
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
