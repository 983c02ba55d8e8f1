//! What the machine must have, checked before anything is made.
//!
//! **Invariants**: everything that is missing is in one error. Nothing is installed here.

use anyhow::Result;
use corelane_lab::poll::Stop;
use corelane_lab::preflight::{FLEET_PROGRAMS, HOST_PROGRAMS, Preflight, Program};
use rustix::process::geteuid;

use crate::cgroup::{self, HostCgroup};
use crate::network::HostNetwork;
use crate::overlay::OverlayMount;

/// Checks the machine.
///
/// # Errors
/// Whoever runs this: what is missing, and what to do.
pub(crate) fn check() -> Result<()> {
    look(HOST_PROGRAMS)
}

/// Checks the machine for a fleet.
///
/// # Errors
/// As [`check`].
pub(crate) fn check_for_fleet() -> Result<()> {
    look(&[HOST_PROGRAMS, FLEET_PROGRAMS].concat())
}

fn look(programs: &[Program]) -> Result<()> {
    let mut preflight = Preflight::default();
    preflight.require(geteuid().is_root(), || {
        "root: containers, mounts and network namespaces are made; run it as root".to_owned()
    });
    preflight.require_programs(programs);
    preflight.require(!cgroup::trees().is_empty(), || format!("cgroups: nothing is mounted at {}", cgroup::ROOT));
    let made = HostCgroup::new(&format!("corelane-hosts-preflight-{}", std::process::id()));
    preflight.require(made.is_ok(), || "cgroups that may be made, which a container often has not".to_owned());
    let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let has_overlay = filesystems.lines().any(|line| line.ends_with("\toverlay"));
    preflight.require(has_overlay, || "overlayfs in the kernel (modprobe overlay)".to_owned());
    // Each is made and removed: what a kernel has, a container may still not be allowed.
    let stop = Stop::never();
    let overlay = has_overlay.then(|| OverlayMount::try_once(&stop));
    preflight.require(overlay.is_none_or(|tried| tried.is_ok()), || {
        "overlayfs that may be mounted, which a container often has not (CAP_SYS_ADMIN)".to_owned()
    });
    let network = HostNetwork::new(&format!("lab-{}-preflight", std::process::id()), &stop)
        .and_then(|mut network| network.add(1));
    preflight.require(network.is_ok(), || {
        "network namespaces with bridges and veth that may be made (CAP_NET_ADMIN, CAP_SYS_ADMIN)".to_owned()
    });
    preflight.finish()
}
