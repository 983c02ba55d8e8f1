//! The folder of one measurement: configurations, scripts, logs.
//!
//! **Invariants**: dropping a [`ScratchFolder`] removes its folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A folder under the system's temporary folder, of this process alone.
pub(crate) struct ScratchFolder(PathBuf);

impl ScratchFolder {
    /// Creates the folder; `purpose` tells several of one process apart.
    pub(crate) fn new(purpose: &str) -> Result<Self> {
        Self::within(&std::env::temp_dir(), purpose)
    }

    /// Creates the folder within another than the system's temporary one.
    pub(crate) fn within(parent: &Path, purpose: &str) -> Result<Self> {
        let folder = parent.join(format!("coreperf-{purpose}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("{} could not be created", folder.display()))?;
        Ok(Self(folder))
    }

    /// The folder itself.
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }

    /// Where a file of this name lies, whether it exists or not.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file and returns where it lies.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        std::fs::write(&path, text).with_context(|| format!("{} could not be written", path.display()))?;
        Ok(path)
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        // What is left in a temporary folder harms nobody, and the figures matter more than an error about it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
