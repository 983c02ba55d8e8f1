//! Who an edge is, to its clients and within its cluster, as of one moment.
//!
//! ```text
//!  [certificate.NAME], tls.* ──▶ clients    what handshakes of listeners with TLS use
//!  challenges of an order ─────▶ clients    and what requests below /.well-known/acme-challenge/ are answered with
//!  cluster.*, admin_tls ───────▶ cluster    links to nodes, the admin listener
//! ```
//!
//! **Not** reading files, nor handshakes.
//!
//! **Invariants**: immutable, part of [`crate::snapshot::Snapshot`]; what is refused keeps what was there before.
//!
//! **Source**: docs/tls.md.

mod temporary;

use std::path::PathBuf;
use std::sync::Arc;

use control::security::{
    ClusterIdentity, ClusterReload, ClusterRole, ClusterSecurity, SecurityAtStart, SecurityFault, SecurityFiles,
    check_listeners, check_plaintext, lines_of,
};
use corelane_acme::Challenges;
use corelane_pki::SubjectNames;
use corelane_tls::crypto::KeyLog;
use corelane_tls::store::{
    CertificateFacts, CertificateFiles, ChallengeCertificates, ClientAuth, MinVersion, ServerFiles, ServerSettings,
    ServerSnapshot, StoreFault, TicketPolicy, TlsParts, reload_server,
};
use reactor::Address;
use shardstore::placement::{NodeAddress, Topology};

use self::temporary::{OrderedFiles, OwnPem, TemporaryCertificates};
use crate::settings::{ClientAuthChoice, EdgeSettings, TlsVersion};

/// The protocols that are spoken over TLS, in ALPN: who names others only is refused, and some clients of HTTP/1.0 name it.
const HTTP1_ALPN: [&[u8]; 2] = [b"http/1.1", b"http/1.0"];

/// NAME of the certificate that `self_signed` asks for: that of whatever name clients ask for.
const SELF_SIGNED: &str = "default";

/// Who an edge is. The default is nobody: all is in the clear.
#[derive(Clone, Debug, Default)]
pub(crate) struct Security {
    /// To clients of listeners with TLS.
    pub(crate) clients: Option<Arc<ServerSnapshot>>,
    /// To nodes and operators.
    pub(crate) cluster: ClusterSecurity,
    /// The certificate that was made at the start, where that was asked for.
    own: Option<Arc<OwnPem>>,
    /// Those that stand for certificates that are ordered and not there yet.
    temporary: TemporaryCertificates,
    /// What an authority that looks is answered; `None` where nothing was ordered since the start.
    pub(crate) challenges: Option<Arc<Challenges>>,
}

/// The next of it, and what was refused.
pub(crate) struct SecurityReload {
    pub(crate) security: Option<Security>,
    pub(crate) faults: Vec<SecurityFault>,
}

/// The names of the keys of a certificate, for messages.
struct CertificateKeys {
    chain: String,
    key: String,
    ocsp: String,
}

impl Security {
    /// The files that settings name, in a fixed order.
    pub(crate) fn files(settings: &EdgeSettings) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for certificate in settings.certificate.values() {
            files.extend([&certificate.chain, &certificate.key, &certificate.ocsp].into_iter().flatten().cloned());
        }
        for ordered in settings.orders().iter().flat_map(OrderedFiles::all) {
            files.extend([ordered.chain, ordered.key]);
        }
        let tls = &settings.tls;
        files.extend([&tls.ticket_keys, &tls.client_ca, &tls.client_crl].into_iter().flatten().cloned());
        files.extend(identity(settings, None).files());
        files
    }

    /// Whether a reload of settings means that it is to be made anew.
    pub(crate) fn is_made_of_others(before: &EdgeSettings, after: &EdgeSettings) -> bool {
        before.certificate != after.certificate
            || before.acme.folder != after.acme.folder
            || before.tls != after.tls
            || before.cluster != after.cluster
            || before.admin_client_ca != after.admin_client_ca
    }

    /// Who an edge is when it starts.
    ///
    /// # Errors
    ///
    /// The operator's: all that is wrong, a line each.
    pub(crate) fn at_start(
        settings: &EdgeSettings,
        at_start: &SecurityAtStart,
        topology: Option<&Topology>,
        key_log: Option<Arc<dyn KeyLog>>,
    ) -> Result<Self, String> {
        check_addresses(settings, topology)?;
        let own = settings.self_signed.as_deref().map(|name| {
            let names = SubjectNames::of(name);
            names.and_then(|names| OwnPem::made(&names, at_start.clock.seconds()))
        });
        let own = own.transpose().map_err(|error| format!("self_signed: {error}"))?.map(Arc::new);
        let parts = at_start.parts();
        let mut temporary = TemporaryCertificates::default();
        let clients = if settings.listeners().any(|listener| listener.tls) {
            // Of clients' connections only: what the cluster says is nobody's to debug with.
            let parts = TlsParts { key_log, ..parts.clone() };
            let before = ReadCertificates { files: &at_start.files, own: own.as_deref(), served: None };
            Some(Arc::new(clients_at_start(settings, (before, &mut temporary), &parts)?))
        } else {
            check_unused(settings)?;
            None
        };
        let identity = identity(settings, topology);
        let cluster = ClusterSecurity::load(&identity, &at_start.files, &parts).map_err(|faults| lines_of(&faults))?;
        Ok(Security { clients, cluster, own, temporary, challenges: None })
    }

    /// Who it is from now on, by what its files have now.
    pub(crate) fn reload(
        &self,
        settings: &EdgeSettings,
        files: &SecurityFiles,
        topology: Option<&Topology>,
        parts: &TlsParts,
    ) -> SecurityReload {
        let ClusterReload { security: cluster, mut faults } =
            self.cluster.reload(&identity(settings, topology), files, parts);
        let mut temporary = self.temporary.clone();
        let clients = self.clients.as_ref().and_then(|before| {
            let reload = |files: &ServerFiles<'_>| reload_server(before, server_settings(settings), files);
            let read = ReadCertificates { files, own: self.own.as_deref(), served: Some(before) };
            match with_client_files(settings, (read, &mut temporary), parts, reload) {
                Ok(reload) => {
                    faults.extend(reload.errors.iter().map(SecurityFault::of));
                    reload.snapshot
                }
                Err(refused) => {
                    faults.extend(refused);
                    None
                }
            }
        });
        let security = (cluster.is_some() || clients.is_some()).then(|| Security {
            clients: clients.map(Arc::new).or_else(|| self.clients.clone()),
            cluster: cluster.unwrap_or_else(|| self.cluster.clone()),
            own: self.own.clone(),
            temporary,
            challenges: self.challenges.clone(),
        });
        SecurityReload { security, faults }
    }

    /// The same with the next keys of tickets, if it is time for them.
    pub(crate) fn with_rotated_tickets(&self) -> Option<Self> {
        let clients = self.clients.as_ref()?.with_rotated_tickets()?;
        Some(Security { clients: Some(Arc::new(clients)), ..self.clone() })
    }

    /// The same with these challenges, and no others.
    ///
    /// # Errors
    /// Ours: a challenge whose key cannot be used.
    pub(crate) fn with_challenges(&self, challenges: Arc<Challenges>, parts: &TlsParts) -> Result<Self, StoreFault> {
        let of_tls =
            challenges.tls_all().map(|(domain, one)| (domain, one.certificate.clone(), one.key.clone_key().into()));
        let certificates = Arc::new(ChallengeCertificates::new(of_tls, &parts.provider)?);
        let clients = self.clients.as_ref().map(|clients| clients.with_challenges(certificates)).transpose()?;
        Ok(Security { clients: clients.map(Arc::new), challenges: Some(challenges), ..self.clone() })
    }

    /// What operators want to know of all certificates, those among them that stand for others.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &CertificateFacts> {
        self.clients.iter().flat_map(|clients| clients.certificates()).chain(self.cluster.certificates())
    }

    /// The same without those that stand for others.
    pub(crate) fn lasting_certificates(&self) -> impl Iterator<Item = &CertificateFacts> {
        let clients = self.clients.iter().flat_map(|clients| clients.certificates());
        clients.filter(|facts| !self.is_temporary(&facts.name)).chain(self.cluster.certificates())
    }

    /// How many certificates stand for others.
    pub(crate) fn temporary_count(&self) -> usize {
        self.temporary.count()
    }

    /// Whether another certificate stands for that of this name, because that is not there yet.
    pub(crate) fn is_temporary(&self, name: &str) -> bool {
        self.temporary.stands_for(name)
    }
}

/// What an operator says of an edge within its cluster.
fn identity<'s>(settings: &'s EdgeSettings, topology: Option<&'s Topology>) -> ClusterIdentity<'s> {
    ClusterIdentity {
        settings: &settings.cluster,
        cluster: topology.map(Topology::cluster),
        role: ClusterRole::Edge,
        admin_tls: settings.admin_tls,
        admin_client_ca: settings.admin_client_ca.as_deref(),
    }
}

fn server_settings(settings: &EdgeSettings) -> ServerSettings {
    let tls = &settings.tls;
    ServerSettings {
        min_version: match tls.min_version {
            TlsVersion::Tls12 => MinVersion::Tls12,
            TlsVersion::Tls13 => MinVersion::Tls13,
        },
        client_auth: match tls.client_auth {
            ClientAuthChoice::None => ClientAuth::None,
            ClientAuthChoice::Optional => ClientAuth::Optional,
            ClientAuthChoice::Required => ClientAuth::Required,
        },
        resumption: match (tls.tickets, tls.early_data) {
            (_, true) => TicketPolicy::EarlyData { sessions: tls.early_sessions },
            (true, false) => TicketPolicy::Tickets,
            (false, false) => TicketPolicy::Off,
        },
        ticket_time: tls.ticket_time,
        ..ServerSettings::public(HTTP1_ALPN.map(<[u8]>::to_vec).to_vec())
    }
}

fn clients_at_start(
    settings: &EdgeSettings,
    read: (ReadCertificates<'_>, &mut TemporaryCertificates),
    parts: &TlsParts,
) -> Result<ServerSnapshot, String> {
    if settings.certificate.is_empty() && read.0.own.is_none() {
        return Err(
            "listen_tls: there is no certificate; write a [certificate.NAME] table with chain and key, or with \
                    acme to have it ordered, or try it with --self-signed localhost"
                .to_owned(),
        );
    }
    let load = |files: &ServerFiles<'_>| ServerSnapshot::load(parts, server_settings(settings), files);
    let loaded = with_client_files(settings, read, parts, load).map_err(|faults| lines_of(&faults))?;
    loaded.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// What the certificates of clients are made of.
struct ReadCertificates<'a> {
    files: &'a SecurityFiles,
    own: Option<&'a OwnPem>,
    /// What is in force.
    served: Option<&'a ServerSnapshot>,
}

/// Calls `then` with what the files of clients' certificates hold. Of those that are ordered and not there yet, the one that stands for
/// it is among them, and `temporary` has it.
fn with_client_files<R>(
    settings: &EdgeSettings,
    (read, temporary): (ReadCertificates<'_>, &mut TemporaryCertificates),
    parts: &TlsParts,
    then: impl FnOnce(&ServerFiles<'_>) -> R,
) -> Result<R, Vec<SecurityFault>> {
    let ReadCertificates { files, own, served } = read;
    let ordered: Vec<OrderedFiles> = settings.orders().iter().flat_map(OrderedFiles::all).collect();
    let mut faults = temporary.stand_for(&ordered, (files, served), parts);
    let keys: Vec<CertificateKeys> = settings.certificate.keys().map(|name| CertificateKeys::of(name)).collect();
    let mut take = |setting, path| files.named(setting, path).map_err(|fault| faults.push(fault)).ok();
    let mut certificates: Vec<CertificateFiles<'_>> = Vec::new();
    for ((name, certificate), keys) in settings.certificate.iter().zip(&keys) {
        let (Some(chain), Some(key)) = (&certificate.chain, &certificate.key) else { continue };
        let chain = take(&keys.chain, chain);
        let key = take(&keys.key, key);
        let ocsp = certificate.ocsp.as_ref().and_then(|ocsp| take(&keys.ocsp, ocsp));
        if let (Some(chain), Some(key)) = (chain, key) {
            certificates.push(CertificateFiles { name, chain, key, ocsp });
        }
    }
    certificates.extend(own.map(|own| own.as_files(SELF_SIGNED, "self_signed")));
    for one in &ordered {
        if let Some(files) = temporary.files_of(one) {
            certificates.push(files);
        } else if let (Some(chain), Some(key)) = (take(&one.setting, &one.chain), take(&one.setting, &one.key)) {
            certificates.push(CertificateFiles { name: &one.name, chain, key, ocsp: None });
        }
    }
    let tls = &settings.tls;
    let server_files = ServerFiles {
        certificates: &certificates,
        ticket_keys: tls.ticket_keys.as_deref().and_then(|path| take("tls.ticket_keys", path)),
        client_ca: tls.client_ca.as_deref().and_then(|path| take("tls.client_ca", path)),
        client_crl: tls.client_crl.as_deref().and_then(|path| take("tls.client_crl", path)),
    };
    if faults.is_empty() { Ok(then(&server_files)) } else { Err(faults) }
}

impl CertificateKeys {
    fn of(name: &str) -> Self {
        let key = |key| format!("certificate.{name}.{key}");
        CertificateKeys { chain: key("chain"), key: key("key"), ocsp: key("ocsp") }
    }
}

/// Settings that would do nothing, because no listener speaks TLS.
fn check_unused(settings: &EdgeSettings) -> Result<(), String> {
    match settings.certificate.keys().next() {
        None => Ok(()),
        Some(name) => Err(format!(
            "certificate.{name}: no listener speaks TLS; set listen_tls, or tls = true of a [[listener]], or take the table out"
        )),
    }
}

/// Whether all that this process speaks to, or listens on, in the clear may be.
fn check_addresses(settings: &EdgeSettings, topology: Option<&Topology>) -> Result<(), String> {
    let cluster = &settings.cluster;
    check_listeners(&[], (&Address::from(&settings.admin), settings.admin_tls), cluster)?;
    for node in topology.into_iter().flat_map(Topology::nodes) {
        if let NodeAddress::Ip(address) = &node.address {
            check_plaintext(&format!("topology: node {}", node.id), address.ip(), cluster)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use std::time::Duration;

    use corelane_pki::{Authority, CertificateRequest, HolderRole, KeySource, SubjectNames, Validity};

    use super::*;
    use crate::snapshot::fixture;

    const NOW_MS: u64 = 1_800_000_000_000;

    const SETTINGS: &str =
        "admin_tls = true\n[cluster]\nchain = \"/pki/a.pem\"\nkey = \"/pki/a.key\"\nca = \"/pki/ca.pem\"\n";

    /// The files of an edge whose certificate has no name of a host.
    fn files(settings: &EdgeSettings) -> SecurityAtStart {
        let validity = Validity::starting(NOW_MS / 1_000, Duration::from_secs(86_400));
        let authority = Authority::create("blue", validity, &mut KeySource::P256).unwrap();
        let request = CertificateRequest {
            role: HolderRole::Edge,
            id: "a".to_owned(),
            names: SubjectNames::new::<&str>(&[], &["127.0.0.1".parse().unwrap()]).unwrap(),
            validity,
        };
        let issued = authority.issue(&request, &mut KeySource::P256).unwrap();
        let contents = [issued.chain, issued.key.expose().to_owned(), authority.certificate().to_owned()];
        let names = ["/pki/a.pem", "/pki/a.key", "/pki/ca.pem"];
        let read = move |file: &Path| {
            let found = names.iter().position(|name| Path::new(name) == file);
            found.map(|index| contents[index].clone().into_bytes()).ok_or_else(|| std::io::ErrorKind::NotFound.into())
        };
        let source = control::security::SecuritySource::in_place(read, |_| None);
        SecurityAtStart::read_now(source, &Security::files(settings), NOW_MS)
    }

    /// Whoever connects to an address asks for no name.
    #[test]
    fn a_process_is_somebody_without_the_name_of_a_host() {
        let settings = fixture::snapshot(1, SETTINGS).settings;
        let text = "cluster = \"blue\"\nepoch = 1\n[[node]]\nid = 1\naddress = \"10.0.0.1:1\"\n";
        let topology = Topology::parse(text).unwrap();
        let security = Security::at_start(&settings, &files(&settings), Some(&topology), None).unwrap();
        assert!(security.cluster.links.is_some() && security.cluster.admin.is_some());
        let names: Vec<&str> = security.certificates().map(|facts| &*facts.name).collect();
        assert_eq!(names, ["cluster"]);
    }

    #[test]
    fn an_edge_of_another_cluster_does_not_start() {
        let settings = fixture::snapshot(1, SETTINGS).settings;
        let topology =
            Topology::parse("cluster = \"red\"\nepoch = 1\n[[node]]\nid = 1\naddress = \"10.0.0.1:1\"\n").unwrap();
        let refused = Security::at_start(&settings, &files(&settings), Some(&topology), None).unwrap_err();
        assert!(refused.contains("cluster.chain") && refused.contains("red") && refused.contains("blue"), "{refused}");
    }

    #[test]
    fn what_is_reached_from_elsewhere_needs_certificates_or_the_word() {
        let text = "cluster = \"blue\"\nepoch = 1\n[[node]]\nid = 1\naddress = \"10.0.0.1:1\"\n";
        let topology = Topology::parse(text).unwrap();
        let start = |text: &'static str| {
            let settings = fixture::snapshot(1, text).settings;
            Security::at_start(&settings, &SecurityAtStart::none(), Some(&topology), None)
        };
        let refused = start("").unwrap_err();
        assert!(refused.contains("node 1") && refused.contains("cluster.plaintext"), "{refused}");
        assert!(start("[cluster]\nplaintext = \"allow\"\n").is_ok());
        let half = start("[cluster]\nplaintext = \"allow\"\nchain = \"/a\"\n").unwrap_err();
        assert!(half.starts_with("cluster.key: is missing"), "{half}");
    }

    #[test]
    fn certificates_that_nobody_shows_and_listeners_without_one_are_refused() {
        let start = |text: &'static str| {
            let settings = fixture::snapshot(1, text).settings;
            Security::at_start(&settings, &SecurityAtStart::none(), None, None).map(drop)
        };
        let unused = start("[certificate.web]\nchain = \"/a\"\nkey = \"/b\"\n").unwrap_err();
        assert!(unused.starts_with("certificate.web: no listener speaks TLS"), "{unused}");
        let without = start("listen_tls = [\"127.0.0.1:1\"]\n").unwrap_err();
        assert!(without.contains("--self-signed localhost"), "{without}");
        let missing =
            start("listen_tls = [\"127.0.0.1:1\"]\n[certificate.web]\nchain = \"/a\"\nkey = \"/b\"\n").unwrap_err();
        assert!(
            missing.contains("certificate.web.chain: /a: ") && missing.contains("certificate.web.key: /b: "),
            "{missing}"
        );
        assert_eq!(start("self_signed = \"localhost\"\n"), Ok(()));
    }
}
