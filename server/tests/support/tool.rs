//! Programs that tests start: real clients and proxies.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::client::Socket;
use super::server::lines;

/// Where servers are installed; often not in an ordinary user's PATH.
const SYSTEM_FOLDERS: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// Where a program is.
///
/// # Panics
/// When it is not installed: a test that cannot run has not passed.
#[expect(clippy::disallowed_methods, reason = "where programs are is told by PATH alone")]
pub(crate) fn find(program: &str, package: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut folders = path.split(':').chain(SYSTEM_FOLDERS.split(':'));
    let found = folders.find_map(|folder| Some(PathBuf::from(folder).join(program)).filter(|file| file.is_file()));
    found.unwrap_or_else(|| panic!("{program} is not installed: apt-get install {package} (or cargo xtask test)"))
}

/// Runs a command to its end; what it wrote to its standard output.
///
/// # Panics
/// When it fails.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{text}\n{errors}", output.status);
    text
}

/// A program that runs until its handle goes.
pub(crate) struct Running {
    child: Child,
    log: Receiver<String>,
}

/// Time between two attempts to connect; the program's log is read meanwhile.
const ATTEMPT_TIME: Duration = Duration::from_millis(10);

impl Running {
    /// Starts a program and waits until it takes connections at `address`.
    ///
    /// # Panics
    /// When it ends first.
    #[expect(clippy::disallowed_methods, reason = "a test has no reactor")]
    pub(crate) fn start(command: &mut Command, address: SocketAddr) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = lines(child.stderr.take().unwrap());
        let running = Running { child, log };
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while Socket::connect(address).is_err() {
            match running.log.recv_timeout(ATTEMPT_TIME) {
                Ok(line) => seen.push(line),
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(error) => panic!("{command:?} does not listen ({error}): {seen:#?}"),
            }
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
