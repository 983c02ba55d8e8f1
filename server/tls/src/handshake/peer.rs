//! Who the peer is, by the certificate that it has shown and that was checked.
//!
//! **Not** a decision: whether somebody of that name may do something is the caller's.
//!
//! **Source**: RFC 5280 section 4.2.1.6 (URIs among a certificate's names).

use rustls::HandshakeKind;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::EndEntityCert;

use crate::store::PresentedCertificate;

/// Who the peer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Its certificate, and those that it has shown with it, in its order.
    pub chain: Box<[CertificateDer<'static>]>,
    /// The URIs among its certificate's names, such as `spiffe://cluster/node/7`.
    pub uris: Box<[Box<str>]>,
}

impl PeerCertificate {
    /// Reads what was checked. `None` when there is no certificate, or when its names cannot be read.
    pub(super) fn of(chain: &[CertificateDer<'static>]) -> Option<Self> {
        let end_entity = EndEntityCert::try_from(chain.first()?).ok()?;
        let uris = end_entity.valid_uri_names().map(Box::from).collect();
        Some(PeerCertificate { chain: chain.into(), uris })
    }
}

/// Whether a certificate that a session brings along holds at `now`: one that is resumed is not looked at by the handshake again, and its
/// client may have been somebody until yesterday.
#[must_use]
pub fn still_holds(kind: HandshakeKind, shown: Option<&PeerCertificate>, now: UnixTime) -> bool {
    let certificate = shown.and_then(|shown| shown.chain.first());
    kind != HandshakeKind::Resumed || certificate.is_none_or(|shown| PresentedCertificate::of(shown).is_current(now))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use corelane_pki::{KeySource, Validity, self_signed};
    use rustls::pki_types::pem::PemObject;

    use super::*;

    #[test]
    fn a_session_ends_with_the_certificate_that_it_brings_along() {
        let validity = Validity::starting(1_000_000, Duration::from_secs(100));
        let issued = self_signed("a.example", validity, KeySource::P256).unwrap();
        let certificate = CertificateDer::from_pem_slice(issued.chain.as_bytes()).unwrap();
        let shown = PeerCertificate::of(&[certificate]).unwrap();
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let resumed = |at| still_holds(HandshakeKind::Resumed, Some(&shown), at);
        assert_eq!([resumed(at(1_000_099)), resumed(at(1_000_200))], [true, false]);
        assert!(still_holds(HandshakeKind::Resumed, None, at(1_000_200)), "who has shown none brings none along");
        assert!(still_holds(HandshakeKind::Full, Some(&shown), at(1_000_200)), "the handshake has looked itself");
    }
}
