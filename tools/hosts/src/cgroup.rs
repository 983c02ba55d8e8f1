//! A cgroup for each host: without one, hosts share the machine's and disturb each other's units.
//!
//! **Source**: cgroups(7): with version 1, or both versions, a tree per controller; with version 2 alone, one tree.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where cgroups are.
pub(crate) const ROOT: &str = "/sys/fs/cgroup";

/// Trees that a host gets a cgroup in, where the machine has version 1.
const TREES: [&str; 3] = ["systemd", "unified", "pids"];

/// A cgroup in every tree.
pub(crate) struct HostCgroup(Vec<PathBuf>);

impl HostCgroup {
    /// Makes one of this name.
    ///
    /// # Errors
    /// The tree is read-only, as in most containers.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let mut folders = Vec::new();
        for tree in trees() {
            let folder = tree.join(name);
            fs::create_dir(&folder).with_context(|| format!("{} could not be made", folder.display()))?;
            folders.push(folder);
        }
        Ok(Self(folders))
    }

    /// The files that a process writes its id to, to be in it.
    pub(crate) fn members(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.0.iter().map(|folder| folder.join("cgroup.procs"))
    }
}

impl Drop for HostCgroup {
    fn drop(&mut self) {
        for folder in &self.0 {
            remove(folder, 0);
        }
    }
}

/// Innermost first; a cgroup that still has a process stays, which the next start under another name does not mind.
fn remove(folder: &Path, depth: usize) {
    const DEPTH_MAX: usize = 32;
    let below = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in below.filter(|entry| depth < DEPTH_MAX && entry.path().is_dir()) {
        remove(&entry.path(), depth + 1);
    }
    let _ = fs::remove_dir(folder);
}

/// The roots of the trees.
pub(crate) fn trees() -> Vec<PathBuf> {
    let root = Path::new(ROOT);
    if root.join("cgroup.controllers").exists() {
        return vec![root.to_path_buf()];
    }
    TREES.iter().map(|tree| root.join(tree)).filter(|tree| tree.is_dir()).collect()
}
