//! The settings of TLS towards clients: certificates, policy, resumption.
//!
//! **Not** TLS between the processes of a cluster ([`control::security::ClusterSettings`]).
//!
//! **Source**: docs/tls.md.

use std::{path::PathBuf, time::Duration};

use control::settings::SettingMisfit;
use control::settings::kind::Kind;
use control::settings::process_keys::{DAY, MINUTE, SECOND};
use control::settings::schema::SettingKey;
use control::{choice, settings};
use corelane_acme::NAMES_MAX;

/// Most certificates that are written. Each data core's handshakes look a name up among all of them.
pub const CERTIFICATES_MAX: usize = 4096;

/// Longest domain, in bytes.
const DOMAIN_BYTES_MAX: usize = 253;

/// Most handshakes that one pass of a core may begin: at 0.13 ms each, 64 are a pass of 8 ms.
const HANDSHAKES_PER_PASS_MAX: u64 = 64;

settings! {
    /// A certificate and its key, read from files, or ordered. A name of the client's chooses among them: exact names before wildcards; where none fits, that of `[certificate.default]`.
    pub struct CertificateSettings {
        /// File of the certificate and those that lead from it to an authority, in PEM, in this order.
        pub chain: Option<PathBuf> = SettingKey::new(Kind::Path),
        /// File of its private key, in PEM.
        pub key: Option<PathBuf> = SettingKey::new(Kind::Path),
        /// File of the authority's response that it is not revoked (OCSP, in DER), given to clients as it is.
        pub ocsp: Option<PathBuf> = SettingKey::new(Kind::Path),
        /// Domains for which it is ordered from the authority of `[acme]` and renewed, instead of `chain` and `key`.
        pub acme: Vec<String> = SettingKey::new(Kind::Texts { count_max: NAMES_MAX, bytes_max: DOMAIN_BYTES_MAX }),
        /// How the authority is shown that the domains lead here: by HTTP at port 80, or by TLS at port 443; without it http-01.
        pub challenge: Option<ChallengeChoice> = SettingKey::new(Kind::Choice(ChallengeChoice::WORDS)),
    }
}

choice! {
    /// How an authority is shown that a domain leads here.
    pub enum ChallengeChoice {
        /// It fetches a path over HTTP at port 80.
        Http01 = "http-01",
        /// It makes a TLS handshake at port 443.
        TlsAlpn01 = "tls-alpn-01",
    }
}

settings! {
    /// TLS towards clients.
    pub struct TlsSettings {
        /// Oldest version of TLS that is spoken.
        pub min_version: TlsVersion = SettingKey::new(Kind::Choice(TlsVersion::WORDS)).preset("1.2"),
        /// Time for a handshake from the connection on; then it is closed.
        pub handshake_timeout: Duration = SettingKey::duration(Duration::from_millis(100), MINUTE).preset("5s"),
        /// Most handshakes that a core begins in one pass, so that a storm of them does not hold up requests.
        pub handshakes_per_pass: usize = SettingKey::count(1, HANDSHAKES_PER_PASS_MAX).preset("2"),
        /// Most connections of a core that wait for their handshake to begin; one more is closed.
        pub handshakes_waiting: usize = SettingKey::count(1, 65_536).preset("1024"),
        /// Whether clients get tickets with which they resume.
        pub tickets: bool = SettingKey::new(Kind::Bool).preset("true"),
        /// How long a ticket can be used.
        // RFC 8446 allows seven days at most.
        pub ticket_time: Duration = SettingKey::duration(MINUTE, DAY.saturating_mul(7)).preset("12h"),
        /// File of the keys that tickets are sealed with, shared by hosts that resume each other's connections; without it each start makes its own.
        pub ticket_keys: Option<PathBuf> = SettingKey::new(Kind::Path),
        /// Whether GET and HEAD are served from the first flight of a client that resumes (0-RTT), which others may send again: docs/tls.md. Sessions then end with the process.
        pub early_data: bool = SettingKey::new(Kind::Bool).preset("false"),
        /// Most sessions that are held for `early_data`, of all cores; one more takes the place of the oldest. Each has 1 KiB of memory at most.
        pub early_sessions: usize = SettingKey::count(1, 1 << 22).preset("65536"),
        /// Whether clients are asked for a certificate, and what becomes of those without.
        pub client_auth: ClientAuthChoice = SettingKey::new(Kind::Choice(ClientAuthChoice::WORDS)).preset("none"),
        /// File of the authorities whose client certificates are taken, in PEM.
        pub client_ca: Option<PathBuf> = SettingKey::new(Kind::Path),
        /// File of the lists of client certificates that were revoked, in PEM.
        pub client_crl: Option<PathBuf> = SettingKey::new(Kind::Path),
        /// File that the secrets of every connection are appended to, for debugging with Wireshark: whoever has it reads everything.
        pub key_log: Option<PathBuf> = SettingKey::new(Kind::Path).restart(),
        /// How long before its end a certificate is warned of in `/readyz` and the log.
        pub expiry_warning: Duration = SettingKey::duration(SECOND, DAY.saturating_mul(90)).preset("7d"),
    }
}

impl TlsSettings {
    /// Settings that early data cannot be taken with.
    pub(super) fn misfits(&self) -> Vec<SettingMisfit> {
        let excluded = [
            (!self.tickets, "tls.tickets = false: only clients that resume send early data"),
            (self.ticket_keys.is_some(), "tls.ticket_keys: sessions with early data are of one process"),
            (self.client_auth != ClientAuthChoice::None, "tls.client_auth: early data come before a certificate"),
        ];
        let excluding = excluded.into_iter().filter(|(is_set, _)| self.early_data && *is_set);
        let misfit = |(_, why)| SettingMisfit {
            key: "tls.early_data".to_owned(),
            reason: format!("found true beside {why}; take one of the two out"),
        };
        excluding.map(misfit).collect()
    }
}

choice! {
    /// A version of TLS.
    pub enum TlsVersion {
        /// 1.2, with AEAD suites only.
        Tls12 = "1.2",
        /// 1.3.
        Tls13 = "1.3",
    }
}

choice! {
    /// What is asked of clients.
    pub enum ClientAuthChoice {
        /// Nothing.
        None = "none",
        /// A certificate, if they have one.
        Optional = "optional",
        /// A certificate.
        Required = "required",
    }
}
