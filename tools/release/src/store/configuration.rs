//! The configuration belongs to the release that it was written for: it is saved when that release is left, and put back
//! when the release comes back.
//!
//! Saved are the `.toml` files of the folder and of the folders in it, with their owners and modes.
//!
//! **Not** the topology (`topology.toml`): it is the cluster's, and its epoch never goes back. Not the map of cores (`cores.toml`):
//! it says how the host is tuned, and tuning has a rollback of its own. Not certificates or keys.
//!
//! **Invariants**: what is saved is readable by its owner only. A file that is put back replaces the present one by a rename.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use super::disk;
use crate::ReleaseError;
use crate::bundle::{read_bounded, with_suffix};
use crate::sum::Sha256Sum;

/// Files of the cluster and of the host's tuning, which are left alone.
const NOT_OURS: [&str; 2] = ["topology.toml", "cores.toml"];

/// What is saved: files whose names end so.
const SUFFIX: &str = ".toml";

/// Most files.
const FILES_MAX: usize = 256;

/// Largest file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Configuration {
    live: PathBuf,
    saved: PathBuf,
}

/// A file: content, mode and owners.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ConfigurationFile {
    bytes: Vec<u8>,
    mode: u32,
    owners: (u32, u32),
}

type SavedFiles = BTreeMap<PathBuf, ConfigurationFile>;

impl Configuration {
    pub(super) fn new(live: PathBuf, saved: PathBuf) -> Self {
        Self { live, saved }
    }

    /// Saves what is there now as that of `release`.
    pub(super) fn save(&self, release: Sha256Sum) -> Result<(), ReleaseError> {
        let folder = self.folder(release);
        let new = with_suffix(&folder, ".new");
        remove(&new)?;
        fs::create_dir_all(&new).map_err(ReleaseError::io(&new, "cannot be made"))?;
        fs::set_permissions(&self.saved, fs::Permissions::from_mode(0o700))
            .map_err(ReleaseError::io(&self.saved, "its mode cannot be set"))?;
        for (path, file) in &read(&self.live)? {
            write(&new.join(path), file)?;
        }
        remove(&folder)?;
        disk::rename(&new, &folder)
    }

    /// Puts back what was saved for `release`, and says which files that changed; none where nothing was saved.
    pub(super) fn restore(&self, release: Sha256Sum) -> Result<Vec<PathBuf>, ReleaseError> {
        let folder = self.folder(release);
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let (saved, live) = (read(&folder)?, read(&self.live)?);
        let mut changed = Vec::new();
        for (path, file) in saved.iter().filter(|(path, file)| live.get(*path) != Some(file)) {
            let path = self.live.join(path);
            write(&path, file)?;
            changed.push(path);
        }
        for path in live.keys().filter(|path| !saved.contains_key(*path)) {
            let path = self.live.join(path);
            fs::remove_file(&path).map_err(ReleaseError::io(&path, "cannot be removed"))?;
            changed.push(path);
        }
        Ok(changed)
    }

    /// Drops what was saved for a release that is gone.
    pub(super) fn forget(&self, release: Sha256Sum) -> Result<(), ReleaseError> {
        remove(&self.folder(release))
    }

    fn folder(&self, release: Sha256Sum) -> PathBuf {
        self.saved.join(release.to_string())
    }
}

/// The files of a configuration, by their paths in its folder.
fn read(folder: &Path) -> Result<SavedFiles, ReleaseError> {
    let mut files = SavedFiles::new();
    for name in disk::names(folder)? {
        let inner = folder.join(&name);
        if inner.is_dir() {
            for below in disk::names(&inner)? {
                read_file(folder, &Path::new(&name).join(below), &mut files)?;
            }
        } else {
            read_file(folder, Path::new(&name), &mut files)?;
        }
    }
    Ok(files)
}

fn read_file(folder: &Path, inner: &Path, files: &mut SavedFiles) -> Result<(), ReleaseError> {
    let path = folder.join(inner);
    let name = inner.to_string_lossy();
    let facts = fs::symlink_metadata(&path).map_err(ReleaseError::io(&path, "cannot be read"))?;
    if !facts.is_file()
        || !name.ends_with(SUFFIX)
        || NOT_OURS.iter().any(|other| inner.file_name().is_some_and(|name| name == *other))
    {
        return Ok(());
    }
    if files.len() == FILES_MAX {
        let reason = format!("more than {FILES_MAX} files of configuration");
        return Err(ReleaseError::Entry { file: path.display().to_string(), reason });
    }
    let file = ConfigurationFile {
        bytes: read_bounded(&path, FILE_BYTES_MAX)?,
        mode: facts.permissions().mode() & 0o7777,
        owners: (facts.uid(), facts.gid()),
    };
    files.insert(inner.to_path_buf(), file);
    Ok(())
}

fn write(path: &Path, file: &ConfigurationFile) -> Result<(), ReleaseError> {
    let folder = path.parent().expect("a file lies in a folder");
    fs::create_dir_all(folder).map_err(ReleaseError::io(folder, "cannot be made"))?;
    let new = with_suffix(path, ".new");
    disk::write(&new, &file.bytes)?;
    let (user, group) = file.owners;
    chown(&new, Some(user), Some(group)).map_err(ReleaseError::io(&new, "its owner cannot be set"))?;
    fs::set_permissions(&new, fs::Permissions::from_mode(file.mode))
        .map_err(ReleaseError::io(&new, "its mode cannot be set"))?;
    disk::rename(&new, path)
}

fn remove(folder: &Path) -> Result<(), ReleaseError> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(ReleaseError::io(folder, "cannot be removed"))?;
    }
    Ok(())
}
