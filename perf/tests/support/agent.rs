//! An agent, for the tests of those who coordinate some.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// An agent of the test, ended with it.
pub(crate) struct AgentProcess(Child, pub(crate) SocketAddr);

impl AgentProcess {
    pub(crate) fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_coreperf"));
        let mut child = command.args(["agent", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.split([' ', ';']).find_map(|word| word.parse().ok());
        Self(child, address.unwrap_or_else(|| panic!("no address in: {line}")))
    }
}

impl Drop for AgentProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
