//! Every fault: its label, and the alert that the other side reads.

use std::sync::Arc;

use corelane_tls::crypto::provider;
use corelane_tls::handshake::fault::LABELS;
use corelane_tls::handshake::server::ServerHandshake;
use corelane_tls::handshake::{HandshakeFault, HandshakeStep};
use rcgen::ExtendedKeyUsagePurpose;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::server::{ResolvesServerCertUsingSni, WebPkiClientVerifier};
use rustls::{AlertDescription, ClientConnection, Error, ServerConfig, ServerConnection};

use crate::authority::{Authority, Key, Wanted};
use crate::pair::{ONLY_12, ONLY_13, Side, Splits, name, serve, today, with_our_client, with_our_server, written_by};

/// An authority and a server's configuration of it.
fn authority_and_server() -> (Authority, Side) {
    let authority = Authority::new(Key::P256);
    let server = Side::server(&authority.issue(&Wanted::default()));
    (authority, server)
}

fn client_of(side: Side) -> ClientConnection {
    ClientConnection::new(Arc::new(side.client_config()), name("corelane.test")).unwrap()
}

/// Our server refuses the client by this label, and the client reads this alert.
fn assert_refused(server: ServerConfig, client: Side, label: &str, alert: AlertDescription) {
    let served = with_our_server(&Arc::new(server), client_of(client), &mut Splits::none(), |_| {});
    let fault = served.result.err().unwrap_or_else(|| panic!("{label}: accepted"));
    assert_eq!(fault.label(), label, "{fault}");
    assert_eq!(served.client_result, Err(Error::AlertReceived(alert)), "{label}");
}

/// What our server says to these bytes: a label, and the bytes of its alert.
fn refusal(wire: &[u8]) -> (&'static str, Vec<u8>) {
    let (_, server) = authority_and_server();
    let mut server = ServerHandshake::new(&Arc::new(server.server_config())).unwrap();
    let (out, result) = serve(&mut server, wire, &mut Splits::none());
    let label = result.err().map_or("none", |fault| fault.label());
    (label, out)
}

fn fatal(alert: AlertDescription) -> Vec<u8> {
    vec![21, 3, 3, 0, 2, 2, alert.into()]
}

fn hello() -> Vec<u8> {
    let (authority, _) = authority_and_server();
    written_by(&mut client_of(Side::client(&authority)))
}

/// Replaces the only occurrence of `from`.
fn replaced(mut wire: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let found: Vec<_> = (0..wire.len()).filter(|at| wire[*at..].starts_with(from)).collect();
    assert_eq!(found.len(), 1, "one place to change");
    wire[found[0]..found[0] + to.len()].copy_from_slice(to);
    wire
}

#[test]
fn bytes_that_are_no_handshake_are_refused_with_an_alert() {
    use AlertDescription::{DecodeError, UnexpectedMessage};
    let alert_of_peer = [21, 3, 3, 0, 2, 2, 40];
    let tiny_records: Vec<u8> = hello()[5..].iter().flat_map(|byte| [22, 3, 1, 0, 1, *byte]).collect();
    let padded: Vec<u8> = tiny_records.iter().copied().chain([22, 3, 1, 0, 1, 7].repeat(1000)).collect();
    let huge = [[22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff].to_vec(), vec![0; 16_380]].concat();
    let more = [[22, 3, 1, 0x40, 0].to_vec(), vec![0; 16_384]].concat();
    let cases: &[(Vec<u8>, &str, Vec<u8>)] = &[
        (b"GET / HTTP/1.1\r\nHost: corelane.test\r\n\r\n".to_vec(), "not_tls", fatal(DecodeError)),
        (vec![0; 64], "not_tls", fatal(DecodeError)),
        (vec![22, 2, 0, 0, 4, 1, 0, 0, 0], "not_tls", fatal(DecodeError)),
        (vec![22, 3, 1, 0, 4, 1, 0, 0, 0], "malformed", fatal(DecodeError)),
        (vec![22, 3, 1, 0, 4, 2, 0, 0, 0], "malformed", fatal(DecodeError)),
        (vec![22, 3, 1, 0, 4, 14, 0, 0, 0], "unexpected_message", fatal(UnexpectedMessage)),
        (vec![23, 3, 3, 0, 1, 0], "unexpected_message", fatal(UnexpectedMessage)),
        ([&hello()[..9], &[20, 3, 3, 0, 1, 1]].concat(), "none", vec![]),
        ([[22, 3, 1, 0, 2, 1, 0].to_vec(), vec![20, 3, 3, 0, 1, 1]].concat(), "misbehaved", fatal(UnexpectedMessage)),
        ([huge.clone(), more.clone(), more.clone(), more].concat(), "flight_too_long", fatal(DecodeError)),
        (padded, "flight_too_long", fatal(DecodeError)),
        (alert_of_peer.to_vec(), "alert_received", vec![]),
        (vec![21, 3, 3, 0, 2, 1, 0], "none", vec![]),
    ];
    for (wire, label, alert) in cases {
        assert_eq!(refusal(wire), (*label, alert.clone()), "{:?}", &wire[..wire.len().min(12)]);
    }
}

#[test]
fn a_hello_in_another_protocols_record_is_not_worked_on() {
    // rustls takes a record with DTLS's version for one of TLS; in pieces it would be worked on without a permit.
    let (_, side) = authority_and_server();
    let config = Arc::new(side.server_config());
    for version in [[0xfe, 0xff], [0xfe, 0xfd], [0, 2]] {
        let mut wire = hello();
        wire[1..3].copy_from_slice(&version);
        for cut in [1, 5, 6, wire.len()] {
            let mut server = ServerHandshake::new(&config).unwrap();
            let mut out = Vec::new();
            let steps = [&wire[..cut], &wire[cut..]].map(|piece| {
                server.push(piece);
                if out.is_empty() { server.advance(&mut out).map_err(|fault| fault.label()) } else { Err("not_tls") }
            });
            assert_eq!((steps[1], &out), (Err("not_tls"), &fatal(AlertDescription::DecodeError)));
        }
    }
}

#[test]
fn nothing_in_common_is_said_by_name() {
    use AlertDescription::{AccessDenied, HandshakeFailure, NoApplicationProtocol};
    let of = |change: fn(&mut CryptoProvider)| {
        let mut provider = CryptoProvider::clone(&provider());
        change(&mut provider);
        Arc::new(provider)
    };
    // Suites.
    let (authority, mut server) = authority_and_server();
    server.provider = of(|it| it.cipher_suites.truncate(1));
    let provider = of(|it| it.cipher_suites = it.cipher_suites.split_off(1));
    let client = Side { provider, versions: ONLY_13, ..Side::client(&authority) };
    assert_refused(server.server_config(), client, "no_common_suite", HandshakeFailure);
    // Groups.
    let (authority, mut server) = authority_and_server();
    server.provider = of(|it| it.kx_groups = vec![kx_group::X25519]);
    let client = Side { provider: of(|it| it.kx_groups = vec![kx_group::SECP384R1]), ..Side::client(&authority) };
    assert_refused(server.server_config(), client, "no_common_group", HandshakeFailure);
    // Signatures: the client checks none that a key of P-256 makes.
    let authority = Authority::new(Key::Ed25519);
    let server = Side::server(&authority.issue(&Wanted::default()));
    let provider = of(|it| {
        let is_ed25519 = |(scheme, _): &&(rustls::SignatureScheme, _)| *scheme == rustls::SignatureScheme::ED25519;
        let only = it.signature_verification_algorithms.mapping.iter().find(is_ed25519).unwrap();
        it.signature_verification_algorithms.mapping = std::slice::from_ref(only);
    });
    let client = Side { provider, ..Side::client(&authority) };
    assert_refused(server.server_config(), client, "no_common_signature", HandshakeFailure);
    // Protocols.
    let (authority, mut server) = authority_and_server();
    server.alpn = vec![b"h2".to_vec()];
    let client = Side { alpn: vec![b"spdy/1".to_vec()], ..Side::client(&authority) };
    assert_refused(server.server_config(), client, "no_common_protocol", NoApplicationProtocol);
    // Names.
    let (authority, server) = authority_and_server();
    let mut server = server.server_config();
    server.cert_resolver = Arc::new(ResolvesServerCertUsingSni::new());
    assert_refused(server, Side::client(&authority), "unknown_name", AccessDenied);
}

#[test]
fn versions_and_the_extended_master_secret_are_required() {
    use AlertDescription::{HandshakeFailure, ProtocolVersion};
    let (authority, mut server) = authority_and_server();
    server.versions = ONLY_13;
    let client = Side { versions: ONLY_12, ..Side::client(&authority) };
    assert_refused(server.server_config(), client, "no_common_version", ProtocolVersion);
    let only_12 = || written_by(&mut client_of(Side { versions: ONLY_12, ..Side::client(&authority) }));
    // TLS 1.1: the version of the hello, without the extension that would say another.
    let tls11 = replaced(only_12(), &[0, 43, 0, 3, 2, 3, 3], &[0xfa, 0xfa, 0, 3, 2, 3, 3]);
    let tls11 = [&tls11[..9], &[3, 2], &tls11[11..]].concat();
    assert_eq!(refusal(&tls11), ("no_common_version", fatal(ProtocolVersion)));
    let without = replaced(only_12(), &[0, 23, 0, 0], &[0xfa, 0xfa, 0, 0]);
    assert_eq!(refusal(&without), ("no_extended_master_secret", fatal(HandshakeFailure)));
    // Without saying which signatures it checks, a client checks SHA-1's. A hello of TLS 1.3 needs a key share.
    let cases =
        [(13, only_12(), "no_common_signature"), (10, only_12(), "no_common_group"), (51, hello(), "incompatible")];
    for (extension, mut without, label) in cases {
        let number = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
        let is_it = |it: &[u8]| it[..2] == [0, extension] && number(&it[2..]) == number(&it[4..]).saturating_add(2);
        let at = without.windows(6).position(is_it).unwrap();
        without[at..at + 2].copy_from_slice(&[0xfb, 0xfb]);
        assert_eq!(refusal(&without), (label, fatal(HandshakeFailure)));
    }
}

#[test]
fn certificates_of_clients_are_refused_by_name() {
    use AlertDescription as Alert;
    let authority = Authority::new(Key::P256);
    let foreign = Authority::named("foreign", Key::P256);
    let node = authority.issue(&Wanted::default());
    let ours = Wanted { purpose: ExtendedKeyUsagePurpose::ClientAuth, ..Wanted::default() };
    let expired = Wanted { years: (2024, 2025), ..ours.clone() };
    let early = Wanted { years: (2030, 2031), ..ours.clone() };
    let revoked = Wanted { serial: 66, ..ours.clone() };
    let cases = [
        (None, "certificate_missing", Alert::CertificateRequired),
        (Some(authority.issue(&expired)), "certificate_expired", Alert::CertificateExpired),
        (Some(authority.issue(&early)), "certificate_not_yet_valid", Alert::CertificateExpired),
        (Some(authority.issue(&revoked)), "certificate_revoked", Alert::CertificateRevoked),
        (Some(foreign.issue(&ours)), "certificate_unknown_issuer", Alert::UnknownCA),
        (Some(node.clone()), "certificate_wrong_purpose", Alert::UnsupportedCertificate),
    ];
    for (identity, label, alert) in cases {
        let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots(), provider())
            .with_crls([authority.revoke(&[66])])
            .build()
            .unwrap();
        let server = ServerConfig::builder_with_details(provider(), today()).with_protocol_versions(ONLY_13).unwrap();
        let server = server.with_client_cert_verifier(verifier);
        let mut server = server.with_single_cert(node.chain.clone(), node.key.clone_key()).unwrap();
        corelane_tls::handshake::server::prepare(&mut server);
        assert_refused(server, Side { identity, ..Side::client(&authority) }, label, alert);
    }
    // A list of another authority says nothing of this one.
    let verifier = WebPkiClientVerifier::builder_with_provider(authority.roots(), provider())
        .with_crls([foreign.revoke(&[])])
        .build()
        .unwrap();
    let server = ServerConfig::builder_with_details(provider(), today()).with_protocol_versions(ONLY_13).unwrap();
    let mut server = server.with_client_cert_verifier(verifier).with_single_cert(node.chain.clone(), node.key).unwrap();
    corelane_tls::handshake::server::prepare(&mut server);
    let client = Side { identity: Some(authority.issue(&ours)), ..Side::client(&authority) };
    assert_refused(server, client, "certificate_revocation_unknown", Alert::UnknownCA);
}

#[test]
fn a_second_flight_that_was_changed_is_refused() {
    let (authority, server) = authority_and_server();
    let client = client_of(Side::client(&authority));
    let mut flights = 0;
    let change_second = |wire: &mut Vec<u8>| {
        flights += 1;
        if flights == 2 {
            *wire.last_mut().unwrap() ^= 1;
        }
    };
    let served = with_our_server(&Arc::new(server.server_config()), client, &mut Splits::none(), change_second);
    assert_eq!(served.result.err().unwrap().label(), "bad_record_mac");
    assert_eq!(served.client_result, Err(Error::AlertReceived(AlertDescription::BadRecordMac)));

    // A certificate whose owner does not sign: the client's signature was made with another key.
    let purpose = ExtendedKeyUsagePurpose::ClientAuth;
    let mut identity = authority.issue(&Wanted { purpose: purpose.clone(), ..Wanted::default() });
    identity.key = authority.issue(&Wanted { purpose, ..Wanted::default() }).key;
    let (_, server) = authority_and_server();
    let server = Side { trusted: Some(authority.roots()), ..server };
    let provider = provider();
    let key = provider.key_provider.load_private_key(identity.key.clone_key()).unwrap();
    let mut client = Side::client(&authority).client_config();
    let stolen = rustls::sign::CertifiedKey::new(identity.chain, key);
    client.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(stolen));
    client.dangerous().set_certificate_verifier(Arc::new(danger::Anyone));
    let client = ClientConnection::new(Arc::new(client), name("corelane.test")).unwrap();
    let served = with_our_server(&Arc::new(server.server_config()), client, &mut Splits::none(), |_| {});
    assert_eq!(served.result.err().unwrap().label(), "certificate_invalid");
    assert_eq!(served.client_result, Err(Error::AlertReceived(AlertDescription::DecryptError)));
}

mod danger {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    /// Trusts whoever answers: what is tested is the server.
    #[derive(Debug)]
    pub(super) struct Anyone;

    impl ServerCertVerifier for Anyone {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ECDSA_NISTP256_SHA256]
        }
    }
}

#[test]
fn reasons_from_outside_have_their_alerts() {
    let (authority, side) = authority_and_server();
    let config = Arc::new(side.server_config());
    let cases = [
        (HandshakeFault::TimedOut, "timed_out", vec![21, 3, 3, 0, 2, 1, 0]),
        (HandshakeFault::Closed, "closed", vec![21, 3, 3, 0, 2, 1, 0]),
        (HandshakeFault::Shed, "shed", fatal(AlertDescription::InternalError)),
        (HandshakeFault::Socket(104), "socket", vec![]),
    ];
    for (fault, label, alert) in cases {
        let server = ServerHandshake::new(&config).unwrap();
        let mut out = Vec::new();
        assert_eq!((server.refuse(fault, &mut out).label(), &out), (label, &alert));
    }
    // Behind the first flight an alert would have to be encrypted, and only rustls has the keys.
    let mut server = ServerHandshake::new(&config).unwrap();
    serve(&mut server, &written_by(&mut client_of(Side::client(&authority))), &mut Splits::none()).1.unwrap();
    let mut out = Vec::new();
    server.refuse(HandshakeFault::TimedOut, &mut out);
    assert!(out.is_empty());
}

#[test]
fn a_configuration_that_keeps_its_keys_is_our_fault() {
    let (authority, side) = authority_and_server();
    let mut config = side.server_config();
    config.enable_secret_extraction = false;
    let served = with_our_server(&Arc::new(config), client_of(Side::client(&authority)), &mut Splits::none(), |_| {});
    assert_eq!(served.result.err().unwrap().label(), "internal");
}

#[test]
fn a_client_refuses_servers_by_name() {
    use AlertDescription as Alert;
    let authority = Authority::new(Key::P256);
    let foreign = Authority::named("foreign", Key::P256);
    let ours = Wanted::default();
    let expired = authority.issue(&Wanted { years: (2024, 2025), ..ours.clone() });
    let early = authority.issue(&Wanted { years: (2030, 2031), ..ours.clone() });
    let other = authority.issue(&Wanted { name: "other.test", ..ours.clone() });
    let edge = authority.issue(&Wanted { purpose: ExtendedKeyUsagePurpose::ClientAuth, ..ours.clone() });
    let cases = [
        (&expired, "certificate_expired", Alert::CertificateExpired),
        (&early, "certificate_not_yet_valid", Alert::CertificateExpired),
        (&foreign.issue(&ours), "certificate_unknown_issuer", Alert::UnknownCA),
        (&other, "certificate_wrong_name", Alert::BadCertificate),
        (&edge, "certificate_wrong_purpose", Alert::UnsupportedCertificate),
    ];
    for (identity, label, alert) in cases {
        for versions in [ONLY_13, ONLY_12] {
            let client = Arc::new(Side { versions, ..Side::client(&authority) }.client_config());
            let mut server = ServerConnection::new(Arc::new(Side::server(identity).server_config())).unwrap();
            let (result, server_result) =
                with_our_client(&client, name("corelane.test"), &mut server, &mut Splits::random(5));
            assert_eq!(result.err().unwrap().label(), label);
            assert_eq!(server_result, Err(Error::AlertReceived(alert)), "{label}");
        }
    }
}

#[test]
fn a_client_knows_what_is_no_tls() {
    let (authority, _) = authority_and_server();
    let client = Arc::new(Side::client(&authority).client_config());
    let mut client = corelane_tls::handshake::client::ClientHandshake::new(&client, name("corelane.test")).unwrap();
    let mut out = Vec::new();
    assert_eq!(client.advance(&mut out).unwrap(), HandshakeStep::NeedsBytes);
    out.clear();
    client.push(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert_eq!(client.advance(&mut out).unwrap_err().label(), "not_tls");
    assert_eq!(out, fatal(AlertDescription::DecodeError));
}

#[test]
fn labels_are_words_of_their_own() {
    let mut labels = LABELS.to_vec();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), LABELS.len());
    assert!(labels.iter().all(|label| label.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())));
}
