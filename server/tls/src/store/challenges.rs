//! Certificates that show an authority that a name is ours (tls-alpn-01), beside those that clients get.
//!
//! | ALPN of the client | name asked for | taken |
//! |---|---|---|
//! | `acme-tls/1` alone | of a challenge | the challenge's certificate |
//! | `acme-tls/1` alone | another, or none | none: the handshake fails with access_denied |
//! | anything else | – | as without challenges |
//!
//! **Not** serving: a connection that has negotiated [`ACME_ALPN`] ends with its handshake.
//!
//! **Invariants**: without challenges, neither the protocol is offered nor anything looked up.
//!
//! **Source**: RFC 8737 section 3.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::error::StoreFault;
use super::names::CertificateNames;

/// The protocol of an authority that looks, in ALPN.
pub const ACME_ALPN: &[u8] = b"acme-tls/1";

/// The certificates of challenges by name.
#[derive(Debug, Default)]
pub struct ChallengeCertificates(BTreeMap<Box<str>, Arc<CertifiedKey>>);

impl ChallengeCertificates {
    /// Certificates with their keys, each for one name in small letters. What they say is for the authority to judge.
    ///
    /// # Errors
    ///
    /// A key that the provider does not take. Whoever made it is at fault.
    pub fn new<'a>(
        challenges: impl Iterator<Item = (&'a str, CertificateDer<'static>, PrivateKeyDer<'static>)>,
        provider: &CryptoProvider,
    ) -> Result<Self, StoreFault> {
        let certified = challenges.map(|(name, certificate, key)| {
            let key = provider.key_provider.load_private_key(key);
            let key = key.map_err(|error| StoreFault::BadKey { reason: error.to_string() })?;
            Ok((name.into(), Arc::new(CertifiedKey::new(vec![certificate], key))))
        });
        Ok(ChallengeCertificates(certified.collect::<Result<_, StoreFault>>()?))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether a client speaks nothing but the protocol of challenges.
fn is_authority(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|mut protocols| protocols.next() == Some(ACME_ALPN) && protocols.next().is_none())
}

/// What certificates are found by while there are challenges.
#[derive(Debug)]
pub(super) struct ChallengedNames {
    pub(super) names: Arc<CertificateNames>,
    pub(super) challenges: Arc<ChallengeCertificates>,
}

impl ResolvesServerCert for ChallengedNames {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if is_authority(&hello) {
            return hello.server_name().and_then(|name| self.challenges.0.get(name)).cloned();
        }
        self.names.resolve(hello)
    }
}
