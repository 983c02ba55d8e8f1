//! The releases of a host: installing, listing, checking and going back.
//!
//! ```text
//!  /opt/corelane/
//!    .lock                    held while anything here changes
//!    current ─▶ releases/…    what a start runs; replaced by a rename, so it always names a whole release
//!    .returning               a rollback is under way: what it goes back to
//!    history                  digests, latest first: what `rollback` goes back to, and what is kept
//!    releases/<sha256>/       the files, manifest.json and its signature
//!    configuration/<sha256>/  the files of /etc/corelane as they were when this release was left
//! ```
//!
//! **Not**: restarting anything: a service manager does it, when the operator wants it.
//!
//! **Invariants**: a folder under `releases` whose name is a sum is complete and on the disk: it is filled under another
//! name and renamed. `current` is never removed. At most [`KEPT`] releases stay, the current one among them.

mod configuration;
mod disk;
mod history;

use std::fs;
use std::path::{Path, PathBuf};

use self::configuration::Configuration;
use self::history::History;
use crate::ReleaseError;
use crate::bundle::{VerifiedRelease, read_bounded};
use crate::keys::TrustedKeys;
use crate::manifest::{MANIFEST_BYTES_MAX, MANIFEST_FILE, ReleaseManifest, SIGNATURE_FILE};
use crate::sum::Sha256Sum;
use crate::unpack::Unpacking;

/// Where releases are installed.
pub const ROOT: &str = "/opt/corelane";

/// Where the configuration is.
pub const CONFIGURATION: &str = "/etc/corelane";

/// Releases that stay on the host.
pub const KEPT: usize = 3;

/// What an unfinished release is called until it is whole.
const INCOMING: &str = ".incoming-";

/// The file that says that a rollback is under way, and to what.
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
}

impl ReleaseStore {
    /// The store in `root`, of a host whose configuration is in `configuration`. Nothing is made until something is installed.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>, configuration: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let configuration = Configuration::new(configuration.into(), root.join("configuration"));
        Self { root, configuration }
    }

    /// Installs a release and makes it current. One that is installed already is checked and made current.
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
        let releases = self.releases();
        fs::create_dir_all(&releases).map_err(ReleaseError::io(&releases, "cannot be made"))?;
        let _lock = disk::lock(&self.root.join(".lock"))?;
        self.remove_unfinished()?;
        if let Some(target) = self.interrupted()? {
            return Err(ReleaseError::Interrupted { target });
        }
        if downgrade == Downgrade::Refused
            && let Some(current) = self.current()?
            && manifest.is_older_than(&self.manifest(current)?)
        {
            return Err(ReleaseError::downgrade(manifest, &self.manifest(current)?));
        }
        let digest = release.digest;
        if self.folder(digest).exists() {
            self.check_files(digest)?;
        } else {
            self.unpack(release)?;
        }
        if let Some(left) = self.current()?.filter(|left| *left != digest) {
            self.configuration.save(left)?;
        }
        self.switch(digest, History::with_latest)
    }

    /// Makes another release current again: the one whose digest begins with `to`, or the one before the current one. The
    /// configuration becomes what it was when that release was left.
    ///
    /// # Errors
    /// The operator's: there is none. Whoever changed it: its files are not what its manifest says.
    pub fn rollback(&self, to: Option<&str>) -> Result<Switched, ReleaseError> {
        let _lock = disk::lock(&self.root.join(".lock"))?;
        let current = self.current()?;
        let interrupted = self.interrupted()?;
        let target = match (to, interrupted) {
            (Some(prefix), _) => self.find(prefix)?,
            (None, Some(target)) => target,
            (None, None) => {
                let other = self.history()?.others(current).find(|digest| self.folder(*digest).exists());
                other.ok_or_else(|| ReleaseError::NoOther { path: self.releases() })?
            }
        };
        self.check_files(target)?;
        // What is live may already be of the target, where a rollback was interrupted; it was saved before.
        if let Some(current) = current.filter(|current| *current != target && interrupted.is_none()) {
            self.configuration.save(current)?;
        }
        let returning = self.root.join(RETURNING);
        disk::replace(&returning, format!("{target}\n").as_bytes())?;
        let configuration = self.configuration.restore(target)?;
        let switched = self.switch(target, History::with_returned)?;
        fs::remove_file(&returning).map_err(ReleaseError::io(&returning, "cannot be removed"))?;
        Ok(Switched { configuration, ..switched })
    }

    /// What is installed, the latest first.
    ///
    /// # Errors
    /// The operator's: the folder cannot be read.
    pub fn list(&self) -> Result<Vec<InstalledRelease>, ReleaseError> {
        let installed = self.installed()?;
        let current = self.current()?;
        let mut digests: Vec<Sha256Sum> = current.into_iter().chain(self.history()?.others(current)).collect();
        digests.retain(|digest| installed.contains(digest));
        digests.extend(installed.iter().filter(|digest| !digests.contains(digest)).copied().collect::<Vec<_>>());
        digests.into_iter().map(|digest| self.describe(digest, current)).collect()
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
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ReleaseError::io(&link, "is not a link to a release")(error)),
            Ok(target) => {
                let name = target.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                let reason = "this is where `current` leads to, and it is no release";
                name.parse()
                    .map(Some)
                    .map_err(|_| ReleaseError::NotFound { wanted: target.display().to_string(), reason })
            }
        }
    }

    fn switch(
        &self,
        digest: Sha256Sum,
        order: fn(&History, Sha256Sum, Option<Sha256Sum>) -> History,
    ) -> Result<Switched, ReleaseError> {
        let previous = self.current()?;
        let history = order(&self.history()?, digest, previous);
        disk::replace_link(&self.root.join("current"), &Path::new("releases").join(digest.to_string()))?;
        history.write(&self.root.join("history"))?;
        let removed = self.remove_old(&history)?;
        Ok(Switched { current: self.describe(digest, Some(digest))?, previous, removed, configuration: Vec::new() })
    }

    fn unpack(&self, release: &mut VerifiedRelease) -> Result<(), ReleaseError> {
        let incoming = self.releases().join(format!("{INCOMING}{}", release.digest));
        fs::create_dir(&incoming).map_err(ReleaseError::io(&incoming, "cannot be made"))?;
        if let Err(error) = Self::fill(&incoming, release) {
            // The refusal is what matters; what cannot be removed now is removed by the next installation.
            let _ = fs::remove_dir_all(&incoming);
            return Err(error);
        }
        disk::rename(&incoming, &self.folder(release.digest))
    }

    fn fill(incoming: &Path, release: &mut VerifiedRelease) -> Result<(), ReleaseError> {
        release.unpack(Unpacking::Into(incoming))?;
        disk::write(&incoming.join(MANIFEST_FILE), &release.manifest_bytes)?;
        disk::write(&incoming.join(SIGNATURE_FILE), release.signature.as_bytes())?;
        disk::sync_folders(incoming, &release.manifest)
    }

    /// Holds every file of an installed release against its manifest, and the manifest against the name of the folder.
    fn check_files(&self, digest: Sha256Sum) -> Result<(), ReleaseError> {
        let folder = self.folder(digest);
        let path = folder.join(MANIFEST_FILE);
        let found = Sha256Sum::of(&read_bounded(&path, MANIFEST_BYTES_MAX)?);
        if found != digest {
            return Err(ReleaseError::changed_sum(path.display().to_string(), digest, found));
        }
        disk::check_files(&folder, &self.manifest(digest)?)
    }

    fn remove_unfinished(&self) -> Result<(), ReleaseError> {
        for name in disk::names(&self.releases())?.iter().filter(|name| name.starts_with(INCOMING)) {
            let folder = self.releases().join(name);
            fs::remove_dir_all(&folder).map_err(ReleaseError::io(&folder, "cannot be removed"))?;
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
            fs::remove_dir_all(&going).map_err(ReleaseError::io(&going, "cannot be removed"))?;
            self.configuration.forget(*digest)?;
        }
        Ok(old)
    }

    fn find(&self, prefix: &str) -> Result<Sha256Sum, ReleaseError> {
        let not_found = |reason| ReleaseError::NotFound { wanted: prefix.to_owned(), reason };
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

    /// What an interrupted rollback was to go back to.
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

    fn releases(&self) -> PathBuf {
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
