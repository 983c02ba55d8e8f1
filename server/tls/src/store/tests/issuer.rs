//! An authority for tests, a clock that is set, and handshakes in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, SignatureAlgorithm,
};
use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{
    ClientConfig, ClientConnection, Connection, NamedGroup, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};

use crate::store::{CertificateFiles, NamedFile, ServerFiles, TlsParts};

/// 2027-01-15, the time at which tests begin.
pub(crate) const START: u64 = 1_800_000_000;

pub(crate) const DAY: u64 = 24 * 3600;

/// A clock that stands until it is set.
#[derive(Debug)]
pub(crate) struct SetClock(AtomicU64);

impl SetClock {
    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed)))
    }
}

impl TimeProvider for SetClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.now())
    }
}

pub(crate) fn clock() -> Arc<SetClock> {
    Arc::new(SetClock(AtomicU64::new(START)))
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

pub(crate) fn parts(clock: &Arc<SetClock>) -> TlsParts {
    TlsParts { provider: provider(), time: Arc::clone(clock) as Arc<dyn TimeProvider>, key_log: None }
}

/// An authority.
pub(crate) struct Authority(pub(crate) CertifiedIssuer<'static, KeyPair>);

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = at(START - DAY);
    params.not_after = at(START + 3650 * DAY);
    params
}

fn at(seconds: u64) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).unwrap()).unwrap()
}

/// A chain and key in PEM.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) chain: String,
    pub(crate) key: String,
}

/// What a certificate is issued with.
pub(crate) struct Wish<'a> {
    pub(crate) names: &'a [&'a str],
    pub(crate) uris: &'a [&'a str],
    pub(crate) kind: &'static SignatureAlgorithm,
    pub(crate) valid: (u64, u64),
    pub(crate) serial: u64,
}

impl<'a> Wish<'a> {
    pub(crate) fn names(names: &'a [&'a str]) -> Self {
        let kind = &rcgen::PKCS_ECDSA_P256_SHA256;
        Self { names, uris: &[], kind, valid: (START - DAY, START + 90 * DAY), serial: 7 }
    }

    pub(crate) fn uris(uris: &'a [&'a str]) -> Self {
        Self { uris, ..Self::names(&[]) }
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(authority_params(name), key).unwrap())
    }

    /// One authority for a whole test, also in functions that do not have it.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: std::sync::OnceLock<Authority> = std::sync::OnceLock::new();
        SHARED.get_or_init(|| Self::new("blue"))
    }

    /// An authority that this one has issued.
    pub(crate) fn below(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(authority_params(name), key, &self.0).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.as_ref().pem()
    }

    pub(crate) fn issue(&self, wish: &Wish<'_>) -> Pair {
        let key = KeyPair::generate_for(wish.kind).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "leaf");
        params.not_before = at(wish.valid.0);
        params.not_after = at(wish.valid.1);
        params.serial_number = Some(SerialNumber::from(wish.serial));
        let dns = wish.names.iter().map(|name| match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(Ia5String::try_from(*name).unwrap()),
        });
        let uris = wish.uris.iter().map(|uri| SanType::URI(Ia5String::try_from(*uri).unwrap()));
        params.subject_alt_names = dns.chain(uris).collect();
        let issuer: &Issuer<'_, KeyPair> = &self.0;
        let certificate = params.signed_by(&key, issuer).unwrap();
        Pair { chain: certificate.pem(), key: key.serialize_pem() }
    }

    /// A revocation list of the serial numbers.
    pub(crate) fn revoke(&self, serials: &[u64]) -> String {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: at(START - 60),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: at(START - 60),
            next_update: at(START + 30 * DAY),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let issuer: &Issuer<'_, KeyPair> = &self.0;
        params.signed_by(issuer).unwrap().pem().unwrap()
    }
}

impl Pair {
    pub(crate) fn files<'a>(&'a self, name: &'a str) -> CertificateFiles<'a> {
        CertificateFiles {
            name,
            chain: NamedFile { setting: "chain", path: "chain.pem", bytes: self.chain.as_bytes() },
            key: NamedFile { setting: "key", path: "key.pem", bytes: self.key.as_bytes() },
            ocsp: None,
        }
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.chain.as_bytes()).unwrap()
    }
}

/// Always presents one certificate, whatever is in it.
#[derive(Debug)]
pub(crate) struct One(pub(crate) Pair);

impl rustls::server::ResolvesServerCert for One {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(self.0.key.as_bytes()).unwrap();
        Some(Arc::new(rustls::sign::CertifiedKey::from_der(vec![self.0.der()], key, &provider()).unwrap()))
    }
}

pub(crate) fn file<'a>(setting: &'a str, text: &'a str) -> NamedFile<'a> {
    NamedFile { setting, path: "file", bytes: text.as_bytes() }
}

pub(crate) fn server_files<'a>(certificates: &'a [CertificateFiles<'a>]) -> ServerFiles<'a> {
    ServerFiles { certificates, ticket_keys: None, client_ca: None, client_crl: None }
}

/// A client that trusts `authority`, speaks `versions`, and computes with `provider`.
pub(crate) fn client(
    authority: &Authority,
    clock: &Arc<SetClock>,
    provider: CryptoProvider,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let time = Arc::clone(clock) as Arc<dyn TimeProvider>;
    let builder = ClientConfig::builder_with_details(Arc::new(provider), time);
    builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots).with_no_client_auth()
}

/// Both ends after a handshake, tickets read.
pub(crate) struct Ends {
    pub(crate) client: Connection,
    pub(crate) server: Connection,
}

/// What each end has to say about a handshake that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) client: Option<rustls::Error>,
    pub(crate) server: Option<rustls::Error>,
}

/// Runs a handshake in memory, and takes what the server says after it.
pub(crate) fn shake(
    client: &Arc<ClientConfig>,
    name: &ServerName<'static>,
    server: &Arc<ServerConfig>,
) -> Result<Ends, Box<Failed>> {
    let client = ClientConnection::new(Arc::clone(client), name.clone()).unwrap();
    let server = ServerConnection::new(Arc::clone(server)).unwrap();
    let mut ends = Ends { client: client.into(), server: server.into() };
    // A handshake has at most four flights, and tickets one.
    for _ in 0..8 {
        let server = carry(&mut ends.client, &mut ends.server);
        let client = carry(&mut ends.server, &mut ends.client);
        if server.is_some() || client.is_some() {
            // What the other end is told by an alert.
            let server = server.or_else(|| carry(&mut ends.client, &mut ends.server));
            return Err(Box::new(Failed { client, server }));
        }
    }
    assert!(!ends.client.is_handshaking() && !ends.server.is_handshaking());
    Ok(ends)
}

/// Carries all that `from` has to say to `to`.
fn carry(from: &mut Connection, to: &mut Connection) -> Option<rustls::Error> {
    let mut wire = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut wire).unwrap();
    }
    let mut wire = wire.as_slice();
    while !wire.is_empty() {
        to.read_tls(&mut wire).unwrap();
        if let Err(error) = to.process_new_packets() {
            return Some(error);
        }
    }
    None
}

/// A client's store that offers the sessions of every name to every name.
#[derive(Debug)]
pub(crate) struct OneName(ClientSessionMemoryCache);

impl Default for OneName {
    fn default() -> Self {
        Self(ClientSessionMemoryCache::new(8))
    }
}

impl OneName {
    fn name() -> ServerName<'static> {
        ServerName::try_from("one.example").unwrap()
    }
}

impl ClientSessionStore for OneName {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(Self::name(), group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(&Self::name())
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(Self::name(), value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(&Self::name())
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.0.remove_tls12_session(&Self::name());
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(Self::name(), value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&Self::name())
    }
}
