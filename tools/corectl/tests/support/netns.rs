//! A network namespace of a test's own, with two interfaces of four queues, and corectl run in it.
//!
//! Needs root, `ip` and `ethtool`; without them the test fails, and says so.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use super::OwnFolder;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A namespace that is removed at the end.
pub(crate) struct Namespace {
    name: String,
    /// The state, the map and whatever else a test writes.
    pub(crate) folder: OwnFolder,
}

/// Interfaces of a namespace.
pub(crate) const NIC: &str = "tune0";
pub(crate) const PEER: &str = "tune1";

pub(crate) fn ip(arguments: &[&str]) -> Output {
    let output = Command::new("ip").args(arguments).output();
    output.unwrap_or_else(|error| panic!("ip cannot be run ({error}); install iproute2: cargo xtask test does it"))
}

pub(crate) fn done(output: &Output, what: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {said}; this test needs root (CAP_NET_ADMIN, CAP_SYS_ADMIN)");
}

impl Namespace {
    /// Without interfaces of its own.
    pub(crate) fn bare() -> Self {
        let name = format!("corectl-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        done(&ip(&["netns", "add", &name]), "ip netns add");
        Namespace { name, folder: OwnFolder::new() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn new() -> Self {
        let namespace = Self::bare();
        let queues = ["numrxqueues", "4", "numtxqueues", "4"];
        let link = ["-n", &namespace.name, "link"];
        let peer = [&["type", "veth", "peer", "name", PEER][..], &queues].concat();
        done(&ip(&[&link[..], &["add", NIC], &queues, &peer].concat()), "ip link add");
        for nic in [NIC, PEER, "lo"] {
            done(&ip(&[&link[..], &["set", nic, "up"]].concat()), "ip link set");
        }
        namespace
    }

    /// A command in the namespace.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// What a shell prints in the namespace.
    pub(crate) fn shell(&self, script: &str) -> String {
        let output = self.command("sh").args(["-c", script]).output().unwrap();
        done(&output, script);
        String::from_utf8(output.stdout).unwrap()
    }

    /// `corectl tune` in the namespace, with a state of the test's own.
    pub(crate) fn tune(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_corectl"));
        command.arg("tune").arg("--state").arg(self.folder.path().join("state")).args(arguments);
        command
    }

    /// Everything that a plan could change there, as it is.
    pub(crate) fn values(&self) -> String {
        let facts = self.tune(&["facts"]).output().unwrap();
        done(&facts, "facts");
        let text = String::from_utf8(facts.stdout).unwrap();
        text.split_once("SETTINGS\n").unwrap().1.to_owned()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["netns", "del", &self.name]);
    }
}
