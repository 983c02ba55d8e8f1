//! Programs the tests need, and the Debian packages that bring them.
//!
//! **Not**: a package manager. What is there already is left alone, whatever its version.
//!
//! **Invariants**: nothing is installed unless it is missing and we may (root, or sudo without a password); otherwise
//! the exact command is printed.

use std::process::Command;

use anyhow::{Context, Result, bail};
use corelane_lab::preflight::{FLEET_PROGRAMS, HOST_PROGRAMS, Program, is_installed, missing_packages};
use rustix::process::geteuid;

/// The real clients, the reference servers and the tools that integration tests and gates start.
const NEEDED: &[Program] = &[
    Program { name: "curl", package: "curl" },
    Program { name: "wrk", package: "wrk" },
    Program { name: "h2load", package: "nghttp2-client" },
    Program { name: "openssl", package: "openssl" },
    Program { name: "chromium", package: "chromium" },
    // Whose certificates Chromium trusts.
    Program { name: "certutil", package: "libnss3-tools" },
    // No program: the file that says that it is there.
    Program { name: "/usr/lib/python3/dist-packages/requests/__init__.py", package: "python3-requests" },
    Program { name: "nginx", package: "nginx-light" },
    Program { name: "haproxy", package: "haproxy" },
    Program { name: "python3", package: "python3" },
    Program { name: "valgrind", package: "valgrind" },
    Program { name: "redis-server", package: "redis-server" },
    Program { name: "memcached", package: "memcached" },
    Program { name: "systemd-analyze", package: "systemd" },
    Program { name: "groff", package: "groff-base" },
    Program { name: "ip", package: "iproute2" },
    Program { name: "ethtool", package: "ethtool" },
    Program { name: "promtool", package: "prometheus" },
];

/// What makes a package of a release.
const PACKAGERS: &[Program] = &[Program { name: "dpkg-deb", package: "dpkg" }];

/// Servers that ours is measured beside, and their client side.
const PEERS: &[Program] = &[
    Program { name: "nginx", package: "nginx-light" },
    Program { name: "haproxy", package: "haproxy" },
    Program { name: "varnishd", package: "varnish" },
    Program { name: "h2o", package: "h2o" },
    Program { name: "wrk", package: "wrk" },
    Program { name: "redis-server", package: "redis-server" },
    Program { name: "memcached", package: "memcached" },
];

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
    ensure(HOST_PROGRAMS, "what makes hosts is installed")
}

/// Installs what makes a fleet of hosts, where it is missing.
///
/// # Errors
/// As for the tests' programs.
pub(crate) fn ensure_fleet_installed() -> Result<()> {
    ensure_lab_installed()?;
    ensure(FLEET_PROGRAMS, "what commands a fleet is installed")
}

/// Installs what makes virtual environments of Python.
///
/// # Errors
/// As for the tests' programs.
pub(crate) fn install_python_venv() -> Result<()> {
    install(&["python3-venv"])
}

/// Installs what makes a package of a release, where it is missing.
///
/// # Errors
/// As for the tests' programs.
pub(crate) fn ensure_packager_installed() -> Result<()> {
    ensure(PACKAGERS, "what makes packages is installed")
}

fn ensure(needed: &[Program], all_there: &str) -> Result<()> {
    let missing = missing_packages(needed);
    if missing.is_empty() {
        println!("{all_there}");
        return Ok(());
    }
    install(&missing)
}

fn install(missing: &[&str]) -> Result<()> {
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
    let install = [&["install", "-y", "-qq", "--no-install-recommends"], missing].concat();
    apt(prefix, &install).context(by_hand)
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
