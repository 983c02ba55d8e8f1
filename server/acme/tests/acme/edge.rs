//! Listeners that answer challenges, and how an authority looks at them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use corelane_acme::Challenges;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ServerConfig, ServerConnection, SignatureScheme, Stream,
};
use x509_parser::prelude::*;

const ACME_TLS: &[u8] = b"acme-tls/1";

/// Bound of any wait of a socket here; nothing takes as long unless something is broken.
pub(crate) const SOCKET_TIME: Duration = Duration::from_secs(20);

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// An edge with one cleartext and one TLS listener.
#[derive(Clone, Debug)]
pub(crate) struct TestEdge {
    pub(crate) http: SocketAddr,
    pub(crate) tls: SocketAddr,
    challenges: Arc<Mutex<Arc<Challenges>>>,
}

impl TestEdge {
    pub(crate) fn start() -> Self {
        let challenges = Arc::new(Mutex::new(Arc::new(Challenges::default())));
        let (http, tls) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let edge = TestEdge { http: http.local_addr().unwrap(), tls: tls.local_addr().unwrap(), challenges };
        let (one, other) = (edge.clone(), edge.clone());
        std::thread::spawn(move || http.incoming().for_each(|stream| one.answer_http(&stream.unwrap())));
        std::thread::spawn(move || tls.incoming().for_each(|stream| other.answer_tls(stream.unwrap())));
        edge
    }

    pub(crate) fn put(&self, challenges: Arc<Challenges>) {
        *self.challenges.lock().unwrap() = challenges;
    }

    pub(crate) fn challenges(&self) -> Arc<Challenges> {
        Arc::clone(&self.challenges.lock().unwrap())
    }

    fn answer_http(&self, mut stream: &TcpStream) {
        stream.set_read_timeout(Some(SOCKET_TIME)).unwrap();
        // All of it: what is not read when the connection is closed resets it.
        let lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
        let lines: Vec<String> = lines.collect();
        let path = lines.first().map_or("", String::as_str).split(' ').nth(1).unwrap_or_default();
        let token = path.strip_prefix("/.well-known/acme-challenge/").unwrap_or_default();
        let challenges = self.challenges();
        let (status, body) = challenges.http(token).map_or(("404 Not Found", ""), |body| ("200 OK", body));
        let _ =
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    }

    fn answer_tls(&self, mut stream: TcpStream) {
        stream.set_read_timeout(Some(SOCKET_TIME)).unwrap();
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(Resolver(self.challenges())));
        config.alpn_protocols = vec![ACME_TLS.to_vec()];
        let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
        let _ = Stream::new(&mut connection, &mut stream).read(&mut [0]);
    }
}

#[derive(Debug)]
struct Resolver(Arc<Challenges>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let challenge = self.0.tls(hello.server_name()?)?;
        let key = provider().key_provider.load_private_key(challenge.key.clone_key().into()).ok()?;
        Some(Arc::new(CertifiedKey::new(vec![challenge.certificate.clone()], key)))
    }
}

/// Fetches what an authority fetches for http-01.
pub(crate) fn fetch(address: SocketAddr, domain: &str, token: &str) -> Option<String> {
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
pub(crate) fn identifier(address: SocketAddr, domain: &str) -> Option<Vec<u8>> {
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
    if connection.alpn_protocol() != Some(ACME_TLS) {
        return None;
    }
    let certificate = connection.peer_certificates()?.first()?.clone();
    let (_, certificate) = X509Certificate::from_der(&certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??.value.general_names.clone();
    let extension = certificate.extensions().iter().find(|one| one.oid.to_id_string() == "1.3.6.1.5.5.7.1.31")?;
    (names == [GeneralName::DNSName(domain)] && extension.critical).then(|| extension.value.to_vec())
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
