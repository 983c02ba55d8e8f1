//! How an authority looks at challenges, and clients at certificates.
//!
//! **Invariants**: every wait ends after [`SOCKET_TIME`].
//!
//! **Source**: RFC 8555 section 8.3, RFC 8737 section 3.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned};
use x509_parser::prelude::*;

/// The protocol of tls-alpn-01, in ALPN.
pub const ACME_TLS: &[u8] = b"acme-tls/1";

/// Bound of any wait of a socket here; nothing takes as long unless something is broken.
pub const SOCKET_TIME: Duration = Duration::from_secs(20);

/// What computes.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Fetches what an authority fetches for http-01.
pub fn fetch(address: SocketAddr, domain: &str, token: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(SOCKET_TIME)).unwrap();
    write!(stream, "GET /.well-known/acme-challenge/{token} HTTP/1.1\r\nhost: {domain}\r\nconnection: close\r\n\r\n")
        .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}

/// Makes the handshake of an authority for tls-alpn-01. Returns the value of the certificate's extension, if all else is right.
pub fn identifier(address: SocketAddr, domain: &str) -> Option<Vec<u8>> {
    let (connection, _) = prove(address, domain)?;
    let certificate = connection.peer_certificates()?.first()?.clone();
    let (_, certificate) = X509Certificate::from_der(&certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??.value.general_names.clone();
    let extension = certificate.extensions().iter().find(|one| one.oid.to_id_string() == "1.3.6.1.5.5.7.1.31")?;
    (names == [GeneralName::DNSName(domain)] && extension.critical).then(|| extension.value.to_vec())
}

/// What a listener says to one who makes that handshake and goes on with a request; `None` where there is no such handshake.
pub fn said_after_proof(address: SocketAddr, domain: &str, request: &str) -> Option<Vec<u8>> {
    let (connection, stream) = prove(address, domain)?;
    let mut stream = StreamOwned::new(connection, stream);
    let mut said = Vec::new();
    // It may have closed already.
    let _ = stream.write_all(request.as_bytes());
    let _ = stream.read_to_end(&mut said);
    Some(said)
}

fn prove(address: SocketAddr, domain: &str) -> Option<(ClientConnection, TcpStream)> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone)).with_no_client_auth();
    config.alpn_protocols = vec![ACME_TLS.to_vec()];
    let mut connection =
        ClientConnection::new(Arc::new(config), ServerName::try_from(domain.to_owned()).unwrap()).unwrap();
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(SOCKET_TIME)).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).ok()?;
    }
    (connection.alpn_protocol() == Some(ACME_TLS)).then_some((connection, stream))
}

/// The first certificate of a chain in PEM, in DER.
pub fn first_of(chain: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(chain.as_bytes()).unwrap().to_vec()
}

/// Makes a client's handshake that trusts the authorities in `roots` (PEM) alone. Returns the certificate, if it is trusted for `domain`.
pub fn trusted(address: SocketAddr, domain: &str, roots: &str) -> Option<Vec<u8>> {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots.as_bytes()) {
        store.add(root.unwrap()).unwrap();
    }
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(store).with_no_client_auth();
    let name = ServerName::try_from(domain.to_owned()).unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(SOCKET_TIME)).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).ok()?;
    }
    connection.peer_certificates()?.first().map(|leaf| leaf.to_vec())
}

#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".into()))
    }

    // With the key alone: webpki refuses certificates that have a critical extension it does not know, and this one has to have it.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let (_, parsed) = X509Certificate::from_der(certificate).unwrap();
        let key = SubjectPublicKeyInfoDer::from(parsed.public_key().raw);
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
