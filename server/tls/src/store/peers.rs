//! What a handshake asks of the other end's certificate.
//!
//! | listener or link | asked |
//! |---|---|
//! | public | nothing, or a certificate of the bundle, or one if the client has any |
//! | admin | the same, and of those that say what a process is in a cluster only an operator's |
//! | cluster listener | a certificate of the cluster's authority, with an expected role |
//! | link to a node | the same, and the id that the topology has for the address |
//!
//! **Not**: DNS names of peers: who a node is stands in its identity, wherever it runs.
//!
//! **Invariants**: no byte of an application goes to a peer that was refused: the checks are part of the handshake.
//!
//! **Source**: RFC 8446 section 4.4.2.4.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme};
use webpki::KeyUsage;

use super::authority::PeerAuthorities;
use super::error::StoreFault;
use super::identity::{ExpectedPeer, IdentityFault, PeerRefusal, PeerRole, PresentedCertificate, verdict};

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ClientAuth {
    /// Not asked.
    #[default]
    None,
    /// Asked; who has none is served, who has a bad one is not.
    Optional,
    /// Asked; who has none is not served.
    Required,
}

/// In front of a node's id in the name that a link asks for.
const NODE_NAME_PREFIX: &str = "node-";

/// Stands for the cluster in messages where any will do.
const ANY_CLUSTER: &str = "*";

/// The name to give to rustls for a link to the node `id`. It is not sent.
///
/// # Panics
///
/// Never: digits make a DNS name.
#[must_use]
pub fn node_server_name(id: u32) -> ServerName<'static> {
    ServerName::try_from(format!("{NODE_NAME_PREFIX}{id}")).expect("letters, a hyphen and digits are a DNS name")
}

/// Who a client has to be, beside having a certificate of the bundle.
#[derive(Clone, Debug)]
pub(super) enum ExpectedClient {
    /// A process of a cluster.
    Peer(ExpectedPeer),
    /// An operator, of this cluster if one is named; or somebody whose certificate knows of no cluster.
    Operator(Option<String>),
}

/// Checks clients by the bundle; with `expected`, also who they are.
pub(super) fn client_verifier(
    authorities: &PeerAuthorities,
    auth: ClientAuth,
    expected: Option<ExpectedClient>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, StoreFault> {
    let roots = Arc::clone(&authorities.roots);
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
        .with_crls(authorities.crls.iter().cloned())
        .allow_unknown_revocation_status();
    if auth == ClientAuth::Optional {
        builder = builder.allow_unauthenticated();
    }
    let by_bundle = builder.build().map_err(|error| StoreFault::Library { reason: error.to_string() })?;
    Ok(match expected {
        Some(expected) => Arc::new(ExpectedClients { by_bundle, expected }),
        None => by_bundle,
    })
}

/// Clients that are who is expected, beside having a certificate of the bundle.
#[derive(Debug)]
struct ExpectedClients {
    by_bundle: Arc<dyn ClientCertVerifier>,
    expected: ExpectedClient,
}

impl ClientCertVerifier for ExpectedClients {
    fn offer_client_auth(&self) -> bool {
        self.by_bundle.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.by_bundle.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.by_bundle.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.by_bundle.verify_client_cert(end_entity, intermediates, now)?;
        match &self.expected {
            ExpectedClient::Peer(expected) => check(expected, end_entity, now)?,
            ExpectedClient::Operator(cluster) => check_operator(cluster.as_deref(), end_entity, now)?,
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_bundle.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_bundle.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_bundle.supported_verify_schemes()
    }
}

/// Nodes of a cluster, each with the id that [`node_server_name`] asked for.
pub(super) struct ClusterNodes {
    pub(super) authorities: Arc<PeerAuthorities>,
    pub(super) cluster: String,
    pub(super) provider: Arc<CryptoProvider>,
}

impl fmt::Debug for ClusterNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterNodes").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for ClusterNodes {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let id = match server_name {
            ServerName::DnsName(name) => name.as_ref().strip_prefix(NODE_NAME_PREFIX).map(str::to_owned),
            _ => None,
        };
        let id = id.ok_or(CertificateError::NotValidForName)?;
        let chain = (end_entity, intermediates);
        let verified = self.authorities.verify(chain, KeyUsage::server_auth(), &self.provider, now);
        verified.map_err(certificate_error)?;
        let roles = vec![PeerRole::Node];
        check(&ExpectedPeer { cluster: self.cluster.clone(), roles, id: Some(id) }, end_entity, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("links between processes are of TLS 1.3".into()))
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

fn check(expected: &ExpectedPeer, certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let presented = PresentedCertificate::of(certificate);
    verdict(expected, &presented, now)
        .map(|_| ())
        .map_err(|refusal| CertificateError::Other(OtherError(Arc::new(refusal))).into())
}

/// Whoever has the key of an edge or a node has no business where operators ask.
fn check_operator(cluster: Option<&str>, certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let cluster = match (PresentedCertificate::of(certificate).identity, cluster) {
        // An authority of its own for operators need not know of clusters.
        (Err(IdentityFault::None { .. }), _) => return Ok(()),
        (_, Some(cluster)) => cluster.to_owned(),
        (Ok(identity), None) => identity.cluster,
        (Err(_), None) => ANY_CLUSTER.to_owned(),
    };
    check(&ExpectedPeer { cluster, roles: vec![PeerRole::Operator], id: None }, certificate, now)
}

/// The refusal inside an error of a handshake, for the log: rustls writes what it does not know in the debugging form.
#[must_use]
pub fn refusal_of(error: &Error) -> Option<&PeerRefusal> {
    match error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) => inner.downcast_ref(),
        _ => None,
    }
}

/// The library's errors as rustls sends alerts for them.
pub(super) fn certificate_error(error: webpki::Error) -> Error {
    use webpki::Error as E;
    let error = match error {
        E::BadDer | E::BadDerTime | E::TrailingData(_) => CertificateError::BadEncoding,
        E::CertExpired { .. } => CertificateError::Expired,
        E::CertNotValidYet { .. } => CertificateError::NotValidYet,
        E::CertRevoked => CertificateError::Revoked,
        E::UnknownIssuer => CertificateError::UnknownIssuer,
        E::InvalidSignatureForPublicKey => CertificateError::BadSignature,
        E::RequiredEkuNotFoundContext(_) => CertificateError::InvalidPurpose,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    };
    error.into()
}
