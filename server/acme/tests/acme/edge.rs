//! Listeners that answer challenges.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use acme_directory::{ACME_TLS, DomainAddresses, SOCKET_TIME, provider};
use corelane_acme::Challenges;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection, Stream};

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

    /// Where an authority finds it.
    pub(crate) fn domains(&self) -> DomainAddresses {
        DomainAddresses { http: self.http, tls: self.tls }
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
