//! Links between processes: who is let in, and who is believed.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::version::TLS13;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error};

use super::issuer::{Authority, DAY, Failed, Pair, START, Wish, clock, file, parts, provider, shake};
use crate::store::{
    CLUSTER_ALPN, ClientSettings, ClientSnapshot, ClusterFiles, ExpectedPeer, PeerRole, PresentedCertificate,
    ServerFiles, ServerSettings, ServerSnapshot, StoreError, node_server_name, refusal_of, verdict,
};

fn own(role: PeerRole) -> ExpectedPeer {
    ExpectedPeer { cluster: "blue".into(), roles: vec![role], id: None }
}

/// A node's snapshot that takes its clients' certificates from `bundle`.
fn node(pair: &Pair, bundle: &str, list: Option<&str>) -> Result<ServerSnapshot, Vec<StoreError>> {
    let certificates = [pair.files("default")];
    let files = ServerFiles {
        certificates: &certificates,
        ticket_keys: None,
        client_ca: Some(file("cluster.ca", bundle)),
        client_crl: list.map(|list| file("cluster.crl", list)),
    };
    ServerSnapshot::load(&parts(&clock()), ServerSettings::node("blue", 7), &files)
}

fn edge(pair: &Pair, bundle: &str, list: Option<&str>) -> Result<ClientSnapshot, Vec<StoreError>> {
    let crl = list.map(|list| file("cluster.crl", list));
    let files = ClusterFiles { certificate: pair.files("cluster"), ca: file("cluster.ca", bundle), crl };
    ClientSnapshot::load(&parts(&clock()), ClientSettings { own: own(PeerRole::Edge) }, &files)
}

/// A client without the checks of its own certificate that a real one makes.
fn careless(pair: Option<&Pair>, bundle: &str) -> Arc<ClientConfig> {
    use rustls::pki_types::pem::PemObject;
    let honest = edge(&Authority::shared().issue(&Wish::uris(&["spiffe://blue/edge/e1"])), bundle, None);
    let mut config = ClientConfig::clone(honest.unwrap().config());
    config.client_auth_cert_resolver = match pair {
        Some(pair) => {
            let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            let key = rustls::sign::CertifiedKey::from_der(vec![pair.der()], key, &provider()).unwrap();
            Arc::new(rustls::sign::SingleCertAndKey::from(key))
        }
        None => {
            let empty = ClientConfig::builder_with_details(provider(), clock());
            let empty = empty.with_protocol_versions(&[&TLS13]).unwrap();
            empty.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth().client_auth_cert_resolver
        }
    };
    Arc::new(config)
}

fn texts(errors: &[StoreError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn alert(failed: &Failed) -> Option<AlertDescription> {
    match failed.client {
        Some(Error::AlertReceived(alert)) => Some(alert),
        _ => None,
    }
}

#[test]
fn an_edge_and_a_node_meet() {
    let ca = Authority::new("blue");
    let node = node(&ca.issue(&Wish::uris(&["spiffe://blue/node/7"])), &ca.pem(), None).unwrap();
    let edge = edge(&ca.issue(&Wish::uris(&["spiffe://blue/edge/e1"])), &ca.pem(), None).unwrap();
    let ends = shake(edge.config(), &node_server_name(7), node.config()).map_err(|failed| failed.client).unwrap();
    assert_eq!(ends.server.alpn_protocol(), Some(CLUSTER_ALPN));
    let presented = PresentedCertificate::of(&ends.server.peer_certificates().unwrap()[0]);
    assert_eq!(verdict(&own(PeerRole::Edge), &presented, clock().now()).unwrap().id, "e1");
    assert_eq!(edge.certificate().other_names, ["spiffe://blue/edge/e1"]);
    // No ticket: every link checks its peer.
    let again = shake(edge.config(), &node_server_name(7), node.config()).map_err(|failed| failed.client).unwrap();
    assert_eq!(again.client.handshake_kind(), Some(rustls::HandshakeKind::Full));
    let rustls::Connection::Server(server) = ends.server else { panic!("the server's end") };
    assert_eq!(server.server_name(), None);
}

#[test]
fn a_node_lets_in_only_who_is_expected() {
    let (ca, foreign) = (Authority::shared(), Authority::new("blue"));
    let revoked = ca.revoke(&[66]);
    let node = node(&ca.issue(&Wish::uris(&["spiffe://blue/node/7"])), &ca.pem(), Some(&revoked)).unwrap();
    let outcome =
        |pair: Option<&Pair>| shake(&careless(pair, &ca.pem()), &node_server_name(7), node.config()).map(|_| ());
    let issue = |uri: &str| ca.issue(&Wish::uris(&[uri]));
    for uri in ["spiffe://blue/edge/e1", "spiffe://blue/node/65535"] {
        assert!(outcome(Some(&issue(uri))).is_ok(), "{uri}");
    }
    for (uri, said) in [
        ("spiffe://green/edge/e1", "wrong cluster"),
        ("spiffe://Blue/edge/e1", "wrong cluster"),
        ("spiffe://blue/operator/kim", "wrong role"),
        ("https://blue/edge/e1", "has no name spiffe://"),
        ("spiffe://blue/node/0", "a node's id is 1 to 65535"),
    ] {
        let failed = outcome(Some(&issue(uri))).unwrap_err();
        let server = refusal_of(failed.server.as_ref().unwrap()).unwrap().to_string();
        assert!(server.contains(said), "{uri}: {server}");
        assert_eq!(alert(&failed), Some(AlertDescription::CertificateUnknown), "{uri}");
    }
    let e1 = || Wish::uris(&["spiffe://blue/edge/e1"]);
    for (pair, expected) in [
        (None, AlertDescription::CertificateRequired),
        (Some(foreign.issue(&e1())), AlertDescription::UnknownCA),
        (Some(ca.issue(&Wish { serial: 66, ..e1() })), AlertDescription::CertificateRevoked),
        (Some(ca.issue(&Wish { valid: (START - 9, START - 1), ..e1() })), AlertDescription::CertificateExpired),
    ] {
        let failed = outcome(pair.as_ref()).unwrap_err();
        // A foreign authority of the same name has another key.
        let alert = alert(&failed);
        assert!(alert == Some(expected) || alert == Some(AlertDescription::DecryptError), "{failed:?}");
    }
}

#[test]
fn an_edge_believes_only_the_node_it_wants() {
    let (ca, foreign) = (Authority::shared(), Authority::new("other"));
    let revoked = ca.revoke(&[66]);
    let edge = edge(&ca.issue(&Wish::uris(&["spiffe://blue/edge/e1"])), &ca.pem(), Some(&revoked)).unwrap();
    let connect = |edge: &ClientSnapshot, name: &ServerName<'static>, from: &Authority, wish: &Wish<'_>| {
        let pair = from.issue(wish);
        // The server is careless: it takes anyone's certificate for its own.
        let honest = node(&ca.issue(&Wish::uris(&["spiffe://blue/node/7"])), &ca.pem(), None).unwrap();
        let mut config = rustls::ServerConfig::clone(honest.config());
        config.cert_resolver = Arc::new(super::issuer::One(pair));
        shake(edge.config(), name, &Arc::new(config)).map(|_| ())
    };
    let seven = node_server_name(7);
    assert!(connect(&edge, &seven, ca, &Wish::uris(&["spiffe://blue/node/7"])).is_ok());
    for (uri, said) in [
        ("spiffe://blue/node/8", "wrong id"),
        ("spiffe://blue/edge/e7", "wrong role"),
        ("spiffe://green/node/7", "wrong cluster"),
    ] {
        let failed = connect(&edge, &seven, ca, &Wish::uris(&[uri])).unwrap_err();
        let client = refusal_of(failed.client.as_ref().unwrap()).unwrap().to_string();
        assert!(failed.client.as_ref().unwrap().to_string().contains(&client), "a log has it all");
        assert!(client.contains(said) && client.contains("expected spiffe://blue/node/7"), "{client}");
        assert_eq!(failed.server, Some(Error::AlertReceived(AlertDescription::CertificateUnknown)));
    }
    let right = || Wish::uris(&["spiffe://blue/node/7"]);
    for (from, wish, expected) in [
        (&foreign, right(), CertificateError::UnknownIssuer),
        (ca, Wish { serial: 66, ..right() }, CertificateError::Revoked),
        (ca, Wish { valid: (START - 9, START - 1), ..right() }, CertificateError::Expired),
        (ca, Wish { valid: (START + 1, START + DAY), ..right() }, CertificateError::NotValidYet),
    ] {
        let failed = connect(&edge, &seven, from, &wish).unwrap_err();
        assert_eq!(failed.client, Some(Error::InvalidCertificate(expected)));
    }
    // Names other than a node's ask for nobody.
    let other = ServerName::try_from("blue.example").unwrap();
    let failed = connect(&edge, &other, ca, &right()).unwrap_err();
    assert_eq!(failed.client, Some(Error::InvalidCertificate(CertificateError::NotValidForName)));
    // The name is not sent.
    assert!(!edge.config().enable_sni && edge.config().alpn_protocols == [CLUSTER_ALPN]);
}

#[test]
fn an_authority_without_a_list_is_believed() {
    let (ca, other) = (Authority::new("blue"), Authority::new("blue two"));
    let both = ca.pem() + &other.pem();
    let list = ca.revoke(&[66]);
    let node = node(&other.issue(&Wish::uris(&["spiffe://blue/node/7"])), &both, Some(&list)).unwrap();
    let edge = edge(&ca.issue(&Wish::uris(&["spiffe://blue/edge/e1"])), &both, Some(&list)).unwrap();
    assert!(shake(edge.config(), &node_server_name(7), node.config()).is_ok());
}

#[test]
fn a_process_that_peers_would_refuse_does_not_start() {
    let (ca, foreign) = (Authority::new("blue"), Authority::new("other"));
    let bundle = ca.pem();
    let edge = |from: &Authority, uri: &str| edge(&from.issue(&Wish::uris(&[uri])), &bundle, None);
    let node = |uri: &str| node(&ca.issue(&Wish::uris(&[uri])), &bundle, None);
    assert!(edge(&ca, "spiffe://blue/edge/e1").is_ok());
    for (errors, fault, said) in [
        (edge(&ca, "spiffe://blue/node/7").unwrap_err(), "wrong_identity", "wrong role"),
        (edge(&ca, "spiffe://green/edge/e1").unwrap_err(), "wrong_identity", "wrong cluster"),
        (edge(&foreign, "spiffe://blue/edge/e1").unwrap_err(), "not_of_authority", "UnknownIssuer"),
        (node("spiffe://blue/node/8").unwrap_err(), "wrong_identity", "wrong id"),
    ] {
        let text = texts(&errors);
        assert_eq!(errors[0].fault.name(), fault, "{text}");
        assert!(text.contains(said), "{text}");
    }
}
