//! Keys that change while a connection lives, and a key that cannot.

use std::io::{Read, Write};

use reactor::Protection;

use super::super::forger::Forger;
use super::super::layer::RecordLayer;
use super::super::rig::{AGREED, Agreed, both_parts, client_parts, server_parts};
use super::{Came, client, layer, open, seal, server, text};

fn updates(records: &[(u8, Vec<u8>)]) -> usize {
    records.iter().filter(|(content, _)| *content == 22).count()
}

#[test]
fn an_update_that_asks_is_answered_with_the_next_data() {
    for agreed in &AGREED[..3] {
        for connect in [server, client] {
            let (mut layer, mut forger) = connect(*agreed);
            let wire = [
                forger.data(b"1"),
                forger.key_update(true),
                forger.key_update(true),
                forger.key_update(false),
                forger.data(b"2"),
            ]
            .concat();
            assert_eq!(open(&mut layer, &wire, &[]).text, b"12");
            assert!(!layer.has_to_say(), "not for itself: a peer that sends nothing else gets nothing");
            assert_eq!(forger.hears(&mut layer), []);
            let wire = seal(&mut layer, &[b"answer"]);
            assert_eq!(forger.read(&wire), [(22, vec![24, 0, 0, 1, 0]), (23, b"answer".to_vec())], "one for both");
            let wire = seal(&mut layer, &[b"more"]);
            assert_eq!(forger.read(&wire), [(23, b"more".to_vec())]);

            assert_eq!(open(&mut layer, &forger.key_update(false), &[]), Came::default());
            let wire = seal(&mut layer, &[b"still"]);
            assert_eq!(forger.read(&wire), [(23, b"still".to_vec())]);
        }
    }
}

/// A connection whose keys seal so many records.
fn bounded(agreed: Agreed, records_max: u64) -> (RecordLayer, Forger) {
    let (client, (secrets, side), tickets) = both_parts(agreed);
    let layer = RecordLayer::with_records_max(secrets, side, agreed.version, records_max).unwrap();
    (layer, Forger::new(agreed, client, &tickets))
}

#[test]
fn a_key_of_aes_gcm_seals_no_more_than_it_may() {
    for (agreed, records_max, expected) in [(AGREED[0], 10, 10), (AGREED[1], 7, 14), (AGREED[2], 7, 0)] {
        let (mut layer, mut forger) = bounded(agreed, records_max);
        let records: Vec<_> = (0..100).flat_map(|_| forger.read(&seal(&mut layer, &[b"data"]))).collect();
        assert_eq!(updates(&records), expected, "{agreed:?}");
        assert_eq!(records.len(), 100 + expected);
    }
    // Also within one send.
    let (mut layer, mut forger) = bounded(AGREED[0], 10);
    let wire = seal(&mut layer, &[&text(40 * 16_384)]);
    assert_eq!(updates(&forger.read(&wire)), 4);
}

#[test]
fn a_connection_whose_key_cannot_change_ends_with_it() {
    for agreed in &AGREED[3..5] {
        let (mut layer, mut forger) = bounded(*agreed, 10);
        // Finished was the first.
        let wire = seal(&mut layer, &[&text(20 * 16_384)]);
        let records = forger.read(&wire);
        assert_eq!(records.iter().filter(|(content, _)| *content == 23).count(), 9);
        assert_eq!(records.last(), Some(&(21, vec![1, 0])), "close_notify");
        assert_eq!(seal(&mut layer, &[b"more"]), []);
        assert_eq!(open(&mut layer, &forger.data(b"x"), &[]).fault, Some("record_limit"));
    }
    let (mut layer, mut forger) = bounded(AGREED[5], 10);
    let wire = seal(&mut layer, &[&text(20 * 16_384)]);
    assert_eq!(forger.read(&wire).len(), 20);
}

/// As `exchange`, with keys that change on both sides.
macro_rules! beside_rustls {
    ($layer:expr, $peer:expr) => {
        let (mut layer, mut peer) = ($layer, $peer);
        for round in 0..20 {
            let sent = text(1000 * round + 1);
            if round % 3 == 1 {
                peer.refresh_traffic_keys().unwrap();
            }
            peer.writer().write_all(&sent).unwrap();
            let mut wire = Vec::new();
            while peer.wants_write() {
                peer.write_tls(&mut wire).unwrap();
            }
            assert_eq!(open(&mut layer, &wire, &[1 + round * 100]).text, sent, "round {round}");

            let wire = seal(&mut layer, &[&sent]);
            let (mut rest, mut read) = (wire.as_slice(), Vec::new());
            while !rest.is_empty() {
                peer.read_tls(&mut rest).unwrap();
                peer.process_new_packets().unwrap();
                let _ = peer.reader().read_to_end(&mut read);
            }
            assert_eq!(read, sent, "round {round}");
        }
    };
}

#[test]
fn keys_change_beside_rustls() {
    for agreed in &AGREED[..3] {
        // Ours change by the number of records, theirs when they are told to, and in answer to the other's.
        let ((secrets, side), peer) = server_parts(*agreed);
        beside_rustls!(RecordLayer::with_records_max(secrets, side, agreed.version, 5).unwrap(), peer);
        let (parts, peer, tickets) = client_parts(*agreed);
        let mut layer = layer(*agreed, parts);
        open(&mut layer, &tickets, &[]);
        beside_rustls!(layer, peer);
    }
}
