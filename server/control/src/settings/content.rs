//! A file whose bytes are part of the settings, such as the body of an answer.
//!
//! **Not** certificates and topologies, which are read and replaced apart from the settings.
//!
//! **Invariants**: the bytes are those that were there when the settings were read; a reader of the settings opens no file.
//!
//! **Source**: docs/config.md.

use std::{
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};

use super::include::Files;

/// A path, and what its file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileContent {
    path: PathBuf,
    bytes: Arc<[u8]>,
}

impl FileContent {
    /// A file that nobody has read yet.
    pub(super) fn unread(path: PathBuf) -> Self {
        Self { path, bytes: Arc::default() }
    }

    /// The same file under another path.
    pub(super) fn moved(self, to: impl FnOnce(&Path) -> PathBuf) -> Self {
        Self { path: to(&self.path), bytes: self.bytes }
    }

    /// The same file, read.
    ///
    /// # Errors
    ///
    /// The operator's: it cannot be read, or is larger than `bytes_max`.
    pub(super) fn read(self, files: &dyn Files, bytes_max: usize) -> io::Result<Self> {
        let bytes = files.bytes(&self.path, bytes_max)?;
        Ok(Self { bytes: bytes.into(), ..self })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was in it.
    #[must_use]
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// The SHA-256 of what was in it.
    #[must_use]
    pub(super) fn digest(&self) -> String {
        let mut text = String::with_capacity(64);
        for byte in Sha256::digest(&self.bytes) {
            write!(text, "{byte:02x}").expect("a string grows");
        }
        text
    }
}
