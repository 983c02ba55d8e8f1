//! Changes of a folder that survive a loss of power at any point: write elsewhere, sync, rename, sync the folder.
//!
//! **Invariants**: a file or link that is replaced is the old one or the new one, never neither and never a part. A file has its
//! final owner and mode before its first byte, and never more readers than that.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, fchown, symlink};
use std::path::Path;

use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};

use crate::ReleaseError;
use crate::bundle::with_suffix;
use crate::manifest::ReleaseManifest;

/// Where a file or link is made before it takes the place of another.
const NEW: &str = ".new";

/// The mode of the lock: whoever can open it can hold it, and keep others from installing and from going back.
const LOCK_MODE: u32 = 0o600;

/// The mode of files that all may read.
const PUBLIC_MODE: u32 = 0o644;

/// Who may do what with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileAccess {
    /// The bits of the mode.
    pub(super) mode: u32,
    /// User and group; those of this process without.
    pub(super) owners: Option<(u32, u32)>,
}

impl FileAccess {
    /// Read by all, written by its owner, this process's user.
    pub(super) const PUBLIC: Self = Self { mode: PUBLIC_MODE, owners: None };
}

/// Takes the lock, which ends with the handle.
pub(super) fn lock(path: &Path) -> Result<File, ReleaseError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(LOCK_MODE)
        .open(path)
        .map_err(|error| ReleaseError::io(path, not_locked(&error))(error))?;
    // Earlier versions made it readable by all.
    file.set_permissions(Permissions::from_mode(LOCK_MODE))
        .map_err(ReleaseError::io(path, "its mode cannot be set"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(ReleaseError::Busy { path: path.into() }),
        Err(error) => Err(ReleaseError::io(path, "cannot be locked")(error.into())),
    }
}

/// Why there is no lock: its folder is written by root alone.
fn not_locked(error: &io::Error) -> &'static str {
    let is_for_root = error.kind() == io::ErrorKind::PermissionDenied;
    if is_for_root { "only root installs releases and goes back" } else { "cannot be opened" }
}

/// Writes a new file, in the place of what an interruption left there.
pub(super) fn write(path: &Path, bytes: &[u8], access: FileAccess) -> Result<(), ReleaseError> {
    remove_file(path)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(ReleaseError::io(path, "cannot be made"))?;
    if let Some((user, group)) = access.owners {
        fchown(&file, Some(user), Some(group)).map_err(ReleaseError::io(path, "its owner cannot be set"))?;
    }
    file.set_permissions(Permissions::from_mode(access.mode))
        .map_err(ReleaseError::io(path, "its mode cannot be set"))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(ReleaseError::io(path, "cannot be written"))
}

/// Writes a file in the place of another.
pub(super) fn replace(path: &Path, bytes: &[u8], access: FileAccess) -> Result<(), ReleaseError> {
    let new = with_suffix(path, NEW);
    write(&new, bytes, access)?;
    rename(&new, path)
}

/// Makes a link in the place of another.
pub(super) fn replace_link(path: &Path, target: &Path) -> Result<(), ReleaseError> {
    let new = with_suffix(path, NEW);
    remove_file(&new)?;
    symlink(target, &new).map_err(ReleaseError::io(&new, "cannot be made"))?;
    rename(&new, path)
}

/// Removes a file or a link, if there is one.
pub(super) fn remove_file(path: &Path) -> Result<(), ReleaseError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ReleaseError::io(path, "cannot be removed")(error))
        }
        _ => Ok(()),
    }
}

/// Removes a folder and what is in it, or whatever else has that name.
pub(super) fn remove_all(path: &Path) -> Result<(), ReleaseError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(facts) if facts.is_dir() => fs::remove_dir_all(path).map_err(ReleaseError::io(path, "cannot be removed")),
        _ => remove_file(path),
    }
}

/// Exchanges two entries of one folder, so that neither name is ever missing, and writes the folder to the disk.
pub(super) fn exchange(one: &Path, other: &Path) -> Result<(), ReleaseError> {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)
        .map_err(|error| ReleaseError::io(other, "cannot be put in place")(error.into()))?;
    sync_folder(other.parent().expect("what is exchanged lies in a folder"))
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

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::MetadataExt as _;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn what_only_some_may_read_is_at_no_time_open_to_others() {
        let path = std::env::temp_dir().join(format!("corelane-disk-{}", std::process::id()));
        // Left by an interruption of an earlier version, and open in the hands of somebody else.
        fs::write(&path, "old").unwrap();
        let mut open = File::open(&path).unwrap();
        let is_done = AtomicBool::new(false);
        let access = FileAccess { mode: 0o640, owners: None };
        thread::scope(|scope| {
            let seen = scope.spawn(|| {
                let mut seen = BTreeSet::new();
                while !is_done.load(Ordering::Relaxed) {
                    seen.extend(
                        fs::metadata(&path).ok().filter(|facts| facts.len() > 3).map(|facts| facts.mode() & 0o7777),
                    );
                }
                seen
            });
            let written = write(&path, &vec![b'x'; 4 << 20], access);
            is_done.store(true, Ordering::Relaxed);
            written.unwrap();
            assert!(seen.join().unwrap().iter().all(|mode| *mode == 0o640));
        });
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        let mut text = String::new();
        open.read_to_string(&mut text).unwrap();
        assert_eq!(text, "old");
        fs::remove_file(&path).unwrap();
    }
}
