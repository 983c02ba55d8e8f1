//! Where certificates are ordered, and what of that does not go together.
//!
//! **Not** ordering, which is `corelane-acme`'s.
//!
//! **Source**: docs/tls.md, "Certificates by ACME".

use std::path::PathBuf;

use control::settings;
use control::settings::SettingMisfit;
use control::settings::kind::Kind;
use control::settings::schema::SettingKey;
use corelane_acme::{AcmeCertificate, AcmePace, AcmeSettings, AcmeSettingsFault, ChallengeKind};

use super::{CertificateSettings, ChallengeChoice, ClientAuthChoice, EdgeSettings};

/// Most addresses that an authority writes to.
const CONTACTS_MAX: usize = 16;

/// Longest URL.
const URL_BYTES_MAX: usize = 2048;

settings! {
    /// The authority that certificates with `acme` are ordered from, by ACME (RFC 8555).
    pub struct AuthoritySettings {
        /// URL of the authority's directory, https only.
        pub directory: String =
            SettingKey::new(Kind::Text { bytes_max: URL_BYTES_MAX }).preset("https://acme-v02.api.letsencrypt.org/directory"),
        /// Whom the authority may write to, as URLs such as mailto:ops@example.org.
        pub contact: Vec<String> = SettingKey::new(Kind::Texts { count_max: CONTACTS_MAX, bytes_max: URL_BYTES_MAX }),
        /// Whether you agree to the authority's terms of service; nothing is ordered without.
        pub agree_terms: bool = SettingKey::new(Kind::Bool).preset("false"),
        /// Folder of the account's key and of the certificates, used by this process alone; it is made where it is missing.
        pub folder: Option<PathBuf> = SettingKey::new(Kind::Path),
        /// File of the authorities that the directory's own certificate is checked with, in PEM, for a directory of your own; without it those of the host.
        pub ca: Option<PathBuf> = SettingKey::new(Kind::Path),
    }
}

impl CertificateSettings {
    /// Whether it is ordered.
    pub(crate) fn is_ordered(&self) -> bool {
        !self.acme.is_empty()
    }
}

impl EdgeSettings {
    /// What is ordered, and where; `None` where nothing is.
    pub(crate) fn orders(&self) -> Option<AcmeSettings> {
        let ordered = self.certificate.iter().filter(|(_, certificate)| certificate.is_ordered());
        let certificates: Vec<AcmeCertificate> = ordered
            .map(|(name, certificate)| AcmeCertificate {
                name: name.clone(),
                names: certificate.acme.clone(),
                challenge: match certificate.challenge {
                    None | Some(ChallengeChoice::Http01) => ChallengeKind::Http01,
                    Some(ChallengeChoice::TlsAlpn01) => ChallengeKind::TlsAlpn01,
                },
            })
            .collect();
        let acme = &self.acme;
        (!certificates.is_empty()).then(|| AcmeSettings {
            directory: acme.directory.clone(),
            contact: acme.contact.clone(),
            agree_terms: acme.agree_terms,
            folder: acme.folder.clone().unwrap_or_default(),
            ca: acme.ca.clone(),
            certificates,
            pace: AcmePace::default(),
        })
    }

    /// What of certificates does not go together.
    pub(super) fn certificate_misfits(&self) -> Vec<SettingMisfit> {
        let mut misfits: Vec<SettingMisfit> =
            self.certificate.iter().flat_map(|(name, certificate)| table_misfits(name, certificate)).collect();
        let Some(orders) = self.orders() else { return misfits };
        if self.acme.folder.is_none() {
            misfits.push(misfit(
                "acme.folder",
                "not set; ordered certificates are kept there: folder = \"/var/lib/corelane/acme\" in [acme]",
            ));
        }
        let faults = orders.check().into_iter();
        misfits.extend(faults.filter(|fault| !is_unset_folder(fault)).map(|fault| {
            let reason = told(&fault);
            SettingMisfit { key: key_of(fault), reason }
        }));
        misfits.extend(orders.certificates.iter().filter_map(|ordered| self.challenge_misfit(ordered)));
        misfits
    }

    /// Whether an authority could see the challenge.
    fn challenge_misfit(&self, ordered: &AcmeCertificate) -> Option<SettingMisfit> {
        let key = format!("certificate.{}.challenge", ordered.name);
        match ordered.challenge {
            ChallengeKind::Http01 if self.listeners().all(|listener| listener.tls) => Some(misfit(
                &key,
                "http-01 is answered by listeners without TLS, and there is none; set listen, which the authority reaches at port 80, or challenge = \"tls-alpn-01\"",
            )),
            ChallengeKind::TlsAlpn01 if self.tls.client_auth == ClientAuthChoice::Required => Some(misfit(
                &key,
                "found tls-alpn-01, but tls.client_auth = \"required\" refuses the authority's handshake, which shows no certificate; set challenge = \"http-01\"",
            )),
            ChallengeKind::Http01 | ChallengeKind::TlsAlpn01 => None,
        }
    }
}

fn misfit(key: &str, reason: &str) -> SettingMisfit {
    SettingMisfit { key: key.to_owned(), reason: reason.to_owned() }
}

/// What of one table does not go together.
fn table_misfits(name: &str, certificate: &CertificateSettings) -> Vec<SettingMisfit> {
    let key = |key: &str| format!("certificate.{name}.{key}");
    let CertificateSettings { chain, key: private, ocsp, challenge, .. } = certificate;
    if certificate.is_ordered() {
        let files = [("chain", chain), ("key", private), ("ocsp", ocsp)];
        let written = files.into_iter().filter(|(_, file)| file.is_some());
        let reason = "found a file beside acme, which orders the certificate; take out the one or the other";
        return written.map(|(file, _)| misfit(&key(file), reason)).collect();
    }
    let mut misfits = Vec::new();
    if challenge.is_some() {
        misfits.push(misfit(
            &key("challenge"),
            "it is for certificates that are ordered; write acme = [\"DOMAIN\"], or take it out",
        ));
    }
    let missing = |file: &str, other: &str| {
        let reason = format!("not set, and {other} is; write the file of each, or acme = [\"DOMAIN\"] alone");
        SettingMisfit { key: key(file), reason }
    };
    match (chain, private) {
        (Some(_), Some(_)) => {}
        (Some(_), None) => misfits.push(missing("key", "chain")),
        (None, Some(_)) => misfits.push(missing("chain", "key")),
        (None, None) => misfits.push(misfit(
            &format!("certificate.{name}"),
            "found neither files nor domains; write chain and key, or acme = [\"DOMAIN\"] to have it ordered",
        )),
    }
    misfits
}

/// Whether the fault is that of a folder that is not set, which is told in other words.
fn is_unset_folder(fault: &AcmeSettingsFault) -> bool {
    matches!(fault, AcmeSettingsFault::Folder(folder) if folder.as_os_str().is_empty())
}

/// The key at fault.
fn key_of(fault: AcmeSettingsFault) -> String {
    match fault {
        AcmeSettingsFault::Terms => "acme.agree_terms".to_owned(),
        AcmeSettingsFault::Directory(_) => "acme.directory".to_owned(),
        AcmeSettingsFault::Contact(_) => "acme.contact".to_owned(),
        AcmeSettingsFault::Folder(_) => "acme.folder".to_owned(),
        AcmeSettingsFault::Certificates(_) => "certificate".to_owned(),
        AcmeSettingsFault::CertificateName(name) | AcmeSettingsFault::Twice(name) => format!("certificate.{name}"),
        AcmeSettingsFault::Domains(name, _) | AcmeSettingsFault::Domain { certificate: name, .. } => {
            format!("certificate.{name}.acme")
        }
    }
}

/// What is wrong, behind the name of the key.
fn told(fault: &AcmeSettingsFault) -> String {
    match fault {
        AcmeSettingsFault::Terms => "found false; the authority gives certificates to those only who agree to its terms of service: read them, and set true".to_owned(),
        AcmeSettingsFault::Directory(found) => format!("found {found:?}, allowed: a URL that begins with https://"),
        AcmeSettingsFault::Contact(found) => format!("found {found:?}, allowed: URLs; an address is written mailto:NAME@HOST"),
        AcmeSettingsFault::Domain { domain, why, .. } => format!("found {domain:?}, which {why}"),
        AcmeSettingsFault::Folder(_)
        | AcmeSettingsFault::Certificates(_)
        | AcmeSettingsFault::CertificateName(_)
        | AcmeSettingsFault::Twice(_)
        | AcmeSettingsFault::Domains(..) => fault.to_string(),
    }
}
