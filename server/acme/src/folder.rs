//! What is kept on disk, and how it is never half.
//!
//! ```text
//!  FOLDER/lock                      held while a process uses the folder
//!  FOLDER/account-HOST-HASH.key     the account's key at this directory, PEM
//!  FOLDER/NAME/chain.pem, key.pem   what the edge serves
//!  FOLDER/NAME/orders.json          orders, failures and the authority's window
//!
//!  a pair is put in place:  key.pem.new ▸ chain.pem.new ▸ both renamed, the key first     (each whole and on disk before the next)
//!  found after a crash:     both .new that fit   → the renames are done
//!                           chain.pem.new that fits key.pem → its rename is done
//!                           anything else .new   → removed: the pair before is whole
//! ```
//!
//! **Not** certificates of others: whatever is in the folder and not named above is left alone.
//!
//! **Invariants**: files are 0600 and folders 0700; a file that has its name is whole; between the two renames a reader finds a key that
//! does not fit, and a pair that does a moment later.
//!
//! **Source**: rename(2), fsync(2), flock(2).

use std::fs::{DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rcgen::KeyPair;
use rustix::fs::{FlockOperation, flock};

use crate::certificate::StoredCertificate;
use crate::failure::AcmeFailure;
use crate::schedule::OrderHistory;

pub(crate) const CHAIN: &str = "chain.pem";
pub(crate) const KEY: &str = "key.pem";
const HISTORY: &str = "orders.json";
const NEW_CHAIN: &str = "chain.pem.new";
const NEW_KEY: &str = "key.pem.new";

/// Longest file that is read, in bytes: a chain of sixteen RSA certificates is a tenth of it.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The folder, locked for this process.
#[derive(Debug)]
pub(crate) struct AcmeFolder {
    path: PathBuf,
    _lock: File,
}

impl AcmeFolder {
    /// Makes the folder where it is missing, and locks it.
    ///
    /// # Errors
    /// The operator's or the host's: it cannot be made, or another process uses it.
    pub(crate) fn open(path: &Path) -> Result<Self, AcmeFailure> {
        make_folder(path)?;
        let file = path.join("lock");
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&file);
        let lock = options.map_err(|error| failed(&file, &error))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(AcmeFolder { path: path.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(AcmeFailure::FolderInUse(path.display().to_string())),
            Err(error) => Err(failed(&file, &error.into())),
        }
    }

    /// The account's key for a directory, in PEM; made and stored where there is none, before anybody has seen it.
    ///
    /// # Errors
    /// The host's: no file. The operator's: the file holds no key, and is left as it is.
    pub(crate) fn account_key(&self, directory: &str) -> Result<KeyPair, AcmeFailure> {
        let name = account_file(directory);
        let path = self.path.join(&name);
        if let Some(text) = read(&path)? {
            let text = String::from_utf8_lossy(&text);
            return KeyPair::from_pem(&text).map_err(|error| failed(&path, &io::Error::other(error)));
        }
        let key = KeyPair::generate().map_err(|error| AcmeFailure::Crypto(error.to_string()))?;
        write_whole(&self.path, &name, key.serialize_pem().as_bytes())?;
        Ok(key)
    }

    /// Finishes or undoes what a crash has left of a pair. Returns whether a new pair was put in place.
    ///
    /// # Errors
    /// The host's.
    pub(crate) fn recover(&self, name: &str) -> Result<bool, AcmeFailure> {
        let folder = self.path.join(name);
        let [new_key, new_chain] = [folder.join(NEW_KEY), folder.join(NEW_CHAIN)];
        let Some(chain) = read(&new_chain)? else {
            remove(&new_key)?;
            return Ok(false);
        };
        let fits = |key: Option<Vec<u8>>| {
            let chain = StoredCertificate::read(&chain);
            key.is_some_and(|key| chain.is_ok_and(|chain| chain.fits(&String::from_utf8_lossy(&key))))
        };
        let is_whole = if new_key.exists() { fits(read(&new_key)?) } else { fits(read(&folder.join(KEY))?) };
        if is_whole {
            put_in_place(&folder)?;
        } else {
            remove(&new_key)?;
            remove(&new_chain)?;
        }
        Ok(is_whole)
    }

    /// The stored certificate, if there is one that can be read and whose key is there.
    ///
    /// # Errors
    /// The host's. A pair that does not fit is none: it is ordered anew.
    pub(crate) fn stored(&self, name: &str) -> Result<Option<StoredCertificate>, AcmeFailure> {
        let folder = self.path.join(name);
        let (Some(chain), Some(key)) = (read(&folder.join(CHAIN))?, read(&folder.join(KEY))?) else { return Ok(None) };
        let stored = StoredCertificate::read(&chain).ok();
        Ok(stored.filter(|stored| stored.fits(&String::from_utf8_lossy(&key))))
    }

    /// Stores a pair, both in PEM.
    ///
    /// # Errors
    /// The host's; the pair before is then still there, or [`recover`](Self::recover) finishes the new one.
    pub(crate) fn store(&self, name: &str, chain: &str, key: &str) -> Result<(), AcmeFailure> {
        let folder = self.path.join(name);
        make_folder(&folder)?;
        write_whole(&folder, NEW_KEY, key.as_bytes())?;
        write_whole(&folder, NEW_CHAIN, chain.as_bytes())?;
        put_in_place(&folder)
    }

    /// What is remembered of a certificate's orders; nothing where there is no such file, or none that can be understood.
    ///
    /// # Errors
    /// The host's.
    pub(crate) fn history(&self, name: &str) -> Result<OrderHistory, AcmeFailure> {
        let text = read(&self.path.join(name).join(HISTORY))?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default())
    }

    /// Stores what is remembered.
    ///
    /// # Errors
    /// The host's.
    pub(crate) fn store_history(&self, name: &str, history: &OrderHistory) -> Result<(), AcmeFailure> {
        let folder = self.path.join(name);
        make_folder(&folder)?;
        let text = serde_json::to_vec_pretty(history).map_err(|error| failed(&folder, &error.into()))?;
        write_whole(&folder, HISTORY, &text)
    }
}

/// The file of an account: readable for people, and different for each directory.
fn account_file(directory: &str) -> String {
    let mut hasher = DefaultHasher::new();
    directory.hash(&mut hasher);
    let uri = directory.parse::<http::Uri>().ok();
    let host = uri.as_ref().and_then(|uri| uri.host()).unwrap_or_default();
    let host: String = host.chars().filter(|char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-')).collect();
    format!("account-{host}-{:08x}.key", hasher.finish() >> 32)
}

fn put_in_place(folder: &Path) -> Result<(), AcmeFailure> {
    for (from, to) in [(NEW_KEY, KEY), (NEW_CHAIN, CHAIN)] {
        match std::fs::rename(folder.join(from), folder.join(to)) {
            // After a crash the key may be in place already.
            Err(error) if error.kind() == io::ErrorKind::NotFound && from == NEW_KEY => {}
            done => done.map_err(|error| failed(&folder.join(to), &error))?,
        }
    }
    sync_folder(folder)
}

/// Writes a file whole: under another name first, on disk, then renamed.
fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), AcmeFailure> {
    let part = folder.join(format!(".{name}.part"));
    let path = folder.join(name);
    let write = || -> io::Result<()> {
        // What a crash has left may have any mode.
        let _ = std::fs::remove_file(&part);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&part, &path)
    };
    write().map_err(|error| failed(&path, &error))?;
    sync_folder(folder)
}

fn sync_folder(folder: &Path) -> Result<(), AcmeFailure> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(folder, &error))
}

fn make_folder(path: &Path) -> Result<(), AcmeFailure> {
    if !path.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| failed(path, &error))?;
    }
    let permissions = std::fs::metadata(path).map_err(|error| failed(path, &error))?.permissions();
    if permissions.mode() & 0o022 != 0 {
        let error = io::Error::other("others may write to it; chmod 700");
        return Err(failed(path, &error));
    }
    Ok(())
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, AcmeFailure> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, &error)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| failed(path, &error))?;
    Ok(Some(bytes))
}

fn remove(path: &Path) -> Result<(), AcmeFailure> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path, &error)),
        _ => Ok(()),
    }
}

fn failed(path: &Path, error: &io::Error) -> AcmeFailure {
    AcmeFailure::Folder { path: path.display().to_string(), error: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::certificate::tests::made;

    /// An empty folder that goes with the test.
    struct Place(PathBuf);

    impl Place {
        fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            Place(std::env::temp_dir().join(format!("corelane-acme-folder-{}-{count}", std::process::id())))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn text(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_pair_is_stored_for_the_owner_only_and_found_again() {
        let place = Place::new();
        let folder = AcmeFolder::open(&place.0).unwrap();
        let (chain, key) = made(&["a.example"], 1, 1);
        assert!(folder.stored("a").unwrap().is_none());
        folder.store("a", &chain, &key).unwrap();
        assert!(folder.stored("a").unwrap().unwrap().fits(&key));
        folder.store_history("a", &OrderHistory { failures: 3, ..OrderHistory::default() }).unwrap();
        assert_eq!(folder.history("a").unwrap().failures, 3);
        folder.account_key("https://ca.example/directory").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let mut files: Vec<_> =
            std::fs::read_dir(place.0.join("a")).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), 3, "{files:?}");
        files.extend(
            std::fs::read_dir(&place.0).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()),
        );
        assert_eq!(files.len(), 5, "{files:?}");
        assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
        assert_eq!((mode(&place.0), mode(&place.0.join("a"))), (0o700, 0o700));
    }

    #[test]
    fn the_account_of_each_directory_has_one_key() {
        let place = Place::new();
        let folder = AcmeFolder::open(&place.0).unwrap();
        let key = |directory| folder.account_key(directory).unwrap().serialize_pem();
        assert_eq!(key("https://ca.example/a"), key("https://ca.example/a"));
        assert_ne!(key("https://ca.example/a"), key("https://ca.example/b"));
        std::fs::write(place.0.join(account_file("https://ca.example/a")), "no key").unwrap();
        assert_eq!(folder.account_key("https://ca.example/a").unwrap_err().label(), "folder");
        assert_eq!(text(&place.0.join(account_file("https://ca.example/a"))), "no key");
    }

    #[test]
    fn one_process_uses_a_folder_that_nobody_else_may_write_to() {
        let place = Place::new();
        let folder = AcmeFolder::open(&place.0).unwrap();
        assert_eq!(AcmeFolder::open(&place.0).unwrap_err().label(), "folder_in_use");
        drop(folder);
        AcmeFolder::open(&place.0).unwrap();
        std::fs::set_permissions(&place.0, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(AcmeFolder::open(&place.0).unwrap_err().to_string().contains("chmod 700"));
    }

    /// Whatever of a change is on disk when the process is killed: the old pair or the new one is found, never half of each.
    #[test]
    fn a_crash_at_any_step_leaves_one_pair() {
        let [(old_chain, old_key), (new_chain, new_key)] = [made(&["a.example"], 1, 1), made(&["a.example"], 1, 2)];
        let half = &new_chain[..new_chain.len() / 2];
        // (what is there under the new names, whether the key was renamed already, whether the new pair is put in place)
        for (chain, key, is_renamed, is_new) in [
            (None, None, false, false),
            (None, Some(new_key.as_str()), false, false),
            (None, Some("half a key"), false, false),
            (Some(half), Some(&new_key), false, false),
            (Some(&new_chain), Some("half a key"), false, false),
            (Some(&new_chain), Some(&new_key), false, true),
            (Some(&new_chain), None, true, true),
            (Some(&new_chain), None, false, false),
        ] {
            let place = Place::new();
            let folder = AcmeFolder::open(&place.0).unwrap();
            folder.store("a", &old_chain, &old_key).unwrap();
            let certificate = place.0.join("a");
            for (name, text) in [(NEW_CHAIN, chain), (NEW_KEY, key)] {
                if let Some(text) = text {
                    std::fs::write(certificate.join(name), text).unwrap();
                }
            }
            if is_renamed {
                std::fs::write(certificate.join(KEY), &new_key).unwrap();
            }
            assert_eq!(folder.recover("a").unwrap(), is_new, "{chain:?} {key:?}");
            let expected = if is_new { (&new_chain, &new_key) } else { (&old_chain, &old_key) };
            assert_eq!((&text(&certificate.join(CHAIN)), &text(&certificate.join(KEY))), expected);
            assert!(folder.stored("a").unwrap().is_some());
            assert!(!certificate.join(NEW_KEY).exists() && !certificate.join(NEW_CHAIN).exists());
        }
    }

    #[test]
    fn a_pair_that_does_not_fit_is_none() {
        let place = Place::new();
        let folder = AcmeFolder::open(&place.0).unwrap();
        folder.store("a", &made(&["a.example"], 1, 1).0, &made(&["a.example"], 1, 1).1).unwrap();
        assert!(folder.stored("a").unwrap().is_none());
        std::fs::write(place.0.join("a").join(HISTORY), "no JSON").unwrap();
        assert_eq!(folder.history("a").unwrap(), OrderHistory::default());
    }
}
