//! Which certificate clients get: names, kinds of keys, staples, client certificates.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, SignatureScheme};

use super::issuer::{Authority, Ends, Failed, Pair, START, Wish, client, clock, file, parts, server_files, shake};
use crate::store::{CertificateFiles, ClientAuth, MinVersion, ServerFiles, ServerSettings, ServerSnapshot};

fn http() -> ServerSettings {
    ServerSettings::public(vec![b"h2".to_vec(), b"http/1.1".to_vec()])
}

fn name(name: &str) -> ServerName<'static> {
    ServerName::try_from(name.to_owned()).unwrap()
}

fn any() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

/// A provider that checks only signatures which `keeps` names.
fn only(keeps: fn(SignatureScheme) -> bool) -> CryptoProvider {
    let mut provider = any();
    let mapping = provider.signature_verification_algorithms.mapping;
    let kept: Vec<_> = mapping.iter().copied().filter(|(scheme, _)| keeps(*scheme)).collect();
    provider.signature_verification_algorithms.mapping = Vec::leak(kept);
    provider
}

fn snapshot(settings: ServerSettings, files: &ServerFiles<'_>) -> ServerSnapshot {
    ServerSnapshot::load(&parts(&clock()), settings, files).unwrap()
}

struct Site {
    root: Authority,
    server: ServerSnapshot,
}

impl Site {
    fn connect(&self, to: &str, provider: CryptoProvider) -> Result<Ends, Box<Failed>> {
        let config = client(&self.root, &clock(), provider, &[&TLS13, &TLS12]);
        shake(&Arc::new(config), &name(to), self.server.config())
    }

    /// The serial number of what a client gets.
    fn serial(&self, to: &str, provider: CryptoProvider) -> String {
        let ends = self.connect(to, provider).unwrap();
        let own = &ends.client.peer_certificates().unwrap()[0];
        let facts = self
            .server
            .certificates()
            .find(|facts| facts.fingerprint == crate::store::PresentedCertificate::of(own).fingerprint);
        facts.unwrap().name.clone()
    }
}

fn site(tables: &[(&str, Wish<'_>)]) -> Site {
    let root = Authority::new("root");
    let pairs: Vec<(&str, Pair)> = tables.iter().map(|(table, wish)| (*table, root.issue(wish))).collect();
    let files: Vec<CertificateFiles<'_>> = pairs.iter().map(|(table, pair)| pair.files(table)).collect();
    let server = snapshot(http(), &server_files(&files));
    Site { root, server }
}

#[test]
fn a_name_is_matched_exactly_then_by_wildcard_then_by_default() {
    let site = site(&[
        ("wild", Wish::names(&["*.example.com"])),
        ("exact", Wish::names(&["www.example.com"])),
        ("default", Wish::names(&["fallback.example", "a.b.example.com", "192.0.2.7"])),
    ]);
    for (to, expected) in [
        ("www.example.com", "exact"),
        ("WWW.example.COM", "exact"),
        ("other.example.com", "wild"),
        ("fallback.example", "default"),
        ("a.b.example.com", "default"),
        // No name is sent for an address.
        ("192.0.2.7", "default"),
    ] {
        assert_eq!(site.serial(to, any()), expected, "{to}");
    }
    // A wildcard stands for one label, and not for none; the default's certificate does not have these names.
    for to in ["example.com", "x.y.example.com", "unknown.example"] {
        let failed = site.connect(to, any()).err().unwrap();
        assert!(matches!(
            failed.client,
            Some(Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }))
        ));
    }
}

#[test]
fn without_a_default_strangers_are_refused() {
    let site = site(&[("web", Wish::names(&["www.example.com"]))]);
    for to in ["other.example", "192.0.2.7"] {
        let failed = site.connect(to, any()).err().unwrap();
        assert_eq!(failed.client, Some(Error::AlertReceived(AlertDescription::AccessDenied)), "{to}");
    }
}

#[test]
fn a_client_gets_a_kind_of_key_that_it_can_check() {
    let rsa = Wish { kind: &rcgen::PKCS_RSA_SHA256, ..Wish::names(&["www.example.com"]) };
    let site = site(&[("rsa", rsa), ("ecdsa", Wish::names(&["www.example.com"]))]);
    let is_rsa = |scheme: SignatureScheme| format!("{scheme:?}").starts_with("RSA");
    assert_eq!(site.serial("www.example.com", any()), "ecdsa");
    assert_eq!(site.serial("www.example.com", only(is_rsa)), "rsa");
    assert_eq!(
        site.serial("www.example.com", only(|scheme| scheme == SignatureScheme::ECDSA_NISTP256_SHA256)),
        "ecdsa"
    );
    // Nothing that it can check: that is said, and not that there is no such name.
    let failed = site.connect("www.example.com", only(|scheme| scheme == SignatureScheme::ED25519)).err().unwrap();
    assert_eq!(failed.client, Some(Error::AlertReceived(AlertDescription::HandshakeFailure)));
}

#[test]
fn the_default_comes_with_every_kind_of_key_of_its_names() {
    let rsa = Wish { kind: &rcgen::PKCS_RSA_SHA256, ..Wish::names(&["a.example", "192.0.2.7"]) };
    let site = site(&[("rsa", rsa), ("default", Wish::names(&["a.example", "192.0.2.7"]))]);
    assert_eq!(site.serial("192.0.2.7", any()), "default");
    assert_eq!(site.serial("192.0.2.7", only(|scheme| format!("{scheme:?}").starts_with("RSA"))), "rsa");
}

#[test]
fn a_kind_of_key_that_lacks_a_name_of_the_default_is_not_its_substitute() {
    let rsa = Wish { kind: &rcgen::PKCS_RSA_SHA256, ..Wish::names(&["a.example"]) };
    let site = site(&[("rsa", rsa), ("default", Wish::names(&["a.example", "b.example"]))]);
    let rsa_only = || only(|scheme| format!("{scheme:?}").starts_with("RSA"));
    assert_eq!(site.serial("a.example", rsa_only()), "rsa");
    assert!(site.connect("192.0.2.7", rsa_only()).is_err());
}

#[test]
fn two_certificates_for_one_name_are_an_error_of_both() {
    let root = Authority::new("root");
    let (one, two) = (root.issue(&Wish::names(&["b.example", "a.example"])), root.issue(&Wish::names(&["a.example"])));
    let addressed = root.issue(&Wish::names(&["192.0.2.7"]));
    let mut files = [one.files("one"), two.files("two"), addressed.files("three")];
    files[0].chain.setting = "certificate.one.chain";
    let errors = ServerSnapshot::load(&parts(&clock()), http(), &server_files(&files)).unwrap_err();
    let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert_eq!(errors.iter().map(|error| error.fault.name()).collect::<Vec<_>>(), ["same_name", "no_name"], "{text}");
    assert!(text.contains("a.example has a certificate with a P-256 key in certificate.one.chain, too"), "{text}");
}

#[test]
fn the_oldest_version_is_as_set() {
    let root = Authority::new("root");
    let pair = root.issue(&Wish::names(&["a.example"]));
    let files = [pair.files("web")];
    let old = Arc::new(client(&root, &clock(), any(), &[&TLS12]));
    let both = snapshot(http(), &server_files(&files));
    let new = snapshot(ServerSettings { min_version: MinVersion::Tls13, ..http() }, &server_files(&files));
    assert!(shake(&old, &name("a.example"), both.config()).is_ok());
    let failed = shake(&old, &name("a.example"), new.config()).err().unwrap();
    assert_eq!(failed.client, Some(Error::AlertReceived(AlertDescription::ProtocolVersion)));
}

#[test]
fn protocols_are_agreed_on_or_refused() {
    let root = Authority::new("root");
    let pair = root.issue(&Wish::names(&["a.example"]));
    let server = snapshot(http(), &server_files(&[pair.files("web")]));
    let agreed = |alpn: &[&[u8]]| {
        let mut config = client(&root, &clock(), any(), &[&TLS13]);
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        shake(&Arc::new(config), &name("a.example"), server.config())
            .map(|ends| ends.server.alpn_protocol().map(<[u8]>::to_vec))
            .map_err(|failed| failed.client)
    };
    assert_eq!(agreed(&[b"http/1.1", b"h2"]), Ok(Some(b"h2".to_vec())));
    assert_eq!(agreed(&[]), Ok(None));
    assert_eq!(agreed(&[b"imap"]), Err(Some(Error::AlertReceived(AlertDescription::NoApplicationProtocol))));
}

/// Keeps the staple that comes with a certificate.
#[derive(Debug)]
struct Stapled(std::sync::mpsc::SyncSender<Vec<u8>>, Arc<dyn rustls::client::danger::ServerCertVerifier>);

impl rustls::client::danger::ServerCertVerifier for Stapled {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, Error> {
        self.0.send(ocsp.to_vec()).unwrap();
        self.1.verify_server_cert(own, rest, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        self.1.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, Error> {
        self.1.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.supported_verify_schemes()
    }
}

#[test]
fn the_staple_is_sent_as_it_is() {
    let root = Authority::new("root");
    let pair = root.issue(&Wish::names(&["a.example"]));
    let staple: &[u8] = &[0x30, 5, 0x0a, 1, 0, 0xa0, 0];
    let ocsp = crate::store::NamedFile { bytes: staple, ..file("ocsp", "") };
    let server = snapshot(http(), &server_files(&[CertificateFiles { ocsp: Some(ocsp), ..pair.files("web") }]));
    for version in [&TLS12, &TLS13] {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(root.pem().as_bytes()).unwrap()).unwrap();
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(roots.into(), any().into());
        let (sender, received) = std::sync::mpsc::sync_channel(1);
        let mut config = client(&root, &clock(), any(), &[version]);
        config.dangerous().set_certificate_verifier(Arc::new(Stapled(sender, verifier.build().unwrap())));
        shake(&Arc::new(config), &name("a.example"), server.config()).map_err(|failed| failed.client).unwrap();
        assert_eq!(received.try_recv().unwrap(), staple);
    }
}

fn with_certificate(root: &Authority, pair: &Pair) -> Arc<ClientConfig> {
    let mut config = client(root, &clock(), any(), &[&TLS13, &TLS12]);
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let key = rustls::sign::CertifiedKey::from_der(vec![pair.der()], key, &any()).unwrap();
    config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(key));
    Arc::new(config)
}

#[test]
fn client_certificates_are_asked_for_as_set() {
    let (root, clients, foreign) = (Authority::new("root"), Authority::new("clients"), Authority::new("clients"));
    let pair = root.issue(&Wish::names(&["a.example"]));
    let (bundle, list) = (clients.pem(), clients.revoke(&[66]));
    let files = [pair.files("web")];
    let server = |client_auth| {
        let files = ServerFiles {
            client_ca: Some(file("tls.client_ca", &bundle)),
            client_crl: Some(file("tls.client_crl", &list)),
            ..server_files(&files)
        };
        snapshot(ServerSettings { client_auth, ..http() }, &files)
    };
    let wish = || Wish::names(&["client.example"]);
    let good = with_certificate(&root, &clients.issue(&wish()));
    let revoked = with_certificate(&root, &clients.issue(&Wish { serial: 66, ..wish() }));
    let expired = with_certificate(&root, &clients.issue(&Wish { valid: (START - 9, START - 1), ..wish() }));
    let stranger = with_certificate(&root, &foreign.issue(&wish()));
    let none = Arc::new(client(&root, &clock(), any(), &[&TLS13, &TLS12]));
    for (auth, accepted) in [
        (ClientAuth::None, [true, true, true, true, true]),
        (ClientAuth::Optional, [true, true, false, false, false]),
        (ClientAuth::Required, [false, true, false, false, false]),
    ] {
        let server = server(auth);
        let clients = [&none, &good, &revoked, &expired, &stranger];
        let served = clients.map(|client| shake(client, &name("a.example"), server.config()).is_ok());
        assert_eq!(served, accepted, "{auth:?}");
    }
    // An authority beside it, without a list of its own.
    let other = Authority::new("other clients");
    let both = bundle.clone() + &other.pem();
    let unlisted = ServerFiles {
        client_ca: Some(file("tls.client_ca", &both)),
        client_crl: Some(file("tls.client_crl", &list)),
        ..server_files(&files)
    };
    let listed = snapshot(ServerSettings { client_auth: ClientAuth::Required, ..http() }, &unlisted);
    let others = with_certificate(&root, &other.issue(&wish()));
    assert!(shake(&others, &name("a.example"), listed.config()).is_ok());
    assert!(shake(&revoked, &name("a.example"), listed.config()).is_err());
    let failed = shake(&revoked, &name("a.example"), server(ClientAuth::Required).config()).err().unwrap();
    assert_eq!(failed.server, Some(Error::InvalidCertificate(CertificateError::Revoked)));
    assert_eq!(server(ClientAuth::Required).authorities().unwrap().lists()[0].revoked, 1);
}

#[test]
fn bundles_and_lists_that_cannot_be_used_are_named() {
    let (root, clients, namesake) = (Authority::new("root"), Authority::new("clients"), Authority::new("clients"));
    let pair = root.issue(&Wish::names(&["a.example"]));
    let (bundle, list, forged) = (clients.pem(), clients.revoke(&[]), namesake.revoke(&[]));
    let files = [pair.files("web")];
    let faults = |bundle: Option<&str>, list: Option<&str>| {
        let files = ServerFiles {
            client_ca: bundle.map(|text| file("tls.client_ca", text)),
            client_crl: list.map(|text| file("tls.client_crl", text)),
            ..server_files(&files)
        };
        let settings = ServerSettings { client_auth: ClientAuth::Required, ..http() };
        match ServerSnapshot::load(&parts(&clock()), settings, &files) {
            Ok(_) => vec![],
            Err(errors) => errors.iter().map(|error| (error.setting.to_string(), error.fault.name())).collect(),
        }
    };
    let error = |setting: &str, fault| vec![(setting.to_owned(), fault)];
    assert_eq!(faults(Some(&bundle), Some(&list)), []);
    assert_eq!(faults(Some(&pair.chain), None), error("tls.client_ca", "not_authority"));
    assert_eq!(faults(Some(&pair.key), None), error("tls.client_ca", "key_misplaced"));
    assert_eq!(faults(Some(&bundle), Some(&forged)), error("tls.client_crl", "bad_revocations"));
    assert_eq!(faults(Some(&bundle), Some(&bundle)), error("tls.client_crl", "misplaced"));
    assert_eq!(faults(None, None), error("tls.client_ca", "missing"));
    let both = [error("tls.client_ca", "empty"), error("tls.client_crl", "empty")].concat();
    assert_eq!(faults(Some(""), Some("")), both);
}
