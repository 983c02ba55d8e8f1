//! What is ordered, from whom, and how it is proved: checked before anything is asked for.
//!
//! **Not** reading of configuration: the binary does that and makes [`AcmeSettings`] of it.
//!
//! **Invariants**: settings that pass [`AcmeSettings::check`] name folders that are below the folder, and domains that are DNS names.
//!
//! **Source**: RFC 8555 section 7.1; RFC 1035 section 2.3.4 (lengths); Let's Encrypt's limits of 2026.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::folder::{CHAIN, KEY};

/// The directory that is used where none is written: Let's Encrypt's.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Most domains of one certificate: Let's Encrypt's limit.
pub const NAMES_MAX: usize = 100;

/// Most certificates that are kept: as many as an edge can have.
pub const CERTIFICATES_MAX: usize = 4096;

/// Longest domain, in bytes.
const DOMAIN_BYTES_MAX: usize = 253;

/// Longest label of a domain, in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// Longest name of a certificate, in bytes: it names a folder.
const CERTIFICATE_NAME_BYTES_MAX: usize = 128;

/// From whom certificates are ordered, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeSettings {
    /// URL of the authority's directory, `https` only.
    pub directory: String,
    /// Whom the authority may write to, as URLs (`mailto:ops@example.org`); may be empty.
    pub contact: Vec<String>,
    /// Whether the operator agrees to the authority's terms of service. Without it nothing is ordered.
    pub agree_terms: bool,
    /// Folder of the account's key and of all certificates, absolute; one process uses it at a time.
    pub folder: PathBuf,
    /// File of the authorities that the directory's own certificate is checked with, in PEM, instead of the host's.
    pub ca: Option<PathBuf>,
    /// What is ordered.
    pub certificates: Vec<AcmeCertificate>,
    /// How fast things go; [`AcmePace::default`] outside tests.
    pub pace: AcmePace,
}

/// One certificate that is ordered and renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeCertificate {
    /// Its name in the configuration and its folder: letters, digits, `-`, `_`, `.`, not first a dot.
    pub name: String,
    /// The domains it is for, 1 to [`NAMES_MAX`], without wildcards.
    pub names: Vec<String>,
    /// How control of the domains is shown.
    pub challenge: ChallengeKind,
}

/// How control of a domain is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeKind {
    /// The authority fetches a path over HTTP at port 80.
    Http01,
    /// The authority makes a TLS handshake at port 443 with the ALPN name `acme-tls/1`.
    TlsAlpn01,
}

/// How long things may take, and how often they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmePace {
    /// Wait after the first failure; each further failure in a row doubles it.
    pub first_retry: Duration,
    /// Longest wait after a failure that is not the authority's wish.
    pub retry_max: Duration,
    /// Most orders of one certificate within 24 hours.
    pub orders_per_day: usize,
    /// First wait before the state of an order is asked for again; doubles up to `poll_max`.
    pub poll_first: Duration,
    /// Longest wait before the state of an order is asked for again.
    pub poll_max: Duration,
    /// Longest time for one order.
    pub order_time: Duration,
    /// Longest time for one request to the authority.
    pub request_time: Duration,
    /// Longest time until the edge has challenges in force.
    pub in_force_time: Duration,
}

impl Default for AcmePace {
    /// Four tries in the first 75 minutes: Let's Encrypt refuses a domain after five failed proofs in an hour.
    fn default() -> Self {
        AcmePace {
            first_retry: Duration::from_secs(5 * 60),
            retry_max: Duration::from_secs(6 * 3600),
            orders_per_day: 10,
            poll_first: Duration::from_secs(1),
            poll_max: Duration::from_secs(15),
            order_time: Duration::from_secs(10 * 60),
            request_time: Duration::from_secs(30),
            in_force_time: Duration::from_secs(10),
        }
    }
}

/// What is wrong in the settings: the operator's fault.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AcmeSettingsFault {
    /// The terms were not agreed to.
    #[error(
        "acme.agree_terms must be true: the authority gives certificates to those only who agree to its terms of service"
    )]
    Terms,
    /// The directory is no URL of `https`.
    #[error("acme.directory `{0}` is no URL that begins with https://")]
    Directory(String),
    /// A contact is no URL.
    #[error("acme.contact `{0}` is no URL; an address is written mailto:NAME@HOST")]
    Contact(String),
    /// The folder is not absolute.
    #[error("acme.folder `{}` is not absolute", .0.display())]
    Folder(PathBuf),
    /// There are too many certificates.
    #[error("{0} certificates are ordered; at most {CERTIFICATES_MAX} can be")]
    Certificates(usize),
    /// A certificate's name cannot name a folder.
    #[error(
        "certificate `{0}`: its name is that of a folder: letters, digits, `-`, `_` and `.`, not first a dot, at most {CERTIFICATE_NAME_BYTES_MAX} bytes"
    )]
    CertificateName(String),
    /// Two certificates have one name.
    #[error("certificate `{0}` is there twice")]
    Twice(String),
    /// A certificate has no domain, or too many.
    #[error("certificate `{0}`: acme names {1} domains; 1 to {NAMES_MAX} are possible")]
    Domains(String, usize),
    /// A domain that no certificate can be ordered for.
    #[error("certificate `{certificate}`: `{domain}` {why}")]
    Domain {
        /// The certificate.
        certificate: String,
        /// The domain.
        domain: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl AcmeSettings {
    /// Where the chain and the key of the certificate of this name are stored.
    pub fn files_of(&self, name: &str) -> [PathBuf; 2] {
        let folder = self.folder.join(name);
        [folder.join(CHAIN), folder.join(KEY)]
    }

    /// What is wrong, all of it; nothing where all is well.
    pub fn check(&self) -> Vec<AcmeSettingsFault> {
        let mut faults = Vec::new();
        if !self.agree_terms {
            faults.push(AcmeSettingsFault::Terms);
        }
        if !is_https(&self.directory) {
            faults.push(AcmeSettingsFault::Directory(self.directory.clone()));
        }
        let bad_contacts = self.contact.iter().filter(|contact| !is_contact(contact));
        faults.extend(bad_contacts.cloned().map(AcmeSettingsFault::Contact));
        if !self.folder.is_absolute() {
            faults.push(AcmeSettingsFault::Folder(self.folder.clone()));
        }
        if self.certificates.len() > CERTIFICATES_MAX {
            faults.push(AcmeSettingsFault::Certificates(self.certificates.len()));
        }
        let mut seen = BTreeSet::new();
        for certificate in &self.certificates {
            if !seen.insert(certificate.name.as_str()) {
                faults.push(AcmeSettingsFault::Twice(certificate.name.clone()));
            }
            certificate.check(&mut faults);
        }
        faults
    }
}

impl AcmeCertificate {
    fn check(&self, faults: &mut Vec<AcmeSettingsFault>) {
        if !is_folder_name(&self.name) {
            faults.push(AcmeSettingsFault::CertificateName(self.name.clone()));
        }
        if self.names.is_empty() || self.names.len() > NAMES_MAX {
            faults.push(AcmeSettingsFault::Domains(self.name.clone(), self.names.len()));
        }
        for domain in &self.names {
            if let Some(why) = domain_fault(domain) {
                faults.push(AcmeSettingsFault::Domain { certificate: self.name.clone(), domain: domain.clone(), why });
            }
        }
    }

    /// The domains in small letters, each once, in order.
    pub(crate) fn domains(&self) -> BTreeSet<String> {
        self.names.iter().map(|name| name.to_ascii_lowercase()).collect()
    }
}

/// Whether this is a URL of `https` with a host.
pub(crate) fn is_https(url: &str) -> bool {
    let uri = url.parse::<http::Uri>();
    uri.is_ok_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some_and(|host| !host.is_empty()))
}

/// Whether the text has a scheme, and something after it, of printable ASCII without spaces.
fn is_contact(text: &str) -> bool {
    let parts = text.split_once(':');
    let is_scheme = |scheme: &str| !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    text.bytes().all(|byte| byte.is_ascii_graphic())
        && parts.is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty())
}

/// Whether the name can be that of a folder beside the files that are the account's.
fn is_folder_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=CERTIFICATE_NAME_BYTES_MAX).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(is_plain)
        && name != "lock"
        && !name.starts_with("account-")
}

/// Why no certificate can be ordered for this; nothing if one can.
fn domain_fault(domain: &str) -> Option<&'static str> {
    if domain.contains('*') {
        return Some(
            "is a wildcard, which only dns-01 could prove; write the names, or get that certificate with another tool",
        );
    }
    if !domain.is_ascii() {
        return Some("is not ASCII; write its xn-- form");
    }
    if domain.parse::<std::net::IpAddr>().is_ok() {
        return Some("is an address; only domains can be ordered");
    }
    let is_label = |label: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_domain = domain.len() <= DOMAIN_BYTES_MAX && domain.split('.').all(is_label);
    (!is_domain).then_some("is no domain: labels of letters, digits and `-`, with dots between them")
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn good() -> AcmeSettings {
        AcmeSettings {
            directory: LETS_ENCRYPT.into(),
            contact: vec!["mailto:ops@example.org".into()],
            agree_terms: true,
            folder: "/var/lib/corelane/acme".into(),
            ca: None,
            certificates: vec![AcmeCertificate {
                name: "shop".into(),
                names: vec!["shop.example".into(), "WWW.shop.example".into()],
                challenge: ChallengeKind::Http01,
            }],
            pace: AcmePace::default(),
        }
    }

    #[test]
    fn good_settings_have_no_fault() {
        assert_eq!(good().check(), []);
        assert_eq!(
            good().certificates[0].domains().into_iter().collect::<Vec<_>>(),
            ["shop.example", "www.shop.example"]
        );
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let mut bad = good();
        bad.agree_terms = false;
        bad.directory = "http://ca.example/directory".into();
        bad.contact = vec!["ops@example.org".into()];
        bad.folder = "acme".into();
        bad.certificates.push(bad.certificates[0].clone());
        bad.certificates[0].names.clear();
        let faults = bad.check();
        assert_eq!(faults.len(), 6, "{faults:?}");
        assert!(faults.contains(&AcmeSettingsFault::Terms));
        assert!(faults.contains(&AcmeSettingsFault::Domains("shop".into(), 0)));
        assert!(faults.contains(&AcmeSettingsFault::Twice("shop".into())));
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        for bad in ["", ".", "..", ".hidden", "a/b", "../a", "a\0b", "ä", "lock", "account-a.key", &"a".repeat(129)] {
            assert!(!is_folder_name(bad), "{bad:?}");
        }
        for fine in ["default", "a.example", "A_1-b"] {
            assert!(is_folder_name(fine), "{fine:?}");
        }
    }

    #[test]
    fn domains_that_cannot_be_ordered_say_why() {
        let long_label = format!("{}.example", "a".repeat(64));
        let long = vec!["a".repeat(50); 6].join(".");
        for (bad, word) in [
            ("*.example", "wildcard"),
            ("bücher.example", "xn--"),
            ("192.0.2.1", "address"),
            ("::1", "address"),
            ("", "no domain"),
            ("a..b", "no domain"),
            ("a.example.", "no domain"),
            ("-a.example", "no domain"),
            ("a-.example", "no domain"),
            ("a b.example", "no domain"),
            (&long_label, "no domain"),
            (&long, "no domain"),
        ] {
            assert!(domain_fault(bad).is_some_and(|why| why.contains(word)), "{bad:?}: {:?}", domain_fault(bad));
        }
        for fine in ["a.example", "localhost", "xn--bcher-kva.example", "1.a-b.example"] {
            assert_eq!(domain_fault(fine), None, "{fine:?}");
        }
    }

    #[test]
    fn the_pace_stays_below_the_authoritys_limits() {
        let pace = AcmePace::default();
        let tries_within = |span: Duration| {
            let mut at = Duration::ZERO;
            (0..)
                .map_while(|tries: u32| {
                    let now = at;
                    at += pace.first_retry.saturating_mul(1 << tries.min(16)).min(pace.retry_max);
                    (now < span).then_some(())
                })
                .count()
        };
        assert!(
            tries_within(Duration::from_secs(3600)) < 5,
            "five failed proofs of a domain within an hour are refused"
        );
        assert!(tries_within(Duration::from_secs(86_400)) <= pace.orders_per_day + 1);
    }
}
