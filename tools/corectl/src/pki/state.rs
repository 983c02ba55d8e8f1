//! `state.json`: who is the authority, and what it has issued.
//!
//! **Invariants**: written before the certificate it notes, so that no certificate is in use that cannot be revoked by its name.

use std::path::Path;

use corelane_pki::{CertificateRecord, Serial};
use serde::{Deserialize, Serialize};

use super::disk;
use super::error::PkiFault;
use super::leaf::LeafName;

/// Of the form of the file.
const VERSION: u32 = 1;

/// What is known besides the certificates themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PkiState {
    version: u32,
    /// The authority that issues.
    pub(super) current: String,
    /// The one that will, while a rotation has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
    /// The one that did, while a rotation is not finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<String>,
    /// Certificates that have not ended.
    pub(super) issued: Vec<IssuedEntry>,
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuedEntry {
    /// `ROLE-ID`.
    pub(super) name: String,
    pub(super) serial: String,
    /// The authority, by the short form of its key's identifier.
    pub(super) authority: String,
    /// Seconds since 1970.
    pub(super) until: u64,
    /// For how long it was asked; less was given if the authority ends before.
    pub(super) lifetime_seconds: u64,
}

impl PkiState {
    /// That of a new authority.
    pub(super) fn new(current: String) -> Self {
        Self { version: VERSION, current, next: None, previous: None, issued: Vec::new() }
    }

    /// Reads it; `None` if there is none.
    pub(super) fn load(path: &Path) -> Result<Option<Self>, PkiFault> {
        let wrong = |why: String| PkiFault::State { path: path.to_owned(), why };
        let Some(text) = disk::read(path)? else { return Ok(None) };
        let state: Self = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if state.version != VERSION {
            return Err(wrong(format!("version {}; this corectl reads version {VERSION}", state.version)));
        }
        Ok(Some(state))
    }

    /// Writes it.
    pub(super) fn store(&self, path: &Path) -> Result<(), PkiFault> {
        let text = serde_json::to_string_pretty(self);
        let text = text.map_err(|error| PkiFault::State { path: path.to_owned(), why: error.to_string() })?;
        disk::store(path, &(text + "\n"), disk::SECRET)
    }

    /// The authorities that are trusted, the one that issues first.
    pub(super) fn trusted(&self) -> impl Iterator<Item = &str> {
        [Some(&self.current), self.next.as_ref(), self.previous.as_ref()].into_iter().flatten().map(String::as_str)
    }

    /// Notes a certificate, and forgets those that have ended.
    pub(super) fn note(&mut self, name: &LeafName, facts: &CertificateRecord, lifetime_seconds: u64, now: u64) {
        self.issued.retain(|entry| entry.until >= now);
        self.issued.push(IssuedEntry {
            name: name.to_string(),
            serial: facts.serial.to_string(),
            authority: facts.issuer_key_id.short(),
            until: facts.validity.until,
            lifetime_seconds,
        });
    }

    /// For how long the certificate with a serial number was asked.
    pub(super) fn lifetime_seconds(&self, serial: &Serial) -> Option<u64> {
        let serial = serial.to_string();
        self.issued.iter().find(|entry| entry.serial == serial).map(|entry| entry.lifetime_seconds)
    }
}
