//! A host's files: those of the image, and what the host has changed of them.
//!
//! **Invariants**: the image is only read. What a host has changed goes with it.
//!
//! **Source**: the kernel's documentation of overlayfs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use corelane_lab::poll::Stop;

use crate::run::run;

/// Where hosts have their files while they exist; overlayfs needs a real file system here.
const FOLDER: &str = "/var/lib/corelane-lab";

/// Mounting and unmounting.
const LIMIT: Duration = Duration::from_secs(20);

/// A mounted overlay.
pub(crate) struct OverlayMount {
    folder: PathBuf,
}

impl OverlayMount {
    /// Mounts one over the files of `lower`.
    ///
    /// # Errors
    /// The kernel or the container that this machine is refuses.
    pub(crate) fn new(lower: &Path, name: &str, stop: &Stop) -> Result<Self> {
        let folder = Path::new(FOLDER).join(name);
        for part in ["upper", "work", "root"] {
            fs::create_dir_all(folder.join(part)).with_context(|| format!("{} could not be made", folder.display()))?;
        }
        let part = |part: &str| folder.join(part).display().to_string();
        let layers = format!("lowerdir={},upperdir={},workdir={}", lower.display(), part("upper"), part("work"));
        let mut mount = Command::new("mount");
        mount.args(["-t", "overlay", "corelane-lab", "-o", &layers, &part("root")]);
        if let Err(error) = run(&mut mount, LIMIT, stop).and_then(|printed| printed.success("mount")) {
            // Why it failed is what matters.
            let _ = fs::remove_dir_all(&folder);
            return Err(error);
        }
        Ok(Self { folder })
    }

    /// Mounts one over an empty folder and removes it.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn try_once(stop: &Stop) -> Result<()> {
        let name = format!("lab-{}-preflight", std::process::id());
        let lower = Path::new(FOLDER).join(format!("{name}-lower"));
        fs::create_dir_all(&lower).with_context(|| format!("{} could not be made", lower.display()))?;
        let mounted = Self::new(&lower, &name, stop).map(drop);
        fs::remove_dir(&lower).with_context(|| format!("{} could not be removed", lower.display()))?;
        mounted
    }

    /// The files as the host sees them.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// Paths, sizes and times of what the host has changed below a folder, in order; the folder itself is not named.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub(crate) fn changed(&self, folder: &str) -> Result<Vec<String>> {
        let (mut found, mut left) = (Vec::new(), vec![self.folder.join("upper").join(folder.trim_start_matches('/'))]);
        while let Some(folder) = left.pop().filter(|folder| folder.is_dir()) {
            for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())?.flatten() {
                let (path, metadata) = (entry.path(), entry.metadata()?);
                found.push(format!("{} {} {:?}", path.display(), metadata.len(), metadata.modified()?));
                if metadata.is_dir() {
                    left.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// A file beside them, which the host does not see.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for OverlayMount {
    fn drop(&mut self) {
        let mut unmount = Command::new("umount");
        unmount.arg(self.root());
        let unmounted = run(&mut unmount, LIMIT, &Stop::never()).and_then(|printed| printed.success("umount"));
        match unmounted {
            Ok(_) => drop(fs::remove_dir_all(&self.folder)),
            Err(error) => eprintln!("{} is left: {error:#}", self.folder.display()),
        }
    }
}
