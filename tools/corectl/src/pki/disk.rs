//! Files that are replaced as a whole, and pairs of a certificate and a key that stay pairs.
//!
//! ```text
//!  store           .NAME.tmp written, synced ─▶ renamed to NAME ─▶ folder synced
//!  store_pair      NAME.key.next stored ─▶ NAME.pem stored ─▶ NAME.key.next renamed to NAME.key
//!  recover         NAME.key.next belongs to NAME.pem: renamed to NAME.key; else removed. Then .*.tmp are removed
//! ```
//!
//! **Invariants**: killed at any step, `recover` leaves the old pair or the new one. A key is made with mode 0600 and never had another.
//!
//! **Source**: rename(2), fsync(2), flock(2).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use corelane_pki::{CertificateRecord, PrivateKeyText};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::PkiFault;

/// Of files that hold a private key or another secret.
pub(super) const SECRET: u32 = 0o600;

/// Of files that everybody may read.
pub(super) const PUBLIC: u32 = 0o644;

/// Of folders with secrets.
const FOLDER: u32 = 0o700;

/// What the name of a key that waits for its certificate ends with.
const NEXT: &str = ".key.next";

/// A file or a folder may hold at most this much: more is no certificate.
const TEXT_BYTES_MAX: u64 = 16 << 20;

/// Held while a process changes a folder; ends with the process.
#[derive(Debug)]
pub(super) struct FolderLock {
    folder: File,
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Said aloud: a child that another thread has just forked holds a copy of the descriptor until it runs its program.
        let _ = flock(&self.folder, FlockOperation::Unlock);
    }
}

/// Takes the lock of a folder.
pub(super) fn lock(folder: &Path) -> Result<FolderLock, PkiFault> {
    let file = File::open(folder).map_err(PkiFault::file(folder))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(FolderLock { folder: file }),
        Err(Errno::WOULDBLOCK) => Err(PkiFault::Locked { folder: folder.to_owned() }),
        Err(error) => Err(PkiFault::File { path: folder.to_owned(), cause: error.into() }),
    }
}

/// Makes a folder that only its owner enters; its parents, too.
pub(super) fn make_folder(folder: &Path) -> Result<(), PkiFault> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(folder).map_err(PkiFault::file(folder))
}

/// As [`make_folder`], for one that must not be there: whoever made it could read what is put into it.
pub(super) fn make_new_folder(folder: &Path) -> Result<(), PkiFault> {
    DirBuilder::new().mode(FOLDER).create(folder).map_err(PkiFault::file(folder))
}

/// The text of a file; `None` if it is not there.
pub(super) fn read(path: &Path) -> Result<Option<String>, PkiFault> {
    let too_long = || std::io::Error::new(ErrorKind::InvalidData, "it is too long for what it should be");
    match fs::metadata(path) {
        Ok(found) if found.len() > TEXT_BYTES_MAX => Err(PkiFault::file(path)(too_long())),
        Ok(_) => fs::read_to_string(path).map(Some).map_err(PkiFault::file(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PkiFault::file(path)(error)),
    }
}

/// Replaces a file as a whole; it is on disk on return.
pub(super) fn store(path: &Path, text: &str, mode: u32) -> Result<(), PkiFault> {
    let written = temporary(path);
    let write = || {
        // Left by a process that was killed. It may have another mode, and is not written to.
        remove_if_there(&written)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&written)?;
        step("made")?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        step("written")?;
        fs::rename(&written, path)?;
        step("renamed")?;
        sync_folder_of(path)
    };
    write().map_err(PkiFault::file(path))
}

/// As [`store`], for a file that must not be there.
pub(super) fn store_new(path: &Path, text: &str, mode: u32, remedy: &'static str) -> Result<(), PkiFault> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(PkiFault::Exists { path: path.to_owned(), remedy });
    }
    store(path, text, mode)
}

/// Replaces a certificate and its key: `stem.pem` and `stem.key`.
pub(super) fn store_pair(stem: &Path, chain: &str, key: &PrivateKeyText) -> Result<(), PkiFault> {
    let next = with_end(stem, NEXT);
    store(&next, key.expose(), SECRET)?;
    store(&with_end(stem, ".pem"), chain, PUBLIC)?;
    let path = with_end(stem, ".key");
    let rename = || {
        step("pair")?;
        fs::rename(&next, &path)?;
        sync_folder_of(&path)
    };
    rename().map_err(PkiFault::file(&path))
}

/// Completes or takes back what a process that was killed has left. The lock is held.
pub(super) fn recover(folder: &Path) -> Result<(), PkiFault> {
    for entry in fs::read_dir(folder).map_err(PkiFault::file(folder))? {
        let path = entry.map_err(PkiFault::file(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') && name.ends_with(".tmp") {
            remove_if_there(&path).map_err(PkiFault::file(&path))?;
        } else if let Some(stem) = name.strip_suffix(NEXT) {
            finish_pair(&folder.join(stem), &path)?;
        }
    }
    Ok(())
}

fn finish_pair(stem: &Path, next: &Path) -> Result<(), PkiFault> {
    let (key, chain) = (read(next)?.unwrap_or_default(), read(&with_end(stem, ".pem"))?.unwrap_or_default());
    let belongs = CertificateRecord::parse(&chain).and_then(|facts| facts.is_pair_with(&key)).unwrap_or(false);
    let finished = if belongs { fs::rename(next, with_end(stem, ".key")) } else { fs::remove_file(next) };
    finished.and_then(|()| sync_folder_of(next)).map_err(PkiFault::file(next))
}

/// Removes a file; it need not be there.
pub(super) fn remove(path: &Path) -> Result<(), PkiFault> {
    remove_if_there(path).and_then(|()| sync_folder_of(path)).map_err(PkiFault::file(path))
}

/// Gives a folder its name, under which there is nothing or an empty folder.
pub(super) fn rename_folder(from: &Path, to: &Path) -> Result<(), PkiFault> {
    fs::rename(from, to).and_then(|()| sync_folder_of(to)).map_err(PkiFault::file(to))
}

/// `stem` with an end; ids may have dots, which are no extension.
pub(super) fn with_end(stem: &Path, end: &str) -> PathBuf {
    let mut name = stem.file_name().unwrap_or_default().to_owned();
    name.push(end);
    stem.with_file_name(name)
}

fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.tmp"))
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "tests end here as a killed process would")]
fn step(_name: &str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
use tests::step;

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use corelane_pki::{KeySource, Validity, self_signed};

    use super::*;

    thread_local! {
        /// Steps that are still made; then the process is "killed".
        static STEPS_LEFT: Cell<u32> = const { Cell::new(u32::MAX) };
    }

    pub(super) fn step(name: &str) -> std::io::Result<()> {
        let left = STEPS_LEFT.get();
        STEPS_LEFT.set(left.saturating_sub(1));
        if left == 0 { Err(std::io::Error::other(format!("killed at {name}"))) } else { Ok(()) }
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("corectl-pki-disk-{name}-{}", std::process::id()));
            make_folder(&path).unwrap();
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<_> =
                entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
            names.sort_unstable();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn pair() -> (String, PrivateKeyText) {
        let issued = self_signed("a", Validity::starting(1_000_000, Duration::from_secs(99)), KeySource::P256).unwrap();
        (issued.chain, issued.key)
    }

    fn killed_after<T>(steps: u32, act: impl FnOnce() -> Result<T, PkiFault>) -> bool {
        STEPS_LEFT.set(steps);
        let killed = act().is_err();
        STEPS_LEFT.set(u32::MAX);
        killed
    }

    #[test]
    fn a_file_is_whole_wherever_its_writer_is_killed() {
        let folder = Folder::new("file");
        let path = folder.0.join("a.pem");
        for steps in 0..4 {
            store(&path, "old", PUBLIC).unwrap();
            let killed = killed_after(steps, || store(&path, "new", PUBLIC));
            assert_eq!(killed, steps < 3);
            let text = read(&path).unwrap().unwrap();
            assert_eq!(text, if steps < 2 { "old" } else { "new" }, "{steps}");
            recover(&folder.0).unwrap();
            assert_eq!(folder.names(), ["a.pem"], "{steps}");
        }
    }

    #[test]
    fn a_pair_is_a_pair_wherever_its_writer_is_killed() {
        let folder = Folder::new("pair");
        let stem = folder.0.join("edge-a.b");
        let (old, new) = (pair(), pair());
        let mut outcomes = Vec::new();
        for steps in 0..8 {
            store_pair(&stem, &old.0, &old.1).unwrap();
            let killed = killed_after(steps, || store_pair(&stem, &new.0, &new.1));
            assert_eq!(killed, steps < 7, "{steps}");
            recover(&folder.0).unwrap();
            let text = |end| read(&with_end(&stem, end)).unwrap().unwrap();
            let is_new = text(".pem") == new.0;
            assert_eq!(text(".key"), if is_new { new.1.expose() } else { old.1.expose() }, "{steps}");
            assert_eq!(folder.names(), ["edge-a.b.key", "edge-a.b.pem"]);
            outcomes.push(is_new);
        }
        assert!(outcomes.is_sorted() && outcomes.contains(&false) && outcomes.contains(&true));
    }

    #[test]
    fn secrets_are_for_their_owner() {
        let folder = Folder::new("mode");
        let (chain, key) = pair();
        // What was left by another process does not decide about the mode.
        fs::write(folder.0.join(".n.key.next.tmp"), "x").unwrap();
        fs::set_permissions(folder.0.join(".n.key.next.tmp"), fs::Permissions::from_mode(0o666)).unwrap();
        store_pair(&folder.0.join("n"), &chain, &key).unwrap();
        let mode = |name: &str| fs::metadata(folder.0.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("n.key"), mode("n.pem"), mode("")), (0o600, 0o644, 0o700));
    }

    #[test]
    fn a_folder_is_changed_by_one_at_a_time() {
        let folder = Folder::new("lock");
        let held = lock(&folder.0).unwrap();
        assert!(matches!(lock(&folder.0), Err(PkiFault::Locked { .. })));
        drop(held);
        assert!(lock(&folder.0).is_ok());
        assert!(matches!(lock(&folder.0.join("none")), Err(PkiFault::File { .. })));
    }

    #[test]
    fn what_is_there_is_not_overwritten() {
        let folder = Folder::new("new");
        let path = folder.0.join("a");
        store_new(&path, "one", SECRET, "").unwrap();
        assert!(matches!(store_new(&path, "two", SECRET, ""), Err(PkiFault::Exists { .. })));
        assert_eq!(read(&path).unwrap().unwrap(), "one");
        assert_eq!(read(&folder.0.join("none")).unwrap(), None);
    }
}
