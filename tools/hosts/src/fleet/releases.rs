//! The releases that the fleet gets, made and signed by `cargo xtask fleet-test`.
//!
//! ```text
//!  DIR/key.pub                   the public key of the run
//!  DIR/NAME/corelane-*.tar.zst   a release with its manifest and signature beside it
//! ```

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use corelane_release::bundle::{ARCHIVE_SUFFIX, MANIFEST_SUFFIX};
use corelane_release::sum::Sha256Sum;

/// The folder of releases.
pub(crate) struct LabReleases {
    pub(super) folder: PathBuf,
}

impl LabReleases {
    /// The public key.
    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("key.pub")
    }

    /// What hosts call a release: the sum of its manifest.
    ///
    /// # Errors
    /// It was not made.
    pub(crate) fn digest(&self, name: &str) -> Result<Sha256Sum> {
        let archive = self.archive(name)?.display().to_string();
        let manifest = archive.replace(ARCHIVE_SUFFIX, MANIFEST_SUFFIX);
        Ok(Sha256Sum::of(&fs::read(&manifest).with_context(|| manifest.clone())?))
    }

    /// The archive of a release.
    ///
    /// # Errors
    /// It was not made.
    pub(crate) fn archive(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        let files = fs::read_dir(&folder).with_context(|| format!("{} could not be read", folder.display()))?;
        let mut paths = files.flatten().map(|file| file.path());
        paths
            .find(|path| path.to_string_lossy().ends_with(ARCHIVE_SUFFIX))
            .with_context(|| format!("{} has no archive", folder.display()))
    }
}
