//! The authorities of a folder, with their keys.
//!
//! **Not** the order in which they follow each other; see `rotate`.

use std::path::Path;

use corelane_pki::{Authority, CertificateRecord, PkiError};

use super::disk;
use super::error::PkiFault;
use super::folder::{PkiFolder, authority_path, authority_text};

impl PkiFolder {
    /// Adds an authority's files. The key comes first: a certificate without a key would be an authority that cannot issue.
    pub(super) fn add_authority(&self, authority: &Authority, key_file: Option<&Path>) -> Result<(), PkiFault> {
        let id = authority.facts().key_id.short();
        let inside = authority_path(&self.path, &id, "key");
        let remedy = "name another file for the key of the new authority";
        disk::store_new(key_file.unwrap_or(&inside), authority.key().expose(), disk::SECRET, remedy)?;
        disk::store(&authority_path(&self.path, &id, "pem"), authority.certificate(), disk::PUBLIC)
    }

    /// The authority that issues.
    pub(super) fn issuing(&self) -> Result<Authority, PkiFault> {
        self.authority(&self.state.current)
    }

    /// An authority with its key: from the folder, else from the first file that was named and has it.
    pub(super) fn authority(&self, id: &str) -> Result<Authority, PkiFault> {
        let certificate = authority_text(&self.path, id)?;
        let inside = authority_path(&self.path, id, "key");
        for path in std::iter::once(&inside).chain(&self.keys.0) {
            let Some(key) = disk::read(path)? else {
                if *path == inside {
                    continue;
                }
                return Err(PkiFault::file(path)(std::io::ErrorKind::NotFound.into()));
            };
            match Authority::load(&certificate, &key) {
                Ok(authority) => return Ok(authority),
                // The key of another authority: several may be named.
                Err(PkiError::KeyMismatch) if *path != inside => {}
                Err(error) => return Err(PkiFault::content(path)(error)),
            }
        }
        Err(PkiFault::NoAuthorityKey { authority: id.to_owned(), path: inside })
    }

    /// What an authority's certificate says.
    pub(super) fn authority_record(&self, id: &str) -> Result<CertificateRecord, PkiFault> {
        authority_record(&self.path, id)
    }
}

/// What an authority's certificate says.
pub(super) fn authority_record(folder: &Path, id: &str) -> Result<CertificateRecord, PkiFault> {
    let text = authority_text(folder, id)?;
    CertificateRecord::parse(&text).map_err(PkiFault::content(&authority_path(folder, id, "pem")))
}
