//! What is in the folder, as a table and as JSON.
//!
//! **Not** locked: files are replaced as a whole, so that it may be read while another process changes it.
//!
//! **Invariants**: changes nothing. A file that cannot be read is a row of its own, and keeps no other from being shown.

use std::path::{Path, PathBuf};

use corelane_pki::{CertificateRecord, Serial};
use serde::Serialize;

use super::authorities::authority_record;
use super::error::PkiFault;
use super::folder::{PkiFolder, leaf, leaves};
use super::leaf::LeafName;
use super::state::PkiState;
use super::{disk, revoke, tickets};

/// Digits of serial numbers and fingerprints in the table: as many as `revoke` needs, and a few more.
const SHORT_DIGITS: usize = 12;

const DAY: u64 = 86_400;
const HOUR: u64 = 3_600;

/// How it is with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowState {
    /// More than a third of the lifetime is left.
    Good,
    /// It should be renewed, or the authority rotated.
    Due,
    /// It holds no more.
    Ended,
    /// It is on a revocation list.
    Revoked,
    /// It cannot be read, or has no key that belongs to it.
    Damaged,
}

/// A certificate or an authority.
#[derive(Debug, Clone, Serialize)]
pub struct PkiRow {
    /// `ROLE-ID`, or `ca-ID`.
    pub name: String,
    /// `edge`, `node`, `operator`, `server`, `authority`.
    pub role: String,
    /// The id within the role; of an authority whether it is `current`, `next` or `previous`.
    pub id: String,
    /// DNS names and addresses.
    pub names: Vec<String>,
    /// How it is with it.
    pub state: RowState,
    /// Seconds that it still holds.
    pub seconds_left: u64,
    /// Seconds since 1970.
    pub until: u64,
    /// In hexadecimal.
    pub serial: String,
    /// SHA-256, in hexadecimal.
    pub fingerprint: String,
    /// The authority that issued it, by the short form of its key's identifier.
    pub authority: String,
    /// What is wrong, if it is damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Everything in the folder.
#[derive(Debug, Clone, Serialize)]
pub struct PkiPicture {
    /// Authorities first.
    pub rows: Vec<PkiRow>,
    /// How many certificates are revoked.
    pub revoked: usize,
    /// Seconds until the first revocation list ends.
    pub lists_seconds_left: Option<u64>,
    /// How many ticket keys there are.
    pub ticket_keys: usize,
    /// Age of the newest ticket key in seconds.
    pub ticket_keys_age_seconds: Option<u64>,
    #[serde(skip)]
    folder: PathBuf,
}

/// What is compared with each certificate.
struct Context<'a> {
    folder: &'a Path,
    state: &'a PkiState,
    revoked: &'a [Serial],
    now: u64,
}

impl PkiPicture {
    /// Looks at a folder.
    ///
    /// # Errors
    /// There is no authority, or its state cannot be read.
    pub fn of(folder: &Path, now: u64) -> Result<Self, PkiFault> {
        let state = PkiFolder::load_state(folder)?;
        let lists = revoke::lists(folder)?;
        let revoked: Vec<Serial> =
            lists.iter().flat_map(|list| &list.revoked).map(|entry| entry.serial.clone()).collect();
        let context = Context { folder, state: &state, revoked: &revoked, now };
        let mut rows: Vec<PkiRow> = state.trusted().map(|id| context.authority(id)).collect();
        rows.extend(leaves(folder)?.iter().map(|name| context.leaf(name)));
        let tickets = tickets::summary(&folder.join("ticket.keys"))?;
        let made = tickets.and_then(|(_, made)| made);
        Ok(Self {
            rows,
            revoked: revoked.len(),
            lists_seconds_left: lists.iter().map(|list| list.validity.seconds_left(now)).min(),
            ticket_keys: tickets.map_or(0, |(count, _)| count),
            ticket_keys_age_seconds: made.map(|made| now.saturating_sub(made)),
            folder: folder.to_owned(),
        })
    }

    /// Whether nothing has to be done: no certificate is due, ended or damaged. Revoked ones are as they should be.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.rows.iter().all(|row| matches!(row.state, RowState::Good | RowState::Revoked))
    }

    /// The table.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = table(&self.rows);
        text.push('\n');
        text += &match self.lists_seconds_left {
            Some(left) => format!("revoked: {}; the lists hold for {}\n", self.revoked, span(left)),
            None => "revoked: there is no list (crl.pem); `corectl pki renew` makes one\n".to_owned(),
        };
        text += &match (self.ticket_keys, self.ticket_keys_age_seconds) {
            (0, _) => "ticket keys: none\n".to_owned(),
            (count, None) => format!("ticket keys: {count}\n"),
            (count, Some(age)) => format!("ticket keys: {count}, the newest made {} ago\n", span(age)),
        };
        for row in &self.rows {
            if let Some(fault) = &row.fault {
                text += &format!("{}: {fault}\n", row.name);
            }
        }
        text += &self.advice();
        text
    }

    fn advice(&self) -> String {
        let is_needed = |wanted: RowState, authority: bool| {
            self.rows.iter().any(|row| row.state == wanted && (row.role == "authority") == authority)
        };
        let folder = self.folder.display();
        let mut text = String::new();
        if is_needed(RowState::Due, true) || is_needed(RowState::Ended, true) {
            text += &format!("to do: corectl pki --dir {folder} rotate-ca begin\n");
        }
        if is_needed(RowState::Due, false) || is_needed(RowState::Ended, false) {
            text += &format!("to do: corectl pki --dir {folder} renew\n");
        }
        text
    }
}

impl Context<'_> {
    fn authority(&self, id: &str) -> PkiRow {
        let place = if id == self.state.current {
            "current"
        } else if self.state.next.as_deref() == Some(id) {
            "next"
        } else {
            "previous"
        };
        match authority_record(self.folder, id) {
            Ok(record) => {
                let mut row = self.row(format!("ca-{id}"), ("authority", place), &record);
                // It goes as soon as the rotation is finished.
                if place == "previous" && row.state == RowState::Due {
                    row.state = RowState::Good;
                }
                row
            }
            Err(fault) => damaged(format!("ca-{id}"), ("authority", place), &fault),
        }
    }

    fn leaf(&self, name: &LeafName) -> PkiRow {
        let role = (name.role().word(), name.id());
        let record = match leaf(self.folder, name).and_then(|record| self.with_key(name, record)) {
            Ok(record) => record,
            Err(fault) => return damaged(name.to_string(), role, &fault),
        };
        let mut row = self.row(name.to_string(), role, &record);
        if self.revoked.contains(&record.serial) {
            row.state = RowState::Revoked;
        } else if row.state == RowState::Good && row.authority != self.state.current {
            row.state = RowState::Due;
        }
        row
    }

    /// Its key is there and belongs to it, unless it has been moved to its host.
    fn with_key(&self, name: &LeafName, record: CertificateRecord) -> Result<CertificateRecord, PkiFault> {
        let path = self.folder.join(format!("{name}.key"));
        // A process that replaces the pair now has stored the new key beside the old one.
        let next = self.folder.join(format!("{name}.key.next"));
        for key in [disk::read(&path)?, disk::read(&next)?].iter().flatten() {
            if record.is_pair_with(key).map_err(PkiFault::content(&path))? {
                return Ok(record);
            }
        }
        if path.exists() {
            return Err(PkiFault::Content { path, cause: corelane_pki::PkiError::KeyMismatch });
        }
        Ok(record)
    }

    fn row(&self, name: String, (role, id): (&str, &str), record: &CertificateRecord) -> PkiRow {
        let state = if self.now > record.validity.until {
            RowState::Ended
        } else if record.validity.is_renewal_due(self.now) {
            RowState::Due
        } else {
            RowState::Good
        };
        let mut names = record.names.dns().to_vec();
        names.extend(record.names.addresses().iter().map(ToString::to_string));
        PkiRow {
            name,
            role: role.to_owned(),
            id: id.to_owned(),
            names,
            state,
            seconds_left: record.validity.seconds_left(self.now),
            until: record.validity.until,
            serial: record.serial.to_string(),
            fingerprint: record.fingerprint.clone(),
            authority: record.issuer_key_id.short(),
            fault: None,
        }
    }
}

fn damaged(name: String, (role, id): (&str, &str), fault: &PkiFault) -> PkiRow {
    PkiRow {
        name,
        role: role.to_owned(),
        id: id.to_owned(),
        names: Vec::new(),
        state: RowState::Damaged,
        seconds_left: 0,
        until: 0,
        serial: String::new(),
        fingerprint: String::new(),
        authority: String::new(),
        fault: Some(fault.to_string()),
    }
}

fn table(rows: &[PkiRow]) -> String {
    let heading = ["NAME", "ROLE", "ID", "NAMES", "EXPIRES IN", "SERIAL", "FINGERPRINT"].map(str::to_owned);
    let short = |digits: &str| digits[..digits.len().min(SHORT_DIGITS)].to_owned();
    let lines = rows.iter().map(|row| {
        let names = if row.names.is_empty() { "-".to_owned() } else { row.names.join(" ") };
        [
            row.name.clone(),
            row.role.clone(),
            row.id.clone(),
            names,
            expires(row),
            short(&row.serial),
            short(&row.fingerprint),
        ]
    });
    let lines: Vec<_> = std::iter::once(heading).chain(lines).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}", width = *width)).collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

fn expires(row: &PkiRow) -> String {
    match row.state {
        RowState::Good => span(row.seconds_left),
        RowState::Due => format!("{} (due)", span(row.seconds_left)),
        RowState::Ended => "ended".to_owned(),
        RowState::Revoked => "revoked".to_owned(),
        RowState::Damaged => "damaged".to_owned(),
    }
}

/// A span in days, in hours below two days, in minutes below two hours.
#[must_use]
pub fn span(seconds: u64) -> String {
    match seconds {
        _ if seconds >= 2 * DAY => format!("{} d", seconds / DAY),
        _ if seconds >= 2 * HOUR => format!("{} h", seconds / HOUR),
        _ => format!("{} min", seconds / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_one_unit() {
        for (seconds, text) in [(0, "0 min"), (7199, "119 min"), (7200, "2 h"), (172_799, "47 h"), (172_800, "2 d")] {
            assert_eq!(span(seconds), text);
        }
    }
}
