//! What a stored or newly issued certificate is: names, validity, whether the key is its own.
//!
//! **Not** whether clients trust it: a private authority's certificates are as good here.
//!
//! **Source**: RFC 5280.

use std::collections::BTreeSet;

use rcgen::{KeyPair, PublicKeyData};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::clock::UnixMillis;

/// Most certificates of a chain.
const CHAIN_MAX: usize = 16;

/// A certificate with its chain, as read.
#[derive(Clone, Debug)]
pub(crate) struct StoredCertificate {
    /// When it begins to be valid.
    pub(crate) not_before: UnixMillis,
    /// When it ends.
    pub(crate) not_after: UnixMillis,
    /// Its domains, in small letters.
    pub(crate) domains: BTreeSet<String>,
    /// The certificate itself, without the chain.
    pub(crate) leaf: CertificateDer<'static>,
    public_key: Vec<u8>,
}

impl StoredCertificate {
    /// Reads a chain in PEM, the certificate itself first.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(crate) fn read(chain: &[u8]) -> Result<Self, String> {
        let certificates = CertificateDer::pem_slice_iter(chain).take(CHAIN_MAX + 1).collect::<Result<Vec<_>, _>>();
        let certificates = certificates.map_err(|error| error.to_string())?;
        if certificates.len() > CHAIN_MAX {
            return Err(format!("more than {CHAIN_MAX} certificates"));
        }
        for one in certificates.iter().skip(1) {
            X509Certificate::from_der(one).map_err(|error| error.to_string())?;
        }
        let leaf = certificates.into_iter().next().ok_or("no certificate in it")?;
        let (rest, parsed) = X509Certificate::from_der(&leaf).map_err(|error| error.to_string())?;
        if !rest.is_empty() {
            return Err("bytes after the certificate".into());
        }
        let names = parsed.subject_alternative_name().map_err(|error| error.to_string())?;
        let names = names.map(|extension| &extension.value.general_names);
        let domains = names.into_iter().flatten().filter_map(|name| match name {
            GeneralName::DNSName(domain) => Some(domain.to_ascii_lowercase()),
            _ => None,
        });
        Ok(StoredCertificate {
            not_before: UnixMillis::from_seconds(parsed.validity().not_before.timestamp()),
            not_after: UnixMillis::from_seconds(parsed.validity().not_after.timestamp()),
            domains: domains.collect(),
            public_key: parsed.public_key().raw.to_vec(),
            leaf: leaf.clone(),
        })
    }

    /// Whether `key`, in PEM, is the certificate's.
    pub(crate) fn fits(&self, key: &str) -> bool {
        KeyPair::from_pem(key).is_ok_and(|key| key.subject_public_key_info() == self.public_key)
    }

    /// What keeps a certificate that was just issued from being used; nothing if it can be.
    pub(crate) fn fault(&self, key: &str, domains: &BTreeSet<String>, now: UnixMillis) -> Option<String> {
        if !self.fits(key) {
            return Some("it is not for the key that was made for it".into());
        }
        if let Some(missing) = domains.iter().find(|domain| !self.domains.contains(*domain)) {
            return Some(format!("it is not for {missing}"));
        }
        (self.not_after <= now).then(|| format!("it has ended at {} (seconds since 1970)", self.not_after.0 / 1000))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use rcgen::CertificateParams;

    use super::*;

    /// A certificate for `domains` that is valid for the days around now, and its key, both in PEM.
    pub(crate) fn made(domains: &[&str], days_before: u32, days_after: u32) -> (String, String) {
        let day = Duration::from_secs(86_400);
        let now = UnixMillis::now().system_time();
        let mut parameters =
            CertificateParams::new(domains.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>()).unwrap();
        parameters.not_before = (now - day * days_before).into();
        parameters.not_after = (now + day * days_after).into();
        let key = KeyPair::generate().unwrap();
        (parameters.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    #[test]
    fn a_certificate_is_read_and_fits_its_key_only() {
        let (chain, key) = made(&["a.example", "B.example"], 30, 60);
        let read = StoredCertificate::read(chain.as_bytes()).unwrap();
        assert_eq!(read.domains.iter().map(String::as_str).collect::<Vec<_>>(), ["a.example", "b.example"]);
        assert_eq!(read.not_after.since(read.not_before), Duration::from_secs(90 * 86_400));
        assert!(read.fits(&key));
        assert!(!read.fits(&made(&["a.example"], 1, 1).1));
        assert!(!read.fits("no key"));
    }

    #[test]
    fn a_certificate_that_was_not_ordered_is_named() {
        let domains = |names: &[&str]| names.iter().map(|one| (*one).to_owned()).collect::<BTreeSet<_>>();
        let (chain, key) = made(&["a.example"], 1, 1);
        let read = StoredCertificate::read(chain.as_bytes()).unwrap();
        let now = UnixMillis::now();
        assert_eq!(read.fault(&key, &domains(&["a.example"]), now), None);
        assert!(read.fault(&key, &domains(&["a.example", "b.example"]), now).unwrap().contains("b.example"));
        assert!(read.fault(&made(&["a.example"], 1, 1).1, &domains(&["a.example"]), now).unwrap().contains("key"));
        assert!(read.fault(&key, &domains(&["a.example"]), read.not_after).unwrap().contains("ended"));
    }

    #[test]
    fn what_is_no_chain_is_refused() {
        let (chain, _) = made(&["a.example"], 1, 1);
        for bad in ["", "garbage", &chain[..chain.len() / 2], &chain.repeat(CHAIN_MAX + 1)] {
            assert!(StoredCertificate::read(bad.as_bytes()).is_err(), "{bad:?}");
        }
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(StoredCertificate::read(broken.as_bytes()).is_err());
        assert!(StoredCertificate::read(format!("{chain}{broken}").as_bytes()).is_err());
    }
}
