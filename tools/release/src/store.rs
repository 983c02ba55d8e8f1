//! The releases of a host: installing, listing, checking and going back.
//!
//! ```text
//!  /opt/corelane/
//!    .lock                    held while anything here changes
//!    current ─▶ releases/…    what a start runs; replaced by a rename, so it always names a whole release
//!    .returning               a release with its configuration is being made current: which one
//!    history                  digests, latest first: what `rollback` goes back to, and what is kept
//!    releases/<sha256>/       the files, manifest.json and its signature
//!    configuration/<sha256>/  the files of /etc/corelane as they were when this release was left
//!    configuration/rollout/   settings that rollouts of the fleet have replaced; theirs alone
//! ```
//!
//! **Not**: restarting anything: a service manager does it, when the operator wants it.
//!
//! **Invariants**: a folder under `releases` whose name is a sum is complete and on the disk: it is filled under another
//! name and renamed. `current` is never removed. At most [`KEPT`] releases stay, the current one among them. What is damaged
//! is named, and never keeps another release from being listed, installed or gone back to.

mod check;
mod configuration;
mod disk;
mod history;
mod listing;
mod units;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use self::configuration::Configuration;
use self::disk::FileAccess;
use self::history::History;
pub use self::listing::{ListedRelease, Listing};
use crate::ReleaseError;
use crate::bundle::{VerifiedRelease, read_bounded};
use crate::folder;
use crate::keys::TrustedKeys;
use crate::manifest::{MANIFEST_BYTES_MAX, MANIFEST_FILE, ReleaseManifest, SIGNATURE_FILE};
use crate::sum::Sha256Sum;
use crate::unpack::Unpacking;

/// Where releases are installed.
pub const ROOT: &str = "/opt/corelane";

/// Where the configuration is.
pub const CONFIGURATION: &str = "/etc/corelane";

/// Where `systemctl enable` and `link` put links to units.
pub const UNIT_LINKS: &str = "/etc/systemd/system";

/// Releases that stay on the host.
pub const KEPT: usize = 3;

/// What an unfinished release is called until it is whole.
const INCOMING: &str = ".incoming-";

/// The file that says that a configuration is being put back, and that of which release.
const RETURNING: &str = ".returning";

/// What to do with a release that is older than the current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Downgrade {
    /// Refuse it.
    Refused,
    /// Install it.
    Allowed,
}

/// The releases of a host.
#[derive(Debug)]
pub struct ReleaseStore {
    root: PathBuf,
    configuration: Configuration,
    unit_links: PathBuf,
}

/// A release on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledRelease {
    /// What it is called.
    pub digest: Sha256Sum,
    /// What it is.
    pub manifest: ReleaseManifest,
    /// Whether a start runs it.
    pub is_current: bool,
}

/// What a change came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switched {
    /// What a start runs now.
    pub current: InstalledRelease,
    /// What it ran before.
    pub previous: Option<Sha256Sum>,
    /// Releases that were removed, to keep [`KEPT`].
    pub removed: Vec<Sha256Sum>,
    /// Files of the configuration that were put back, or taken away, with the release.
    pub configuration: Vec<PathBuf>,
    /// What was wrong with the release as it was installed, which was made good.
    pub repaired: Option<String>,
}

/// How the order of releases changes.
type Order = fn(&History, Sha256Sum, Option<Sha256Sum>) -> History;

impl ReleaseStore {
    /// The store in `root`, of a host whose configuration is in `configuration`. Nothing is made until something is installed.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, configuration: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let configuration = Configuration::new(configuration.into(), root.join("configuration"));
        Self { root, configuration, unit_links: UNIT_LINKS.into() }
    }

    /// With links to units in another folder than [`UNIT_LINKS`].
    #[must_use]
    pub fn with_unit_links(self, folder: impl Into<PathBuf>) -> Self {
        Self { unit_links: folder.into(), ..self }
    }

    /// Installs a release and makes it current. One that is installed already is checked, replaced where it is not what was
    /// signed, and made current, with the configuration it had when it was left.
    ///
    /// # Errors
    /// The operator's: a downgrade that is not allowed, another kind of machine, a full disk. Nothing is current then that
    /// was not before.
    pub fn install(&self, release: &mut VerifiedRelease, downgrade: Downgrade) -> Result<Switched, ReleaseError> {
        let manifest = &release.manifest;
        let expected = host_target();
        if manifest.target != expected {
            let found = manifest.target.clone();
            return Err(ReleaseError::Target { path: release.archive_path.clone(), found, expected });
        }
        // One that is there already may be somebody's choice; the check of a release says where it cannot serve.
        if !self.root.exists() {
            folder::make(&self.root)?;
        }
        let _lock = disk::lock(&self.root.join(".lock"))?;
        folder::make(&self.releases())?;
        self.remove_unfinished()?;
        let digest = release.digest;
        if let Some(target) = self.interrupted()?.filter(|target| *target != digest) {
            return Err(ReleaseError::Interrupted { target });
        }
        // Whether a release is older than one that is damaged is not known, and the way on must not depend on it.
        if downgrade == Downgrade::Refused
            && let Some(Ok(current)) = self.current().ok().flatten().map(|current| self.manifest(current))
            && manifest.is_older_than(&current)
        {
            return Err(ReleaseError::downgrade(manifest, &current));
        }
        let repaired = self.put_in_place(release)?;
        let switched = self.bring_back(digest, History::with_latest)?;
        Ok(Switched { repaired, ..switched })
    }

    /// Makes another release current again: the one whose digest begins with `to`, or the one before the current one. The
    /// configuration becomes what it was when that release was left.
    ///
    /// # Errors
    /// The operator's: there is none. Whoever changed it: its files are not what its manifest says.
    pub fn rollback(&self, to: Option<&str>) -> Result<Switched, ReleaseError> {
        if !self.root.exists() {
            return Err(ReleaseError::NothingInstalled { root: self.root.clone() });
        }
        let _lock = disk::lock(&self.root.join(".lock"))?;
        let target = match (to, self.interrupted()?) {
            (Some(prefix), _) => self.find(prefix)?,
            (None, Some(target)) => target,
            (None, None) => {
                let other = self.history()?.others(self.left()?).find(|digest| self.folder(*digest).exists());
                other.ok_or_else(|| ReleaseError::NoOther { path: self.releases() })?
            }
        };
        self.check_files(target)?;
        self.bring_back(target, History::with_returned)
    }

    /// Makes `target`, which is whole, current, with the configuration that was saved for it.
    fn bring_back(&self, target: Sha256Sum, order: Order) -> Result<Switched, ReleaseError> {
        let left = self.left()?.filter(|left| *left != target);
        let is_interrupted = self.interrupted()?.is_some();
        // What is live may already be of the target, where this was interrupted; it was saved before.
        if let Some(left) = left.filter(|_| !is_interrupted) {
            self.configuration.save(left)?;
        }
        if left.is_none() && !is_interrupted || !self.configuration.is_saved(target) {
            let switched = self.switch(target, order)?;
            disk::remove_file(&self.root.join(RETURNING))?;
            return Ok(switched);
        }
        let returning = self.root.join(RETURNING);
        disk::replace(&returning, format!("{target}\n").as_bytes(), FileAccess::PUBLIC)?;
        let configuration = self.configuration.restore(target)?;
        let switched = self.switch(target, order)?;
        disk::remove_file(&returning)?;
        Ok(Switched { configuration, ..switched })
    }

    /// Makes sure that the folder of `release` is what was signed; returns what was wrong with the one that was there.
    fn put_in_place(&self, release: &mut VerifiedRelease) -> Result<Option<String>, ReleaseError> {
        let folder = self.folder(release.digest);
        let is_there = fs::symlink_metadata(&folder).is_ok();
        // What is wrong with the folder of the store is not made good by another copy.
        let fault = match is_there.then(|| check::check(&self.releases(), &folder, release.digest)) {
            Some(Ok(())) => return self.sign_anew(&folder, release).map(|()| None),
            Some(Err(fault)) => Some(fault.to_string()),
            None => None,
        };
        let incoming = self.unpack(release)?;
        if is_there {
            disk::exchange(&incoming, &folder)?;
            // What is left of it now is removed by the next installation, where it cannot be removed here.
            let _ = disk::remove_all(&incoming);
        } else {
            disk::rename(&incoming, &folder)?;
        }
        Ok(fault)
    }

    /// Takes the signature that came with an installation of what is there already: a key was rotated.
    fn sign_anew(&self, folder: &Path, release: &VerifiedRelease) -> Result<(), ReleaseError> {
        let path = folder.join(SIGNATURE_FILE);
        let is_same = fs::read(&path).is_ok_and(|found| found == release.signature.as_bytes());
        if is_same { Ok(()) } else { disk::write(&path, release.signature.as_bytes(), FileAccess::PUBLIC) }
    }

    /// Checks the files of an installed release, that there are no others, and its signature where it has one, which a
    /// package of a distribution leaves to that.
    ///
    /// # Errors
    /// Whoever changed it.
    pub fn verify(&self, wanted: &str, keys: &TrustedKeys) -> Result<InstalledRelease, ReleaseError> {
        let digest = self.find(wanted)?;
        let folder = self.folder(digest);
        let (path, signature) = (folder.join(MANIFEST_FILE), folder.join(SIGNATURE_FILE));
        keys.check(&path, &read_bounded(&path, MANIFEST_BYTES_MAX)?, &signature)?;
        self.check_files(digest)?;
        self.describe(digest, self.current()?)
    }

    /// What a start runs.
    ///
    /// # Errors
    /// The operator's: `current` is not a link to a release.
    pub fn current(&self) -> Result<Option<Sha256Sum>, ReleaseError> {
        let link = self.root.join("current");
        match fs::read_link(&link) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(ReleaseError::CurrentLink { link, reason: format!("it cannot be read as a link: {error}") })
            }
            Ok(target) => {
                let release = target.strip_prefix(&self.root).unwrap_or(&target).strip_prefix("releases").ok();
                let digest = release.and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
                let reason = || format!("it leads to {}", target.display());
                digest.map(Some).ok_or_else(|| ReleaseError::CurrentLink { link, reason: reason() })
            }
        }
    }

    /// Whose configuration the present one is: that of the current release, and of the last one that was, where `current` is
    /// damaged.
    fn left(&self) -> Result<Option<Sha256Sum>, ReleaseError> {
        match self.current() {
            Ok(current) => Ok(current),
            Err(_) => Ok(self.history()?.all().next()),
        }
    }

    fn switch(&self, digest: Sha256Sum, order: Order) -> Result<Switched, ReleaseError> {
        let previous = self.left()?;
        let history = order(&self.history()?, digest, previous);
        disk::replace_link(&self.root.join("current"), &Path::new("releases").join(digest.to_string()))?;
        history.write(&self.root.join("history"))?;
        units::lead_through(&self.unit_links, &self.releases(), &self.root.join("current"))?;
        let removed = self.remove_old(&history)?;
        let current = self.describe(digest, Some(digest))?;
        Ok(Switched { current, previous, removed, configuration: Vec::new(), repaired: None })
    }

    /// Unpacks beside the installed releases; returns the folder.
    fn unpack(&self, release: &mut VerifiedRelease) -> Result<PathBuf, ReleaseError> {
        let incoming = self.releases().join(format!("{INCOMING}{}", release.digest));
        folder::make(&incoming)?;
        if let Err(error) = Self::fill(&incoming, release) {
            // The refusal is what matters; what cannot be removed now is removed by the next installation.
            let _ = fs::remove_dir_all(&incoming);
            return Err(error);
        }
        Ok(incoming)
    }

    fn fill(incoming: &Path, release: &mut VerifiedRelease) -> Result<(), ReleaseError> {
        release.unpack(Unpacking::Into(incoming))?;
        disk::write(&incoming.join(MANIFEST_FILE), &release.manifest_bytes, FileAccess::PUBLIC)?;
        disk::write(&incoming.join(SIGNATURE_FILE), release.signature.as_bytes(), FileAccess::PUBLIC)?;
        disk::sync_folders(incoming, &release.manifest)
    }

    fn check_files(&self, digest: Sha256Sum) -> Result<(), ReleaseError> {
        check::check_root(&self.root)?;
        check::check(&self.releases(), &self.folder(digest), digest)
    }

    fn remove_unfinished(&self) -> Result<(), ReleaseError> {
        for name in disk::names(&self.releases())?.iter().filter(|name| name.starts_with(INCOMING)) {
            disk::remove_all(&self.releases().join(name))?;
        }
        Ok(())
    }

    fn remove_old(&self, history: &History) -> Result<Vec<Sha256Sum>, ReleaseError> {
        let kept: Vec<Sha256Sum> = history.all().filter(|digest| self.folder(*digest).exists()).take(KEPT).collect();
        let old: Vec<Sha256Sum> = self.installed()?.into_iter().filter(|digest| !kept.contains(digest)).collect();
        for digest in &old {
            // Renamed first: a folder whose name is a sum is whole.
            let (folder, going) = (self.folder(*digest), self.releases().join(format!("{INCOMING}{digest}")));
            disk::rename(&folder, &going)?;
            disk::remove_all(&going)?;
            self.configuration.forget(*digest)?;
        }
        Ok(old)
    }

    fn find(&self, prefix: &str) -> Result<Sha256Sum, ReleaseError> {
        let not_found = |reason: &str| ReleaseError::NotFound { wanted: prefix.to_owned(), reason: reason.to_owned() };
        if prefix == "current" {
            return self.current()?.ok_or_else(|| not_found("nothing is installed"));
        }
        let installed = self.installed()?;
        let mut fitting = installed.iter().filter(|digest| digest.to_string().starts_with(prefix));
        match (fitting.next(), fitting.next()) {
            (Some(digest), None) if !prefix.is_empty() => Ok(*digest),
            (None, _) => Err(not_found("no installed release has a digest that begins so")),
            _ => Err(not_found("more than one installed release has a digest that begins so")),
        }
    }

    fn installed(&self) -> Result<Vec<Sha256Sum>, ReleaseError> {
        Ok(disk::names(&self.releases())?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    fn describe(&self, digest: Sha256Sum, current: Option<Sha256Sum>) -> Result<InstalledRelease, ReleaseError> {
        Ok(InstalledRelease { digest, manifest: self.manifest(digest)?, is_current: current == Some(digest) })
    }

    fn manifest(&self, digest: Sha256Sum) -> Result<ReleaseManifest, ReleaseError> {
        let path = self.folder(digest).join(MANIFEST_FILE);
        ReleaseManifest::parse(&read_bounded(&path, MANIFEST_BYTES_MAX)?, &path)
    }

    /// The release whose configuration was being put back when that was interrupted.
    fn interrupted(&self) -> Result<Option<Sha256Sum>, ReleaseError> {
        let path = self.root.join(RETURNING);
        if !path.exists() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&read_bounded(&path, MANIFEST_BYTES_MAX)?).into_owned();
        // A file that says nothing is passed over: it is written by a rename, so nothing followed it.
        Ok(text.trim_end().parse().ok().filter(|target| self.folder(*target).exists()))
    }

    fn history(&self) -> Result<History, ReleaseError> {
        History::read(&self.root.join("history"))
    }

    /// The folder that has a folder for each release.
    #[must_use]
    pub fn releases(&self) -> PathBuf {
        self.root.join("releases")
    }

    fn folder(&self, digest: Sha256Sum) -> PathBuf {
        self.releases().join(digest.to_string())
    }
}

/// What a release for this host is made for.
fn host_target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}
