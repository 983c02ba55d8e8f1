//! Issuing and renewing.
//!
//! **Invariants**: a renewal keeps role, id and names, and never the key. What was revoked is renewed only when it is named and that is
//! forced.

use std::time::Duration;

use corelane_pki::{Authority, CertificateRecord, CertificateRequest, KeySource, SubjectNames, Validity};

use super::disk;
use super::error::PkiFault;
use super::folder::{PkiFolder, leaves};
use super::leaf::LeafName;

/// How long a renewed certificate holds when it is not known how long it was asked for.
pub const RENEWED_LIFETIME: Duration = Duration::from_secs(90 * 86_400);

/// A certificate to issue.
#[derive(Debug, Clone)]
pub struct IssueOptions {
    /// Role and id.
    pub name: LeafName,
    /// DNS names and addresses.
    pub names: SubjectNames,
    /// How long it holds.
    pub lifetime: Duration,
    /// Whether it may take the place of one that is there.
    pub replace: bool,
}

/// What to renew.
#[derive(Debug, Clone, Default)]
pub struct RenewOptions {
    /// Which certificates; none: all.
    pub names: Vec<LeafName>,
    /// Also those that are not due; those that are named also when they are revoked.
    pub force: bool,
    /// Another lifetime than before.
    pub lifetime: Option<Duration>,
}

/// What became of a certificate.
#[derive(Debug)]
pub enum RenewOutcome {
    /// It is another one now.
    Renewed(Box<CertificateRecord>),
    /// A third of its lifetime is not yet reached.
    NotDue {
        /// Seconds that it still holds.
        seconds_left: u64,
    },
    /// It is revoked.
    Revoked,
    /// It could not be renewed.
    Failed(PkiFault),
}

/// What was renewed.
#[derive(Debug)]
pub struct RenewReport {
    /// The certificates.
    pub leaves: Vec<RenewedLeaf>,
    /// Why the revocation lists that are due could not be made anew.
    pub lists_fault: Option<PkiFault>,
}

/// A certificate, and what became of it.
#[derive(Debug)]
pub struct RenewedLeaf {
    /// Its name.
    pub name: LeafName,
    /// What became of it.
    pub outcome: RenewOutcome,
}

impl PkiFolder {
    /// Issues a certificate.
    ///
    /// # Errors
    /// There is one of that name, the request does not fit, or a file cannot be read or written.
    pub fn issue(&mut self, options: &IssueOptions) -> Result<CertificateRecord, PkiFault> {
        let stem = self.stem(&options.name);
        if !options.replace {
            for path in [disk::with_end(&stem, ".pem"), disk::with_end(&stem, ".key")] {
                if path.symlink_metadata().is_ok() {
                    let remedy = "`corectl pki renew` makes a new one of the same names, --replace one of others";
                    return Err(PkiFault::Exists { path, remedy });
                }
            }
        }
        let authority = self.issuing()?;
        self.issue_by(&authority, &options.name, options.names.clone(), options.lifetime)
    }

    fn issue_by(
        &mut self,
        authority: &Authority,
        name: &LeafName,
        names: SubjectNames,
        lifetime: Duration,
    ) -> Result<CertificateRecord, PkiFault> {
        let validity = Validity::starting(self.now, lifetime);
        let request = CertificateRequest { role: name.role(), id: name.id().to_owned(), names, validity };
        let issued = authority.issue(&request, &mut KeySource::P256)?;
        let record = CertificateRecord::parse(&issued.chain)?;
        self.state.note(name, &record, lifetime.as_secs(), self.now);
        self.store_state()?;
        disk::store_pair(&self.stem(name), &issued.chain, &issued.key)?;
        Ok(record)
    }

    /// Renews what is due: less than a third of the lifetime is left, or another authority issues now. Then the revocation lists
    /// that are due.
    ///
    /// # Errors
    /// A name is not there, or the authority cannot issue; nothing was changed. What fails for one certificate is in its outcome.
    pub fn renew(&mut self, options: &RenewOptions) -> Result<RenewReport, PkiFault> {
        let authority = self.issuing()?;
        let is_named = !options.names.is_empty();
        let names = if is_named { options.names.clone() } else { leaves(&self.path)? };
        for name in &options.names {
            self.leaf(name)?;
        }
        let revoked = self.revoked_serials()?;
        let mut leaves = Vec::with_capacity(names.len());
        for name in names {
            let outcome = self.renew_one(&authority, &name, options, &revoked).unwrap_or_else(RenewOutcome::Failed);
            leaves.push(RenewedLeaf { name, outcome });
        }
        Ok(RenewReport { leaves, lists_fault: self.store_lists(&[]).err() })
    }

    fn renew_one(
        &mut self,
        authority: &Authority,
        name: &LeafName,
        options: &RenewOptions,
        revoked: &[corelane_pki::Serial],
    ) -> Result<RenewOutcome, PkiFault> {
        let record = self.leaf(name)?;
        let is_meant = options.force && !options.names.is_empty();
        if revoked.contains(&record.serial) && !is_meant {
            return Ok(RenewOutcome::Revoked);
        }
        if !(options.force || self.is_due(&record, &authority.facts().key_id)) {
            return Ok(RenewOutcome::NotDue { seconds_left: record.validity.seconds_left(self.now) });
        }
        let known = self.state.lifetime_seconds(&record.serial).map(Duration::from_secs);
        let lifetime = options.lifetime.or(known).unwrap_or(RENEWED_LIFETIME);
        let renewed = self.issue_by(authority, name, record.names, lifetime)?;
        Ok(RenewOutcome::Renewed(Box::new(renewed)))
    }

    fn is_due(&self, record: &CertificateRecord, issuing: &corelane_pki::KeyId) -> bool {
        record.validity.is_renewal_due(self.now) || record.issuer_key_id != *issuing
    }
}
