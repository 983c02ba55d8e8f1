//! The folder itself: made, opened, locked.
//!
//! **Invariants**: a folder is made whole or not at all. Who holds a [`PkiFolder`] is the only one who changes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use corelane_pki::{Authority, CertificateRecord, KeySource, Validity, rotation};

use super::disk::{self, FolderLock};
use super::error::PkiFault;
use super::leaf::LeafName;
use super::state::PkiState;

/// Where keys of authorities are looked for besides the folder.
#[derive(Debug, Clone, Default)]
pub struct KeyFiles(pub Vec<PathBuf>);

/// A new authority.
#[derive(Debug, Clone)]
pub struct InitOptions {
    /// The cluster's name, as in its topology.
    pub cluster: String,
    /// How long the authority holds.
    pub lifetime: Duration,
    /// Where its key is put, if not into the folder.
    pub ca_key: Option<PathBuf>,
    /// Seconds since 1970.
    pub now: u64,
}

/// The folder of an authority, locked.
#[derive(Debug)]
pub struct PkiFolder {
    pub(super) path: PathBuf,
    pub(super) state: PkiState,
    pub(super) keys: KeyFiles,
    /// Seconds since 1970.
    pub(super) now: u64,
    _lock: FolderLock,
}

/// Makes an authority and its folder, which is not there or is empty. Returns what the authority is.
///
/// # Errors
/// Something is there, a file cannot be written, or the cluster's name does not fit.
pub fn init(folder: &Path, options: &InitOptions) -> Result<CertificateRecord, PkiFault> {
    check_vacant(folder)?;
    // `.` and `a/..` have no name of their own.
    let folder = &folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    disk::make_folder(parent)?;
    // Two that make the same folder would mix their files; and what a killed one has left is removed under the lock.
    let _lock = disk::lock(parent)?;
    check_vacant(folder)?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let unfinished = parent.join(format!(".{name}.init"));
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(PkiFault::file(&unfinished))?;
    }
    let validity = Validity::starting(options.now, options.lifetime);
    let authority = Authority::create(&options.cluster, validity, &mut KeySource::P256)?;
    disk::make_new_folder(&unfinished)?;
    disk::make_new_folder(&unfinished.join("ca"))?;
    let mut made = PkiFolder {
        state: PkiState::new(authority.facts().key_id.short()),
        keys: KeyFiles::default(),
        now: options.now,
        _lock: disk::lock(&unfinished)?,
        path: unfinished.clone(),
    };
    made.add_authority(&authority, options.ca_key.as_deref())?;
    made.keys.0.extend(options.ca_key.clone());
    made.store_derived()?;
    made.store_state()?;
    disk::rename_folder(&unfinished, folder)?;
    Ok(authority.facts().clone())
}

fn check_vacant(folder: &Path) -> Result<(), PkiFault> {
    let exists = |remedy| Err(PkiFault::Exists { path: folder.to_owned(), remedy });
    if state_path(folder).exists() {
        return exists("an authority is replaced with `corectl pki rotate-ca`; another one needs another --dir");
    }
    match fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
        Ok(true) => exists("name a folder that is empty or not there with --dir"),
        Ok(false) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(PkiFault::file(folder)(error)),
    }
}

fn state_path(folder: &Path) -> PathBuf {
    folder.join("state.json")
}

impl PkiFolder {
    /// Opens a folder to change it; completes or takes back what a process that was killed has left.
    ///
    /// # Errors
    /// There is no authority, another process is at work, or a file cannot be read.
    pub fn open(folder: &Path, keys: KeyFiles, now: u64) -> Result<Self, PkiFault> {
        // First, so that a folder which is none gets no complaint about its lock.
        Self::load_state(folder)?;
        let lock = disk::lock(folder)?;
        disk::recover(folder)?;
        disk::recover(&folder.join("ca"))?;
        let state = Self::load_state(folder)?;
        let opened = Self { path: folder.to_owned(), state, keys, now, _lock: lock };
        // A rotation that was killed between the state and what follows from it.
        opened.store_bundle()?;
        Ok(opened)
    }

    pub(super) fn load_state(folder: &Path) -> Result<PkiState, PkiFault> {
        let state = PkiState::load(&state_path(folder))?;
        state.ok_or_else(|| PkiFault::NotInitialized { folder: folder.to_owned() })
    }

    pub(super) fn store_state(&self) -> Result<(), PkiFault> {
        self.state.store(&state_path(&self.path))
    }

    /// Writes what follows from the state: the bundle and the revocation lists.
    pub(super) fn store_derived(&self) -> Result<(), PkiFault> {
        self.store_bundle()?;
        self.store_lists(&[])
    }

    /// Writes the bundle, if it is another one.
    pub(super) fn store_bundle(&self) -> Result<(), PkiFault> {
        let certificates = self.state.trusted().map(|id| authority_text(&self.path, id));
        let certificates = certificates.collect::<Result<Vec<_>, _>>()?;
        let bundle = rotation::bundle(certificates.iter().map(String::as_str));
        let path = self.path.join("ca.pem");
        if disk::read(&path)?.as_deref() == Some(&bundle) {
            return Ok(());
        }
        disk::store(&path, &bundle, disk::PUBLIC)
    }

    /// The stem of a certificate's files.
    pub(super) fn stem(&self, name: &LeafName) -> PathBuf {
        self.path.join(name.to_string())
    }

    /// A certificate of the folder.
    pub(super) fn leaf(&self, name: &LeafName) -> Result<CertificateRecord, PkiFault> {
        leaf(&self.path, name)
    }
}

/// The text of an authority's certificate.
pub(super) fn authority_text(folder: &Path, id: &str) -> Result<String, PkiFault> {
    let path = authority_path(folder, id, "pem");
    disk::read(&path)?.ok_or_else(|| PkiFault::State { path, why: "it is missing".to_owned() })
}

/// A file of an authority.
pub(super) fn authority_path(folder: &Path, id: &str, end: &str) -> PathBuf {
    folder.join("ca").join(format!("{id}.{end}"))
}

/// A certificate of a folder.
pub(super) fn leaf(folder: &Path, name: &LeafName) -> Result<CertificateRecord, PkiFault> {
    let path = folder.join(format!("{name}.pem"));
    let Some(text) = disk::read(&path)? else { return Err(PkiFault::NoCertificate { path }) };
    CertificateRecord::parse(&text).map_err(PkiFault::content(&path))
}

/// The names of all certificates of a folder, sorted.
pub(super) fn leaves(folder: &Path) -> Result<Vec<LeafName>, PkiFault> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(PkiFault::file(folder))? {
        let name = entry.map_err(PkiFault::file(folder))?.file_name().to_string_lossy().into_owned();
        // Others than certificates are the operator's own matter.
        names.extend(name.strip_suffix(".pem").and_then(|name| name.parse::<LeafName>().ok()));
    }
    names
        .sort_unstable_by_key(|name| (name.role(), name.id().parse::<u32>().unwrap_or(u32::MAX), name.id().to_owned()));
    Ok(names)
}
