//! The files of the state directory.
//!
//! | file | what it holds |
//! |---|---|
//! | `lock` | held while a verb changes the host or the state |
//! | `pending.json` | the change that is under way or waits to be confirmed |
//! | `confirmed.json` | what was confirmed, with what was there before corectl came |
//! | `journal` | one line for each step, for people |
//!
//! **Invariants**: a file is replaced as a whole and is on disk on return.

use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::record::{TransactionRecord, VERSION};
use super::{Confirmed, TransactionError};
use crate::host::{HeldLock, HostAccess, HostError};

/// Where the state is when nobody says otherwise.
pub const STATE_FOLDER: &str = "/var/lib/corelane/tune";

/// The journal is cut to nothing when it has grown beyond this.
const JOURNAL_BYTES_MAX: usize = 1 << 20;

/// The state of a host.
pub struct StateStore<'h> {
    host: &'h dyn HostAccess,
    folder: String,
}

impl<'h> StateStore<'h> {
    /// The state in a folder of the host.
    #[must_use]
    pub fn new(host: &'h dyn HostAccess, folder: &str) -> Self {
        StateStore { host, folder: folder.trim_end_matches('/').into() }
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &'h dyn HostAccess {
        self.host
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &str {
        &self.folder
    }

    fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.folder)
    }

    /// Takes the lock, which ends with this process.
    ///
    /// # Errors
    /// Another corectl is at work.
    pub fn lock(&self) -> Result<Rc<dyn HeldLock>, HostError> {
        self.host.lock(&self.path("lock"))
    }

    /// The change that is under way or waits.
    ///
    /// # Errors
    /// The file is not one of this version.
    pub fn pending(&self) -> Result<Option<TransactionRecord>, TransactionError> {
        let record: Option<TransactionRecord> = self.load("pending.json")?;
        match record {
            Some(record) if record.version != VERSION => Err(self.malformed("pending.json", record.version)),
            record => Ok(record),
        }
    }

    /// What was confirmed.
    ///
    /// # Errors
    /// The file is not one of this version.
    pub fn confirmed(&self) -> Result<Option<Confirmed>, TransactionError> {
        let confirmed: Option<Confirmed> = self.load("confirmed.json")?;
        match confirmed {
            Some(confirmed) if confirmed.version != VERSION => Err(self.malformed("confirmed.json", confirmed.version)),
            confirmed => Ok(confirmed),
        }
    }

    pub(super) fn store_pending(&self, record: &TransactionRecord) -> Result<(), TransactionError> {
        self.save("pending.json", record)
    }

    pub(super) fn store_confirmed(&self, confirmed: &Confirmed) -> Result<(), TransactionError> {
        self.save("confirmed.json", confirmed)
    }

    pub(super) fn remove_pending(&self) -> Result<(), TransactionError> {
        Ok(self.host.remove(&self.path("pending.json"))?)
    }

    pub(super) fn remove_confirmed(&self) -> Result<(), TransactionError> {
        Ok(self.host.remove(&self.path("confirmed.json"))?)
    }

    /// Adds a line to the journal. It is for people: a disk that takes no line keeps no host from being put back.
    pub(super) fn note(&self, line: &str) {
        let path = self.path("journal");
        let text = format!("{} {line}\n", self.host.now().epoch_seconds);
        let _ = self.host.append(&path, &text);
    }

    /// When the last change was taken back, in seconds since 1970, if nothing happened after that.
    pub(super) fn taken_back_at(&self) -> Option<u64> {
        let journal = self.host.read(&self.path("journal")).ok()?;
        let (at, line) = journal.lines().next_back()?.split_once(' ')?;
        (line.starts_with("revert ") && line.contains(": everything is back")).then(|| at.parse().ok())?
    }

    /// How long the journal is. Every change makes it longer, so that with the time it names a change.
    pub(super) fn journal_bytes(&self) -> usize {
        self.host.read(&self.path("journal")).map_or(0, |text| text.len())
    }

    /// Begins a new journal when the old one has grown too long.
    pub(super) fn bound_journal(&self) -> Result<(), TransactionError> {
        let path = self.path("journal");
        if self.host.read(&path).is_ok_and(|text| text.len() > JOURNAL_BYTES_MAX) {
            self.host.remove(&path)?;
        }
        Ok(())
    }

    fn load<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>, TransactionError> {
        let path = self.path(file);
        match self.host.read(&path) {
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error.into()),
            Ok(text) => match serde_json::from_str(&text) {
                Ok(found) => Ok(Some(found)),
                Err(error) => Err(TransactionError::Malformed { path, why: error.to_string() }),
            },
        }
    }

    fn save(&self, file: &str, value: &impl Serialize) -> Result<(), TransactionError> {
        let path = self.path(file);
        let text = serde_json::to_string_pretty(value);
        let text = text.map_err(|error| TransactionError::Malformed { path: path.clone(), why: error.to_string() })?;
        Ok(self.host.store(&path, &(text + "\n"))?)
    }

    fn malformed(&self, file: &str, version: u32) -> TransactionError {
        let why = format!("version {version}; this corectl reads version {VERSION}");
        TransactionError::Malformed { path: self.path(file), why }
    }
}
