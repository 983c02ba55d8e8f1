//! Revocation lists: which certificates must not be accepted although they have not ended.
//!
//! **Not** OCSP: a cluster's processes are given the list as a file.

use x509_parser::extensions::ParsedExtension;
use x509_parser::pem::Pem;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use crate::certificate::{KeyId, Serial};
use crate::error::PkiError;
use crate::validity::Validity;

/// A certificate that was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Its serial number.
    pub serial: Serial,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// What a revocation list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationRecord {
    /// The key that signed it.
    pub issuer_key_id: KeyId,
    /// Its number; the next one has a larger one.
    pub number: u64,
    /// When it holds.
    pub validity: Validity,
    /// What is revoked.
    pub revoked: Vec<Revocation>,
}

impl RevocationRecord {
    /// Reads all lists of a PEM text, in their order; blocks of other kinds are passed over. Signatures are not verified.
    ///
    /// # Errors
    /// A block cannot be read. The operator is at fault.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, PkiError> {
        let wrong = |error: &dyn std::fmt::Display| PkiError::NotARevocationList(error.to_string());
        let mut lists = Vec::new();
        for block in Pem::iter_from_buffer(text.as_bytes()) {
            let block = block.map_err(|error| wrong(&error))?;
            if block.label == "X509 CRL" {
                let (_, parsed) =
                    CertificateRevocationList::from_der(&block.contents).map_err(|error| wrong(&error))?;
                lists.push(Self::of(&parsed)?);
            }
        }
        Ok(lists)
    }

    fn of(parsed: &CertificateRevocationList<'_>) -> Result<Self, PkiError> {
        let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).unwrap_or(0);
        let number = parsed.crl_number().map_or(Some(0), |number| u64::try_from(number.clone()).ok());
        let number =
            number.ok_or_else(|| PkiError::NotARevocationList("its number has more than 64 bits".to_owned()))?;
        let issuer = parsed.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| KeyId::new(id.0)),
            _ => None,
        });
        let revoked = parsed
            .iter_revoked_certificates()
            .map(|entry| Revocation { serial: Serial::new(entry.raw_serial()), at: seconds(entry.revocation_date) });
        let from = seconds(parsed.last_update());
        Ok(Self {
            issuer_key_id: issuer.unwrap_or_else(|| KeyId::new(&[])),
            number,
            validity: Validity { from, until: parsed.next_update().map_or(from, seconds) },
            revoked: revoked.collect(),
        })
    }
}
