//! Files under a root: of a machine (`/`), of a folder that stands for one, or in memory.
//!
//! **Invariants**: an ordinary file is replaced as a whole and is durable when `store` returns; its mode and its owner stay, a link
//! stays a link, and what is no ordinary file is refused. A file of the kernel is written in one call and never made.
//!
//! **Source**: rename(2), fsync(2).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::HostError;

/// The file operations of a host.
pub trait FileTree {
    /// The text of a file.
    ///
    /// # Errors
    /// As [`super::HostAccess::read`].
    fn read(&self, path: &str) -> Result<String, HostError>;
    /// One write to a file that is there.
    ///
    /// # Errors
    /// As [`super::HostAccess::write`].
    fn write(&self, path: &str, text: &str) -> Result<(), HostError>;
    /// The names in a folder, sorted.
    ///
    /// # Errors
    /// As [`super::HostAccess::list`].
    fn list(&self, path: &str) -> Result<Vec<String>, HostError>;
    /// Replaces a file as a whole, durably.
    ///
    /// # Errors
    /// As [`super::HostAccess::store`].
    fn store(&self, path: &str, text: &str) -> Result<(), HostError>;
    /// Appends to a file, durably.
    ///
    /// # Errors
    /// As [`super::HostAccess::append`].
    fn append(&self, path: &str, text: &str) -> Result<(), HostError>;
    /// Removes a file or a whole folder.
    ///
    /// # Errors
    /// As [`super::HostAccess::remove`].
    fn remove(&self, path: &str) -> Result<(), HostError>;
}

/// Files of a disk, below a folder.
pub struct DiskTree {
    root: PathBuf,
}

impl DiskTree {
    /// Files below `root`; `/` for the machine itself.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        DiskTree { root: root.into() }
    }

    /// Where a path of the host lies on this machine.
    #[must_use]
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

fn error(path: &str, error: &std::io::Error) -> HostError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => HostError::Absent { path: path.into() },
        _ => HostError::refused(path, error),
    }
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Where a link points, so that the link stays.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let before = std::fs::metadata(&target).ok();
    if before.as_ref().is_some_and(|before| !before.is_file()) {
        return Err(std::io::Error::new(ErrorKind::InvalidInput, "it is there, and is no ordinary file"));
    }
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let written = target.with_file_name(name);
    let mut file = File::create(&written)?;
    if let Some(before) = before {
        std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()))?;
        file.set_permissions(before.permissions())?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&written, &target)?;
    sync_folder(&target)
}

fn append_durably(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

impl FileTree for DiskTree {
    fn read(&self, path: &str) -> Result<String, HostError> {
        let mut bytes = Vec::new();
        let read = File::open(self.resolve(path)).and_then(|mut file| file.read_to_end(&mut bytes));
        read.map_err(|found| error(path, &found))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn write(&self, path: &str, text: &str) -> Result<(), HostError> {
        let opened = OpenOptions::new().write(true).truncate(true).open(self.resolve(path));
        opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|found| error(path, &found))
    }

    fn list(&self, path: &str) -> Result<Vec<String>, HostError> {
        let entries = std::fs::read_dir(self.resolve(path)).map_err(|found| error(path, &found))?;
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry.map_err(|found| error(path, &found))?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn store(&self, path: &str, text: &str) -> Result<(), HostError> {
        replace(&self.resolve(path), text).map_err(|found| HostError::refused(path, &found))
    }

    fn append(&self, path: &str, text: &str) -> Result<(), HostError> {
        append_durably(&self.resolve(path), text).map_err(|found| HostError::refused(path, &found))
    }

    fn remove(&self, path: &str) -> Result<(), HostError> {
        let resolved = self.resolve(path);
        let removed =
            if resolved.is_dir() { std::fs::remove_dir_all(&resolved) } else { std::fs::remove_file(&resolved) };
        match removed {
            Ok(()) => sync_folder(&resolved).map_err(|found| HostError::refused(path, &found)),
            Err(found) if found.kind() == ErrorKind::NotFound => Ok(()),
            Err(found) => Err(HostError::refused(path, &found)),
        }
    }
}

/// Files in memory: a fake host that is copied and compared in no time.
#[derive(Debug, Clone, Default)]
pub struct MemoryTree {
    files: RefCell<BTreeMap<String, String>>,
}

impl MemoryTree {
    /// All files, for comparison.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, String> {
        self.files.borrow().clone()
    }
}

/// `a/b/../c` is `a/c`.
fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        match part {
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

impl FileTree for MemoryTree {
    fn read(&self, path: &str) -> Result<String, HostError> {
        let found = self.files.borrow().get(&plain(path)).cloned();
        found.ok_or_else(|| HostError::Absent { path: path.into() })
    }

    fn write(&self, path: &str, text: &str) -> Result<(), HostError> {
        let mut files = self.files.borrow_mut();
        let file = files.get_mut(&plain(path)).ok_or_else(|| HostError::Absent { path: path.into() })?;
        text.clone_into(file);
        Ok(())
    }

    fn list(&self, path: &str) -> Result<Vec<String>, HostError> {
        let folder = format!("{}/", plain(path).trim_end_matches('/'));
        let files = self.files.borrow();
        let below = files.range(folder.clone()..).take_while(|(path, _)| path.starts_with(&folder));
        let names: BTreeSet<&str> = below.filter_map(|(path, _)| path[folder.len()..].split('/').next()).collect();
        if names.is_empty() {
            return Err(HostError::Absent { path: path.into() });
        }
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn store(&self, path: &str, text: &str) -> Result<(), HostError> {
        self.files.borrow_mut().insert(plain(path), text.into());
        Ok(())
    }

    fn append(&self, path: &str, text: &str) -> Result<(), HostError> {
        self.files.borrow_mut().entry(plain(path)).or_default().push_str(text);
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), HostError> {
        let path = plain(path);
        let folder = format!("{path}/");
        self.files.borrow_mut().retain(|found, _| *found != path && !found.starts_with(&folder));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(check: impl Fn(&dyn FileTree)) {
        check(&MemoryTree::default());
        let folder = std::env::temp_dir().join(format!("corectl-tree-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        check(&DiskTree::new(&folder));
        std::fs::remove_dir_all(folder).unwrap();
    }

    fn on_disk(name: &str, check: impl Fn(&DiskTree, &Path)) {
        let folder = std::env::temp_dir().join(format!("corectl-tree-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        check(&DiskTree::new(&folder), &folder);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_replaced_file_keeps_its_mode_and_a_link_stays_one() {
        use std::os::unix::fs::PermissionsExt;
        on_disk("mode", |tree, folder| {
            std::fs::write(folder.join("file"), "1").unwrap();
            std::fs::set_permissions(folder.join("file"), std::fs::Permissions::from_mode(0o640)).unwrap();
            std::os::unix::fs::symlink("file", folder.join("link")).unwrap();
            tree.store("/link", "2").unwrap();
            assert!(folder.join("link").is_symlink());
            assert_eq!(tree.read("/file").unwrap(), "2");
            assert_eq!(std::fs::metadata(folder.join("file")).unwrap().permissions().mode() & 0o777, 0o640);
        });
    }

    #[test]
    fn what_is_no_ordinary_file_is_not_replaced() {
        on_disk("device", |tree, folder| {
            std::os::unix::fs::symlink("/dev/null", folder.join("device")).unwrap();
            let refused = tree.store("/device", "text").unwrap_err();
            assert_eq!(refused.to_string(), "/device: it is there, and is no ordinary file");
            assert!(!std::fs::metadata(folder.join("device")).unwrap().is_file());
        });
    }

    #[test]
    fn memory_and_disk_behave_alike() {
        both(|tree| {
            let absent = |path: &str| HostError::Absent { path: path.into() };
            assert_eq!(tree.read("/a/b"), Err(absent("/a/b")));
            assert_eq!(tree.write("/a/b", "1"), Err(absent("/a/b")));
            tree.store("/a/b", "1\n").unwrap();
            tree.store("/a/c/d", "2").unwrap();
            tree.write("/a/b", "3").unwrap();
            tree.append("/a/b", "4").unwrap();
            assert_eq!(tree.read("/a/c/../b").unwrap(), "34");
            assert_eq!(tree.list("/a").unwrap(), ["b", "c"]);
            tree.remove("/a/c").unwrap();
            tree.remove("/a/c").unwrap();
            assert_eq!(tree.list("/a").unwrap(), ["b"]);
            assert_eq!(tree.list("/a/c"), Err(absent("/a/c")));
        });
    }
}
