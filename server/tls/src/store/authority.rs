//! Whom a peer's certificate may come from: a bundle of authorities, and lists of what they have revoked.
//!
//! **Not**: who a peer is, which is [`super::identity`]'s.
//!
//! **Invariants**: a bundle has at least one authority, each certificate in it may issue others, and each list of an authority
//! in it bears that authority's signature. A list beyond its time still revokes; it is said in the advice.
//!
//! **Source**: RFC 5280 sections 4 and 5.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use webpki::{CertRevocationList, KeyUsage, OwnedCertRevocationList, RevocationOptionsBuilder, UnknownStatusPolicy};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;

use super::certificate::{is_signed, parsed_one};
use super::error::{NamedFile, StoreError, StoreFault};
use super::pem;
use super::secret::{Sha256, digest_of};

/// A bundle of authorities with their revocation lists.
#[derive(Debug)]
pub struct PeerAuthorities {
    pub(super) roots: Arc<RootCertStore>,
    pub(super) crls: Vec<CertificateRevocationListDer<'static>>,
    parsed_crls: Vec<CertRevocationList<'static>>,
    lists: Vec<RevocationList>,
    /// Of what decides, and not of how it is written.
    pub(super) digest: Sha256,
    pub(super) source: Sha256,
    pub(super) path: String,
    advice: Vec<String>,
}

/// What an operator wants to know about a revocation list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    /// Whose it is.
    pub issuer: String,
    /// How many certificates it revokes.
    pub revoked: usize,
    /// When the next list is due, in seconds since 1970.
    pub next_update: Option<i64>,
}

impl PeerAuthorities {
    /// Reads a bundle, and lists if there are any.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the files. The operator is at fault.
    pub fn read(
        bundle: &NamedFile<'_>,
        lists: Option<&NamedFile<'_>>,
        provider: &CryptoProvider,
        now: UnixTime,
    ) -> Result<Self, Vec<StoreError>> {
        let error_of = |fault| StoreError::of(bundle, fault);
        let ders = pem::certificates(bundle.bytes).map_err(|fault| vec![error_of(fault)]);
        let crls = lists.map_or(Ok(Vec::new()), |file| {
            pem::revocation_lists(file.bytes).map_err(|fault| vec![StoreError::of(file, fault)])
        });
        let (ders, crls) = match (ders, crls) {
            (Ok(ders), Ok(crls)) => (ders, crls),
            (ders, crls) => return Err([ders.err(), crls.err()].into_iter().flatten().flatten().collect()),
        };
        let mut reading = BundleReader { provider, now, faults: Vec::new(), advice: Vec::new() };
        let roots = reading.roots(&ders);
        let mut errors: Vec<_> = reading.faults.drain(..).map(error_of).collect();
        let read: Vec<_> = crls.iter().enumerate().filter_map(|(at, crl)| reading.list(at + 1, crl, &ders)).collect();
        errors.extend(reading.faults.drain(..).map(|fault| StoreError::of(lists.unwrap_or(bundle), fault)));
        if !errors.is_empty() {
            return Err(errors);
        }
        let (lists_read, parsed_crls) = read.into_iter().unzip();
        let parts: Vec<&[u8]> =
            ders.iter().map(AsRef::as_ref).chain([&[][..]]).chain(crls.iter().map(AsRef::as_ref)).collect();
        Ok(Self {
            roots: Arc::new(roots),
            digest: digest_of(&parts),
            source: source_of(bundle, lists),
            crls,
            parsed_crls,
            lists: lists_read,
            path: bundle.path.to_owned(),
            advice: reading.advice,
        })
    }

    /// The revocation lists.
    #[must_use]
    pub fn lists(&self) -> &[RevocationList] {
        &self.lists
    }

    /// What could be better; nothing of it keeps the bundle from being used.
    #[must_use]
    pub fn advice(&self) -> &[String] {
        &self.advice
    }

    /// Whether a peer's chain leads to an authority, is within its time, may be used so, and is not revoked. A certificate of an
    /// issuer without a list counts as not revoked.
    pub(super) fn verify(
        &self,
        chain: (&CertificateDer<'_>, &[CertificateDer<'_>]),
        usage: KeyUsage,
        provider: &CryptoProvider,
        now: UnixTime,
    ) -> Result<(), webpki::Error> {
        let own = webpki::EndEntityCert::try_from(chain.0)?;
        let lists: Vec<&CertRevocationList<'_>> = self.parsed_crls.iter().collect();
        let revocation = RevocationOptionsBuilder::new(&lists)
            .ok()
            .map(|options| options.with_status_policy(UnknownStatusPolicy::Allow).build());
        let algorithms = provider.signature_verification_algorithms.all;
        own.verify_for_usage(algorithms, &self.roots.roots, chain.1, now, usage, revocation, None).map(|_| ())
    }
}

/// Digest of the bytes of both files.
pub(super) fn source_of(bundle: &NamedFile<'_>, lists: Option<&NamedFile<'_>>) -> Sha256 {
    digest_of(&[bundle.bytes, lists.map_or(&[], |file| file.bytes)])
}

struct BundleReader<'a> {
    provider: &'a CryptoProvider,
    now: UnixTime,
    faults: Vec<StoreFault>,
    advice: Vec<String>,
}

impl BundleReader<'_> {
    fn roots(&mut self, ders: &[CertificateDer<'static>]) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        for (index, der) in ders.iter().enumerate() {
            if let Err(fault) = self.root(index + 1, der, &mut roots) {
                self.faults.push(fault);
            }
        }
        roots
    }

    fn root(
        &mut self,
        position: usize,
        der: &CertificateDer<'static>,
        roots: &mut RootCertStore,
    ) -> Result<(), StoreFault> {
        let certificate = parsed_one(position, der)?;
        let subject = certificate.subject().to_string();
        if let Some(reason) = no_authority(&certificate) {
            return Err(StoreFault::NotAuthority { position, subject, reason });
        }
        let end = certificate.validity().not_after;
        if end.timestamp() < seconds(self.now) {
            self.advice
                .push(format!("authority {subject} expired at {end}: issue certificates by another, and take it out"));
        }
        let added = roots.add(der.clone());
        added.map_err(|error| StoreFault::BadCertificate { position, reason: error.to_string() })
    }

    fn list(
        &mut self,
        position: usize,
        der: &CertificateRevocationListDer<'static>,
        authorities: &[CertificateDer<'static>],
    ) -> Option<(RevocationList, CertRevocationList<'static>)> {
        let read = self.read_list(position, der, authorities);
        read.map_err(|reason| self.faults.push(StoreFault::BadRevocations { position, reason })).ok()
    }

    fn read_list(
        &mut self,
        position: usize,
        der: &CertificateRevocationListDer<'static>,
        authorities: &[CertificateDer<'static>],
    ) -> Result<(RevocationList, CertRevocationList<'static>), String> {
        let (_, list) = CertificateRevocationList::from_der(der).map_err(|error| error.to_string())?;
        let owned = OwnedCertRevocationList::from_der(der).map_err(|error| error.to_string())?;
        let issuer = list.issuer().to_string();
        let is_issuer = |der: &&CertificateDer<'static>| {
            parsed_one(0, der).is_ok_and(|authority| authority.subject().as_raw() == list.issuer().as_raw())
        };
        let issuers: Vec<_> = authorities.iter().filter(is_issuer).collect();
        let signature = &list.signature_value.data;
        let is_its =
            |der: &&CertificateDer<'static>| is_signed(list.tbs_cert_list.as_ref(), signature, der, self.provider);
        if issuers.is_empty() {
            let advice = format!("revocation list {position} is of {issuer}, which is not in the bundle");
            self.advice.push(advice);
        } else if !issuers.iter().any(is_its) {
            return Err(format!("it does not bear the signature of {issuer}"));
        }
        let next_update = list.next_update().map(|time| time.timestamp());
        if next_update.is_some_and(|due| due < seconds(self.now)) {
            self.advice.push(format!("the revocation list of {issuer} is out of date: a newer one is due"));
        }
        let revoked = list.iter_revoked_certificates().count();
        Ok((RevocationList { issuer, revoked, next_update }, CertRevocationList::Owned(owned)))
    }
}

/// Why a certificate may not issue others.
fn no_authority(certificate: &X509Certificate<'_>) -> Option<&'static str> {
    match certificate.basic_constraints() {
        Ok(Some(constraints)) if constraints.value.ca => None,
        Ok(Some(_)) => Some("its basic constraints say CA:FALSE"),
        Ok(None) => Some("it has no basic constraints"),
        Err(_) => Some("its basic constraints cannot be read"),
    }
}

fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
