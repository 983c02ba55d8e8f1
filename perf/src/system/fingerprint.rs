//! What a result was measured on: the host, the kernel, what the kernel was told, and the commit.
//!
//! **Source**: proc_cpuinfo(5), proc_sys(5), sysfs (`/sys/devices/system/cpu/vulnerabilities`, `/sys/class/net`).

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// Kernel settings that change what a request costs.
const SYSCTLS: [&str; 6] = [
    "net/core/somaxconn",
    "net/core/rmem_max",
    "net/core/wmem_max",
    "net/core/busy_poll",
    "net/ipv4/tcp_congestion_control",
    "kernel/timer_migration",
];

/// A host, so that two results can be told apart by what they ran on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    pub(crate) name: String,
    pub(crate) cpu: String,
    pub(crate) cpus: usize,
    pub(crate) kernel: String,
    /// What the kernel was started with.
    pub(crate) command_line: String,
    pub(crate) governor: Option<String>,
    /// Weaknesses of the CPU that the kernel works around, each with how.
    pub(crate) mitigations: Vec<String>,
    /// Network cards with their speed in Mbit/s, where it is known.
    pub(crate) nics: Vec<String>,
    pub(crate) sysctls: Vec<String>,
    pub(crate) load_before: String,
}

impl Fingerprint {
    /// Of this host, now. What cannot be read is left empty: a container hides much of it.
    pub(crate) fn take() -> Self {
        let sysctl = |name: &&str| Some(format!("{}={}", name.replace('/', "."), read(&format!("/proc/sys/{name}"))?));
        Self {
            name: read("/proc/sys/kernel/hostname").unwrap_or_default(),
            cpu: cpu_model().unwrap_or_default(),
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").unwrap_or_default(),
            command_line: read("/proc/cmdline").unwrap_or_default(),
            governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            mitigations: each_file("/sys/devices/system/cpu/vulnerabilities", read_path)
                .filter(|line| !line.ends_with("Not affected"))
                .collect(),
            nics: each_file("/sys/class/net", |path| read_path(&path.join("speed"))).collect(),
            sysctls: SYSCTLS.iter().filter_map(sysctl).collect(),
            load_before: read("/proc/loadavg").unwrap_or_default(),
        }
    }
}

/// The commit of the working tree this runs in, with `+dirty` when it differs; "unknown" outside of one.
pub(crate) fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".to_owned() };
    let dirty = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| !changes.is_empty());
    if dirty { commit + "+dirty" } else { commit }
}

fn read(path: &str) -> Option<String> {
    read_path(Path::new(path))
}

fn read_path(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn cpu_model() -> Option<String> {
    let text = read("/proc/cpuinfo")?;
    let line = text.lines().find(|line| line.starts_with("model name") || line.starts_with("CPU part"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// `name: content` of every entry of a folder, in order.
fn each_file(folder: &str, content: impl Fn(&Path) -> Option<String>) -> impl Iterator<Item = String> {
    let mut paths: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let lines = paths.into_iter().filter_map(move |path| {
        let name = path.file_name()?.to_str()?.to_owned();
        Some(format!("{name}: {}", content(&path).unwrap_or_else(|| "unknown".to_owned())))
    });
    lines.collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_a_kernel_and_cpus() {
        let host = Fingerprint::take();
        assert!(host.cpus > 0 && !host.kernel.is_empty());
        assert!(host.nics.iter().any(|nic| nic.starts_with("lo: ")), "{:?}", host.nics);
        let text = serde_json::to_string(&host).expect("it is plain data");
        assert_eq!(serde_json::from_str::<Fingerprint>(&text).expect("it was written so"), host);
    }
}
