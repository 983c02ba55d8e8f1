//! Packing: files to an archive and its manifest, the same bytes whenever and wherever it is done.
//!
//! **Not** signing, which needs a secret.
//!
//! **Invariants**: the archive depends on paths, modes, contents and the commit's time alone: files are sorted, owners are 0
//! without names, and no clock is read.
//!
//! **Source**: POSIX ustar; reproducible-builds.org on archives.

use std::collections::BTreeMap;
use std::io;

use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use semver::Version;
use tar::{Builder, EntryType, Header};

use crate::ReleaseError;
use crate::bundle::ARCHIVE_SUFFIX;
use crate::manifest::{FORMAT, FileMode, NAME, ReleaseArchive, ReleaseFile, ReleaseManifest};
use crate::path::ReleasePath;
use crate::sum::Sha256Sum;

/// Which release the files are.
#[derive(Clone, Debug)]
pub struct ReleaseIdentity {
    /// The version.
    pub version: Version,
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// When it was made, in seconds since 1970.
    pub commit_time: u64,
    /// The kind of machine.
    pub target: String,
}

impl ReleaseIdentity {
    /// `corelane-VERSION-TARGET`: what the files of the release are called, without their suffixes.
    #[must_use]
    pub fn stem(&self) -> String {
        format!("{NAME}-{}-{}", self.version, self.target)
    }
}

/// The files of a release: mode and content.
pub type ReleaseFiles = BTreeMap<ReleasePath, (FileMode, Vec<u8>)>;

/// Packs `files`: the manifest, and the archive's bytes.
///
/// # Errors
/// The maker's: the files break an invariant of [`ReleaseManifest`].
pub fn pack(identity: &ReleaseIdentity, files: &ReleaseFiles) -> Result<(ReleaseManifest, Vec<u8>), ReleaseError> {
    let stem = identity.stem();
    let path = ReleasePath::new(format!("{stem}{ARCHIVE_SUFFIX}"))?;
    let tar = tar_of(&stem, files, identity.commit_time)
        .map_err(|error| ReleaseError::Archive { path: path.as_str().into(), reason: error.to_string() })?;
    let archive = compress_to_vec(tar.as_slice(), CompressionLevel::Fastest);
    let listed = files.iter().map(|(path, (mode, bytes))| ReleaseFile {
        path: path.clone(),
        mode: *mode,
        bytes: bytes.len() as u64,
        sha256: Sha256Sum::of(bytes),
    });
    let manifest = ReleaseManifest {
        format: FORMAT,
        name: NAME.to_owned(),
        version: identity.version.clone(),
        commit: identity.commit.clone(),
        commit_time: identity.commit_time,
        target: identity.target.clone(),
        archive: ReleaseArchive { file: path, bytes: archive.len() as u64, sha256: Sha256Sum::of(&archive) },
        files: listed.collect(),
    };
    manifest.to_json()?;
    Ok((manifest, archive))
}

fn tar_of(root: &str, files: &ReleaseFiles, time: u64) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (path, (mode, bytes)) in files {
        let mut header = Header::new_ustar();
        header.set_path(format!("{root}/{path}"))?;
        header.set_entry_type(EntryType::Regular);
        header.set_mode(mode.bits());
        header.set_mtime(time);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, bytes.as_slice())?;
    }
    builder.into_inner()
}
