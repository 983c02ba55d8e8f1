//! Certificates that this process makes itself, and signs with their own keys: for a first try, and for those that are ordered and not
//! there yet.
//!
//! ```text
//!                       ┌─ files fit ────────────▶ the files
//!  certificate, ordered ┤
//!                       └─ none yet, or ended ───▶ temporary: its own names, until the authority has issued it
//! ```
//!
//! An authority that looks at port 443 needs a listener that makes handshakes, so one is there before the first certificate. Clients
//! refuse it, as they refuse a port that nobody listens on.
//!
//! **Not** ordering.
//!
//! **Invariants**: what was read of an authority once is served until something better is there, and never replaced by a temporary one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use control::security::{SecurityFault, SecurityFiles};
use corelane_acme::{AcmeCertificate, AcmeSettings};
use corelane_pki::{KeySource, PkiError, SubjectNames, Validity, self_signed_for};
use corelane_tls::store::{Certificate, CertificateFiles, NamedFile, ServerSnapshot, TlsParts};

/// How long such a certificate is valid. It is made anew at each start.
const OWN_TIME: Duration = Duration::from_secs(90 * 86_400);

/// A certificate that this process has made, in PEM.
#[derive(Debug)]
pub(super) struct OwnPem {
    chain: String,
    key: String,
}

impl OwnPem {
    /// Makes one that nobody has signed.
    ///
    /// # Errors
    /// The operator's: a name that is none.
    pub(super) fn made(names: &SubjectNames, now_s: u64) -> Result<Self, PkiError> {
        let issued = self_signed_for(names, Validity::starting(now_s, OWN_TIME), KeySource::P256)?;
        Ok(OwnPem { chain: issued.chain, key: issued.key.expose().to_owned() })
    }

    pub(super) fn as_files<'a>(&'a self, name: &'a str, setting: &'a str) -> CertificateFiles<'a> {
        let named = |bytes| NamedFile { setting, path: "(made by this process)", bytes };
        let (chain, key) = (named(self.chain.as_bytes()), named(self.key.as_bytes()));
        CertificateFiles { name, chain, key, ocsp: None }
    }
}

/// Where an ordered certificate is kept.
pub(super) struct OrderedFiles {
    pub(super) name: String,
    domains: Vec<String>,
    /// The key that it is ordered by, for messages.
    pub(super) setting: String,
    pub(super) chain: PathBuf,
    pub(super) key: PathBuf,
}

impl OrderedFiles {
    /// Those of all that are ordered.
    pub(super) fn all(orders: &AcmeSettings) -> impl Iterator<Item = Self> {
        orders.certificates.iter().map(|certificate| {
            let AcmeCertificate { name, names, .. } = certificate;
            let [chain, key] = orders.files_of(name);
            OrderedFiles {
                setting: format!("certificate.{name}.acme"),
                name: name.clone(),
                domains: names.clone(),
                chain,
                key,
            }
        })
    }

    /// Whether the files hold a certificate that can be used now.
    fn are_usable(&self, files: &SecurityFiles, parts: &TlsParts) -> bool {
        let (chain, key) = (files.named(&self.setting, &self.chain), files.named(&self.setting, &self.key));
        let (Ok(chain), Ok(key)) = (chain, key) else { return false };
        let pair = CertificateFiles { name: &self.name, chain, key, ocsp: None };
        Certificate::read(&pair, &parts.provider, parts.now()).is_ok()
    }
}

/// A certificate that stands for one that is ordered.
#[derive(Debug)]
struct TemporaryCertificate {
    domains: Vec<String>,
    pem: OwnPem,
}

/// Certificates that stand for others, by the names of those.
#[derive(Clone, Debug, Default)]
pub(super) struct TemporaryCertificates(BTreeMap<String, Arc<TemporaryCertificate>>);

impl TemporaryCertificates {
    /// Whether one stands for that of this name.
    pub(super) fn stands_for(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The one that stands for `ordered`.
    pub(super) fn files_of<'a>(&'a self, ordered: &'a OrderedFiles) -> Option<CertificateFiles<'a>> {
        self.0.get(&ordered.name).map(|one| one.pem.as_files(&ordered.name, &ordered.setting))
    }

    /// Has one stand for each of `ordered` whose files cannot be used, unless one of an authority is served for it. Returns for which
    /// none could be made.
    pub(super) fn stand_for(
        &mut self,
        ordered: &[OrderedFiles],
        (files, served): (&SecurityFiles, Option<&ServerSnapshot>),
        parts: &TlsParts,
    ) -> Vec<SecurityFault> {
        let before = std::mem::take(&mut self.0);
        let is_served = |name: &str| {
            let mut certificates = served.into_iter().flat_map(ServerSnapshot::certificates);
            !before.contains_key(name) && certificates.any(|facts| &*facts.name == name)
        };
        let mut faults = Vec::new();
        for one in ordered.iter().filter(|one| !is_served(&one.name) && !one.are_usable(files, parts)) {
            let kept = before.get(&one.name).filter(|kept| kept.domains == one.domains);
            match kept.map_or_else(|| TemporaryCertificate::made(one, parts), |kept| Ok(Arc::clone(kept))) {
                Ok(certificate) => {
                    self.0.insert(one.name.clone(), certificate);
                }
                Err(error) => faults.push(SecurityFault::lasting(format!("{}: {error}", one.setting))),
            }
        }
        faults
    }
}

impl TemporaryCertificate {
    fn made(ordered: &OrderedFiles, parts: &TlsParts) -> Result<Arc<Self>, PkiError> {
        let names = SubjectNames::new(&ordered.domains, &[])?;
        let pem = OwnPem::made(&names, parts.now().as_secs())?;
        Ok(Arc::new(TemporaryCertificate { domains: ordered.domains.clone(), pem }))
    }
}
