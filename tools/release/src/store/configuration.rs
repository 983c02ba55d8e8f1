//! The configuration belongs to the release that it was written for: it is saved when that release is left, and put back
//! when the release comes back.
//!
//! Saved are the `.toml` files of the folder and of the folders in it, with their owners and modes.
//!
//! **Not** the topology (`topology.toml`): it is the cluster's, and its epoch never goes back. Not the map of cores (`cores.toml`)
//! and what the host's tuning deviates in (`tune.toml`): they are the host's, and tuning has a rollback of its own. Not
//! certificates or keys.
//!
//! **Invariants**: what is saved is readable by its owner only. A file that is put back replaces the present one by a rename, and
//! neither it nor what it is made under is ever readable by more than may read it in the end.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use super::disk::{self, FileAccess};
use crate::ReleaseError;
use crate::bundle::{read_bounded, with_suffix};
use crate::folder;
use crate::sum::Sha256Sum;

/// Files of the cluster and of the host's tuning, which are left alone.
const NOT_OURS: [&str; 3] = ["topology.toml", "cores.toml", "tune.toml"];

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

/// The folder of what is saved, and every folder until it has its own mode: a configuration may hold secrets.
const PRIVATE: FileAccess = FileAccess { mode: 0o700, owners: None };

/// A file: content, and who may do what with it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ConfigurationFile {
    bytes: Vec<u8>,
    access: FileAccess,
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
        disk::remove_all(&new)?;
        make_folder(&self.saved, PRIVATE)?;
        make_folder(&new, PRIVATE)?;
        for (path, file) in &read(&self.live)? {
            write(&self.live, &new, path, file)?;
        }
        disk::remove_all(&folder)?;
        disk::rename(&new, &folder)
    }

    /// Whether something was saved for `release`.
    pub(super) fn is_saved(&self, release: Sha256Sum) -> bool {
        self.folder(release).exists()
    }

    /// Puts back what was saved for `release`, and says which files that changed; none where nothing was saved.
    pub(super) fn restore(&self, release: Sha256Sum) -> Result<Vec<PathBuf>, ReleaseError> {
        if !self.is_saved(release) {
            return Ok(Vec::new());
        }
        let folder = self.folder(release);
        if !self.live.exists() {
            folder::make(&self.live)?;
        }
        let (saved, live) = (read(&folder)?, read(&self.live)?);
        let mut changed = Vec::new();
        for (path, file) in saved.iter().filter(|(path, file)| live.get(*path) != Some(file)) {
            write(&folder, &self.live, path, file)?;
            changed.push(self.live.join(path));
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
        disk::remove_all(&self.folder(release))
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
    let file = ConfigurationFile { bytes: read_bounded(&path, FILE_BYTES_MAX)?, access: access_of(&facts) };
    files.insert(inner.to_path_buf(), file);
    Ok(())
}

/// Writes the file `inner` below `to`; a folder that it needs there becomes like that of the same name below `from`.
fn write(from: &Path, to: &Path, inner: &Path, file: &ConfigurationFile) -> Result<(), ReleaseError> {
    let folder = inner.parent().expect("a file lies in a folder");
    let made = to.join(folder);
    if !made.exists() {
        let like = from.join(folder);
        let facts = fs::metadata(&like).map_err(ReleaseError::io(&like, "cannot be read"))?;
        make_folder(&made, access_of(&facts))?;
    }
    disk::replace(&to.join(inner), &file.bytes, file.access)
}

fn access_of(facts: &fs::Metadata) -> FileAccess {
    FileAccess { mode: facts.permissions().mode() & 0o7777, owners: Some((facts.uid(), facts.gid())) }
}

/// Makes a folder that nobody else can read before it has its owners and its mode.
fn make_folder(path: &Path, access: FileAccess) -> Result<(), ReleaseError> {
    DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE.mode)
        .create(path)
        .map_err(ReleaseError::io(path, "cannot be made"))?;
    if let Some((user, group)) = access.owners {
        chown(path, Some(user), Some(group)).map_err(ReleaseError::io(path, "its owner cannot be set"))?;
    }
    fs::set_permissions(path, Permissions::from_mode(access.mode))
        .map_err(ReleaseError::io(path, "its mode cannot be set"))
}
