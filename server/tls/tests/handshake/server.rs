//! Our server with rustls's ordinary client: versions, suites, keys, resumption, certificates, whatever the pieces.

use std::sync::Arc;

use corelane_tls::crypto::provider;
use corelane_tls::handshake::HandshakeStep;
use corelane_tls::handshake::server::ServerHandshake;
use rcgen::ExtendedKeyUsagePurpose;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::{ClientConnection, HandshakeKind, ProtocolVersion};

use crate::authority::{Authority, Key, Wanted};
use crate::pair::{BOTH, ONLY_12, ONLY_13, Side, Splits, assert_same_keys, name, serve, with_our_server, written_by};

#[test]
fn all_suites_groups_and_keys_end_with_the_clients_keys() {
    let authority = Authority::new(Key::P256);
    for key in [Key::P256, Key::Ed25519, Key::Rsa2048] {
        let identity = authority.issue(&Wanted { key, ..Wanted::default() });
        let config = Arc::new(Side::server(&identity).server_config());
        for suite in &provider().cipher_suites {
            for group in &provider().kx_groups {
                let provider = CryptoProvider {
                    cipher_suites: vec![*suite],
                    kx_groups: vec![*group],
                    ..CryptoProvider::clone(&provider())
                };
                let version = suite.version().version;
                let versions = if version == ProtocolVersion::TLSv1_3 { ONLY_13 } else { ONLY_12 };
                let is_hybrid = group.name() == rustls::NamedGroup::X25519MLKEM768;
                let fits = suite.usable_for_signature_algorithm(match key {
                    Key::P256 => rustls::SignatureAlgorithm::ECDSA,
                    Key::Ed25519 => rustls::SignatureAlgorithm::ED25519,
                    Key::Rsa2048 => rustls::SignatureAlgorithm::RSA,
                });
                if (is_hybrid && version == ProtocolVersion::TLSv1_2) || !fits {
                    continue;
                }
                let client = Side { provider: Arc::new(provider), versions, ..Side::client(&authority) };
                let client = ClientConnection::new(Arc::new(client.client_config()), name("corelane.test")).unwrap();
                let served = with_our_server(&config, client, &mut Splits::none(), |_| {});
                let finished = served.result.unwrap();
                assert_eq!(served.client_result, Ok(()));
                assert_eq!(finished.negotiated.suite, suite.suite());
                assert_eq!(finished.negotiated.version, version);
                assert_eq!(finished.negotiated.kind, HandshakeKind::Full);
                assert!(finished.unread.is_empty());
                assert_same_keys(&finished.secrets, &served.client.dangerous_extract_secrets().unwrap());
            }
        }
    }
}

#[test]
fn bytes_may_come_in_any_pieces_and_with_traffic_behind_them() {
    let authority = Authority::new(Key::P256);
    let config = Arc::new(Side::server(&authority.issue(&Wanted::default())).server_config());
    for seed in 0..200 {
        let versions = [BOTH, ONLY_12][seed as usize % 2];
        let client = Side { versions, ..Side::client(&authority) };
        let client = Arc::new(client.client_config());
        let mut client = ClientConnection::new(client, name("Corelane.TEST")).unwrap();
        let mut server = ServerHandshake::new(&config).unwrap();
        let mut splits = Splits::random(seed);
        let (out, result) = serve(&mut server, &written_by(&mut client), &mut splits);
        assert!(!result.unwrap());
        crate::pair::give(&mut client, &out).unwrap();
        // The client's Finished, and traffic in the same bytes when it may send it already.
        let request = b"GET / HTTP/1.1\r\n\r\n";
        let mut wire = written_by(&mut client);
        let may_write = !client.is_handshaking();
        assert_eq!(may_write, versions != ONLY_12);
        let mut traffic = Vec::new();
        if may_write {
            std::io::Write::write_all(&mut client.writer(), request).unwrap();
            traffic = written_by(&mut client);
        }
        wire.extend_from_slice(&traffic);
        let mut out = Vec::new();
        let mut step = HandshakeStep::NeedsBytes;
        splits.each(&wire, |piece| {
            server.push(piece);
            if step != HandshakeStep::Done {
                step = server.advance(&mut out).unwrap();
            }
        });
        assert_eq!(step, HandshakeStep::Done, "seed {seed}");
        let finished = server.finish().unwrap();
        assert_eq!(finished.unread, traffic, "seed {seed}: what is behind Finished is not rustls's");
        assert_eq!(finished.secrets.rx.0, u64::from(!may_write), "TLS 1.2's Finished is the first record of its keys");
        assert_eq!(finished.negotiated.server_name.as_deref(), Some("corelane.test"));
        crate::pair::give(&mut client, &out).unwrap();
        assert!(!client.is_handshaking());
    }
}

/// A server that answers every first hello by asking for another group.
fn retrying(authority: &Authority) -> Arc<rustls::ServerConfig> {
    let strict = CryptoProvider {
        kx_groups: vec![rustls::crypto::aws_lc_rs::kx_group::SECP384R1],
        ..CryptoProvider::clone(&provider())
    };
    let side = Side { provider: Arc::new(strict), ..Side::server(&authority.issue(&Wanted::default())) };
    Arc::new(side.server_config())
}

#[test]
fn a_retried_hello_ends_as_a_full_handshake_and_needs_a_permit_each_time() {
    let authority = Authority::new(Key::P256);
    let client = Arc::new(Side::client(&authority).client_config());
    let mut client = ClientConnection::new(client, name("corelane.test")).unwrap();
    let mut server = ServerHandshake::new(&retrying(&authority)).unwrap();
    let mut permits = 0;
    let finished = loop {
        server.push(&written_by(&mut client));
        let mut out = Vec::new();
        let mut step = server.advance(&mut out).unwrap();
        if step == HandshakeStep::NeedsPermit {
            permits += 1;
            step = server.advance_permitted(&mut out).unwrap();
        }
        crate::pair::give(&mut client, &out).unwrap();
        if step == HandshakeStep::Done {
            break server.finish().unwrap();
        }
    };
    assert_eq!(permits, 2, "the second hello is where it computes");
    assert_eq!(finished.negotiated.kind, HandshakeKind::FullWithHelloRetryRequest);
    assert_eq!(finished.negotiated.server_name.as_deref(), Some("corelane.test"));
}

#[test]
fn the_bound_on_records_is_each_flights_own() {
    const RECORDS_MAX: usize = 512;
    let authority = Authority::new(Key::P256);
    let config = Arc::new(Side::server(&authority.issue(&Wanted::default())).server_config());
    for (records, fits) in [(RECORDS_MAX, true), (RECORDS_MAX + 1, false)] {
        let client = Arc::new(Side::client(&authority).client_config());
        let client = ClientConnection::new(client, name("corelane.test")).unwrap();
        // The hello in as many records as a flight may have; what comes behind our flight begins anew.
        let mut is_hello = true;
        let served = with_our_server(&config, client, &mut Splits::none(), |wire| {
            if std::mem::take(&mut is_hello) {
                let (tiny, rest) = wire[5..].split_at(records - 1);
                let pieces = tiny.chunks(1).chain([rest]);
                let framed = |piece: &[u8]| [&[22, 3, 1][..], &(piece.len() as u16).to_be_bytes(), piece].concat();
                *wire = pieces.flat_map(framed).collect();
            }
        });
        assert_eq!(
            served.result.map(|_| ()).map_err(|fault| fault.label()),
            if fits { Ok(()) } else { Err("flight_too_long") }
        );
    }
}

#[test]
fn what_every_configuration_needs_is_set() {
    let authority = Authority::new(Key::P256);
    let mut server = Side::server(&authority.issue(&Wanted::default())).server_config();
    (server.enable_secret_extraction, server.require_ems) = (false, false);
    (server.send_half_rtt_data, server.ignore_client_order) = (true, true);
    corelane_tls::handshake::server::prepare(&mut server);
    assert!(server.enable_secret_extraction && server.require_ems);
    assert!(!server.send_half_rtt_data && !server.ignore_client_order);
    let mut client = Side::client(&authority).client_config();
    (client.enable_secret_extraction, client.require_ems) = (false, false);
    (client.check_selected_alpn, client.enable_early_data) = (false, true);
    corelane_tls::handshake::client::prepare(&mut client);
    assert!(client.enable_secret_extraction && client.require_ems);
    assert!(client.check_selected_alpn && !client.enable_early_data);
}

#[test]
fn tickets_resume_in_both_versions() {
    let authority = Authority::new(Key::P256);
    for versions in [ONLY_13, ONLY_12] {
        let mut server = Side::server(&authority.issue(&Wanted::default())).server_config();
        server.ticketer = Ticketer::new().unwrap();
        let server = Arc::new(server);
        let client = Arc::new(Side { versions, ..Side::client(&authority) }.client_config());
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let client = ClientConnection::new(Arc::clone(&client), name("corelane.test")).unwrap();
            let served = with_our_server(&server, client, &mut Splits::none(), |_| {});
            let finished = served.result.unwrap();
            assert_eq!(finished.negotiated.kind, expected);
            assert_same_keys(&finished.secrets, &served.client.dangerous_extract_secrets().unwrap());
        }
    }
}

#[test]
fn alpn_is_the_servers_choice_and_none_is_no_fault() {
    let authority = Authority::new(Key::P256);
    let both = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let server = Side { alpn: both.clone(), ..Side::server(&authority.issue(&Wanted::default())) };
    let server = Arc::new(server.server_config());
    let offers = [(vec![], None), (both[1..].to_vec(), Some(&b"http/1.1"[..])), (both.clone(), Some(b"h2"))];
    for (alpn, expected) in offers {
        let client = Arc::new(Side { alpn, ..Side::client(&authority) }.client_config());
        let client = ClientConnection::new(client, name("corelane.test")).unwrap();
        let finished = with_our_server(&server, client, &mut Splits::none(), |_| {}).result.unwrap();
        assert_eq!(finished.negotiated.alpn.as_deref(), expected);
    }
}

#[test]
fn a_clients_certificate_says_who_it_is() {
    let authority = Authority::new(Key::P256);
    let uri = "spiffe://cluster/edge/7";
    let purpose = ExtendedKeyUsagePurpose::ClientAuth;
    let wanted = Wanted { uri: Some(uri), purpose, key: Key::Ed25519, ..Wanted::default() };
    let identity = authority.issue(&wanted);
    let server = Side { trusted: Some(authority.roots()), ..Side::server(&authority.issue(&Wanted::default())) };
    let server = Arc::new(server.server_config());
    // Ed25519 needs TLS 1.3 suites or ECDSA ones; both versions carry it.
    for versions in [ONLY_13, ONLY_12] {
        let client = Side { identity: Some(identity.clone()), versions, ..Side::client(&authority) };
        let client = ClientConnection::new(Arc::new(client.client_config()), name("corelane.test")).unwrap();
        let finished = with_our_server(&server, client, &mut Splits::random(1), |_| {}).result.unwrap();
        let peer = finished.negotiated.peer_certificate.unwrap();
        assert_eq!(peer.uris[..], [uri.into()]);
        assert_eq!(peer.chain[..], identity.chain);
    }
}

#[test]
fn a_hello_is_not_worked_on_without_a_permit() {
    let authority = Authority::new(Key::P256);
    let config = Arc::new(Side::server(&authority.issue(&Wanted::default())).server_config());
    let mut client =
        ClientConnection::new(Arc::new(Side::client(&authority).client_config()), name("corelane.test")).unwrap();
    let mut server = ServerHandshake::new(&config).unwrap();
    let hello = written_by(&mut client);
    let mut out = Vec::new();
    server.push(&hello[..hello.len() - 1]);
    assert_eq!(server.advance(&mut out).unwrap(), HandshakeStep::NeedsBytes);
    server.push(&hello[hello.len() - 1..]);
    for _ in 0..2 {
        assert_eq!(server.advance(&mut out).unwrap(), HandshakeStep::NeedsPermit);
        assert!(out.is_empty());
    }
    assert_eq!(server.advance_permitted(&mut out).unwrap(), HandshakeStep::NeedsBytes);
    assert!(!out.is_empty());
    // The client's second flight needs none.
    crate::pair::give(&mut client, &out).unwrap();
    server.push(&written_by(&mut client));
    assert_eq!(server.advance(&mut out).unwrap(), HandshakeStep::Done);
}
