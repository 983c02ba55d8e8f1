//! The guest's image: Debian 12 with the oldest kernel that Corelane promises to run on, made once and kept in the cache.
//!
//! | file | what |
//! |---|---|
//! | `disk.img` | the disk; runs write to a copy that ends with them |
//! | `client`, `client.pub` | the key that the guest lets in |
//! | `known_hosts` | the guest's own key |
//!
//! **Invariants**: another list of packages or another script is another image.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::disk;
use super::network::GUEST_MANAGEMENT;
use crate::cache::{ImageCache, fingerprint};
use crate::capture::{LoggedWork, capture};
use crate::poll::Stop;
use crate::progress::ProgressLog;

const SUITE: &str = "bookworm";
const MIRROR: &str = "http://deb.debian.org/debian";
const PACKAGES: &[&str] = &[
    "dbus",
    "ethtool",
    "grub-pc-bin",
    "grub2-common",
    "initramfs-tools",
    "iproute2",
    "irqbalance",
    "kmod",
    "linux-image-amd64",
    "nftables",
    "openssh-server",
    "procps",
    "systemd",
    "systemd-sysv",
    "udev",
];
const GUEST_SCRIPT: &str = include_str!("guest.sh");

/// Two minutes on idle cores; downloads and a busy machine may take ten times that.
const BOOTSTRAP_LIMIT: Duration = Duration::from_secs(1200);
const STEP_LIMIT: Duration = Duration::from_secs(300);

/// An image that is complete.
#[derive(Debug, Clone)]
pub struct GuestImage {
    folder: PathBuf,
}

impl GuestImage {
    /// Takes it from the cache, or makes it.
    ///
    /// # Errors
    /// A program failed, or the mirror could not be reached.
    pub fn prepare(cache: &ImageCache, progress: &ProgressLog, stop: &Stop) -> Result<Self> {
        let packages = PACKAGES.join(",");
        let name = format!("vm-{}", fingerprint(&[SUITE, &packages, GUEST_SCRIPT, GUEST_MANAGEMENT]));
        cache.remove_others("vm-", &name)?;
        let build = ImageBuild { packages, progress, stop };
        let folder = cache.image(&name, |folder| build.run(folder))?;
        progress.say(&format!("image: {}", folder.display()));
        Ok(Self { folder })
    }

    /// A file of it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

struct ImageBuild<'a> {
    packages: String,
    progress: &'a ProgressLog,
    stop: &'a Stop,
}

impl ImageBuild<'_> {
    fn run(&self, folder: &Path) -> Result<()> {
        let tree = folder.join("tree");
        let mut bootstrap = Command::new("mmdebstrap");
        bootstrap.args(["--variant=minbase", "--mode=root", &format!("--include={}", self.packages), SUITE]);
        bootstrap.arg(&tree).arg(MIRROR);
        self.step("image, 1 of 4: packages (minutes)", BOOTSTRAP_LIMIT, folder, &mut bootstrap)?;
        self.customize(folder, &tree)?;
        self.make_keys(folder, &tree)?;
        let image = folder.join("disk.img");
        let mut file_system = disk::make_file_system(&tree, &image)?;
        self.step("image, 4 of 4: disk", STEP_LIMIT, folder, &mut file_system)?;
        disk::install_grub(&tree, &image)?;
        std::fs::remove_dir_all(&tree)?;
        Ok(())
    }

    fn customize(&self, folder: &Path, tree: &Path) -> Result<()> {
        let script = tree.join("guest.sh");
        std::fs::write(&script, GUEST_SCRIPT)?;
        let mut customize = Command::new("chroot");
        customize.arg(tree).args(["sh", "/guest.sh"]);
        self.step("image, 2 of 4: boot, network, services", STEP_LIMIT, folder, &mut customize)?;
        std::fs::remove_file(script)?;
        Ok(())
    }

    fn make_keys(&self, folder: &Path, tree: &Path) -> Result<()> {
        self.progress.say("image, 3 of 4: keys");
        let make = |path: &Path| {
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-C", "corelane-lab", "-f"]).arg(path);
            capture(&mut command, STEP_LIMIT, self.stop)?.success("ssh-keygen")
        };
        let host = tree.join("etc/ssh/ssh_host_ed25519_key");
        make(&host)?;
        make(&folder.join("client"))?;
        let ssh = tree.join("root/.ssh");
        std::fs::create_dir_all(&ssh)?;
        std::fs::copy(folder.join("client.pub"), ssh.join("authorized_keys"))?;
        let host_key = std::fs::read_to_string(host.with_extension("pub")).context("the guest's key")?;
        std::fs::write(folder.join("known_hosts"), format!("{GUEST_MANAGEMENT} {host_key}"))?;
        Ok(())
    }

    fn step(&self, name: &str, limit: Duration, folder: &Path, command: &mut Command) -> Result<()> {
        // Whoever works on this machine goes first.
        let mut polite = Command::new("nice");
        polite.args(["-n", "10"]).arg(command.get_program()).args(command.get_args());
        let log = folder.join("build.log");
        LoggedWork { name, log: &log, limit }.run(&mut polite, self.progress, self.stop)
    }
}
