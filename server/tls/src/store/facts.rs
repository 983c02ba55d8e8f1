//! What an operator wants to know about a certificate: names, times, fingerprint, key, and what could be better.
//!
//! **Not**: whether it may be used, which is [`super::certificate`]'s.
//!
//! **Source**: RFC 5280; costs of kinds of keys: docs/tls.md.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustls::pki_types::UnixTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::public_key::PublicKey;

use super::secret::{fingerprint, hex};

/// A key's kind. The order is that of preference: what a handshake costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// ECDSA with P-256.
    P256,
    /// Ed25519.
    Ed25519,
    /// ECDSA with P-384.
    P384,
    /// ECDSA with P-521.
    P521,
    /// RSA of so many bits.
    Rsa(u32),
    /// Another; the library decides whether it can sign.
    Other,
}

impl KeyKind {
    /// Whether a client that takes the one takes the other as well, as far as signatures go.
    #[must_use]
    pub const fn is_like(self, other: Self) -> bool {
        match (self, other) {
            (Self::Rsa(_), Self::Rsa(_)) => true,
            _ => self.number() == other.number(),
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::P256 => 0,
            Self::Ed25519 => 1,
            Self::P384 => 2,
            Self::P521 => 3,
            Self::Rsa(_) => 4,
            Self::Other => 5,
        }
    }

    fn of(certificate: &X509Certificate<'_>) -> Self {
        let key = certificate.public_key();
        let curve =
            || key.algorithm.parameters.as_ref().and_then(|any| any.as_oid().ok()).map(|oid| oid.to_id_string());
        match (key.algorithm.algorithm.to_id_string().as_str(), key.parsed()) {
            ("1.3.101.112", _) => Self::Ed25519,
            (_, Ok(PublicKey::RSA(rsa))) => Self::Rsa(u32::try_from(rsa.key_size()).unwrap_or(u32::MAX)),
            (_, Ok(PublicKey::EC(_))) => match curve().as_deref() {
                Some("1.2.840.10045.3.1.7") => Self::P256,
                Some("1.3.132.0.34") => Self::P384,
                Some("1.3.132.0.35") => Self::P521,
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::P256 => f.write_str("P-256"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::P384 => f.write_str("P-384"),
            Self::P521 => f.write_str("P-521"),
            Self::Rsa(bits) => write!(f, "RSA-{bits}"),
            Self::Other => f.write_str("unknown"),
        }
    }
}

/// What an operator wants to know about a certificate and its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// NAME of its table.
    pub name: String,
    /// DNS names, in lower case, in the certificate's order.
    pub dns_names: Vec<String>,
    /// IP addresses and URIs: no client asks for them by name.
    pub other_names: Vec<String>,
    /// From when on it is valid, in seconds since 1970: the latest of its chain.
    pub not_before: i64,
    /// Until when it is valid, in seconds since 1970: the earliest of its chain.
    pub not_after: i64,
    /// SHA-256 of the certificate, in hexadecimal digits.
    pub fingerprint: String,
    /// Of its key.
    pub key: KeyKind,
    /// Whose it is.
    pub subject: String,
    /// Who has issued it.
    pub issuer: String,
    /// Its number, in hexadecimal digits with colons.
    pub serial: String,
    /// Certificates of the chain, its own among them.
    pub chain_length: usize,
    /// Whether an OCSP response is sent with it.
    pub is_stapled: bool,
    /// Since when this process has it, in seconds since 1970.
    pub since: u64,
    /// What could be better; nothing of it keeps the certificate from being used.
    pub advice: Vec<String>,
}

impl CertificateFacts {
    /// Facts of a chain that has been checked; `chain` is not empty.
    pub(super) fn of(name: &str, chain: &[X509Certificate<'_>], der: &[u8], now: UnixTime) -> Self {
        let own = &chain[0];
        let (dns_names, other_names) = names(own);
        // A root at the end is not what clients check times of.
        let timed = || chain.iter().enumerate().filter(|(position, one)| *position == 0 || !is_self_issued(one));
        let not_before = timed().map(|(_, one)| one.validity().not_before.timestamp()).max();
        let not_after = timed().map(|(_, one)| one.validity().not_after.timestamp()).min();
        let mut facts = Self {
            name: name.to_owned(),
            dns_names,
            other_names,
            not_before: not_before.unwrap_or_default(),
            not_after: not_after.unwrap_or_default(),
            fingerprint: hex(&fingerprint(der)),
            key: KeyKind::of(own),
            subject: own.subject().to_string(),
            issuer: own.issuer().to_string(),
            serial: own.raw_serial_as_string(),
            chain_length: chain.len(),
            is_stapled: false,
            since: now.as_secs(),
            advice: Vec::new(),
        };
        facts.advise(chain);
        facts
    }

    fn advise(&mut self, chain: &[X509Certificate<'_>]) {
        if let KeyKind::Rsa(bits) = self.key {
            self.advice.push(format!(
                "its key is RSA-{bits}: a handshake costs about 780 us of CPU with RSA-2048, and 120 us with P-256; \
                 have a P-256 certificate issued for the same names, beside it or instead"
            ));
        }
        if chain.len() > 1 && chain.last().is_some_and(is_self_issued) {
            self.advice.push("the chain ends with a root, which clients have already: take it out of the file".into());
        }
        if chain.len() == 1 && is_self_issued(&chain[0]) {
            self.advice.push("it is signed by itself: only clients that have it in their store accept it".into());
        }
        let matched = |name: &String| super::names::is_servable(name);
        for name in self.dns_names.iter().filter(|name| !matched(name)) {
            self.advice.push(format!("its name {name} is no DNS name that a client can ask for"));
        }
    }

    /// Notes that an OCSP response is sent along, or that one is missing that the certificate asks for.
    pub(super) fn note_staple(&mut self, own: &X509Certificate<'_>, is_stapled: bool) {
        self.is_stapled = is_stapled;
        if !is_stapled && wants_staple(own) {
            self.advice.push("the certificate demands an OCSP response (must-staple) and has none: set `ocsp`".into());
        }
    }
}

/// TLS feature status_request, RFC 7633.
fn wants_staple(certificate: &X509Certificate<'_>) -> bool {
    const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";
    certificate.extensions().iter().any(|extension| extension.oid.to_id_string() == TLS_FEATURE)
}

/// Whether subject and issuer are the same: a root, or a certificate that stands by itself.
pub(super) fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

/// DNS names, and the others.
fn names(certificate: &X509Certificate<'_>) -> (Vec<String>, Vec<String>) {
    let (mut dns, mut other) = (Vec::new(), Vec::new());
    for extension in certificate.extensions() {
        let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() else { continue };
        for name in &names.general_names {
            match name {
                GeneralName::DNSName(name) => dns.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress(bytes) => other.extend(address(bytes).map(|address| address.to_string())),
                GeneralName::URI(uri) => other.push((*uri).to_owned()),
                _ => {}
            }
        }
    }
    (dns, other)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|sixteen| Ipv6Addr::from(sixteen).into())
}
