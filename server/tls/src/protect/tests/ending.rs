//! The end of a connection, said by either side.

use reactor::Protection;

use super::super::rig::AGREED;
use super::{Came, client, open, seal, server};

#[test]
fn what_comes_behind_a_close_notify_is_thrown_away() {
    for agreed in AGREED {
        for lengths in [&[][..], &[1], &[40]] {
            for behind in [&b"no record at all"[..], &[23, 3, 3, 0, 40, 1], &[]] {
                let (mut layer, mut forger) = server(agreed);
                let wire = [&forger.data(b"last"), &forger.record(21, &[1, 0]), &forger.data(b"late"), behind].concat();
                let came = open(&mut layer, &wire, lengths);
                let last = Came { text: b"last".to_vec(), pieces: 1, ended: true, fault: None };
                assert_eq!(came, last, "{agreed:?} {lengths:?}");
                assert_eq!(open(&mut layer, b"more of it", &[]), Came::default());
                assert!(!layer.has_to_say());
                // The other direction is open.
                assert_eq!(forger.read(&seal(&mut layer, &[b"answer"])), [(23, b"answer".to_vec())]);
            }
        }
    }
}

#[test]
fn our_end_is_said_once_and_last() {
    for agreed in AGREED {
        for connect in [server, client] {
            let (mut layer, mut forger) = connect(agreed);
            layer.close();
            assert!(layer.has_to_say());
            let wire = seal(&mut layer, &[b"the rest"]);
            assert_eq!(forger.read(&wire), [(23, b"the rest".to_vec()), (21, vec![1, 0])]);
            assert!(!layer.has_to_say());
            layer.close();
            assert!(!layer.has_to_say());
            assert_eq!(seal(&mut layer, &[b"too late"]), []);
            // And what still comes is read, but not answered.
            assert_eq!(open(&mut layer, &forger.data(b"theirs"), &[]).text, b"theirs");
            assert_eq!(open(&mut layer, &[23, 3, 3, 0, 0], &[]).fault, Some("record_mac"));
            assert!(!layer.has_to_say());
            assert_eq!(seal(&mut layer, &[]), []);
        }
    }
}
