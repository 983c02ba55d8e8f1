//! What an operator's program needs to ask an admin listener.
//!
//! | the listener's certificate | |
//! |---|---|
//! | comes from an authority of the bundle | always |
//! | is for the address or the name that is asked | or else |
//! | is that of an edge or a node of the operator's own cluster | who that is stands in its identity, wherever it is reached |
//!
//! **Not** reading the files.
//!
//! **Invariants**: TLS 1.3 only; no session is resumed, so each connection checks the listener.
//!
//! **Source**: docs/tls.md; RFC 9525 (names of servers).

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use webpki::KeyUsage;

use super::authority::PeerAuthorities;
use super::certificate::{Certificate, CertificateFiles};
use super::config::TlsParts;
use super::error::{NamedFile, StoreError, StoreFault};
use super::identity::{PeerRole, PresentedCertificate};
use super::peers::certificate_error;
use crate::handshake::client::prepare;

/// The bytes of an operator's files.
#[derive(Clone, Copy, Debug)]
pub struct OperatorBytes<'a> {
    /// The authorities that listeners' certificates come from.
    pub ca: NamedFile<'a>,
    /// The operator's own chain and key; nothing where listeners ask for none.
    pub certificate: Option<CertificateFiles<'a>>,
}

/// What handshakes with admin listeners use.
///
/// # Errors
///
/// Everything that is wrong with the files. The operator is at fault.
pub fn operator_config(parts: &TlsParts, files: &OperatorBytes<'_>) -> Result<Arc<ClientConfig>, Vec<StoreError>> {
    let (provider, now) = (&parts.provider, parts.now());
    let authorities = PeerAuthorities::read(&files.ca, None, provider, now);
    let certificate = files.certificate.map(|files| Certificate::read(&files, provider, now)).transpose();
    let (authorities, certificate) = match (authorities, certificate) {
        (Ok(authorities), Ok(certificate)) => (authorities, certificate),
        (authorities, certificate) => {
            return Err([authorities.err(), certificate.err()].into_iter().flatten().flatten().collect());
        }
    };
    let own = certificate.as_ref().and_then(|own| own.certified_key().cert.first());
    let cluster = own.and_then(|own| PresentedCertificate::of(own).identity.ok()).map(|identity| identity.cluster);
    let listeners = AdminListeners { authorities, cluster, provider: Arc::clone(provider) };
    let builder = ClientConfig::builder_with_details(Arc::clone(provider), Arc::clone(&parts.time));
    let builder = builder
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| vec![StoreError::of(&files.ca, StoreFault::Library { reason: error.to_string() })])?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(listeners));
    let mut config = match certificate {
        Some(own) => {
            let own = SingleCertAndKey::from(Arc::clone(own.certified_key()));
            builder.with_client_cert_resolver(Arc::new(own))
        }
        None => builder.with_no_client_auth(),
    };
    prepare(&mut config);
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Listeners that an operator may ask.
struct AdminListeners {
    authorities: PeerAuthorities,
    /// The operator's own, if its certificate says which.
    cluster: Option<String>,
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for AdminListeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminListeners").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl AdminListeners {
    fn is_of_own_cluster(&self, certificate: &CertificateDer<'_>) -> bool {
        let (Some(own), Ok(identity)) = (&self.cluster, PresentedCertificate::of(certificate).identity) else {
            return false;
        };
        identity.cluster == *own && matches!(identity.role, PeerRole::Edge | PeerRole::Node)
    }
}

impl ServerCertVerifier for AdminListeners {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let chain = (end_entity, intermediates);
        let verified = self.authorities.verify(chain, KeyUsage::server_auth(), &self.provider, now);
        verified.map_err(certificate_error)?;
        let is_named = webpki::EndEntityCert::try_from(end_entity)
            .is_ok_and(|certificate| certificate.verify_is_valid_for_subject_name(server_name).is_ok());
        if is_named || self.is_of_own_cluster(end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::NotValidForName.into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("operators speak TLS 1.3".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
