//! A server's namespace and a client's, joined by a pair of interfaces with four queues each.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use super::netns::{NIC, Namespace, PEER, done, ip};

/// Addresses for tests of networks, of no other network.
pub(crate) const SERVER: &str = "198.18.7.1";
const CLIENT: &str = "198.18.7.2";

/// The two namespaces, and the agent that loads from the client's.
pub(crate) struct Lab {
    pub(crate) server: Namespace,
    client: Namespace,
    agent: Option<Child>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let (server, client) = (Namespace::new(), Namespace::bare());
        done(&ip(&["-n", server.name(), "link", "set", PEER, "netns", client.name()]), "ip link set netns");
        for (namespace, nic, address) in [(&server, NIC, SERVER), (&client, PEER, CLIENT)] {
            let address = format!("{address}/30");
            done(&ip(&["-n", namespace.name(), "addr", "add", &address, "dev", nic]), "ip addr add");
            done(&ip(&["-n", namespace.name(), "link", "set", nic, "up"]), "ip link set up");
        }
        Lab { server, client, agent: None }
    }

    /// Starts an agent at the client's; its address.
    pub(crate) fn agent(&mut self) -> String {
        let mut command = self.client.command(built("coreperf").to_str().unwrap());
        let command = command.args(["agent", "--listen", &format!("{CLIENT}:7700")]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("agent listens on"), "{line}");
        self.agent = Some(child);
        format!("{CLIENT}:7700")
    }

    /// Writes a scenario against a server at the server's.
    pub(crate) fn scenario(&self) -> PathBuf {
        let text = format!(
            "title = \"GET hit, 128 B\"\nurl = \"http://{SERVER}:8080/v1/kv/default/k\"\nconnections = 8\nduration = \"1s\"\n\
             warmup = \"1s\"\n[values]\nbytes = 128\nfill = true\n[expect]\nstatus = [200]\nbody = \"value\"\n"
        );
        let path = self.server.folder.path().join("hit.toml");
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(agent) = &mut self.agent {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }
}

/// One of our own programs, which the tests of a workspace have built.
pub(crate) fn built(program: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_corectl")).with_file_name(program);
    let profile = if cfg!(debug_assertions) { "" } else { " --release" };
    assert!(path.is_file(), "{} is missing: cargo build{profile} -p {program}", path.display());
    path
}
