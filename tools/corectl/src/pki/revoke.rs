//! Revoking, and the file of revocation lists.
//!
//! **Invariants**: the lists are the record of what is revoked: nothing else is. A list gets a larger number with every change. Verifiers
//! have a list of every authority they trust.

use std::time::Duration;

use corelane_pki::{Revocation, RevocationRecord, Serial, Validity};

use super::disk;
use super::error::PkiFault;
use super::folder::PkiFolder;
use super::leaf::LeafName;
use super::state::IssuedEntry;

/// How long a list holds: `renew` makes new ones long before.
const LIST_LIFETIME: Duration = Duration::from_secs(90 * 86_400);

/// The shortest beginning of a serial number that names it.
const SERIAL_DIGITS_MIN: usize = 8;

/// What is revoked.
#[derive(Debug, Clone)]
pub enum RevokeTarget {
    /// All certificates that were issued under a name and have not ended.
    Name(LeafName),
    /// One, by its serial number or the first eight digits or more of it.
    Serial(String),
}

/// A list, and its text.
struct ListText {
    record: RevocationRecord,
    text: String,
}

impl PkiFolder {
    /// Revokes certificates. Returns names and serial numbers of those that were not revoked before.
    ///
    /// # Errors
    /// Nothing of that name or number was issued, an authority's key is not there, or a file cannot be written.
    pub fn revoke(&mut self, targets: &[RevokeTarget]) -> Result<Vec<(String, String)>, PkiFault> {
        let mut known = self.revoked_serials()?;
        let (mut revoked, mut added) = (Vec::new(), Vec::new());
        for target in targets {
            for entry in self.entries(target)? {
                let serial: Serial = entry.serial.parse()?;
                if !known.contains(&serial) {
                    known.push(serial.clone());
                    revoked.push((entry.name.clone(), entry.serial.clone()));
                    added.push((entry.authority.clone(), Revocation { serial, at: self.now }));
                }
            }
        }
        self.store_lists(&added)?;
        Ok(revoked)
    }

    /// What a target names: certificates that have not ended, of authorities that are trusted.
    fn entries(&self, target: &RevokeTarget) -> Result<Vec<&IssuedEntry>, PkiFault> {
        let trusted: Vec<&str> = self.state.trusted().collect();
        // Who trusts their authority no more refuses the others already.
        let is_in_use = |entry: &&IssuedEntry| entry.until >= self.now && trusted.contains(&entry.authority.as_str());
        let in_use = self.state.issued.iter().filter(is_in_use);
        let (what, found): (String, Vec<&IssuedEntry>) = match target {
            RevokeTarget::Name(name) => {
                let name = name.to_string();
                let found = in_use.filter(|entry| entry.name == name).collect();
                (name, found)
            }
            RevokeTarget::Serial(text) => {
                let digits = serial_digits(text)?;
                (format!("serial {text}"), in_use.filter(|entry| entry.serial.starts_with(&digits)).collect())
            }
        };
        if found.is_empty() {
            let refused =
                format!("{what}: no certificate that was issued here and has not ended; see `corectl pki show`");
            return Err(PkiFault::Refused(refused));
        }
        Ok(found)
    }

    /// What is revoked, by all authorities.
    pub(super) fn revoked_serials(&self) -> Result<Vec<Serial>, PkiFault> {
        let lists = read_lists(&self.path)?;
        Ok(lists.into_iter().flat_map(|list| list.record.revoked).map(|entry| entry.serial).collect())
    }

    /// Writes a list for each trusted authority: a new one where something is added, where there is none, and where it is due. Lists
    /// of authorities that are trusted no more are dropped.
    pub(super) fn store_lists(&self, added: &[(String, Revocation)]) -> Result<(), PkiFault> {
        let lists = read_lists(&self.path)?;
        let mut text = String::new();
        for id in self.state.trusted() {
            let key_id = self.authority_record(id)?.key_id;
            let before = lists.iter().find(|list| list.record.issuer_key_id == key_id);
            let new: Vec<&Revocation> =
                added.iter().filter(|(authority, _)| authority == id).map(|(_, entry)| entry).collect();
            text += &match before {
                Some(list) if new.is_empty() && !list.record.validity.is_renewal_due(self.now) => list.text.clone(),
                _ => self.list(id, before.map(|list| &list.record), &new)?,
            };
        }
        let path = self.path.join("crl.pem");
        if disk::read(&path)?.as_deref() == Some(&text) {
            return Ok(());
        }
        disk::store(&path, &text, disk::PUBLIC)
    }

    fn list(&self, id: &str, before: Option<&RevocationRecord>, new: &[&Revocation]) -> Result<String, PkiFault> {
        let authority = self.authority(id)?;
        let mut revoked = before.map(|list| list.revoked.clone()).unwrap_or_default();
        revoked.extend(new.iter().map(|entry| (*entry).clone()));
        let number = before.map_or(1, |list| list.number.saturating_add(1));
        Ok(authority.revoke(&revoked, Validity::starting(self.now, LIST_LIFETIME), number)?)
    }
}

/// The beginning of a serial number, as `state.json` has it.
fn serial_digits(text: &str) -> Result<String, PkiFault> {
    let digits: String = text.to_lowercase().chars().filter(|letter| *letter != ':').collect();
    if digits.len() < SERIAL_DIGITS_MIN {
        let refused = format!("serial {text:?}: give its first {SERIAL_DIGITS_MIN} digits or more");
        return Err(PkiFault::Refused(refused));
    }
    Ok(digits)
}

/// The lists of a folder.
pub(super) fn lists(folder: &std::path::Path) -> Result<Vec<RevocationRecord>, PkiFault> {
    Ok(read_lists(folder)?.into_iter().map(|list| list.record).collect())
}

fn read_lists(folder: &std::path::Path) -> Result<Vec<ListText>, PkiFault> {
    const END: &str = "-----END X509 CRL-----\n";
    let path = folder.join("crl.pem");
    let Some(text) = disk::read(&path)? else { return Ok(Vec::new()) };
    let mut lists = Vec::new();
    for block in text.split_inclusive(END) {
        let records = RevocationRecord::parse_all(block).map_err(PkiFault::content(&path))?;
        lists.extend(records.into_iter().map(|record| ListText { record, text: block.to_owned() }));
    }
    Ok(lists)
}
