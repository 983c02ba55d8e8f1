//! Who the peer is, by the certificate that it has shown and that was checked.
//!
//! **Not** a decision: whether somebody of that name may do something is the caller's.
//!
//! **Source**: RFC 5280 section 4.2.1.6 (URIs among a certificate's names).

use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

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
