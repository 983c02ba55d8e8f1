//! Which certificate a handshake gets: by the name that the client asks for and the signatures that it can check.
//!
//! | asked for | taken |
//! |---|---|
//! | `www.example.com` | a certificate for `www.example.com`, else one for `*.example.com`, else `default` |
//! | nothing, or an IP address | `default` |
//! | (no `default`) | none: the handshake fails with access_denied |
//!
//! Of several certificates for a name the cheapest kind of key that the client can check: see [`super::facts::KeyKind`].
//!
//! **Not**: the certificate's IP addresses: a client that connects to an address sends no name (RFC 6066).
//!
//! **Invariants**: for one name there is one certificate of a kind of key. A look-up allocates nothing.
//!
//! **Source**: RFC 6066 section 3, RFC 6125 section 6.4.3.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Certificate;
use super::error::{StoreError, StoreFault};

/// NAME of the certificate that clients get whose name no other has.
const DEFAULT: &str = "default";

/// Longest DNS name in bytes.
const NAME_BYTES_MAX: usize = 253;

/// Longest label of a DNS name in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// The certificates of a listener by name.
#[derive(Debug, Default)]
pub struct CertificateNames {
    exact: HashMap<Box<str>, Choices>,
    /// By what follows `*.`.
    wildcard: HashMap<Box<str>, Choices>,
    default: Choices,
}

/// Certificates for one name, by preference of their keys.
#[derive(Clone, Debug, Default)]
struct Choices(Vec<Arc<Certificate>>);

impl Choices {
    fn for_client(&self, schemes: &[SignatureScheme]) -> Option<&Arc<Certificate>> {
        self.0.iter().find(|certificate| certificate.key.key.choose_scheme(schemes).is_some())
    }

    fn of_like_key(&self, certificate: &Certificate) -> Option<&Arc<Certificate>> {
        self.0.iter().find(|other| other.facts.key.is_like(certificate.facts.key))
    }

    fn add(&mut self, certificate: &Arc<Certificate>) {
        self.0.push(Arc::clone(certificate));
        self.0.sort_by_key(|certificate| certificate.facts.key);
    }
}

impl CertificateNames {
    /// The names of all `certificates`.
    ///
    /// # Errors
    ///
    /// Two certificates of one kind of key for one name; a certificate without a name that is not `default`. The operator is at
    /// fault.
    pub fn new(certificates: &[Arc<Certificate>]) -> Result<Self, Vec<StoreError>> {
        let mut names = Self::default();
        let mut errors = Vec::new();
        for certificate in certificates {
            errors.extend(names.add(certificate).err());
        }
        if let Some(chosen) = certificates.iter().find(|certificate| certificate.facts.name == DEFAULT) {
            names.default = names.default_of(chosen);
        }
        if errors.is_empty() { Ok(names) } else { Err(errors) }
    }

    /// The certificate for a client that asks for `name`, in lower case, and can check signatures of `schemes`.
    #[must_use]
    pub fn find(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<&Arc<Certificate>> {
        self.choices(name).find_map(|choices| choices.for_client(schemes))
    }

    /// What there is for a name, in lower case: an exact one, that of a wildcard, or else the default.
    fn choices(&self, name: Option<&str>) -> impl Iterator<Item = &Choices> {
        let name = name.map(|name| name.strip_suffix('.').unwrap_or(name));
        let exact = name.and_then(|name| self.exact.get(name));
        let wildcard = name.and_then(|name| name.split_once('.')).and_then(|(_, rest)| self.wildcard.get(rest));
        let default = (exact.is_none() && wildcard.is_none()).then_some(&self.default);
        exact.into_iter().chain(wildcard).chain(default)
    }

    fn add(&mut self, certificate: &Arc<Certificate>) -> Result<(), StoreError> {
        let error = |fault| certificate.error(fault);
        let facts = &certificate.facts;
        let mut servable: Vec<&String> = facts.dns_names.iter().filter(|name| is_servable(name)).collect();
        servable.sort();
        servable.dedup();
        if servable.is_empty() && facts.name != DEFAULT {
            return Err(error(StoreFault::NoName));
        }
        for name in servable {
            let choices = match name.strip_prefix("*.") {
                Some(rest) => self.wildcard.entry(rest.into()).or_default(),
                None => self.exact.entry(name.as_str().into()).or_default(),
            };
            if let Some(other) = choices.of_like_key(certificate) {
                let (kind, other) = (facts.key.to_string(), other.setting.clone());
                return Err(error(StoreFault::SameName { name: name.clone(), kind, other }));
            }
            choices.add(certificate);
        }
        Ok(())
    }

    /// The default, and certificates with other keys for all of its names.
    fn default_of(&self, chosen: &Arc<Certificate>) -> Choices {
        let mut choices = Choices(vec![Arc::clone(chosen)]);
        let names: Vec<&String> = chosen.facts.dns_names.iter().filter(|name| is_servable(name)).collect();
        let Some(first) = names.first() else { return choices };
        let beside = match first.strip_prefix("*.") {
            Some(rest) => self.wildcard.get(rest),
            None => self.exact.get(first.as_str()),
        };
        for other in beside.map(|choices| choices.0.as_slice()).unwrap_or_default() {
            let has_all = names.iter().all(|name| other.facts.dns_names.contains(name));
            if has_all && choices.of_like_key(other).is_none() {
                choices.add(other);
            }
        }
        choices
    }
}

impl ResolvesServerCert for CertificateNames {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        // Where the client can check no key there is, it is given one nevertheless: what is missing is a suite or a signature scheme,
        // and not the name, and rustls says so once it has compared them.
        let any = || self.choices(name).find_map(|choices| choices.0.first());
        self.find(name, hello.signature_schemes()).or_else(any).map(|found| Arc::clone(&found.key))
    }
}

/// Whether a client can ask for the DNS name: labels of letters, digits, `-` and `_`, the first of which may be `*`.
pub(super) fn is_servable(name: &str) -> bool {
    let plain = name.strip_prefix("*.").unwrap_or(name);
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.len() <= NAME_BYTES_MAX && plain.split('.').all(is_label)
}
