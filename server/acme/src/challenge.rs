//! What listeners answer so that the authority sees that a domain is ours.
//!
//! **Not** answering: the edge does that with [`Challenges::http`] and [`Challenges::tls`].
//!
//! **Invariants**: a token is base64url, so it can stand in a path; keys are not shown by `Debug`.
//!
//! **Source**: RFC 8555 section 8.3 (http-01), RFC 8737 section 3 (tls-alpn-01).

use std::collections::BTreeMap;

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// Longest token that is taken, in bytes; authorities use 43.
const TOKEN_BYTES_MAX: usize = 256;

/// All challenges that are to be answered, as of one moment.
#[derive(Clone, Debug, Default)]
pub struct Challenges {
    /// The number that [`AcmeHandle::in_force`](crate::AcmeHandle::in_force) is told once every listener has them.
    pub generation: u64,
    http: BTreeMap<String, String>,
    tls: BTreeMap<String, TlsChallenge>,
}

/// The certificate of a handshake with the ALPN name `acme-tls/1`. Its extension is critical and unknown to webpki, so what compares key and
/// certificate with webpki (`CertifiedKey::from_der`, `keys_match`) refuses it; `CertifiedKey::new` takes it.
pub struct TlsChallenge {
    /// Self-signed, for the one domain, with the acmeIdentifier extension.
    pub certificate: CertificateDer<'static>,
    /// Its key.
    pub key: PrivatePkcs8KeyDer<'static>,
}

impl Challenges {
    /// The body for `GET /.well-known/acme-challenge/TOKEN`; `None` where there is no such token.
    pub fn http(&self, token: &str) -> Option<&str> {
        self.http.get(token).map(String::as_str)
    }

    /// What a handshake for `domain` with `acme-tls/1` is answered with; `domain` in small letters.
    pub fn tls(&self, domain: &str) -> Option<&TlsChallenge> {
        self.tls.get(domain)
    }

    /// Everything that handshakes with `acme-tls/1` are answered with, by domain.
    pub fn tls_all(&self) -> impl Iterator<Item = (&str, &TlsChallenge)> {
        self.tls.iter().map(|(domain, challenge)| (domain.as_str(), challenge))
    }

    /// Whether there is nothing to answer.
    pub fn is_empty(&self) -> bool {
        self.http.is_empty() && self.tls.is_empty()
    }

    /// How many there are, of both kinds.
    pub fn count(&self) -> usize {
        self.http.len() + self.tls.len()
    }

    /// Adds the answer to an http-01 challenge.
    pub(crate) fn add_http(&mut self, token: &str, answer: &str) {
        self.http.insert(token.to_owned(), answer.to_owned());
    }

    /// Adds the answer to a tls-alpn-01 challenge: `digest` is the SHA-256 of the key authorization.
    ///
    /// # Errors
    /// Ours: no certificate could be made.
    pub(crate) fn add_tls(&mut self, domain: &str, digest: [u8; 32]) -> Result<(), rcgen::Error> {
        self.tls.insert(domain.to_owned(), TlsChallenge::new(domain, digest)?);
        Ok(())
    }
}

impl TlsChallenge {
    fn new(domain: &str, digest: [u8; 32]) -> Result<Self, rcgen::Error> {
        let mut parameters = CertificateParams::new([domain.to_owned()])?;
        parameters.distinguished_name = DistinguishedName::new();
        parameters.custom_extensions = vec![CustomExtension::new_acme_identifier(&digest)];
        let key = KeyPair::generate()?;
        let certificate = parameters.self_signed(&key)?.der().clone();
        Ok(TlsChallenge { certificate, key: PrivatePkcs8KeyDer::from(key.serialize_der()) })
    }
}

impl Clone for TlsChallenge {
    fn clone(&self) -> Self {
        TlsChallenge { certificate: self.certificate.clone(), key: self.key.clone_key() }
    }
}

impl std::fmt::Debug for TlsChallenge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsChallenge").finish_non_exhaustive()
    }
}

/// Whether a token can be answered: base64url without padding.
pub(crate) fn is_token(token: &str) -> bool {
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.bytes().all(is_base64url)
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::*;

    use super::*;

    #[test]
    fn a_tls_challenge_has_one_name_and_the_critical_extension() {
        let mut challenges = Challenges::default();
        challenges.add_tls("a.example", [7; 32]).unwrap();
        let der = challenges.tls("a.example").unwrap().certificate.clone();
        let (_, certificate) = X509Certificate::from_der(&der).unwrap();
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        assert_eq!(names.value.general_names, [GeneralName::DNSName("a.example")]);
        let identifier =
            certificate.extensions().iter().find(|one| one.oid.to_id_string() == "1.3.6.1.5.5.7.1.31").unwrap();
        assert!(identifier.critical);
        assert_eq!(identifier.value, [[4, 32].as_slice(), [7; 32].as_slice()].concat());
        assert!(challenges.tls("b.example").is_none());
    }

    #[test]
    fn nothing_secret_is_shown() {
        let mut challenges = Challenges::default();
        challenges.add_tls("a.example", [7; 32]).unwrap();
        let key = challenges.tls("a.example").unwrap().key.secret_pkcs8_der().to_vec();
        let bytes = format!("{:?}", &key[..8]);
        assert!(!format!("{challenges:?}").contains(bytes.trim_matches(['[', ']'])));
    }

    #[test]
    fn tokens_are_base64url() {
        for bad in ["", "a/b", "../x", "a b", "a=", "ä", &"a".repeat(257)] {
            assert!(!is_token(bad), "{bad:?}");
        }
        assert!(is_token("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"));
    }
}
