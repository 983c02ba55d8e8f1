//! The kernel of a host, how it was started, and whether what runs here sees the host's own network.
//!
//! **Source**: proc(5), namespaces(7).

use serde::{Deserialize, Serialize};

use crate::host::HostAccess;

/// Whose network this process sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkNamespace {
    /// The host's.
    Host,
    /// One of its own: what is not of the network belongs to the host outside.
    Own,
}

/// A kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelFacts {
    /// The host's name.
    pub hostname: String,
    /// Release, such as `6.1.0-18-amd64`.
    pub release: String,
    /// The command line it was started with.
    pub command_line: String,
    /// Changes with every boot.
    pub boot_id: String,
    /// Memory, KiB.
    pub memory_kib: u64,
    /// Whose network is seen.
    pub network_namespace: NetworkNamespace,
}

/// The identity of the present boot.
pub(crate) fn boot_id(host: &dyn HostAccess) -> String {
    line(host, "/proc/sys/kernel/random/boot_id")
}

fn line(host: &dyn HostAccess, path: &str) -> String {
    host.read(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// `MemTotal` of a `meminfo`, KiB.
pub(super) fn memory_kib(text: &str) -> u64 {
    let words = text.lines().find_map(|line| line.split_once("MemTotal:")).map(|(_, value)| value);
    words.and_then(|words| words.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

pub(super) fn gather(host: &dyn HostAccess) -> KernelFacts {
    let own = host.link("/proc/self/ns/net").ok();
    let first = host.link("/proc/1/ns/net").ok();
    let network_namespace = if own == first { NetworkNamespace::Host } else { NetworkNamespace::Own };
    KernelFacts {
        hostname: line(host, "/proc/sys/kernel/hostname"),
        release: line(host, "/proc/sys/kernel/osrelease"),
        command_line: line(host, "/proc/cmdline"),
        boot_id: boot_id(host),
        memory_kib: memory_kib(&line(host, "/proc/meminfo")),
        network_namespace,
    }
}
