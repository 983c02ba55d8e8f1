//! A chain, its key and its OCSP response: whether they belong together and may be used now.
//!
//! **Not**: for which names it is chosen, which is [`super::names`]'s; whether clients trust its root, which only they know.
//!
//! **Invariants**: a [`Certificate`] was whole when it was read: the key fits the first certificate, each certificate is issued
//! and signed by the next, and none was outside its time.
//!
//! **Source**: RFC 5280; RFC 8446 section 4.4.2 (order of the chain); RFC 6960 (OCSP).

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::error::{NamedFile, StoreError, StoreFault};
use super::facts::{CertificateFacts, is_self_issued};
use super::pem;
use super::secret::{Sha256, digest_of};

/// Most certificates of a chain. Public chains have 2 to 4; a long one costs every handshake.
const CHAIN_LENGTH_MAX: usize = 10;

/// Most bytes of an OCSP response: it goes out with every full handshake.
const OCSP_BYTES_MAX: usize = 16 * 1024;

/// The files of a `[certificate.NAME]` table.
#[derive(Clone, Copy, Debug)]
pub struct CertificateFiles<'a> {
    /// NAME.
    pub name: &'a str,
    /// The chain, own certificate first, in PEM.
    pub chain: NamedFile<'a>,
    /// The private key in PEM.
    pub key: NamedFile<'a>,
    /// An OCSP response in DER, sent as it is.
    pub ocsp: Option<NamedFile<'a>>,
}

impl CertificateFiles<'_> {
    pub(super) fn digest(&self) -> Sha256 {
        digest_of(&[self.chain.bytes, self.key.bytes, self.ocsp.map_or(&[], |file| file.bytes)])
    }
}

/// A chain with its key, checked.
#[derive(Debug)]
pub struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) facts: CertificateFacts,
    pub(super) setting: String,
    pub(super) chain_path: String,
    pub(super) digest: Sha256,
}

impl Certificate {
    /// Reads and checks what `files` have, as of `now`.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the files. The operator is at fault.
    pub fn read(
        files: &CertificateFiles<'_>,
        provider: &CryptoProvider,
        now: UnixTime,
    ) -> Result<Self, Vec<StoreError>> {
        let chain = pem::certificates(files.chain.bytes).map_err(|fault| StoreError::of(&files.chain, fault));
        let key = pem::private_key(files.key.bytes).and_then(|der| {
            let loaded = provider.key_provider.load_private_key(der);
            loaded.map_err(|error| StoreFault::BadKey { reason: error.to_string() })
        });
        let key = key.map_err(|fault| StoreError::of(&files.key, fault));
        let ocsp = files.ocsp.map(|file| ocsp(&file).map_err(|fault| StoreError::of(&file, fault))).transpose();
        let (chain, key, ocsp) = match (chain, key, ocsp) {
            (Ok(chain), Ok(key), Ok(ocsp)) => (chain, key, ocsp),
            (chain, key, ocsp) => return Err([chain.err(), key.err(), ocsp.err()].into_iter().flatten().collect()),
        };
        let certified = CertifiedKey { ocsp, ..CertifiedKey::new(chain, key) };
        let facts = Self::check(files, &certified, provider, now).map_err(|faults| {
            faults.into_iter().map(|fault| StoreError::of(&files.chain, fault)).collect::<Vec<_>>()
        })?;
        Ok(Self {
            key: Arc::new(certified),
            facts,
            setting: files.chain.setting.to_owned(),
            chain_path: files.chain.path.to_owned(),
            digest: files.digest(),
        })
    }

    /// What an operator wants to know about it.
    #[must_use]
    pub const fn facts(&self) -> &CertificateFacts {
        &self.facts
    }

    /// The chain and its key as handshakes use them.
    #[must_use]
    pub fn certified_key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }

    /// An error about the certificate, where its chain was read.
    pub(super) fn error(&self, fault: StoreFault) -> StoreError {
        StoreError { setting: self.setting.as_str().into(), path: self.chain_path.as_str().into(), fault }
    }

    fn check(
        files: &CertificateFiles<'_>,
        certified: &CertifiedKey,
        provider: &CryptoProvider,
        now: UnixTime,
    ) -> Result<CertificateFacts, Vec<StoreFault>> {
        let chain = parsed(&certified.cert).map_err(|fault| vec![fault])?;
        let mut faults = Vec::new();
        faults.extend(key_fault(files.key.path, certified, &chain));
        faults.extend(order_fault(&chain, &certified.cert, provider));
        // The root's end is the client's concern; its store has another copy.
        let timed = chain.iter().enumerate().filter(|(index, one)| *index == 0 || !is_self_issued(one));
        faults.extend(timed.filter_map(|(index, one)| time_fault(index + 1, one, now)));
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut facts = CertificateFacts::of(files.name, &chain, &certified.cert[0], now);
        facts.note_staple(&chain[0], certified.ocsp.is_some());
        Ok(facts)
    }
}

/// The certificates of a chain or of a bundle, parsed.
pub(super) fn parsed<'a>(chain: &'a [CertificateDer<'_>]) -> Result<Vec<X509Certificate<'a>>, StoreFault> {
    if chain.len() > CHAIN_LENGTH_MAX {
        return Err(StoreFault::LongChain { count: chain.len(), max: CHAIN_LENGTH_MAX });
    }
    chain.iter().enumerate().map(|(index, der)| parsed_one(index + 1, der)).collect()
}

/// One certificate that stands at `position` of its file.
pub(super) fn parsed_one(position: usize, der: &[u8]) -> Result<X509Certificate<'_>, StoreFault> {
    let bad = |reason: String| StoreFault::BadCertificate { position, reason };
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(bad("bytes follow it".into())),
        Err(error) => Err(bad(error.to_string())),
    }
}

/// Whether the key is that of the first certificate; if it is that of a later one, which.
fn key_fault(key_path: &str, certified: &CertifiedKey, chain: &[X509Certificate<'_>]) -> Option<StoreFault> {
    let key_path = key_path.to_owned();
    let own = certified.key.public_key()?;
    let fits = |certificate: &X509Certificate<'_>| certificate.public_key().raw == own.as_ref();
    match chain.iter().position(fits) {
        Some(0) => None,
        Some(index) => Some(StoreFault::KeyOfLater { key_path, position: index + 1 }),
        None => Some(StoreFault::KeyOfAnother { key_path, subject: chain[0].subject().to_string() }),
    }
}

/// The first certificate that is not issued and signed by its successor.
fn order_fault(
    chain: &[X509Certificate<'_>],
    ders: &[CertificateDer<'_>],
    provider: &CryptoProvider,
) -> Option<StoreFault> {
    (1..chain.len()).find_map(|next| {
        let (issued, issuer) = (&chain[next - 1], &chain[next]);
        let is_issued = issued.issuer().as_raw() == issuer.subject().as_raw()
            && is_signed(issued.tbs_certificate.as_ref(), &issued.signature_value.data, &ders[next], provider);
        (!is_issued).then(|| StoreFault::OutOfOrder {
            position: next,
            subject: issued.subject().to_string(),
            issuer: issued.issuer().to_string(),
            next: issuer.subject().to_string(),
        })
    })
}

/// Whether the key of the certificate `signer` has signed `message`.
pub(super) fn is_signed(
    message: &[u8],
    signature: &[u8],
    signer: &CertificateDer<'_>,
    provider: &CryptoProvider,
) -> bool {
    let Ok(signer) = webpki::EndEntityCert::try_from(signer) else { return false };
    // An algorithm that does not go with the key is refused by its own check.
    let mut algorithms = provider.signature_verification_algorithms.all.iter();
    algorithms.any(|algorithm| signer.verify_signature(*algorithm, message, signature).is_ok())
}

/// Whether `now` is outside the certificate's time.
fn time_fault(position: usize, certificate: &X509Certificate<'_>, now: UnixTime) -> Option<StoreFault> {
    let validity = certificate.validity();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let subject = || certificate.subject().to_string();
    let text = |time: &ASN1Time| time.to_string();
    if now > validity.not_after.timestamp() {
        return Some(StoreFault::Expired { position, subject: subject(), at: text(&validity.not_after) });
    }
    (now < validity.not_before.timestamp()).then(|| StoreFault::NotYetValid {
        position,
        subject: subject(),
        at: text(&validity.not_before),
    })
}

/// An OCSP response that says that it is successful; clients check the rest.
///
/// ```text
///  SEQUENCE { responseStatus ENUMERATED (0: successful), responseBytes [0] EXPLICIT … }
/// ```
fn ocsp(file: &NamedFile<'_>) -> Result<Vec<u8>, StoreFault> {
    let bad = |reason: &str| Err(StoreFault::BadOcsp { reason: reason.into() });
    let bytes = file.bytes;
    if bytes.is_empty() {
        return Err(StoreFault::Empty);
    }
    if bytes.len() > OCSP_BYTES_MAX {
        return bad("it has more than 16 KiB");
    }
    let Some(content) = sequence(bytes) else { return bad("it is not one DER sequence (PEM is not taken)") };
    match content {
        [0x0a, 0x01, 0x00, 0xa0, ..] => Ok(bytes.to_vec()),
        [0x0a, 0x01, status, ..] if *status != 0 => bad("its responder has reported an error instead of a status"),
        _ => bad("it does not begin with a status"),
    }
}

/// The content of a DER sequence that is all of `bytes`.
fn sequence(bytes: &[u8]) -> Option<&[u8]> {
    let (&[0x30, first], rest) = bytes.split_first_chunk()? else { return None };
    let (length, content) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, content) = rest.split_at_checked(usize::from(first - 0x80))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), content)
        }
        _ => return None,
    };
    (content.len() == length).then_some(content)
}
