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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    use crate::security::Security;
    use crate::settings::EdgeSettings;
    use crate::snapshot::fixture;
    use control::security::{SecurityAtStart, SecuritySource};
    use corelane_pki::{Authority, CertificateRequest, HolderRole, KeySource, SubjectNames, Validity};

    const NOW_S: u64 = 1_800_000_000;

    const SETTINGS: &str = "listen_tls = [\"127.0.0.1:8443\"]\n[acme]\nagree_terms = true\nfolder = \"/acme\"\n\
         [certificate.shop]\nacme = [\"shop.example\", \"www.shop.example\"]\n";

    const OTHER_NAMES: &str = "listen_tls = [\"127.0.0.1:8443\"]\n[acme]\nagree_terms = true\nfolder = \"/acme\"\n\
         [certificate.shop]\nacme = [\"other.example\"]\n";

    /// The folder of an edge, as tests change it.
    #[derive(Default)]
    struct Folder(RefCell<BTreeMap<PathBuf, Vec<u8>>>);

    impl Folder {
        /// Puts a pair that ends at `until_s` there.
        fn store(&self, until_s: u64) {
            let validity = Validity { from: NOW_S - 86_400, until: until_s };
            let authority = Authority::create("a", validity, &mut KeySource::P256).unwrap();
            let request = CertificateRequest {
                role: HolderRole::Server,
                id: "shop".to_owned(),
                names: SubjectNames::new(&["shop.example"], &[]).unwrap(),
                validity,
            };
            let issued = authority.issue(&request, &mut KeySource::P256).unwrap();
            let mut files = self.0.borrow_mut();
            files.insert("/acme/shop/chain.pem".into(), issued.chain.into_bytes());
            files.insert("/acme/shop/key.pem".into(), issued.key.expose().as_bytes().to_vec());
        }

        fn clear(&self) {
            self.0.borrow_mut().clear();
        }

        fn read(&self, settings: &EdgeSettings) -> SecurityAtStart {
            let files = self.0.borrow().clone();
            let read = move |file: &Path| files.get(file).cloned().ok_or_else(|| std::io::ErrorKind::NotFound.into());
            let source = SecuritySource::in_place(read, |_| None);
            SecurityAtStart::read_now(source, &Security::files(settings), NOW_S * 1_000)
        }

        fn start(&self) -> Security {
            let settings = fixture::snapshot(1, SETTINGS).settings;
            Security::at_start(&settings, &self.read(&settings), None, None).unwrap()
        }

        /// The next of `before`, and how many faults there were.
        fn reload(&self, before: &Security, text: &'static str) -> (Option<Security>, usize) {
            let settings = fixture::snapshot(1, text).settings;
            let read = self.read(&settings);
            let reload = before.reload(&settings, &read.files, None, &read.parts());
            (reload.security, reload.faults.len())
        }
    }

    fn fingerprint(security: &Security) -> String {
        let mut shown = security.certificates().map(|facts| facts.fingerprint.clone());
        let found = shown.next().unwrap();
        assert_eq!(shown.next(), None);
        found
    }

    #[test]
    fn a_temporary_one_has_all_names_and_stays_until_the_ordered_one_is_there() {
        let folder = Folder::default();
        let first = folder.start();
        assert!(first.is_temporary("shop") && !first.is_temporary("other"));
        assert_eq!((first.temporary_count(), first.lasting_certificates().count()), (1, 0));
        let names: Vec<String> = first.certificates().flat_map(|facts| facts.dns_names.clone()).collect();
        assert_eq!(names, ["shop.example", "www.shop.example"]);

        let (same, faults) = folder.reload(&first, SETTINGS);
        assert!(same.is_none() && faults == 0, "what is not there yet is no fault, and is not made again");

        folder.store(NOW_S + 86_400);
        let (next, faults) = folder.reload(&first, SETTINGS);
        let next = next.unwrap();
        assert_eq!((faults, next.temporary_count(), next.lasting_certificates().count()), (0, 0, 1));
        assert_ne!(fingerprint(&next), fingerprint(&first));
    }

    #[test]
    fn other_names_are_those_of_another_temporary_one() {
        let folder = Folder::default();
        let first = folder.start();
        let (next, faults) = folder.reload(&first, OTHER_NAMES);
        let next = next.unwrap();
        let names: Vec<String> = next.certificates().flat_map(|facts| facts.dns_names.clone()).collect();
        assert_eq!((faults, names), (0, vec!["other.example".to_owned()]));
    }

    #[test]
    fn a_stored_one_is_served_from_the_start_and_kept_when_its_files_are_no_good() {
        let folder = Folder::default();
        folder.store(NOW_S + 86_400);
        let first = folder.start();
        assert_eq!((first.temporary_count(), first.lasting_certificates().count()), (0, 1));
        folder.clear();
        let (next, faults) = folder.reload(&first, SETTINGS);
        assert!(next.is_none() && faults > 0, "it is told of, and nothing takes its place");
        folder.store(NOW_S - 10);
        let (next, faults) = folder.reload(&first, SETTINGS);
        assert!(next.is_none() && faults > 0);
    }

    #[test]
    fn one_that_has_ended_before_the_start_is_none() {
        let folder = Folder::default();
        folder.store(NOW_S - 10);
        let first = folder.start();
        assert!(first.is_temporary("shop"));
        let (same, faults) = folder.reload(&first, SETTINGS);
        assert!(same.is_none() && faults == 0);
        folder.store(NOW_S + 86_400);
        assert!(!folder.reload(&first, SETTINGS).0.unwrap().is_temporary("shop"));
    }
}
