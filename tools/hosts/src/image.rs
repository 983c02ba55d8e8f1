//! The image that hosts are started from: a small Debian, made once and kept outside the repository.
//!
//! **Not** changed by hosts: each has an overlay of its own.
//!
//! **Invariants**: an image is named by the sum of the packages and steps it is made of, so that a changed list makes another. A
//! half-made image has another name. Hosts have no network for package indexes: all that scenarios need is in the image.
//!
//! **Source**: mmdebstrap(1); machine-id(5).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use corelane_release::sum::Sha256Sum;

use crate::run::run;
use corelane_lab::poll::Stop;

/// Where images are kept.
const CACHE: &str = "/var/cache/corelane-lab";

/// The release of Debian; the oldest systemd that the units are made for.
const SUITE: &str = "bookworm";

/// Where packages come from.
const MIRROR: &str = "http://deb.debian.org/debian";

/// What is on a host.
const PACKAGES: &[&str] = &[
    "systemd",
    "systemd-sysv",
    "dbus",
    "iproute2",
    "procps",
    "ethtool",
    "nftables",
    "minisign",
    "curl",
    "haproxy",
    "libgcc-s1",
    "man-db",
    // What Ansible needs on a host.
    "openssh-server",
    "python3",
];

/// Units that have nothing to do on such a host, or that wait for what is not there.
const MASKED: &[&str] = &[
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "console-getty.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
    "getty@tty1.service",
    "haproxy.service",
    "man-db.timer",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "systemd-udevd.service",
];

/// Folders that are only large.
const EMPTIED: &[&str] = &["var/lib/apt/lists", "usr/share/doc", "usr/share/locale"];

/// Changed with the steps below.
const RECIPE: &str = "1";

/// Downloading and unpacking on a busy machine with a slow line.
const MAKING_LIMIT: Duration = Duration::from_secs(15 * 60);

/// An image that is ready.
pub(crate) struct HostImage {
    /// Its root folder, which is only read.
    pub(crate) root: PathBuf,
}

impl HostImage {
    /// Takes the image from the cache, or makes it: one to four minutes.
    ///
    /// # Errors
    /// No disk, no mirror.
    pub(crate) fn ready(stop: &Stop) -> Result<Self> {
        let recipe = [&[SUITE, MIRROR, RECIPE], PACKAGES, MASKED, EMPTIED].concat().join(" ");
        let name = Sha256Sum::of(recipe.as_bytes()).to_string()[..16].to_owned();
        let root = Path::new(CACHE).join(&name);
        if !root.exists() {
            println!("making the image {}: some minutes", root.display());
            fs::create_dir_all(CACHE).with_context(|| format!("{CACHE} could not be made"))?;
            let making = Path::new(CACHE).join(format!("{name}.making-{}", std::process::id()));
            let made = make(&making, stop).and_then(|()| {
                fs::rename(&making, &root).with_context(|| format!("{} could not be put in place", root.display()))
            });
            if made.is_err() && making.exists() {
                // What matters is why it failed.
                let _ = fs::remove_dir_all(&making);
            }
            made?;
        }
        Ok(Self { root })
    }
}

fn make(root: &Path, stop: &Stop) -> Result<()> {
    let mut command = Command::new("mmdebstrap");
    command.args(["--variant=minbase", "--skip=output/dev", &format!("--include={}", PACKAGES.join(","))]);
    command.arg(SUITE).arg(root).arg(MIRROR);
    run(&mut command, MAKING_LIMIT, stop)?.success("mmdebstrap")?;
    for folder in EMPTIED {
        let folder = root.join(folder);
        fs::remove_dir_all(&folder).with_context(|| format!("{} could not be emptied", folder.display()))?;
        fs::create_dir(&folder)?;
    }
    for unit in MASKED {
        symlink("/dev/null", root.join("etc/systemd/system").join(unit))
            .with_context(|| format!("{unit}: not masked"))?;
    }
    // Filled by the first start of each host.
    fs::write(root.join("etc/machine-id"), "")?;
    // Names come from /etc/hosts alone: a resolver that does not answer costs ten seconds each time.
    fs::write(root.join("etc/resolv.conf"), "")?;
    let switch = root.join("etc/nsswitch.conf");
    let names = fs::read_to_string(&switch)?;
    let names: Vec<&str> =
        names.lines().map(|line| if line.starts_with("hosts:") { "hosts: files" } else { line }).collect();
    fs::write(switch, names.join("\n") + "\n")?;
    Ok(())
}
