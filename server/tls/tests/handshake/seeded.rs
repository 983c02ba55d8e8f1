//! Two runs of one seed give the same bytes on the wire.

use std::sync::Arc;

use corelane_tls::crypto::seeded;
use corelane_tls::handshake::HandshakeStep;
use corelane_tls::handshake::client::ClientHandshake;
use corelane_tls::handshake::server::ServerHandshake;
use rcgen::ExtendedKeyUsagePurpose;

use crate::authority::{Authority, Identity, Key, Wanted};
use crate::pair::{BOTH, ONLY_12, Side, assert_same_keys, name};

/// Everything that two handshakes (the second may resume) wrote on both sides.
fn run(seed: u64, authority: &Authority, [edge, node]: &[Identity; 2], is_12: bool) -> Vec<Vec<u8>> {
    let versions = if is_12 { ONLY_12 } else { BOTH };
    let crypto = seeded(seed);
    let server = Side { provider: Arc::clone(&crypto), trusted: Some(authority.roots()), ..Side::server(node) };
    let server = Arc::new(server.server_config());
    let client = Side { provider: crypto, identity: Some(edge.clone()), versions, ..Side::client(authority) };
    let client = Arc::new(client.client_config());
    let mut wires = Vec::new();
    for _ in 0..2 {
        let mut server = ServerHandshake::new(&server).unwrap();
        let mut client = ClientHandshake::new(&client, name("corelane.test")).unwrap();
        let mut steps = [HandshakeStep::NeedsBytes; 2];
        for _ in 0..4 {
            let mut wire = Vec::new();
            if steps[0] != HandshakeStep::Done {
                steps[0] = client.advance(&mut wire).unwrap();
            }
            server.push(&wire);
            wires.push(std::mem::take(&mut wire));
            if steps[1] != HandshakeStep::Done {
                steps[1] = server.advance(&mut wire).unwrap();
                if steps[1] == HandshakeStep::NeedsPermit {
                    steps[1] = server.advance_permitted(&mut wire).unwrap();
                }
            }
            client.push(&wire);
            wires.push(wire);
        }
        assert_eq!(steps, [HandshakeStep::Done; 2]);
        let (mut ours, theirs) = (client.finish().unwrap(), server.finish().unwrap());
        // The server's tickets are unread.
        ours.secrets.rx.0 = theirs.secrets.tx.0;
        assert_same_keys(&ours.secrets, &theirs.secrets);
    }
    wires
}

#[test]
fn a_seed_decides_every_byte() {
    let authority = Authority::new(Key::Ed25519);
    let identities = [ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth]
        .map(|purpose| authority.issue(&Wanted { purpose, key: Key::Ed25519, ..Wanted::default() }));
    for is_12 in [false, true] {
        for seed in 0..20 {
            let [a, b] = [(); 2].map(|()| run(seed, &authority, &identities, is_12));
            assert_eq!(a, b, "seed {seed}");
        }
        assert_ne!(run(1, &authority, &identities, is_12), run(2, &authority, &identities, is_12));
    }
}
