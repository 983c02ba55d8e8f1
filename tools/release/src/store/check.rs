//! Holds an installed release against its manifest: bytes and modes of files, and that nobody but root can change them.
//!
//! **Not** the signature, which covers the manifest and is checked with it.
//!
//! **Invariants**: no link is followed from the folder of releases on.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::geteuid;

use super::disk;
use crate::ReleaseError;
use crate::bundle::read_bounded;
use crate::folder;
use crate::manifest::{MANIFEST_BYTES_MAX, MANIFEST_FILE, ReleaseFile, ReleaseManifest, SIGNATURE_FILE};
use crate::sum::Sha256Sum;

/// Bits of a mode that let somebody other than the owner change what it belongs to.
const OTHERS_WRITE: u32 = 0o022;

/// Bits that let users of services through a folder.
const OTHERS_ENTER: u32 = 0o005;

/// Checks the folder of the store. It may be a link, or lie behind one, that the operator made.
pub(super) fn check_root(root: &Path) -> Result<(), ReleaseError> {
    let facts = fs::metadata(root).map_err(ReleaseError::io(root, "cannot be read"))?;
    check_access(root, &facts)?;
    if facts.mode() & OTHERS_ENTER == OTHERS_ENTER {
        return Ok(());
    }
    let reason = format!("mode {:04o}: services cannot reach what is in it; chmod 0755", facts.mode() & 0o7777);
    Err(refused(root, &reason))
}

/// Checks the release in `folder`, which lies in `releases` and is called `digest`.
pub(super) fn check(releases: &Path, folder: &Path, digest: Sha256Sum) -> Result<(), ReleaseError> {
    check_folder(releases)?;
    check_folder(folder)?;
    let path = folder.join(MANIFEST_FILE);
    check_own(&path)?;
    let bytes = read_bounded(&path, MANIFEST_BYTES_MAX)?;
    let found = Sha256Sum::of(&bytes);
    if found != digest {
        return Err(ReleaseError::changed_sum(path.display().to_string(), digest, found));
    }
    let signature = folder.join(SIGNATURE_FILE);
    // A package of a distribution has none.
    if fs::symlink_metadata(&signature).is_ok() {
        check_own(&signature)?;
    }
    check_files(folder, &ReleaseManifest::parse(&bytes, &path)?)
}

/// Each file and folder, and that there are no others.
fn check_files(folder: &Path, manifest: &ReleaseManifest) -> Result<(), ReleaseError> {
    let folders: BTreeSet<&str> = manifest.files.iter().flat_map(|file| file.path.folders()).collect();
    // Outer folders come first: nothing is looked at through a link.
    folders.iter().try_for_each(|inner| check_folder(&folder.join(inner)))?;
    manifest.files.iter().try_for_each(|file| check_file(folder, file))?;
    let files: BTreeSet<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    for inner in folders.iter().chain([&""]) {
        for name in disk::names(&folder.join(inner))? {
            let path = if inner.is_empty() { name } else { format!("{inner}/{name}") };
            let is_own = [MANIFEST_FILE, SIGNATURE_FILE].contains(&path.as_str());
            if !is_own && !files.contains(path.as_str()) && !folders.contains(path.as_str()) {
                return Err(refused(&folder.join(path), "in the folder, and not in the manifest"));
            }
        }
    }
    Ok(())
}

fn check_file(folder: &Path, file: &ReleaseFile) -> Result<(), ReleaseError> {
    let path = file.path.within(folder);
    let facts = check_own(&path)?;
    let (mode, expected) = (facts.mode() & 0o7777, file.mode.bits());
    let name = path.display().to_string();
    if mode != expected {
        let (expected, found) = (format!("{expected:04o}"), format!("{mode:04o}"));
        return Err(ReleaseError::Changed { file: name, what: "mode", expected, found });
    }
    let handle = File::open(&path).map_err(ReleaseError::io(&path, "cannot be opened"))?;
    let (sum, _) = Sha256Sum::of_reader(handle, file.bytes).map_err(ReleaseError::io(&path, "cannot be read"))?;
    if sum == file.sha256 { Ok(()) } else { Err(ReleaseError::changed_sum(name, file.sha256, sum)) }
}

/// A file that is one, and that nobody else can change.
fn check_own(path: &Path) -> Result<Metadata, ReleaseError> {
    let facts = fs::symlink_metadata(path).map_err(ReleaseError::io(path, "cannot be read"))?;
    if !facts.is_file() {
        return Err(refused(path, "not a file any more"));
    }
    check_access(path, &facts)?;
    Ok(facts)
}

fn check_folder(path: &Path) -> Result<(), ReleaseError> {
    let facts = fs::symlink_metadata(path).map_err(ReleaseError::io(path, "cannot be read"))?;
    if !facts.is_dir() {
        return Err(refused(path, "not a folder any more"));
    }
    check_access(path, &facts)?;
    let mode = facts.mode() & 0o7777;
    if mode == folder::MODE {
        Ok(())
    } else {
        Err(refused(path, &format!("mode {mode:04o}, and not {:04o}", folder::MODE)))
    }
}

/// Nobody but root, and whoever runs this, may change what a service runs.
fn check_access(path: &Path, facts: &Metadata) -> Result<(), ReleaseError> {
    let owner = facts.uid();
    if owner != 0 && owner != geteuid().as_raw() {
        return Err(refused(path, &format!("owned by user {owner}, not by root, so that this user can change it")));
    }
    if facts.mode() & OTHERS_WRITE != 0 {
        let reason = format!("mode {:04o}: others than its owner can change it", facts.mode() & 0o7777);
        return Err(refused(path, &reason));
    }
    Ok(())
}

fn refused(path: &Path, reason: &str) -> ReleaseError {
    ReleaseError::Entry { file: path.display().to_string(), reason: reason.to_owned() }
}
