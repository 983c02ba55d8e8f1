//! What the machine must have, checked before anything is made.
//!
//! **Invariants**: everything that is missing is in one error. Nothing is installed here.

use anyhow::Result;
use corelane_lab::preflight::{HOST_PROGRAMS, Preflight};
use rustix::process::geteuid;

use crate::cgroup::{self, HostCgroup};

/// Checks the machine.
///
/// # Errors
/// Whoever runs this: what is missing, and what to do.
pub(crate) fn check() -> Result<()> {
    let mut preflight = Preflight::default();
    preflight.require(geteuid().is_root(), || {
        "root: containers, mounts and network namespaces are made; run it as root".to_owned()
    });
    preflight.require_programs(HOST_PROGRAMS);
    preflight.require(!cgroup::trees().is_empty(), || format!("cgroups: nothing is mounted at {}", cgroup::ROOT));
    let made = HostCgroup::new(&format!("corelane-hosts-preflight-{}", std::process::id()));
    preflight.require(made.is_ok(), || "cgroups that may be made, which a container often has not".to_owned());
    let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let has_overlay = filesystems.lines().any(|line| line.ends_with("\toverlay"));
    preflight.require(has_overlay, || "overlayfs in the kernel (modprobe overlay)".to_owned());
    preflight.finish()
}
