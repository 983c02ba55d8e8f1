//! Which hosts the fleet has, and how the controller gets onto them.
//!
//! **Invariants**: names and addresses are those of `ansible/inventories/lab/hosts.yml`, which a test compares. The key that
//! opens the hosts is made for each run.
//!
//! **Source**: sshd(8), "AUTHORIZED_KEYS FILE FORMAT" and "SSH_KNOWN_HOSTS FILE FORMAT".

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use corelane_lab::poll::Stop;

use super::must;
use crate::host::ContainerHost;
use crate::image::HostImage;

/// What a host does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It runs corelane.
    Edge,
    /// It runs shardstored.
    Node,
}

/// A host of the fleet.
#[derive(Debug)]
pub(crate) struct HostLayout {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    /// The last part of its address.
    pub(crate) number: u8,
}

/// All of them.
pub(crate) const HOSTS: &[HostLayout] = &[
    HostLayout { name: "edge-1", role: Role::Edge, number: 11 },
    HostLayout { name: "edge-2", role: Role::Edge, number: 12 },
    HostLayout { name: "edge-3", role: Role::Edge, number: 13 },
    HostLayout { name: "node-1", role: Role::Node, number: 21 },
    HostLayout { name: "node-2", role: Role::Node, number: 22 },
    HostLayout { name: "node-3", role: Role::Node, number: 23 },
];

/// The secret key of the run, in its folder.
pub(super) const KEY: &str = "key";

/// The keys of hosts, in the same folder.
pub(super) const KNOWN_HOSTS: &str = "known_hosts";

/// Makes the run's key; returns the public one.
pub(super) fn make_key(folder: &Path, stop: &Stop) -> Result<String> {
    let path = folder.join(KEY);
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", "corelane-lab", "-f"]).arg(&path);
    must(&mut command, stop)?;
    fs::read_to_string(path.with_extension("pub")).context("the public key could not be read")
}

/// The first of the ids that hosts' users may have.
const USER_BASE: u32 = 100_000;

/// Lets the key in, and makes the user of the services, before the host is started.
///
/// The kernel counts locked memory, which rings take, by user of the machine. Where no capability raises the limit, hosts whose
/// services had one id would share 8 MiB; so each has its own, and other runs have others.
pub(super) fn prepare(host: &ContainerHost, number: u8, key: &str) -> Result<()> {
    let id = USER_BASE + std::process::id() % 1_000_000 * 256 + u32::from(number);
    append(host, "/etc/passwd", &format!("corelane:x:{id}:{id}:Corelane:/:/usr/sbin/nologin\n"))?;
    append(host, "/etc/group", &format!("corelane:x:{id}:\n"))?;
    let folder = host.path("root").join(".ssh");
    fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join("authorized_keys"), key)).context("authorized_keys")
}

fn append(host: &ContainerHost, path: &str, line: &str) -> Result<()> {
    let before = fs::read_to_string(host.path(path)).with_context(|| path.to_owned())?;
    fs::write(host.path(path), before + line).with_context(|| path.to_owned())
}

/// The key of hosts, which is that of the image, for all addresses.
pub(super) fn write_known_hosts(image: &HostImage, folder: &Path) -> Result<()> {
    let path = image.root.join("etc/ssh/ssh_host_ed25519_key.pub");
    let key = fs::read_to_string(&path).with_context(|| format!("{} could not be read", path.display()))?;
    fs::write(folder.join(KNOWN_HOSTS), format!("198.18.0.* {key}")).context("known_hosts")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_those_of_the_inventory() {
        let inventory = include_str!("../../../../ansible/inventories/lab/hosts.yml");
        for host in HOSTS {
            let line = format!("{}: {{ ansible_host: 198.18.0.{}", host.name, host.number);
            assert!(inventory.contains(&line), "{line}");
        }
        let listed = inventory.matches("ansible_host").count();
        assert_eq!(listed, HOSTS.len(), "the inventory has hosts that the lab does not boot");
    }
}
