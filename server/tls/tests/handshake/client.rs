//! Our client with rustls's ordinary server.

use std::sync::Arc;

use rcgen::ExtendedKeyUsagePurpose;
use rustls::{HandshakeKind, ServerConnection};

use crate::authority::{Authority, Key, Wanted};
use crate::pair::{BOTH, ONLY_12, Side, Splits, assert_same_keys, name, with_our_client};

#[test]
fn it_ends_with_the_servers_keys_in_any_pieces() {
    let authority = Authority::new(Key::P256);
    for seed in 0..100 {
        let versions = [BOTH, ONLY_12][seed as usize % 2];
        let alpn = vec![b"corelane/1".to_vec()];
        let purpose = ExtendedKeyUsagePurpose::ClientAuth;
        let identity = authority.issue(&Wanted { name: "edge.test", purpose, ..Wanted::default() });
        let wanted = Wanted { uri: Some("spiffe://cluster/node/1"), ..Wanted::default() };
        let server =
            Side { alpn: alpn.clone(), trusted: Some(authority.roots()), ..Side::server(&authority.issue(&wanted)) };
        let mut server_config = server.server_config();
        // rustls's server sends its tickets with its Finished or behind the client's; without them the sequence numbers agree.
        server_config.send_tls13_tickets = 0;
        let mut server = ServerConnection::new(Arc::new(server_config)).unwrap();
        let client = Side { alpn, versions, identity: Some(identity), ..Side::client(&authority) };
        let client = Arc::new(client.client_config());
        let mut splits = if seed < 4 { Splits::none() } else { Splits::random(seed) };
        let (result, server_result) = with_our_client(&client, name("corelane.test"), &mut server, &mut splits);
        let finished = result.unwrap();
        assert_eq!(server_result, Ok(()));
        assert!(!server.is_handshaking());
        assert_eq!(server.peer_certificates().unwrap().len(), 1);
        let negotiated = finished.negotiated;
        assert_eq!(negotiated.alpn.as_deref(), Some(&b"corelane/1"[..]));
        assert_eq!(negotiated.kind, HandshakeKind::Full);
        assert_eq!(negotiated.server_name.as_deref(), Some("corelane.test"));
        assert_eq!(negotiated.peer_certificate.unwrap().uris[..], ["spiffe://cluster/node/1".into()]);
        assert_same_keys(&finished.secrets, &server.dangerous_extract_secrets().unwrap());
    }
}

#[test]
fn what_is_behind_the_servers_finished_is_unread() {
    let authority = Authority::new(Key::P256);
    let mut server_config = Side::server(&authority.issue(&Wanted::default())).server_config();
    server_config.send_half_rtt_data = true;
    server_config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
    let mut server = ServerConnection::new(Arc::new(server_config)).unwrap();
    std::io::Write::write_all(&mut server.writer(), b"early words").unwrap();
    let client = Arc::new(Side::client(&authority).client_config());
    let (result, _) = with_our_client(&client, name("corelane.test"), &mut server, &mut Splits::none());
    let finished = result.unwrap();
    assert!(!finished.unread.is_empty());
    assert_eq!(finished.unread[0], 23, "a record of traffic");
    assert_eq!(finished.secrets.rx.0, 0);
}
