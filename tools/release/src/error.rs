//! What can be wrong with a release or with the folder it is installed in.
//!
//! **Invariants**: every message names the file, and what to do where something can be done.

use std::io;
use std::path::{Path, PathBuf};

use crate::manifest::ReleaseManifest;
use crate::sum::Sha256Sum;

/// Why a release was refused, or could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The operating system refused. The operator's.
    #[error("{}: {action}: {cause}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the operating system says.
        cause: io::Error,
    },
    /// There is no file of public keys. The operator's.
    #[error("{}: no such file; copy the public key of the releases' maker there, or name it with --key FILE", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// A file of public keys cannot be used. The operator's.
    #[error("{}: not a file of minisign public keys: {reason}", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no signature. The maker's, or somebody has removed it.
    #[error("{}: not signed: {} does not exist; ask the maker of this release for the file", manifest.display(), signature.display())]
    Unsigned {
        /// The manifest.
        manifest: PathBuf,
        /// Where its signature was looked for.
        signature: PathBuf,
    },
    /// The signature is not one.
    #[error("{}: not a minisign signature: {reason}", path.display())]
    SignatureForm {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Signed by somebody else.
    #[error("{}: signed with a key that is not among the trusted keys ({trusted})", path.display())]
    UnknownSigner {
        /// The signature.
        path: PathBuf,
        /// The files of the trusted keys.
        trusted: String,
    },
    /// The signature is not that of these bytes.
    #[error("{}: changed after it was signed: the signature {} does not fit it", manifest.display(), signature.display())]
    SignatureWrong {
        /// The manifest.
        manifest: PathBuf,
        /// The signature.
        signature: PathBuf,
    },
    /// The manifest says something that no release says.
    #[error("{}: not a manifest of a release: {reason}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file has other bytes than the manifest says.
    #[error("{file}: changed: {what} is {found}, in the manifest {expected}")]
    Changed {
        /// The file.
        file: String,
        /// What differs: `sha256`, `size` or `mode`.
        what: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A path leads out of the folder of the release.
    #[error("{path:?}: leads out of the folder of the release: {reason}")]
    Escapes {
        /// The path, as it is written.
        path: String,
        /// Which part of it.
        reason: &'static str,
    },
    /// The archive holds something that the manifest does not name, or not as a file.
    #[error("{file}: {reason}")]
    Entry {
        /// The entry.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The archive cannot be read.
    #[error("{}: not an archive that can be read: {reason}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Older than what runs.
    #[error(
        "{version} ({commit}) is older than {current_version} ({current_commit}), which is installed; \
         to install it all the same: --allow-downgrade"
    )]
    Downgrade {
        /// The version that was to be installed.
        version: String,
        /// Its commit.
        commit: String,
        /// The version that is current.
        current_version: String,
        /// Its commit.
        current_commit: String,
    },
    /// For another kind of machine.
    #[error("{}: made for {found}, this host is {expected}", path.display())]
    Target {
        /// The manifest.
        path: PathBuf,
        /// What the release was made for.
        found: String,
        /// What this host is.
        expected: String,
    },
    /// Another process is at it.
    #[error("{}: another process installs or rolls back; try again when it has ended", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// A rollback did not come to its end.
    #[error("the way back to {target} was interrupted; finish it first: corectl release rollback")]
    Interrupted {
        /// What it goes back to.
        target: Sha256Sum,
    },
    /// What a start runs is not a release. The operator's, or somebody has replaced the link.
    #[error(
        "{}: no link to a release in `releases`: {reason}; what a start runs is not known. Make a release current again: \
         corectl release rollback DIGEST, or install one",
        link.display()
    )]
    CurrentLink {
        /// The link.
        link: PathBuf,
        /// What it is.
        reason: String,
    },
    /// Nothing was ever installed.
    #[error("{}: nothing is installed there; corectl release install FILE does it", root.display())]
    NothingInstalled {
        /// The folder of the store.
        root: PathBuf,
    },
    /// There is nothing to go back to.
    #[error("{}: no other release is installed; there is nothing to roll back to", path.display())]
    NoOther {
        /// The folder of releases.
        path: PathBuf,
    },
    /// No such release, or more than one.
    #[error("{wanted}: {reason}; `corectl release list` shows what is installed")]
    NotFound {
        /// What was asked for.
        wanted: String,
        /// Why it does not name a release.
        reason: String,
    },
}

impl ReleaseError {
    /// For `map_err`: the operating system refused `action` on `path`.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |cause| Self::Io { path, action, cause }
    }

    pub(crate) fn changed_sum(file: impl Into<String>, expected: Sha256Sum, found: Sha256Sum) -> Self {
        Self::Changed { file: file.into(), what: "sha256", expected: expected.to_string(), found: found.to_string() }
    }

    pub(crate) fn downgrade(wanted: &ReleaseManifest, current: &ReleaseManifest) -> Self {
        Self::Downgrade {
            version: wanted.version.to_string(),
            commit: wanted.commit.clone(),
            current_version: current.version.to_string(),
            current_commit: current.commit.clone(),
        }
    }
}
