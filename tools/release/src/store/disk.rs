//! Changes of a folder that survive a loss of power at any point: write elsewhere, sync, rename, sync the folder.
//!
//! **Invariants**: a file or link that is replaced is the old one or the new one, never neither and never a part.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::ReleaseError;
use crate::bundle::with_suffix;
use crate::manifest::{MANIFEST_FILE, ReleaseFile, ReleaseManifest, SIGNATURE_FILE};
use crate::sum::Sha256Sum;

/// Where a file or link is made before it takes the place of another.
const NEW: &str = ".new";

/// Takes the lock, which ends with the handle.
pub(super) fn lock(path: &Path) -> Result<File, ReleaseError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(ReleaseError::io(path, "cannot be opened"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(ReleaseError::Busy { path: path.into() }),
        Err(error) => Err(ReleaseError::io(path, "cannot be locked")(error.into())),
    }
}

/// Writes a new file.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), ReleaseError> {
    let mut file = File::create(path).map_err(ReleaseError::io(path, "cannot be made"))?;
    file.write_all(bytes)
        .and_then(|()| file.set_permissions(fs::Permissions::from_mode(0o644)))
        .and_then(|()| file.sync_all())
        .map_err(ReleaseError::io(path, "cannot be written"))
}

/// Writes a file in the place of another.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ReleaseError> {
    let new = with_suffix(path, NEW);
    write(&new, bytes)?;
    rename(&new, path)
}

/// Makes a link in the place of another.
pub(super) fn replace_link(path: &Path, target: &Path) -> Result<(), ReleaseError> {
    let new = with_suffix(path, NEW);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(ReleaseError::io(&new, "cannot be removed")(error));
        }
        _ => {}
    }
    symlink(target, &new).map_err(ReleaseError::io(&new, "cannot be made"))?;
    rename(&new, path)
}

/// Renames within one folder, and writes the folder to the disk.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), ReleaseError> {
    fs::rename(from, to).map_err(ReleaseError::io(to, "cannot be put in place"))?;
    sync_folder(to.parent().expect("what is renamed lies in a folder"))
}

/// Writes the folders of an unpacked release to the disk; its files are there already.
pub(super) fn sync_folders(folder: &Path, manifest: &ReleaseManifest) -> Result<(), ReleaseError> {
    let folders: BTreeSet<&str> = manifest.files.iter().flat_map(|file| file.path.folders()).collect();
    folders.into_iter().try_for_each(|inner| sync_folder(&folder.join(inner)))?;
    sync_folder(folder)
}

fn sync_folder(folder: &Path) -> Result<(), ReleaseError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(ReleaseError::io(folder, "cannot be written to the disk"))
}

/// The names in a folder, sorted; none without the folder.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, ReleaseError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(ReleaseError::io(folder, "cannot be read"))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(ReleaseError::io(folder, "cannot be read"))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Holds an unpacked release against its manifest: each file, and that there are no others.
pub(super) fn check_files(folder: &Path, manifest: &ReleaseManifest) -> Result<(), ReleaseError> {
    manifest.files.iter().try_for_each(|file| check_file(folder, file))?;
    let files: BTreeSet<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
    let folders: BTreeSet<&str> = manifest.files.iter().flat_map(|file| file.path.folders()).collect();
    for inner in folders.iter().chain([&""]) {
        for name in names(&folder.join(inner))? {
            let path = if inner.is_empty() { name } else { format!("{inner}/{name}") };
            let is_own = [MANIFEST_FILE, SIGNATURE_FILE].contains(&path.as_str());
            if !is_own && !files.contains(path.as_str()) && !folders.contains(path.as_str()) {
                let file = folder.join(path).display().to_string();
                return Err(ReleaseError::Entry { file, reason: "in the folder, and not in the manifest".to_owned() });
            }
        }
    }
    Ok(())
}

fn check_file(folder: &Path, file: &ReleaseFile) -> Result<(), ReleaseError> {
    let path = file.path.within(folder);
    let name = path.display().to_string();
    let facts = fs::symlink_metadata(&path).map_err(ReleaseError::io(&path, "cannot be read"))?;
    if !facts.is_file() {
        return Err(ReleaseError::Entry { file: name, reason: "not a file any more".to_owned() });
    }
    let mode = facts.permissions().mode() & 0o7777;
    if mode != file.mode.bits() {
        let (expected, found) = (format!("{:04o}", file.mode.bits()), format!("{mode:04o}"));
        return Err(ReleaseError::Changed { file: name, what: "mode", expected, found });
    }
    let handle = File::open(&path).map_err(ReleaseError::io(&path, "cannot be opened"))?;
    let (sum, _) = Sha256Sum::of_reader(handle, file.bytes).map_err(ReleaseError::io(&path, "cannot be read"))?;
    if sum == file.sha256 { Ok(()) } else { Err(ReleaseError::changed_sum(name, file.sha256, sum)) }
}
