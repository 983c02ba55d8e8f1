//! What a connection keeps of what has come.

use reactor::{Opened, Protection, Received};

use super::super::rig::AGREED;
use super::{client, open, seal, server, text};

/// A record of TLS 1.3 with its header: 16 KiB + 261.
const PARTIAL_BYTES_MAX: usize = 16 * 1024 + 261;

#[test]
fn of_a_record_that_is_split_no_more_is_kept_than_it_has() {
    let longest = |forger: &mut super::super::forger::Forger| forger.inner(&[&text(16_384)[..], &[23]].concat());
    for step in [1000, 4096, 16_384] {
        let (mut layer, mut forger) = server(AGREED[0]);
        let wire = [longest(&mut forger), longest(&mut forger)].concat();
        let mut opened = Opened::default();
        for piece in wire.chunks(step) {
            layer.open(Received::owned(piece.to_vec()), &mut opened).unwrap();
            assert!(layer.kept_bytes() <= PARTIAL_BYTES_MAX);
        }
        assert_eq!(layer.kept_bytes(), 0, "between records nothing is kept");
    }
    // As much as can be announced.
    let (mut layer, _) = server(AGREED[0]);
    open(&mut layer, &[&[23, 3, 3, 0x41, 0][..], &vec![7; 16_639]].concat(), &[]);
    assert_eq!(layer.kept_bytes(), PARTIAL_BYTES_MAX);
    open(&mut layer, &[7], &[]);
    assert_eq!(layer.kept_bytes(), 0, "nor behind a fault");
}

#[test]
fn of_a_message_that_is_split_no_more_is_kept_than_it_may_have() {
    let (mut layer, mut forger) = client(AGREED[0]);
    let ticket = [&[4, 0, 0x3f, 0xfc][..], &[0; 16_379]].concat();
    for piece in ticket.chunks(100) {
        assert_eq!(open(&mut layer, &forger.record(22, piece), &[]).fault, None);
        assert!(layer.kept_bytes() < 16_384);
    }
    assert_eq!(open(&mut layer, &forger.record(22, &text(16_000)), &[]).fault, Some("ticket"));
    assert_eq!(layer.kept_bytes(), 0);
}

#[test]
fn records_that_come_whole_make_one_piece() {
    for agreed in AGREED {
        let (mut layer, mut forger) = server(agreed);
        let mut wire: Vec<u8> = (0..50).flat_map(|index| forger.data(&text(index * 10))).collect();
        let sent: Vec<u8> = (0..50).flat_map(|index| text(index * 10)).collect();
        let came = open(&mut layer, &wire, &[]);
        assert_eq!((came.text, came.pieces), (sent, 1), "{agreed:?}");
        // The rest of a split record is one, and what is behind it another.
        wire = [forger.data(b"split"), forger.data(b"whole"), forger.data(b"too")].concat();
        let came = open(&mut layer, &wire, &[3, 10_000]);
        assert_eq!((came.text.as_slice(), came.pieces), (&b"splitwholetoo"[..], 2));
    }
}

#[test]
fn large_text_makes_records_of_16_kib_and_small_pieces_make_one() {
    for agreed in AGREED {
        let (mut layer, mut forger) = server(agreed);
        let large = text(40_000);
        let cases: [(&[&[u8]], &[usize]); 6] = [
            (&[&large], &[16_384, 16_384, 7232]),
            (&[&large[..16_385]], &[16_384, 1]),
            (&[&large[..100], &large[..200], &large[..4095]], &[4395]),
            (&[&large[..100], &large[..4096], &large[..100]], &[100, 4096, 100]),
            (&[&large[..20_000], &large[..100]], &[16_384, 3716]),
            (&[&large[..4000]; 9], &[16_384, 16_384, 3232]),
        ];
        for (pieces, expected) in cases {
            let records = forger.read(&seal(&mut layer, pieces));
            let lengths: Vec<_> = records.iter().map(|(_, text)| text.len()).collect();
            let together: Vec<_> = records.into_iter().flat_map(|(_, text)| text).collect();
            assert_eq!(together, pieces.concat());
            assert_eq!(lengths, expected, "{agreed:?}");
        }
    }
}
