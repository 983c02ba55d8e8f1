//! What one end seals, the other opens: both sides, all suites, any sizes and splits.

use std::io::{Read, Write};

use super::super::rig::{AGREED, both_parts, client_parts, server_parts, server_parts_after};
use super::{Came, layer, open, seal, text};

const SIZES: [usize; 14] = [0, 1, 15, 128, 330, 4095, 4096, 4097, 16383, 16384, 16385, 20_000, 65_536, 200_000];

/// What a rustls connection has read and sends, as one macro for its two kinds.
macro_rules! beside_rustls {
    ($layer:expr, $peer:expr, $label:expr) => {
        let (mut layer, mut peer, label) = ($layer, $peer, $label);
        for (index, size) in SIZES.into_iter().enumerate() {
            let sent = text(size);
            let wire = seal(&mut layer, &[&sent[..size / 3], &sent[size / 3..]]);
            let mut read = Vec::new();
            for mut piece in wire.chunks(1 + index * 977) {
                while !piece.is_empty() {
                    peer.read_tls(&mut piece).unwrap();
                    peer.process_new_packets().unwrap_or_else(|fault| panic!("{label:?} {size}: {fault}"));
                    let _ = peer.reader().read_to_end(&mut read);
                }
            }
            assert_eq!(read, sent, "{label:?}: our {size} bytes");

            let mut wire = Vec::new();
            for piece in sent.chunks(30_000) {
                peer.writer().write_all(piece).unwrap();
                while peer.wants_write() {
                    peer.write_tls(&mut wire).unwrap();
                }
            }
            let came = open(&mut layer, &wire, &[1 + index * 1931]);
            assert_eq!((came.text, came.fault), (sent, None), "{label:?}: their {size} bytes");
        }
        peer.send_close_notify();
        let mut wire = Vec::new();
        peer.write_tls(&mut wire).unwrap();
        assert!(open(&mut layer, &wire, &[]).ended);
        reactor::Protection::close(&mut layer);
        let wire = seal(&mut layer, &[]);
        peer.read_tls(&mut wire.as_slice()).unwrap();
        assert!(peer.process_new_packets().unwrap().peer_has_closed(), "{label:?}");
    };
}

#[test]
fn as_a_server_it_says_and_hears_what_rustls_does() {
    for agreed in AGREED {
        let (parts, client) = server_parts(agreed);
        beside_rustls!(layer(agreed, parts), client, agreed);
    }
}

#[test]
fn as_a_client_it_says_and_hears_what_rustls_does() {
    for agreed in AGREED {
        let (parts, server, tickets) = client_parts(agreed);
        let mut layer = layer(agreed, parts);
        assert_eq!(open(&mut layer, &tickets, &[100]), Came::default());
        beside_rustls!(layer, server, agreed);
    }
}

#[test]
fn two_layers_understand_each_other() {
    for agreed in AGREED {
        let (client, server, tickets) = both_parts(agreed);
        let (mut client, mut server) = (layer(agreed, client), layer(agreed, server));
        assert_eq!(open(&mut client, &tickets, &[]), Came::default());
        let sent = text(100_000);
        let wire = seal(&mut client, &[&sent]);
        assert_eq!(open(&mut server, &wire, &[]).text, sent);
        let wire = seal(&mut server, &[&sent[..5], &sent[5..70_000], &sent[70_000..]]);
        assert_eq!(open(&mut client, &wire, &[3, 16_000]).text, sent);
    }
}

#[test]
fn a_record_is_byte_by_byte_the_one_that_rustls_would_send() {
    for agreed in AGREED {
        let texts: Vec<_> = [1, 16, 300, 4095, 4096, 16_384].into_iter().map(text).collect();
        let (mut parts, sealed) = server_parts_after(agreed, &texts.iter().map(Vec::as_slice).collect::<Vec<_>>());
        parts.0.tx.0 -= texts.len() as u64;
        let mut layer = layer(agreed, parts);
        for (text, sealed) in texts.iter().zip(sealed) {
            assert_eq!(seal(&mut layer, &[text]), sealed, "{agreed:?}, {} bytes", text.len());
        }
    }
}
