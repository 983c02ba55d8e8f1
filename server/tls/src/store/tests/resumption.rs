//! Sessions that are resumed: on other cores and hosts, after reloads, and not by whom it is not for.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};

use super::issuer::{Authority, Pair, SetClock, Wish, client, clock, file, parts, server_files, shake};
use crate::store::{
    ClientAuth, ServerFiles, ServerSettings, ServerSnapshot, TicketKeyPhase, TicketPolicy, reload_server,
};

const HOUR: u64 = 3600;

fn http() -> ServerSettings {
    ServerSettings::public(vec![b"http/1.1".to_vec()])
}

struct Fleet {
    root: Authority,
    pair: Pair,
    clock: Arc<SetClock>,
}

impl Fleet {
    fn new() -> Self {
        let root = Authority::new("root");
        let pair = root.issue(&Wish::names(&["a.example", "b.example"]));
        Self { root, pair, clock: clock() }
    }

    /// A host with the keys, or with keys of its own.
    fn host(&self, settings: ServerSettings, keys: Option<&str>) -> ServerSnapshot {
        let certificates = [self.pair.files("web")];
        let bundle = self.root.pem();
        let files = ServerFiles {
            ticket_keys: keys.map(|keys| file("tls.ticket_keys", keys)),
            client_ca: Some(file("tls.client_ca", &bundle)),
            ..server_files(&certificates)
        };
        ServerSnapshot::load(&parts(&self.clock), settings, &files).unwrap()
    }

    fn client(&self, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
        Arc::new(client(&self.root, &self.clock, rustls::crypto::aws_lc_rs::default_provider(), &[version]))
    }
}

fn visit_as(client: &Arc<ClientConfig>, name: &str, server: &ServerSnapshot) -> HandshakeKind {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let ends = shake(client, &name, server.config()).map_err(|failed| (failed.client, failed.server)).unwrap();
    ends.server.handshake_kind().unwrap()
}

fn visit(client: &Arc<ClientConfig>, server: &ServerSnapshot) -> HandshakeKind {
    visit_as(client, "a.example", server)
}

/// Whether a client that has been at `first` is resumed at `second`.
fn resumes(fleet: &Fleet, first: &ServerSnapshot, second: &ServerSnapshot) -> bool {
    let kinds = [&TLS12, &TLS13].map(|version| {
        let client = fleet.client(version);
        assert_eq!(visit(&client, first), HandshakeKind::Full);
        visit(&client, second)
    });
    assert_eq!(kinds[0], kinds[1], "both versions alike");
    kinds[0] == HandshakeKind::Resumed
}

fn keys(lines: &[u8]) -> String {
    lines.iter().map(|line| format!("# key {line}\n{:02x}{}\n", line, "5a".repeat(31))).collect()
}

#[test]
fn hosts_with_the_same_keys_resume_each_others_sessions() {
    let fleet = Fleet::new();
    let host = |lines: &[u8]| fleet.host(http(), Some(&keys(lines)));
    assert!(resumes(&fleet, &host(&[1]), &host(&[1])));
    assert!(!resumes(&fleet, &host(&[1]), &host(&[2])));
    // The fleet rotates: some hosts have the new file, others do not.
    for (old, new) in [(&[1][..], &[2, 1][..]), (&[2, 1], &[3, 2, 1]), (&[3, 2, 1], &[4, 3, 2])] {
        assert!(resumes(&fleet, &host(old), &host(new)), "{old:?} {new:?}");
        assert!(resumes(&fleet, &host(new), &host(old)), "{new:?} {old:?}");
    }
    // What is not in the file any more opens nothing.
    assert!(!resumes(&fleet, &host(&[2, 1]), &host(&[4, 3, 2])));
    let own = fleet.host(http(), None);
    assert!(resumes(&fleet, &own, &own.clone()));
    assert!(!resumes(&fleet, &own, &fleet.host(http(), None)));
}

#[test]
fn sessions_survive_a_reload() {
    let fleet = Fleet::new();
    let first = fleet.host(http(), None);
    let renewed = fleet.root.issue(&Wish::names(&["a.example", "b.example"]));
    let second = reload_server(&first, http(), &server_files(&[renewed.files("web")]));
    assert!(second.errors.is_empty());
    assert!(resumes(&fleet, &first, &second.snapshot.unwrap()));
}

#[test]
fn keys_are_rotated_and_old_tickets_open_for_their_time() {
    let fleet = Fleet::new();
    let first = fleet.host(http(), None);
    let phases = |host: &ServerSnapshot| host.ticket_keys().iter().map(|key| key.phase).collect::<Vec<_>>();
    use TicketKeyPhase::{Current, Next, Previous};
    assert_eq!(phases(&first), [Next, Current]);
    assert!(first.with_rotated_tickets().is_none(), "not due yet");
    fleet.clock.advance(6 * HOUR);
    let second = first.with_rotated_tickets().unwrap();
    assert_eq!((phases(&second), second.generation()), (vec![Next, Current, Previous], 2));
    assert_eq!(second.ticket_keys()[1].name, first.ticket_keys()[0].name);
    // A core that has the new keys already, and one that has not.
    assert!(resumes(&fleet, &first, &second));
    assert!(resumes(&fleet, &second, &first));
    fleet.clock.advance(6 * HOUR);
    let third = second.with_rotated_tickets().unwrap();
    assert!(resumes(&fleet, &first, &third));
    assert_eq!(phases(&third), [Next, Current, Previous, Previous]);
    fleet.clock.advance(6 * HOUR);
    let fourth = third.with_rotated_tickets().unwrap();
    assert!(!resumes(&fleet, &first, &fourth));
    assert_eq!(phases(&fourth), [Next, Current, Previous, Previous], "no key is kept for ever");
}

#[test]
fn a_ticket_ends_also_under_a_key_that_is_never_rotated() {
    let fleet = Fleet::new();
    let host = fleet.host(http(), Some(&keys(&[1])));
    let (early, late) = (fleet.client(&TLS13), fleet.client(&TLS13));
    assert_eq!([visit(&early, &host), visit(&late, &host)], [HandshakeKind::Full; 2]);
    assert!(host.rotation_due().is_none());
    fleet.clock.advance(12 * HOUR - 1);
    assert_eq!(visit(&early, &host), HandshakeKind::Resumed);
    fleet.clock.advance(1);
    assert_eq!(visit(&late, &host), HandshakeKind::Full);
}

#[test]
fn a_session_is_resumed_for_its_name_only() {
    let fleet = Fleet::new();
    let host = fleet.host(http(), None);
    let client = fleet.client(&TLS13);
    assert_eq!(visit_as(&client, "a.example", &host), HandshakeKind::Full);
    // A client that offers the session of one name for another: its own store does not, so it is made to.
    let other = {
        let mut config = ClientConfig::clone(&client);
        config.resumption = rustls::client::Resumption::store(Arc::new(super::issuer::OneName::default()));
        Arc::new(config)
    };
    assert_eq!(visit_as(&other, "a.example", &host), HandshakeKind::Full);
    assert_eq!(visit_as(&other, "a.example", &host), HandshakeKind::Resumed);
    assert_eq!(visit_as(&other, "b.example", &host), HandshakeKind::Full);
}

#[test]
fn a_session_is_not_resumed_where_other_clients_are_allowed() {
    let fleet = Fleet::new();
    let lines = keys(&[1]);
    for resumption in [TicketPolicy::Tickets, TicketPolicy::EarlyData { sessions: 100 }] {
        let settings = |client_auth| ServerSettings { client_auth, resumption, ..http() };
        let open = fleet.host(settings(ClientAuth::None), Some(&lines));
        let bundle = fleet.root.pem();
        let certificates = [fleet.pair.files("web")];
        let files = ServerFiles {
            ticket_keys: Some(file("tls.ticket_keys", &lines)),
            client_ca: Some(file("tls.client_ca", &bundle)),
            ..server_files(&certificates)
        };
        let asking = reload_server(&open, settings(ClientAuth::Optional), &files).snapshot.unwrap();
        assert!(resumes(&fleet, &open, &open));
        assert!(resumes(&fleet, &asking, &asking));
        assert!(!resumes(&fleet, &open, &asking));
        // Nor after another list of revoked ones has come.
        let list = fleet.root.revoke(&[5]);
        let files = ServerFiles { client_crl: Some(file("tls.client_crl", &list)), ..files };
        let listed = reload_server(&asking, settings(ClientAuth::Optional), &files).snapshot.unwrap();
        assert!(!resumes(&fleet, &asking, &listed));
    }
}

#[test]
fn sessions_for_early_data_are_bounded() {
    let fleet = Fleet::new();
    let host = fleet.host(ServerSettings { resumption: TicketPolicy::EarlyData { sessions: 2 }, ..http() }, None);
    let mut config = ClientConfig::clone(&fleet.client(&TLS13));
    config.resumption = rustls::client::Resumption::store(Arc::new(super::issuer::OneName::default()));
    let client = Arc::new(config);
    assert_eq!(visit(&client, &host), HandshakeKind::Full);
    // Two tickets of the handshake are in the store, and no more fit.
    assert_eq!(host.sessions().unwrap().len(), 2);
    assert_eq!(visit(&client, &host), HandshakeKind::Resumed);
    assert_eq!(host.sessions().unwrap().len(), 2);
    assert_eq!(host.config().max_early_data_size, 16 * 1024);
}

#[test]
fn nothing_is_resumed_without_tickets() {
    let fleet = Fleet::new();
    let host = fleet.host(ServerSettings { resumption: TicketPolicy::Off, ..http() }, None);
    assert!(!resumes(&fleet, &host, &host));
    assert!(host.ticket_keys().is_empty() && host.rotation_due().is_none());
}
