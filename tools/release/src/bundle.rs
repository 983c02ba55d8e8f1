//! A release as it is carried to a host: manifest, signature and archive beside each other, and their verification.
//!
//! **Not** the files inside the archive: they are held against the manifest while they are unpacked.
//!
//! **Invariants**: a [`VerifiedRelease`] exists only when the signature fits the manifest and the archive has the manifest's
//! hash. The archive is read through the handle that was hashed, not opened again by its name.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use crate::ReleaseError;
use crate::keys::TrustedKeys;
use crate::manifest::{MANIFEST_BYTES_MAX, RELEASE_BYTES_MAX, ReleaseManifest, SIGNATURE_SUFFIX};
use crate::sum::Sha256Sum;
use crate::unpack::{self, Unpacking};

/// How the names of manifest and archive end.
pub const MANIFEST_SUFFIX: &str = ".json";
/// How the names of archives end.
pub const ARCHIVE_SUFFIX: &str = ".tar.zst";

/// A release that is what its maker signed.
#[derive(Debug)]
pub struct VerifiedRelease {
    /// What it is.
    pub manifest: ReleaseManifest,
    /// What it is called: the sum of its manifest.
    pub digest: Sha256Sum,
    pub(crate) manifest_bytes: Vec<u8>,
    pub(crate) signature: String,
    pub(crate) archive_path: PathBuf,
    pub(crate) archive: File,
}

impl VerifiedRelease {
    /// Opens the release that `path` belongs to, the manifest or the archive, and verifies it.
    ///
    /// # Errors
    /// Whoever made or changed the release: see [`ReleaseError`].
    pub fn open(path: &Path, keys: &TrustedKeys) -> Result<Self, ReleaseError> {
        let manifest_path = manifest_of(path);
        let manifest_bytes = read_bounded(&manifest_path, MANIFEST_BYTES_MAX)?;
        let signature = keys.check(&manifest_path, &manifest_bytes, &with_suffix(&manifest_path, SIGNATURE_SUFFIX))?;
        let manifest = ReleaseManifest::parse(&manifest_bytes, &manifest_path)?;
        let archive_path = manifest.archive.file.within(manifest_path.parent().unwrap_or(Path::new("")));
        let mut archive = File::open(&archive_path).map_err(ReleaseError::io(&archive_path, "cannot be opened"))?;
        let (sum, bytes) = Sha256Sum::of_reader(&mut archive, RELEASE_BYTES_MAX)
            .map_err(ReleaseError::io(&archive_path, "cannot be read"))?;
        let name = archive_path.display().to_string();
        if bytes != manifest.archive.bytes {
            let (expected, found) = (manifest.archive.bytes.to_string(), bytes.to_string());
            return Err(ReleaseError::Changed { file: name, what: "size", expected, found });
        }
        if sum != manifest.archive.sha256 {
            return Err(ReleaseError::changed_sum(name, manifest.archive.sha256, sum));
        }
        let digest = Sha256Sum::of(&manifest_bytes);
        Ok(Self { manifest, digest, manifest_bytes, signature, archive_path, archive })
    }

    /// Reads the whole archive and holds every file against the manifest, writing nothing.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn check_contents(&mut self) -> Result<(), ReleaseError> {
        self.unpack(Unpacking::Nowhere)
    }

    /// Unpacks into `to`, holding every file against the manifest.
    pub(crate) fn unpack(&mut self, to: Unpacking<'_>) -> Result<(), ReleaseError> {
        self.archive.rewind().map_err(ReleaseError::io(&self.archive_path, "cannot be read again"))?;
        unpack::unpack(&self.manifest, &self.archive_path, &self.archive, to)
    }
}

/// The manifest that stands beside an archive, or the manifest itself.
fn manifest_of(path: &Path) -> PathBuf {
    let name = path.to_string_lossy();
    name.strip_suffix(ARCHIVE_SUFFIX).map_or_else(|| path.into(), |stem| format!("{stem}{MANIFEST_SUFFIX}").into())
}

/// `path` with something appended to its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The whole of a file that has at most `limit` bytes.
pub(crate) fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, ReleaseError> {
    let file = File::open(path).map_err(ReleaseError::io(path, "cannot be opened"))?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(ReleaseError::io(path, "cannot be read"))?;
    if bytes.len() as u64 > limit {
        let reason = format!("larger than {limit} bytes");
        return Err(ReleaseError::Entry { file: path.display().to_string(), reason });
    }
    Ok(bytes)
}
