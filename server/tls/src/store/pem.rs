//! The sections of PEM files: exactly what belongs into each, or an error that says what is there instead.
//!
//! **Not**: what the sections hold, which the parsers of certificates and keys decide.
//!
//! **Invariants**: a section that does not belong into a file is an error, never skipped.
//!
//! **Source**: RFC 7468.

use rustls::pki_types::pem::{Error as PemError, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::error::StoreFault;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// `openssl ecparam` writes it in front of a key; it says nothing that the key does not.
const CURVE_PARAMETERS: &str = "EC PARAMETERS";

/// The certificates of a chain or of a bundle, in the file's order; at least one.
pub(super) fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, StoreFault> {
    let labels = labels(bytes, "CERTIFICATE")?;
    if let Some(label) = labels.iter().find(|label| is_private_key(label)) {
        return Err(StoreFault::KeyMisplaced { label: label.clone() });
    }
    only(&labels, &["CERTIFICATE"], "`CERTIFICATE`")?;
    decoded(bytes, |kind, der| (kind == SectionKind::Certificate).then(|| CertificateDer::from(der)))
}

/// The one private key of a file.
pub(super) fn private_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, StoreFault> {
    let labels = labels(bytes, "PRIVATE KEY")?;
    let is_encrypted = labels.iter().any(|label| label == "ENCRYPTED PRIVATE KEY")
        || lines(bytes).any(|line| line.starts_with("Proc-Type:") && line.contains("ENCRYPTED"));
    if is_encrypted {
        return Err(StoreFault::EncryptedKey);
    }
    match labels.iter().filter(|label| is_private_key(label)).count() {
        0 => return Err(StoreFault::NoKey),
        1 => {}
        count => return Err(StoreFault::ManyKeys { count }),
    }
    only(&labels, &["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", CURVE_PARAMETERS], "one private key")?;
    let mut keys = decoded(bytes, PrivateKeyDer::from_pem)?;
    keys.pop().ok_or(StoreFault::NoKey)
}

/// The revocation lists of a file, in the file's order; at least one.
pub(super) fn revocation_lists(bytes: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, StoreFault> {
    let labels = labels(bytes, "X509 CRL")?;
    only(&labels, &["X509 CRL"], "`X509 CRL`")?;
    decoded(bytes, |kind, der| (kind == SectionKind::Crl).then(|| CertificateRevocationListDer::from(der)))
}

fn is_private_key(label: &str) -> bool {
    label.ends_with("PRIVATE KEY")
}

fn only(labels: &[String], allowed: &[&str], wanted: &'static str) -> Result<(), StoreFault> {
    match labels.iter().find(|label| !allowed.contains(&label.as_str())) {
        Some(label) => Err(StoreFault::Misplaced { label: label.clone(), wanted }),
        None => Ok(()),
    }
}

/// The labels of all sections, in order; at least one.
fn labels(bytes: &[u8], wanted: &'static str) -> Result<Vec<String>, StoreFault> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(StoreFault::Empty);
    }
    let found: Vec<String> = lines(bytes).filter_map(|line| label(&line).map(str::to_owned)).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    // Every DER file of these kinds is one SEQUENCE.
    let hint = match bytes.first() {
        Some(0x30) => {
            "it seems to be DER; convert it with `openssl x509`, `openssl pkey` or `openssl crl` and `-inform der`"
        }
        _ => "write the PEM text into it",
    };
    Err(StoreFault::NotPem { wanted, hint })
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
    bytes.split(|byte| matches!(byte, b'\n' | b'\r')).map(String::from_utf8_lossy)
}

fn label(line: &str) -> Option<&str> {
    line.strip_prefix(BEGIN)?.trim_end().strip_suffix(DASHES)
}

fn decoded<T>(bytes: &[u8], of: impl Fn(SectionKind, Vec<u8>) -> Option<T>) -> Result<Vec<T>, StoreFault> {
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(bytes);
    let mut found = Vec::new();
    for section in sections {
        let (kind, der) = section.map_err(|error| StoreFault::CutPem { reason: reason_of(&error) })?;
        found.extend(of(kind, der));
    }
    if found.is_empty() {
        return Err(StoreFault::CutPem { reason: "no section is whole".into() });
    }
    Ok(found)
}

/// The library shows text as the numbers of its bytes.
fn reason_of(error: &PemError) -> String {
    match error {
        PemError::MissingSectionEnd { end_marker } => {
            format!("there is no line `-----END {}-----`", String::from_utf8_lossy(end_marker).trim_end_matches('-'))
        }
        other => other.to_string(),
    }
}
