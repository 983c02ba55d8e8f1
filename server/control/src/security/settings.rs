//! What an operator says of who a process is to the others of its cluster.
//!
//! **Not** certificates for clients, which only the edge has.
//!
//! **Source**: docs/tls.md.

use std::path::PathBuf;
use std::time::Duration;

use crate::settings::{kind::Kind, schema::SettingKey};
use crate::{choice, settings};

/// A handshake costs a third of a millisecond; more often than this it would show.
const LINK_TIME_MIN: Duration = Duration::from_secs(1);

/// As long as certificates hold.
const LINK_TIME_MAX: Duration = Duration::from_secs(90 * 86_400);

settings! {
    /// Who this process is to the others of its cluster, and whom it takes for one of them.
    pub struct ClusterSettings {
        /// File of this process's certificate and those that lead from it to the cluster's authority, in PEM; without it the cluster is spoken to in the clear.
        pub chain: Option<PathBuf> = SettingKey::new(Kind::Path),
        /// File of its private key, in PEM.
        pub key: Option<PathBuf> = SettingKey::new(Kind::Path),
        /// File of the cluster's authorities, in PEM: more than one while one follows another.
        pub ca: Option<PathBuf> = SettingKey::new(Kind::Path),
        /// File of the lists of certificates that were revoked, in PEM.
        pub crl: Option<PathBuf> = SettingKey::new(Kind::Path),
        /// How long an edge uses a connection to a node before both show their certificates again on a new one, which takes its place without a failed request: so long may a certificate still be in use that was revoked. The same everywhere; a node ends what is older than twice that.
        pub link_time: Duration = SettingKey::duration(LINK_TIME_MIN, LINK_TIME_MAX).preset("1h"),
        /// Which addresses may be spoken to, and listened on, in the clear: those of this host, or all.
        pub plaintext: Plaintext = SettingKey::new(Kind::Choice(Plaintext::WORDS))
            .preset("loopback")
            .flag("plaintext", "WORD")
            .restart(),
    }
}

choice! {
    /// Where no certificates are needed.
    pub enum Plaintext {
        /// On this host.
        Loopback = "loopback",
        /// Everywhere: something else protects the network.
        Allow = "allow",
    }
}

impl ClusterSettings {
    /// The files of which an identity is made, in a fixed order.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.chain, &self.key, &self.ca, &self.crl].into_iter().flatten()
    }
}

/// Whether the admin listener speaks TLS, with the certificate of the cluster.
pub const ADMIN_TLS: SettingKey = SettingKey::new(Kind::Bool).preset("false").restart();

/// Whose certificates the admin listener takes.
pub const ADMIN_CLIENT_CA: SettingKey = SettingKey::new(Kind::Path);
