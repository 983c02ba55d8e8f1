//! Why something was not done in the folder of a cluster's authority.
//!
//! **Invariants**: every text names the file or the option, and what to do.

use std::path::{Path, PathBuf};

use corelane_pki::PkiError;
use thiserror::Error;

/// Why nothing was changed. The operator is at fault, or the disk.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PkiFault {
    /// A file could not be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {cause}; put back a copy of the folder, or remove the file if it is not needed", path.display())]
    Content {
        /// Which one.
        path: PathBuf,
        /// Why.
        cause: PkiError,
    },
    /// The state is not one that this program wrote.
    #[error("{}: {why}; put back a copy of the folder", path.display())]
    State {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// There is no authority in the folder.
    #[error("{}: no authority here; make one with `corectl pki init --cluster NAME`, or name its folder with --dir", folder.display())]
    NotInitialized {
        /// The folder.
        folder: PathBuf,
    },
    /// Something is there that must not be overwritten.
    #[error("{}: it is there already, and is not overwritten; {remedy}", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
        /// What to do instead.
        remedy: &'static str,
    },
    /// Another process changes the folder.
    #[error("{}: another corectl is changing this folder; wait until it has ended", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The private key of an authority is not where it is looked for.
    #[error("the key of authority {authority} is neither {} nor in a file given with --ca-key; name the file it is kept in", path.display())]
    NoAuthorityKey {
        /// The authority.
        authority: String,
        /// Where it would be.
        path: PathBuf,
    },
    /// No certificate of that name.
    #[error("{}: no such certificate; `corectl pki show` lists what there is", path.display())]
    NoCertificate {
        /// Its file.
        path: PathBuf,
    },
    /// What was asked for does not fit what there is.
    #[error("{0}")]
    Refused(String),
    /// The authority's.
    #[error(transparent)]
    Pki(#[from] PkiError),
}

impl PkiFault {
    /// For `map_err` on operations with a file.
    pub(super) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::File { path, cause }
    }

    /// For `map_err` on the reading of a file's text.
    pub(super) fn content(path: &Path) -> impl FnOnce(PkiError) -> Self {
        let path = path.to_owned();
        move |cause| Self::Content { path, cause }
    }
}
