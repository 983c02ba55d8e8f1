//! Snapshots of what a listener, or the links to nodes, need for handshakes.
//!
//! | | public | admin | cluster listener | link to a node |
//! |---|---|---|---|---|
//! | versions | 1.2 or 1.3 on | 1.2 or 1.3 on | 1.3 | 1.3 |
//! | ALPN | the caller's | the caller's | `corelane/1` | `corelane/1` |
//! | client certificate | as set | as set | required, with a role | own |
//! | resumption | tickets, or sessions for early data | none | none | none |
//!
//! Links live for hours and admin connections are few: without resumption, every one of their handshakes checks the peer.
//!
//! **Not**: choosing when a snapshot is replaced; reading files; the suites and groups, which the provider has.
//!
//! **Invariants**: a snapshot never changes, and what it shares with its successor (ticket keys, sessions) is used only for the
//! clients that both allow. TLS 1.2 only with the extended master secret. No compression of certificates, no renegotiation. Keys
//! are logged only where the caller gives a log for them.
//!
//! **Source**: RFC 8446, RFC 7627, RFC 7301.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::UnixTime;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::SingleCertAndKey;
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, KeyLog, ServerConfig, SupportedProtocolVersion, client::Resumption};

use super::authority::PeerAuthorities;
use super::certificate::{Certificate, CertificateFiles};
use super::challenges::{ACME_ALPN, ChallengeCertificates, ChallengedNames};
use super::error::{NamedFile, StoreFault};
use super::facts::CertificateFacts;
use super::identity::{ExpectedPeer, PeerRole};
use super::names::CertificateNames;
use super::peers::{ClientAuth, ClusterNodes, ExpectedClient, client_verifier};
use super::secret::{Sha256, digest_of};
use super::sessions::{SessionView, Sessions};
use super::tickets::{TicketKeyFacts, TicketKeys, Tickets};

/// The protocol of links between processes, in ALPN.
pub const CLUSTER_ALPN: &[u8] = b"corelane/1";

/// Tickets after a full handshake: browsers open a second connection.
const TICKETS_PER_HANDSHAKE: usize = 2;

/// Most bytes of early data: a request without a body.
const EARLY_DATA_BYTES_MAX: u32 = 16 * 1024;

/// What computes, what tells the time, and where keys are logged to.
#[derive(Clone)]
pub struct TlsParts {
    /// Suites, groups, signatures, random bytes.
    pub provider: Arc<CryptoProvider>,
    /// Wall time.
    pub time: Arc<dyn TimeProvider>,
    /// Where the secrets of every connection are written to, for debugging; nothing for nowhere.
    pub key_log: Option<Arc<dyn KeyLog>>,
}

impl TlsParts {
    /// Wall time now; 1970 if there is none, so that nothing is taken for valid.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.time.current_time().unwrap_or_else(|| UnixTime::since_unix_epoch(Duration::ZERO))
    }
}

impl fmt::Debug for TlsParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsParts").field("logs_keys", &self.key_log.is_some()).finish_non_exhaustive()
    }
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MinVersion {
    /// 1.2 and 1.3.
    #[default]
    Tls12,
    /// 1.3 only.
    Tls13,
}

impl MinVersion {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match self {
            Self::Tls12 => &BOTH,
            Self::Tls13 => &BOTH[..1],
        }
    }
}

/// Who connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Anyone.
    Public,
    /// Operators and what watches.
    Admin {
        /// Whose operators, of those that say whose they are; nothing for anybody's.
        cluster: Option<String>,
    },
    /// Processes of the cluster.
    Cluster {
        /// Who may come.
        clients: ExpectedPeer,
        /// Who this process is: its own certificate has to say so.
        own: ExpectedPeer,
    },
}

impl Purpose {
    const fn name(&self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Admin { .. } => "admin",
            Self::Cluster { .. } => "cluster",
        }
    }

    pub(super) const fn own(&self) -> Option<&ExpectedPeer> {
        match self {
            Self::Cluster { own, .. } => Some(own),
            Self::Public | Self::Admin { .. } => None,
        }
    }
}

/// How sessions are resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketPolicy {
    /// Not at all.
    Off,
    /// With tickets, on every core and host that has the keys.
    Tickets,
    /// With sessions of this process, at most so many, that are used once: early data is taken.
    EarlyData {
        /// Most sessions, 1 to 2^22.
        sessions: usize,
    },
}

/// What a listener is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Who connects.
    pub purpose: Purpose,
    /// The oldest version that is spoken.
    pub min_version: MinVersion,
    /// Protocols that are spoken, best first. A client that names none of them is refused; one without ALPN is served.
    pub alpn: Vec<Vec<u8>>,
    /// Whether clients are asked for a certificate.
    pub client_auth: ClientAuth,
    /// How sessions are resumed.
    pub resumption: TicketPolicy,
    /// How long a session can be resumed, up to seven days.
    pub ticket_time: Duration,
}

impl ServerSettings {
    /// A public listener with the defaults: TLS 1.2 on, tickets of 12 hours, no client certificates.
    #[must_use]
    pub fn public(alpn: Vec<Vec<u8>>) -> Self {
        Self {
            purpose: Purpose::Public,
            min_version: MinVersion::Tls12,
            alpn,
            client_auth: ClientAuth::None,
            resumption: TicketPolicy::Tickets,
            ticket_time: Duration::from_secs(12 * 3600),
        }
    }

    /// An admin listener: clients need a certificate if `client_auth` says so, an operator's of `cluster` if that is named. One that
    /// names no cluster is let in as well.
    #[must_use]
    pub fn admin(alpn: Vec<Vec<u8>>, client_auth: ClientAuth, cluster: Option<&str>) -> Self {
        let purpose = Purpose::Admin { cluster: cluster.map(str::to_owned) };
        Self { purpose, client_auth, resumption: TicketPolicy::Off, ..Self::public(alpn) }
    }

    /// The listener of the node `id` for edges and nodes of `cluster`.
    #[must_use]
    pub fn node(cluster: &str, id: u32) -> Self {
        let expected = |roles, id| ExpectedPeer { cluster: cluster.to_owned(), roles, id };
        let clients = expected(vec![PeerRole::Edge, PeerRole::Node], None);
        let own = expected(vec![PeerRole::Node], Some(id.to_string()));
        Self {
            purpose: Purpose::Cluster { clients, own },
            min_version: MinVersion::Tls13,
            client_auth: ClientAuth::Required,
            resumption: TicketPolicy::Off,
            ..Self::public(vec![CLUSTER_ALPN.to_vec()])
        }
    }

    /// Digest of which clients are allowed: sessions do not outlive a change of it.
    fn context(&self, authorities: Option<&PeerAuthorities>) -> Sha256 {
        let auth = match self.client_auth {
            ClientAuth::None => "none",
            ClientAuth::Optional => "optional",
            ClientAuth::Required => "required",
        };
        let authorities = authorities.filter(|_| self.client_auth != ClientAuth::None);
        let digest = authorities.map_or(&[][..], |authorities| &authorities.digest);
        digest_of(&[b"corelane", self.purpose.name().as_bytes(), auth.as_bytes(), digest])
    }
}

/// The bytes of a listener's files.
#[derive(Clone, Copy, Debug)]
pub struct ServerFiles<'a> {
    /// Every `[certificate.NAME]`.
    pub certificates: &'a [CertificateFiles<'a>],
    /// `tls.ticket_keys`.
    pub ticket_keys: Option<NamedFile<'a>>,
    /// The bundle of authorities for clients.
    pub client_ca: Option<NamedFile<'a>>,
    /// The revocation lists for clients.
    pub client_crl: Option<NamedFile<'a>>,
}

/// A listener's certificates, settings and keys as of one moment.
#[derive(Clone, Debug)]
pub struct ServerSnapshot {
    pub(super) config: Arc<ServerConfig>,
    pub(super) generation: u64,
    pub(super) contents: ServerContents,
}

/// What a snapshot is made of.
#[derive(Clone, Debug)]
pub(super) struct ServerContents {
    pub(super) parts: TlsParts,
    pub(super) settings: ServerSettings,
    pub(super) certificates: Vec<Arc<Certificate>>,
    pub(super) names: Arc<CertificateNames>,
    pub(super) authorities: Option<Arc<PeerAuthorities>>,
    pub(super) tickets: Option<TicketKeys>,
    pub(super) sessions: Option<Arc<Sessions>>,
    /// What shows an authority that a name is ours.
    pub(super) challenges: Arc<ChallengeCertificates>,
}

impl ServerSnapshot {
    pub(super) fn new(contents: ServerContents, generation: u64) -> Result<Self, StoreFault> {
        Ok(Self { config: Arc::new(contents.config()?), generation, contents })
    }

    /// What handshakes use.
    #[must_use]
    pub const fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }

    /// Its number within the process, from 1.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// What an operator wants to know about each certificate.
    pub fn certificates(&self) -> impl Iterator<Item = &CertificateFacts> {
        self.contents.certificates.iter().map(|certificate| certificate.facts())
    }

    /// The authorities that clients' certificates come from.
    #[must_use]
    pub fn authorities(&self) -> Option<&PeerAuthorities> {
        self.contents.authorities.as_deref()
    }

    /// The ticket keys and their ages, newest first; none without tickets.
    #[must_use]
    pub fn ticket_keys(&self) -> Vec<TicketKeyFacts> {
        self.contents.tickets.as_ref().map(TicketKeys::facts).unwrap_or_default()
    }

    /// The sessions for early data, if it is taken.
    #[must_use]
    pub const fn sessions(&self) -> Option<&Arc<Sessions>> {
        self.contents.sessions.as_ref()
    }

    /// The next snapshot, which answers these challenges and no others.
    ///
    /// # Errors
    ///
    /// The library refuses it. We are at fault.
    pub fn with_challenges(&self, challenges: Arc<ChallengeCertificates>) -> Result<Self, StoreFault> {
        Self::new(ServerContents { challenges, ..self.contents.clone() }, self.generation + 1)
    }

    /// When [`Self::with_rotated_tickets`] is due; never without tickets, or if their keys are a file's.
    #[must_use]
    pub fn rotation_due(&self) -> Option<UnixTime> {
        self.contents.tickets.as_ref()?.rotation_due(self.contents.settings.ticket_time)
    }

    /// The next snapshot, with rotated ticket keys; nothing if that is not due now, or if there are no random bytes: the old keys
    /// go on, and the caller asks again.
    #[must_use]
    pub fn with_rotated_tickets(&self) -> Option<Self> {
        let parts = &self.contents.parts;
        let now = parts.now();
        if self.rotation_due()? > now {
            return None;
        }
        let tickets = self.contents.tickets.as_ref()?;
        let rotated = tickets.rotated(parts.provider.secure_random, self.contents.settings.ticket_time, now).ok()?;
        let contents = ServerContents { tickets: Some(rotated), ..self.contents.clone() };
        Self::new(contents, self.generation + 1).ok()
    }
}

impl ServerContents {
    fn config(&self) -> Result<ServerConfig, StoreFault> {
        let library = |error: rustls::Error| StoreFault::Library { reason: error.to_string() };
        let (parts, settings) = (&self.parts, &self.settings);
        let builder = ServerConfig::builder_with_details(Arc::clone(&parts.provider), Arc::clone(&parts.time));
        let builder = builder.with_protocol_versions(settings.min_version.versions()).map_err(library)?;
        let names = self.resolver();
        let mut config = match (&self.authorities, settings.client_auth) {
            (_, ClientAuth::None) => builder.with_no_client_auth().with_cert_resolver(names),
            (None, _) => return Err(StoreFault::Missing { what: "asking clients for a certificate" }),
            (Some(authorities), auth) => {
                let expected = match &settings.purpose {
                    Purpose::Cluster { clients, .. } => Some(ExpectedClient::Peer(clients.clone())),
                    Purpose::Admin { cluster } => Some(ExpectedClient::Operator(cluster.clone())),
                    Purpose::Public => None,
                };
                let verifier = client_verifier(authorities, auth, expected, &parts.provider)?;
                builder.with_client_cert_verifier(verifier).with_cert_resolver(names)
            }
        };
        config.alpn_protocols.clone_from(&settings.alpn);
        if !self.challenges.is_empty() {
            // The last of the list: who speaks anything else speaks that.
            config.alpn_protocols.push(ACME_ALPN.to_vec());
        }
        config.enable_secret_extraction = true;
        config.require_ems = true;
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if let Some(log) = &parts.key_log {
            config.key_log = Arc::clone(log);
        }
        self.resume(&mut config);
        Ok(config)
    }

    fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        let (names, challenges) = (Arc::clone(&self.names), Arc::clone(&self.challenges));
        if challenges.is_empty() { names } else { Arc::new(ChallengedNames { names, challenges }) }
    }

    fn resume(&self, config: &mut ServerConfig) {
        let context = self.settings.context(self.authorities.as_deref());
        let (ticket_time, time) = (self.settings.ticket_time, Arc::clone(&self.parts.time));
        if let Some(keys) = &self.tickets {
            let (keys, random) = (keys.clone(), self.parts.provider.secure_random);
            config.ticketer = Arc::new(Tickets { keys, ticket_time, context, random, time });
            config.send_tls13_tickets = TICKETS_PER_HANDSHAKE;
        } else if let Some(sessions) = &self.sessions {
            let sessions = Arc::clone(sessions);
            config.session_storage = Arc::new(SessionView { sessions, context, ticket_time, time });
            config.send_tls13_tickets = TICKETS_PER_HANDSHAKE;
            // Whose certificate has to be looked at is not served before that.
            let is_early = self.settings.client_auth == ClientAuth::None;
            config.max_early_data_size = if is_early { EARLY_DATA_BYTES_MAX } else { 0 };
            config.send_half_rtt_data = is_early;
        }
    }
}

/// Who a process is towards nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// Who this process is: its own certificate has to say so.
    pub own: ExpectedPeer,
}

/// The bytes of `cluster.chain`, `cluster.key`, `cluster.ca`, and revocation lists if there are any.
#[derive(Clone, Copy, Debug)]
pub struct ClusterFiles<'a> {
    /// Own chain and key.
    pub certificate: CertificateFiles<'a>,
    /// The bundle of authorities.
    pub ca: NamedFile<'a>,
    /// The revocation lists.
    pub crl: Option<NamedFile<'a>>,
}

/// What links to nodes need, as of one moment.
#[derive(Clone, Debug)]
pub struct ClientSnapshot {
    pub(super) config: Arc<ClientConfig>,
    pub(super) generation: u64,
    pub(super) contents: ClientContents,
}

/// What a client's snapshot is made of.
#[derive(Clone, Debug)]
pub(super) struct ClientContents {
    pub(super) parts: TlsParts,
    pub(super) settings: ClientSettings,
    pub(super) certificate: Arc<Certificate>,
    pub(super) authorities: Arc<PeerAuthorities>,
}

impl ClientSnapshot {
    pub(super) fn new(contents: ClientContents, generation: u64) -> Result<Self, StoreFault> {
        Ok(Self { config: Arc::new(contents.config()?), generation, contents })
    }

    /// What handshakes use, with [`super::node_server_name`] for the node that is wanted.
    #[must_use]
    pub const fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// Its number within the process, from 1.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// What an operator wants to know about the process's own certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateFacts {
        self.contents.certificate.facts()
    }

    /// The authorities that nodes' certificates come from.
    #[must_use]
    pub fn authorities(&self) -> &PeerAuthorities {
        &self.contents.authorities
    }
}

impl ClientContents {
    fn config(&self) -> Result<ClientConfig, StoreFault> {
        let parts = &self.parts;
        let nodes = ClusterNodes {
            authorities: Arc::clone(&self.authorities),
            cluster: self.settings.own.cluster.clone(),
            provider: Arc::clone(&parts.provider),
        };
        let own = SingleCertAndKey::from(Arc::clone(self.certificate.certified_key()));
        let builder = ClientConfig::builder_with_details(Arc::clone(&parts.provider), Arc::clone(&parts.time));
        let mut config = builder
            .with_protocol_versions(MinVersion::Tls13.versions())
            .map_err(|error| StoreFault::Library { reason: error.to_string() })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(nodes))
            .with_client_cert_resolver(Arc::new(own));
        config.alpn_protocols = vec![CLUSTER_ALPN.to_vec()];
        config.enable_secret_extraction = true;
        // Names that only this process and its verifier understand.
        config.enable_sni = false;
        config.resumption = Resumption::disabled();
        if let Some(log) = &parts.key_log {
            config.key_log = Arc::clone(log);
        }
        Ok(config)
    }
}
