//! Replacing the authority, in three steps that each reach every host before the next.
//!
//! ```text
//!             state             ca.pem          issues     ended by
//!  (nothing)  current           current         current    begin
//!  begun      current, next     current, next   current    switch, abort
//!  switched   current, previous current, prev.  current    finish
//! ```
//!
//! **Not** distribution, and not the renewal of the certificates: `renew` finds them due after `switch`.
//!
//! **Invariants**: the state file is the switch; a process that is killed before it has changed nothing, one that is killed after it has
//! done the step.

use std::path::PathBuf;
use std::time::Duration;

use corelane_pki::{Authority, CertificateRecord, KeySource, Validity, rotation};

use super::disk;
use super::error::PkiFault;
use super::folder::{PkiFolder, authority_path, leaves};

/// A step of a rotation.
#[derive(Debug, Clone)]
pub enum RotationStep {
    /// Makes the next authority and trusts it beside the current one.
    Begin {
        /// How long the next authority holds.
        lifetime: Duration,
        /// Where its key is put, if not into the folder.
        new_ca_key: Option<PathBuf>,
    },
    /// Lets the next authority issue.
    Switch,
    /// Trusts the previous authority no more and removes its key.
    Finish {
        /// Also when certificates of it have not ended.
        force: bool,
    },
    /// Takes `Begin` back.
    Abort,
}

impl PkiFolder {
    /// Makes a step. Returns the authority that it is about: the next, the current, the one that is dropped.
    ///
    /// # Errors
    /// The step is not the next one, certificates still need what would be dropped, or a file cannot be read or written.
    pub fn rotate(&mut self, step: &RotationStep) -> Result<CertificateRecord, PkiFault> {
        match step {
            RotationStep::Begin { lifetime, new_ca_key } => self.begin(*lifetime, new_ca_key.clone()),
            RotationStep::Switch => self.switch(),
            RotationStep::Finish { force } => self.finish(*force),
            RotationStep::Abort => self.abort(),
        }
    }

    fn begin(&mut self, lifetime: Duration, new_ca_key: Option<PathBuf>) -> Result<CertificateRecord, PkiFault> {
        if self.state.next.is_some() {
            return refused("a rotation has begun already; bring ca.pem to every host, then `rotate-ca switch`");
        }
        if self.state.previous.is_some() {
            return refused("the last rotation is not finished; `rotate-ca finish` comes first");
        }
        let current = self.authority_record(&self.state.current)?;
        let cluster = current.authority_of.unwrap_or_default();
        let next = Authority::create(&cluster, Validity::starting(self.now, lifetime), &mut KeySource::P256)?;
        self.add_authority(&next, new_ca_key.as_deref())?;
        self.keys.0.extend(new_ca_key);
        self.state.next = Some(next.facts().key_id.short());
        // Its list first: whoever has the bundle would miss it.
        self.store_lists(&[])?;
        self.store_state()?;
        self.store_bundle()?;
        Ok(next.facts().clone())
    }

    fn switch(&mut self) -> Result<CertificateRecord, PkiFault> {
        let Some(next) = self.state.next.take() else {
            return refused("no rotation has begun; `rotate-ca begin` comes first");
        };
        // Its key must be there before it is the one that issues.
        let authority = self.authority(&next)?;
        self.state.previous = Some(std::mem::replace(&mut self.state.current, next));
        self.store_state()?;
        self.store_derived()?;
        Ok(authority.facts().clone())
    }

    fn finish(&mut self, force: bool) -> Result<CertificateRecord, PkiFault> {
        let Some(previous) = self.state.previous.take() else {
            return refused("no rotation to finish: `rotate-ca begin` and `rotate-ca switch` come first");
        };
        let record = self.authority_record(&previous)?;
        let needing = self.needing(&record)?;
        if !force && !needing.is_empty() {
            return refused(&format!(
                "{} still of the authority that would be dropped; `corectl pki renew`, bring the certificates to every host, and then \
                 finish (or --force)",
                needing.join(", ")
            ));
        }
        self.store_state()?;
        self.store_derived()?;
        for end in ["key", "pem"] {
            disk::remove(&authority_path(&self.path, &previous, end))?;
        }
        Ok(record)
    }

    fn abort(&mut self) -> Result<CertificateRecord, PkiFault> {
        let Some(next) = self.state.next.take() else {
            return refused(
                "no rotation has begun, or the new authority issues already; then `rotate-ca finish` ends it",
            );
        };
        let record = self.authority_record(&next)?;
        self.store_state()?;
        self.store_derived()?;
        for end in ["key", "pem"] {
            disk::remove(&authority_path(&self.path, &next, end))?;
        }
        Ok(record)
    }

    /// Names of certificates in the folder that an authority has issued and that have not ended and are not revoked.
    fn needing(&self, authority: &CertificateRecord) -> Result<Vec<String>, PkiFault> {
        let revoked = self.revoked_serials()?;
        let mut names = Vec::new();
        for name in leaves(&self.path)? {
            let record = self.leaf(&name)?;
            let is_revoked = revoked.contains(&record.serial);
            if !is_revoked && rotation::still_needing(&authority.key_id, [&record], self.now).next().is_some() {
                names.push(name.to_string());
            }
        }
        Ok(names)
    }
}

fn refused<T>(why: &str) -> Result<T, PkiFault> {
    Err(PkiFault::Refused(why.to_owned()))
}
