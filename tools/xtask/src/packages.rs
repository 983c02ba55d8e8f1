//! Programs the tests need, and the Debian packages that bring them.
//!
//! **Not**: a package manager. What is there already is left alone, whatever its version.
//!
//! **Invariants**: nothing is installed unless it is missing and we may (root, or sudo without a password); otherwise
//! the exact command is printed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;

/// A program and what installs it.
struct Needed {
    program: &'static str,
    package: &'static str,
}

/// The real clients, the reference servers and the tools that integration tests and gates start.
const NEEDED: &[Needed] = &[
    Needed { program: "curl", package: "curl" },
    Needed { program: "wrk", package: "wrk" },
    Needed { program: "h2load", package: "nghttp2-client" },
    Needed { program: "chromium", package: "chromium" },
    Needed { program: "nginx", package: "nginx-light" },
    Needed { program: "haproxy", package: "haproxy" },
    Needed { program: "python3", package: "python3" },
    Needed { program: "valgrind", package: "valgrind" },
    Needed { program: "redis-server", package: "redis-server" },
    Needed { program: "memcached", package: "memcached" },
    Needed { program: "systemd-analyze", package: "systemd" },
    Needed { program: "groff", package: "groff-base" },
    Needed { program: "ip", package: "iproute2" },
    Needed { program: "ethtool", package: "ethtool" },
];

/// What makes a package of a release.
const PACKAGERS: &[Needed] = &[Needed { program: "dpkg-deb", package: "dpkg" }];

/// What makes hosts with a real systemd, and what they are looked at with.
const LAB: &[Needed] = &[
    Needed { program: "mmdebstrap", package: "mmdebstrap" },
    Needed { program: "systemd-nspawn", package: "systemd-container" },
    Needed { program: "ip", package: "iproute2" },
];

/// Servers that ours is measured beside, and their client side.
const PEERS: &[Needed] = &[
    Needed { program: "nginx", package: "nginx-light" },
    Needed { program: "haproxy", package: "haproxy" },
    Needed { program: "varnishd", package: "varnish" },
    Needed { program: "h2o", package: "h2o" },
    Needed { program: "wrk", package: "wrk" },
    Needed { program: "redis-server", package: "redis-server" },
    Needed { program: "memcached", package: "memcached" },
];

/// Where servers are installed; often not in an ordinary user's PATH.
const SYSTEM_FOLDERS: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// Installs what is missing.
///
/// # Errors
/// The operator's: something is missing and cannot be installed from here; the message is the command to run.
pub(crate) fn ensure_installed() -> Result<()> {
    ensure(NEEDED, "every program the tests need is installed")
}

/// Installs the servers that ours is measured beside, where they are missing.
///
/// # Errors
/// As for the tests' programs.
pub(crate) fn ensure_peers_installed() -> Result<()> {
    ensure(PEERS, "every server to compare with is installed")
}

/// Installs what makes hosts with a real systemd, where it is missing.
///
/// # Errors
/// As for the tests' programs.
pub(crate) fn ensure_lab_installed() -> Result<()> {
    ensure(LAB, "what makes hosts is installed")
}

/// Installs what makes a package of a release, where it is missing.
///
/// # Errors
/// As for the tests' programs.
pub(crate) fn ensure_packager_installed() -> Result<()> {
    ensure(PACKAGERS, "what makes packages is installed")
}

fn ensure(needed: &[Needed], all_there: &str) -> Result<()> {
    let missing = missing_packages(needed, is_installed);
    if missing.is_empty() {
        println!("{all_there}");
        return Ok(());
    }
    let list = missing.join(" ");
    let by_hand = format!("install these packages and try again: apt-get install {list}");
    if !is_installed("apt-get") {
        bail!("this host has no apt-get; {by_hand} (or what your distribution calls them)");
    }
    let prefix: &[&str] = if geteuid().is_root() {
        &[]
    } else if Command::new("sudo").args(["-n", "true"]).output().is_ok_and(|output| output.status.success()) {
        &["sudo", "-n"]
    } else {
        bail!("neither root nor sudo without a password; {by_hand}");
    };
    println!("installing: {list}");
    apt(prefix, &["update", "-qq"]).context(by_hand.clone())?;
    let install = [&["install", "-y", "-qq", "--no-install-recommends"], missing.as_slice()].concat();
    apt(prefix, &install).context(by_hand)
}

/// Whether a program can be started by its name.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').chain(SYSTEM_FOLDERS.split(':')).any(|folder| Path::new(folder).join(program).is_file())
}

fn missing_packages(needed: &[Needed], is_installed: impl Fn(&str) -> bool) -> Vec<&'static str> {
    needed.iter().filter(|needed| !is_installed(needed.program)).map(|needed| needed.package).collect()
}

fn apt(prefix: &[&str], arguments: &[&str]) -> Result<()> {
    let environment = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"];
    let words = [prefix, environment.as_slice(), arguments].concat();
    let status = Command::new(words[0]).args(&words[1..]).status().context("apt-get could not be started")?;
    if !status.success() {
        bail!("apt-get {} failed ({status})", arguments.join(" "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed() {
        assert_eq!(missing_packages(NEEDED, |_| true), Vec::<&str>::new());
        assert_eq!(missing_packages(NEEDED, |program| program != "h2load"), ["nghttp2-client"]);
    }

    #[test]
    fn a_shell_is_found_and_nonsense_is_not() {
        assert!(is_installed("sh"));
        assert!(!is_installed("no-such-program-here"));
    }
}
