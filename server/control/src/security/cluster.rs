//! Who a process is to the others of its cluster, and to its operators, as of one moment.
//!
//! ```text
//!  cluster.chain, key, ca, crl ─┬─▶ listener   a node's: edges and nodes come, with certificates
//!                               ├─▶ links      an edge's: to each node, which has to be the one that the topology names
//!                               └─▶ admin      `admin_tls`: operators come, with certificates
//! ```
//!
//! **Not** handshakes; not certificates for clients of the edge.
//!
//! **Invariants**: a role comes from a certificate, never from what a peer says; a process without certificates is in the clear, which
//! only addresses of its own host may be, unless the operator wrote the word.
//!
//! **Source**: docs/tls.md.

use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

use corelane_tls::store::{
    CertificateFacts, CertificateFiles, ClientAuth, ClientSettings, ClientSnapshot, ClusterFiles, ExpectedPeer,
    NamedFile, PeerRole, ServerFiles, ServerSettings, ServerSnapshot, StoreError, TlsParts, reload_client,
    reload_server,
};

use reactor::Address;

use super::{ClusterSettings, Plaintext, SecurityFault, SecurityFiles};
use crate::exposure::exposed_ip;

/// The name of a process's own certificate in metrics and status.
const OWN_CERTIFICATE: &str = "cluster";

/// Its name in the store: who connects asks for no name, or for any.
const OF_ANY_NAME: &str = "default";

/// The protocol of the admin listener, in ALPN.
const ADMIN_ALPN: &[u8] = b"http/1.1";

/// What a process is in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterRole {
    /// It asks nodes.
    Edge,
    /// It is this one of the nodes.
    Node(u16),
}

/// What an operator says of it.
#[derive(Clone, Copy, Debug)]
pub struct ClusterIdentity<'s> {
    /// Its files.
    pub settings: &'s ClusterSettings,
    /// The cluster's name; `None` for an edge that has no nodes.
    pub cluster: Option<&'s str>,
    /// What it is.
    pub role: ClusterRole,
    /// Whether its admin listener speaks TLS.
    pub admin_tls: bool,
    /// The authorities of those that come there, where they are others than the cluster's.
    pub admin_client_ca: Option<&'s Path>,
}

/// What handshakes within the cluster and with operators use. All absent: in the clear.
#[derive(Clone, Debug, Default)]
pub struct ClusterSecurity {
    /// A node's listeners.
    pub listener: Option<Arc<ServerSnapshot>>,
    /// An edge's links.
    pub links: Option<Arc<ClientSnapshot>>,
    /// The admin listener.
    pub admin: Option<Arc<ServerSnapshot>>,
    /// What an operator wants to know of the process's own certificate.
    own: Option<Arc<CertificateFacts>>,
    /// How long a connection between edge and node is used at most before both show their certificates again.
    pub link_time: Duration,
}

/// What files, read again, have come to.
#[derive(Debug, Default)]
pub struct ClusterReload {
    /// What is in force from now on; nothing if it is what was.
    pub security: Option<ClusterSecurity>,
    /// What was refused, and has kept what was there before.
    pub faults: Vec<SecurityFault>,
}

/// Files by the settings that name them.
struct OwnFiles<'f> {
    certificate: CertificateFiles<'f>,
    ca: NamedFile<'f>,
    crl: Option<NamedFile<'f>>,
    admin_ca: NamedFile<'f>,
    admin_crl: Option<NamedFile<'f>>,
}

impl ClusterIdentity<'_> {
    /// The name of every file, in a fixed order.
    #[must_use]
    pub fn files(&self) -> Vec<std::path::PathBuf> {
        let own = self.settings.files().cloned();
        own.chain(self.admin_client_ca.filter(|_| self.admin_tls).map(Path::to_owned)).collect()
    }

    /// Whether some of the three keys that need each other are missing.
    ///
    /// # Errors
    ///
    /// The operator's: which.
    fn check(&self) -> Result<bool, String> {
        let ClusterSettings { chain, key, ca, crl, .. } = self.settings;
        let has = [chain.is_some(), key.is_some(), ca.is_some()];
        if has == [false; 3] {
            if let Some(key) =
                [(self.admin_tls, "admin_tls"), (crl.is_some(), "cluster.crl")].into_iter().find(|it| it.0)
            {
                return Err(format!("{}: needs cluster.chain, cluster.key and cluster.ca; set all three", key.1));
            }
            return Ok(false);
        }
        let names = ["cluster.chain", "cluster.key", "cluster.ca"];
        match names.iter().zip(has).find(|(_, has)| !has) {
            Some((missing, _)) => {
                Err(format!("{missing}: is missing; cluster.chain, cluster.key and cluster.ca go together"))
            }
            None => Ok(true),
        }
    }

    fn own_peer(&self) -> Option<ExpectedPeer> {
        let (role, id) = match self.role {
            ClusterRole::Edge => (PeerRole::Edge, None),
            ClusterRole::Node(id) => (PeerRole::Node, Some(id.to_string())),
        };
        self.cluster.map(|cluster| ExpectedPeer { cluster: cluster.to_owned(), roles: vec![role], id })
    }

    fn admin_settings(&self) -> ServerSettings {
        // Others' authorities may serve several clusters with the same operators.
        let cluster = self.cluster.filter(|_| self.admin_client_ca.is_none());
        ServerSettings::admin(vec![ADMIN_ALPN.to_vec()], ClientAuth::Required, cluster)
    }

    /// The files' bytes; `None` without certificates.
    fn own_files<'f>(&'f self, files: &'f SecurityFiles) -> Result<Option<OwnFiles<'f>>, Vec<SecurityFault>> {
        if !self.check().map_err(|text| vec![SecurityFault::lasting(text)])? {
            return Ok(None);
        }
        let ClusterSettings { chain, key, ca, crl, .. } = self.settings;
        let mut faults = Vec::new();
        let mut named = |setting, path: Option<&'f Path>| match files.named(setting, path?) {
            Ok(file) => Some(file),
            Err(fault) => {
                faults.push(fault);
                None
            }
        };
        let chain = named("cluster.chain", chain.as_deref());
        let key = named("cluster.key", key.as_deref());
        let ca = named("cluster.ca", ca.as_deref());
        let crl = named("cluster.crl", crl.as_deref());
        let admin_ca = named("admin_client_ca", self.admin_client_ca.filter(|_| self.admin_tls));
        match (chain, key, ca) {
            (Some(chain), Some(key), Some(ca)) if faults.is_empty() => Ok(Some(OwnFiles {
                certificate: CertificateFiles { name: OF_ANY_NAME, chain, key, ocsp: None },
                ca,
                crl,
                // Lists of the cluster's authorities say nothing of others' certificates.
                admin_crl: if admin_ca.is_some() { None } else { crl },
                admin_ca: admin_ca.unwrap_or(ca),
            })),
            _ => Err(faults),
        }
    }
}

impl ClusterSecurity {
    /// What a process is when it starts.
    ///
    /// # Errors
    ///
    /// The operator's: all that is wrong.
    pub fn load(
        identity: &ClusterIdentity<'_>,
        files: &SecurityFiles,
        parts: &TlsParts,
    ) -> Result<Self, Vec<SecurityFault>> {
        let Some(own) = identity.own_files(files)? else { return Ok(Self::default()) };
        let faults = |errors: Vec<StoreError>| errors.iter().map(SecurityFault::of).collect::<Vec<_>>();
        let certificates = [own.certificate];
        let listener = match (identity.role, identity.cluster) {
            (ClusterRole::Node(id), Some(cluster)) => {
                let settings = ServerSettings::node(cluster, u32::from(id));
                let loaded = ServerSnapshot::load(parts, settings, &own.for_listener(&certificates));
                Some(Arc::new(loaded.map_err(faults)?))
            }
            _ => None,
        };
        let links = match (identity.role, identity.own_peer()) {
            (ClusterRole::Edge, Some(peer)) => {
                let loaded = ClientSnapshot::load(parts, ClientSettings { own: peer }, &own.for_links());
                Some(Arc::new(loaded.map_err(faults)?))
            }
            _ => None,
        };
        let admin = if identity.admin_tls {
            let settings = identity.admin_settings();
            let loaded = ServerSnapshot::load(parts, settings, &own.for_admin(&certificates));
            Some(Arc::new(loaded.map_err(faults)?))
        } else {
            None
        };
        let link_time = identity.settings.link_time;
        Ok(Self { listener, links, admin, own: None, link_time }.with_own_facts())
    }

    /// What it is from now on, by what its files have now.
    #[must_use]
    pub fn reload(&self, identity: &ClusterIdentity<'_>, files: &SecurityFiles, parts: &TlsParts) -> ClusterReload {
        let own = match identity.own_files(files) {
            // A process that had none: from now on it speaks TLS.
            Ok(Some(_)) if self.is_in_the_clear() => {
                return match Self::load(identity, files, parts) {
                    Ok(security) => ClusterReload { security: Some(security), faults: Vec::new() },
                    Err(faults) => ClusterReload { security: None, faults },
                };
            }
            Ok(Some(own)) => own,
            // Nobody goes back into the clear while the process runs: peers that are cut off would be the least of it.
            Ok(None) => return ClusterReload::default(),
            Err(faults) => return ClusterReload { security: None, faults },
        };
        let certificates = [own.certificate];
        let mut next = self.clone();
        next.link_time = identity.settings.link_time;
        let (mut faults, mut changed) = (Vec::new(), next.link_time != self.link_time);
        let mut note = |errors: &[StoreError]| faults.extend(errors.iter().map(SecurityFault::of));
        if let (Some(old), ClusterRole::Node(id), Some(cluster)) = (&self.listener, identity.role, identity.cluster) {
            let settings = ServerSettings::node(cluster, u32::from(id));
            let reload = reload_server(old, settings, &own.for_listener(&certificates));
            note(&reload.errors);
            changed |= replace(&mut next.listener, reload.snapshot);
        }
        if let (Some(old), Some(peer)) = (&self.links, identity.own_peer()) {
            let reload = reload_client(old, ClientSettings { own: peer }, &own.for_links());
            note(&reload.errors);
            changed |= replace(&mut next.links, reload.snapshot);
        }
        if let Some(old) = &self.admin {
            let reload = reload_server(old, identity.admin_settings(), &own.for_admin(&certificates));
            note(&reload.errors);
            changed |= replace(&mut next.admin, reload.snapshot);
        }
        faults.dedup();
        ClusterReload { security: changed.then(|| next.with_own_facts()), faults }
    }

    fn is_in_the_clear(&self) -> bool {
        self.listener.is_none() && self.links.is_none() && self.admin.is_none()
    }

    /// What an operator wants to know of the process's own certificate.
    pub fn certificates(&self) -> impl Iterator<Item = &CertificateFacts> {
        self.own.iter().map(|own| &**own)
    }

    fn with_own_facts(mut self) -> Self {
        let of_links = self.links.iter().map(|links| links.certificate());
        let of_listeners = self.listener.iter().chain(&self.admin).flat_map(|listener| listener.certificates());
        let own = of_links.chain(of_listeners).next().cloned();
        self.own = own.map(|facts| Arc::new(CertificateFacts { name: OWN_CERTIFICATE.to_owned(), ..facts }));
        self
    }
}

fn replace<T>(place: &mut Option<Arc<T>>, next: Option<T>) -> bool {
    let changed = next.is_some();
    if let Some(next) = next {
        *place = Some(Arc::new(next));
    }
    changed
}

impl<'f> OwnFiles<'f> {
    fn for_listener<'a>(&'a self, certificates: &'a [CertificateFiles<'f>; 1]) -> ServerFiles<'a>
    where
        'f: 'a,
    {
        ServerFiles { certificates, ticket_keys: None, client_ca: Some(self.ca), client_crl: self.crl }
    }

    fn for_admin<'a>(&'a self, certificates: &'a [CertificateFiles<'f>; 1]) -> ServerFiles<'a>
    where
        'f: 'a,
    {
        ServerFiles { certificates, ticket_keys: None, client_ca: Some(self.admin_ca), client_crl: self.admin_crl }
    }

    fn for_links(&self) -> ClusterFiles<'f> {
        ClusterFiles { certificate: self.certificate, ca: self.ca, crl: self.crl }
    }
}

/// Whether a process may listen where its settings say: on these addresses of the cluster's protocol, and on this one of the admin
/// listener, which may speak TLS.
///
/// # Errors
///
/// The operator's: the first address that is open to others, in the clear, though the operator has not allowed that.
pub fn check_listeners(
    listen: &[Address],
    (admin, admin_tls): (&Address, bool),
    settings: &ClusterSettings,
) -> Result<(), String> {
    for ip in listen.iter().filter_map(exposed_ip) {
        check_plaintext("listen", ip, settings)?;
    }
    match exposed_ip(admin).filter(|_| !admin_tls) {
        None => Ok(()),
        Some(ip) => {
            // A certificate of the cluster does not protect a listener that does not use it.
            let unused = ClusterSettings { chain: None, ..settings.clone() };
            check_plaintext("admin", ip, &unused)
                .map_err(|text| format!("{text}; with certificates, also admin_tls = true"))
        }
    }
}

/// Whether an address may be spoken to, or listened on, in the clear.
///
/// # Errors
///
/// The operator's: it may not, and what to do.
pub fn check_plaintext(what: &str, ip: IpAddr, settings: &ClusterSettings) -> Result<(), String> {
    let ip = ip.to_canonical();
    if ip.is_loopback() || settings.chain.is_some() || settings.plaintext == Plaintext::Allow {
        return Ok(());
    }
    Err(format!(
        "{what}: {ip} is beyond this host, and there is no certificate: whoever is between reads and changes everything; set \
         cluster.chain, cluster.key and cluster.ca (`corectl pki` makes them), or cluster.plaintext = \"allow\" where something else \
         protects the network"
    ))
}
