//! Peers that break the rules: the word for each, and the alert that tells it.

use reactor::Protection;

use super::super::forger::Forger;
use super::super::rig::{AGREED, Agreed};
use super::{Came, client, open, seal, server, text};

/// TLS 1.3 and 1.2 with AES-128-GCM, and 1.2 with ChaCha20-Poly1305.
const V13: Agreed = AGREED[0];
const V12: Agreed = AGREED[3];
const V12_CHACHA: Agreed = AGREED[5];

const UNEXPECTED_MESSAGE: Option<u8> = Some(10);
const BAD_RECORD_MAC: Option<u8> = Some(20);
const RECORD_OVERFLOW: Option<u8> = Some(22);
const HANDSHAKE_FAILURE: Option<u8> = Some(40);
const ILLEGAL_PARAMETER: Option<u8> = Some(47);
const DECODE_ERROR: Option<u8> = Some(50);
const PROTOCOL_VERSION: Option<u8> = Some(70);

type Send = fn(&mut Forger) -> Vec<u8>;

/// What is sent behind a record of data, the word for it, and the alert.
type Case = (&'static str, Send, &'static str, Option<u8>);

fn changed(mut record: Vec<u8>, at: usize, bit: u8) -> Vec<u8> {
    let at = if at < record.len() { at } else { record.len() - 1 };
    record[at] ^= bit;
    record
}

fn repeated(count: usize, mut each: impl FnMut() -> Vec<u8>) -> Vec<u8> {
    (0..count).flat_map(|_| each()).collect()
}

/// Whatever the version.
const ALWAYS: &[Case] = &[
    ("a tag is changed", |f| changed(f.data(b"text"), usize::MAX, 1), "record_mac", BAD_RECORD_MAC),
    ("text is changed", |f| changed(f.data(&text(100)), 60, 0x80), "record_mac", BAD_RECORD_MAC),
    (
        "a record comes twice",
        |f| {
            let record = f.data(b"");
            [record.clone(), record].concat()
        },
        "record_mac",
        BAD_RECORD_MAC,
    ),
    (
        "a record is left out",
        |f| {
            f.data(b"first");
            f.data(b"second")
        },
        "record_mac",
        BAD_RECORD_MAC,
    ),
    (
        "records change places",
        |f| {
            let first = f.data(b"1");
            [f.data(b"2"), first].concat()
        },
        "record_mac",
        BAD_RECORD_MAC,
    ),
    ("nothing behind a header", |_| vec![23, 3, 3, 0, 0], "record_mac", BAD_RECORD_MAC),
    ("less than a tag", |_| [&[23, 3, 3, 0, 15][..], &[7; 15]].concat(), "record_mac", BAD_RECORD_MAC),
    ("a length is changed", |f| [changed(f.data(&text(40)), 4, 1), vec![0; 2]].concat(), "record_mac", BAD_RECORD_MAC),
    ("HTTP without TLS", |_| b"GET / HTTP/1.1\r\n\r\n".to_vec(), "record_type", UNEXPECTED_MESSAGE),
    ("change_cipher_spec", |_| vec![20, 3, 3, 0, 1, 1], "record_type", UNEXPECTED_MESSAGE),
    ("a heartbeat", |_| vec![24, 3, 3, 0, 3, 1, 0x40, 0], "record_type", UNEXPECTED_MESSAGE),
    ("SSL 2", |_| vec![0x80, 0x2e, 1, 0, 2], "record_type", UNEXPECTED_MESSAGE),
    ("TLS 1.0", |f| changed(f.data(b"text"), 2, 2), "record_version", PROTOCOL_VERSION),
    ("another major version", |f| changed(f.data(b"text"), 1, 4), "record_version", PROTOCOL_VERSION),
    ("longer than any record", |_| vec![23, 3, 3, 0x48, 1], "record_length", RECORD_OVERFLOW),
    ("the longest number", |_| vec![23, 3, 3, 0xff, 0xff], "record_length", RECORD_OVERFLOW),
    ("more than 16 KiB of text", |f| f.data(&text(16385)), "record_length", RECORD_OVERFLOW),
    ("33 empty records", |f| repeated(33, || f.data(b"")), "empty_records", UNEXPECTED_MESSAGE),
    ("an empty alert", |f| f.record(21, &[]), "empty_message", UNEXPECTED_MESSAGE),
    ("half an alert", |f| f.record(21, &[2]), "alert_length", DECODE_ERROR),
    ("an alert and a half", |f| f.record(21, &[1, 90, 1]), "alert_length", DECODE_ERROR),
    ("an alert of level 3", |f| f.record(21, &[3, 40]), "alert_level", ILLEGAL_PARAMETER),
    ("close_notify of level 0", |f| f.record(21, &[0, 0]), "alert_level", ILLEGAL_PARAMETER),
    ("five warnings", |f| repeated(5, || f.record(21, &[1, 90])), "warnings", UNEXPECTED_MESSAGE),
    ("handshake_failure", |f| f.record(21, &[2, 40]), "received_handshake_failure", None),
    ("bad_record_mac", |f| f.record(21, &[2, 20]), "received_bad_record_mac", None),
    ("an alert of no name", |f| f.record(21, &[2, 200]), "received_unknown_alert", None),
    ("an empty handshake record", |f| f.record(22, &[]), "empty_message", UNEXPECTED_MESSAGE),
    ("Finished again", |f| f.record(22, &[20, 0, 0, 12]), "message_type", UNEXPECTED_MESSAGE),
];

/// TLS 1.3, a server and a client.
const ALWAYS_13: &[Case] = &[
    ("an alert that is not sealed", |_| vec![21, 3, 3, 0, 2, 2, 40], "record_type", UNEXPECTED_MESSAGE),
    ("a handshake that is not sealed", |_| vec![22, 3, 3, 0, 4, 0, 0, 0, 0], "record_type", UNEXPECTED_MESSAGE),
    ("longer than a record of 1.3", |_| vec![23, 3, 3, 0x41, 1], "record_length", RECORD_OVERFLOW),
    ("padded beyond 16 KiB", |f| f.inner(&[&[b'x', 23][..], &[0; 16384]].concat()), "record_length", RECORD_OVERFLOW),
    ("nothing inside", |f| f.inner(&[]), "record_padding", UNEXPECTED_MESSAGE),
    ("zeros inside", |f| f.inner(&[0; 100]), "record_padding", UNEXPECTED_MESSAGE),
    ("change_cipher_spec inside", |f| f.record(20, &[1]), "record_type", UNEXPECTED_MESSAGE),
    ("a heartbeat inside", |f| f.record(24, &[1, 0, 0]), "record_type", UNEXPECTED_MESSAGE),
    ("an unknown type inside", |f| f.record(255, b"text"), "record_type", UNEXPECTED_MESSAGE),
    ("a warning", |f| f.record(21, &[1, 42]), "received_bad_certificate", None),
    ("KeyUpdate without a request", |f| f.record(22, &[24, 0, 0, 0]), "message_length", DECODE_ERROR),
    ("KeyUpdate of two bytes", |f| f.record(22, &[24, 0, 0, 2, 0, 0]), "message_length", DECODE_ERROR),
    ("KeyUpdate that asks for 2", |f| f.record(22, &[24, 0, 0, 1, 2]), "key_update", ILLEGAL_PARAMETER),
    ("KeyUpdate and more", |f| f.record(22, &[24, 0, 0, 1, 0, 24, 0, 0, 1, 0]), "message_split", UNEXPECTED_MESSAGE),
    (
        "data within a message",
        |f| [f.record(22, &[24, 0, 0]), f.data(b"text")].concat(),
        "message_split",
        UNEXPECTED_MESSAGE,
    ),
    (
        "an alert within a message",
        |f| [f.record(22, &[24]), f.record(21, &[1, 0])].concat(),
        "message_split",
        UNEXPECTED_MESSAGE,
    ),
    ("33 KeyUpdates", |f| repeated(33, || f.key_update(false)), "messages", UNEXPECTED_MESSAGE),
    (
        "33 KeyUpdates, an empty record behind each",
        |f| repeated(33, || [f.key_update(true), f.data(b"")].concat()),
        "messages",
        UNEXPECTED_MESSAGE,
    ),
    (
        "the old key behind a KeyUpdate",
        |f| [f.record(22, &[24, 0, 0, 1, 0]), f.data(b"text")].concat(),
        "record_mac",
        BAD_RECORD_MAC,
    ),
];

const SERVER_13: &[Case] = &[
    ("a ticket for a server", |f| f.record(22, &[4, 0, 0, 0]), "message_type", UNEXPECTED_MESSAGE),
    ("another handshake", |f| f.record(22, &[1, 0, 0, 40]), "message_type", UNEXPECTED_MESSAGE),
];

const CLIENT_13: &[Case] = &[
    ("a certificate is asked for", |f| f.record(22, &[13, 0, 0, 3, 0, 0, 0]), "message_type", UNEXPECTED_MESSAGE),
    ("HelloRequest", |f| f.record(22, &[0, 0, 0, 0]), "message_type", UNEXPECTED_MESSAGE),
    ("a ticket that is none", |f| f.record(22, &[4, 0, 0, 3, 1, 2, 3]), "ticket", DECODE_ERROR),
    ("a ticket of 16 KiB", |f| f.record(22, &[4, 0, 0x40, 0]), "message_length", DECODE_ERROR),
    (
        "a ticket within a ticket",
        |f| [f.record(22, &[4, 0, 1, 0, 0]), f.data(b"")].concat(),
        "message_split",
        UNEXPECTED_MESSAGE,
    ),
];

const ALWAYS_12: &[Case] = &[
    (
        "longer than a nonce, shorter than a record",
        |_| [&[23, 3, 3, 0, 9][..], &[7; 9]].concat(),
        "record_mac",
        BAD_RECORD_MAC,
    ),
    ("KeyUpdate", |f| f.record(22, &[24, 0, 0, 1, 0]), "message_type", UNEXPECTED_MESSAGE),
    ("data is called an alert", |f| changed(f.data(b"xy"), 0, 23 ^ 21), "record_mac", BAD_RECORD_MAC),
    ("a ticket", |f| f.record(22, &[4, 0, 0, 0]), "message_type", UNEXPECTED_MESSAGE),
];

const SERVER_12: &[Case] = &[
    ("two handshakes more", |f| repeated(2, || f.record(22, &[1, 0, 0, 2, 3, 3])), "renegotiation", HANDSHAKE_FAILURE),
    ("ClientHello of 16 KiB", |f| f.record(22, &[1, 0, 0x40, 0]), "message_length", DECODE_ERROR),
    (
        "data within a ClientHello",
        |f| [f.record(22, &[1, 0, 0, 9]), f.data(b"x")].concat(),
        "message_split",
        UNEXPECTED_MESSAGE,
    ),
];

const CLIENT_12: &[Case] = &[
    ("HelloRequest twice", |f| repeated(2, || f.record(22, &[0, 0, 0, 0])), "renegotiation", HANDSHAKE_FAILURE),
    ("HelloRequest with a body", |f| f.record(22, &[0, 0, 0, 1, 0]), "message_length", DECODE_ERROR),
    ("ClientHello from a server", |f| f.record(22, &[1, 0, 0, 2, 3, 3]), "message_type", UNEXPECTED_MESSAGE),
];

/// Both versions of the way in which records are read: as they come, and gathered byte by byte.
const LENGTHS: [&[usize]; 4] = [&[], &[1], &[7], &[3, 16_000]];

fn check(case: &Case, agreed: Agreed, connect: fn(Agreed) -> (super::RecordLayer, Forger)) {
    let &(name, send, word, alert) = case;
    for lengths in LENGTHS {
        let label = format!("{name}, {agreed:?}, in receives of {lengths:?}");
        let (mut layer, mut forger) = connect(agreed);
        let wire = [forger.data(b"before"), send(&mut forger)].concat();
        let came = open(&mut layer, &wire, lengths);
        assert_eq!((came.text.as_slice(), came.fault), (&b"before"[..], Some(word)), "{label}");
        assert_eq!(layer.has_to_say(), alert.is_some(), "{label}");
        let told: Vec<_> = alert.map(|alert| (21, vec![2, alert])).into_iter().collect();
        assert_eq!(forger.hears(&mut layer), told, "{label}");

        layer.close();
        assert!(!layer.has_to_say(), "{label}: nothing is said behind a fatal alert");
        assert_eq!(seal(&mut layer, &[b"more"]), [], "{label}: nor sent");
        assert_eq!(
            open(&mut layer, &forger.data(b"more"), &[]),
            Came { fault: Some(word), ..Came::default() },
            "{label}"
        );
    }
}

#[test]
fn each_is_refused_with_its_word_and_its_alert() {
    for (cases, agreed, connect) in [
        (ALWAYS, &AGREED[..], &[server as fn(Agreed) -> _, client][..]),
        (ALWAYS_13, &[V13], &[server, client]),
        (SERVER_13, &[V13], &[server]),
        (CLIENT_13, &[V13], &[client]),
        (ALWAYS_12, &[V12, V12_CHACHA], &[server, client]),
        (SERVER_12, &[V12, V12_CHACHA], &[server]),
        (CLIENT_12, &[V12, V12_CHACHA], &[client]),
    ] {
        for (case, &agreed, &connect) in cases.iter().flat_map(|case| {
            agreed.iter().flat_map(move |agreed| connect.iter().map(move |connect| (case, agreed, connect)))
        }) {
            check(case, agreed, connect);
        }
    }
}

/// What looks odd and is right.
const RIGHT: &[(&str, Send, Agreed)] = &[
    ("padding", |f| f.inner(b"text\x17\0\0\0\0\0\0\0\0\0"), V13),
    ("as much padding as there can be", |f| f.inner(&[&b"text\x17"[..], &[0; 16380]].concat()), V13),
    (
        "two times 32 empty records",
        |f| [repeated(32, || f.data(b"")), f.data(b"te"), repeated(32, || f.data(b"")), f.data(b"xt")].concat(),
        V13,
    ),
    (
        "two times 32 KeyUpdates",
        |f| {
            [repeated(32, || f.key_update(true)), f.data(b"te"), repeated(32, || f.key_update(false)), f.data(b"xt")]
                .concat()
        },
        V13,
    ),
    ("user_canceled", |f| [repeated(4, || f.record(21, &[1, 90])), f.data(b"text")].concat(), V13),
    ("warnings", |f| [repeated(4, || f.record(21, &[1, 100])), f.data(b"text")].concat(), V12),
    ("empty records of 1.2", |f| [repeated(32, || f.data(b"")), f.data(b"text")].concat(), V12_CHACHA),
];

#[test]
fn what_is_odd_and_right_is_read() {
    for &(name, send, agreed) in RIGHT {
        for connect in [server, client] {
            for lengths in LENGTHS {
                let (mut layer, mut forger) = connect(agreed);
                let came = open(&mut layer, &send(&mut forger), lengths);
                assert_eq!((came.text.as_slice(), came.fault), (&b"text"[..], None), "{name}, {lengths:?}");
                assert_eq!(forger.hears(&mut layer), [], "{name}");
            }
        }
    }
}

#[test]
fn another_handshake_is_declined_once() {
    for agreed in [V12, V12_CHACHA] {
        for (connect, ask) in [(server as fn(Agreed) -> _, &[1, 0, 0, 2, 3, 3][..]), (client, &[0, 0, 0, 0])] {
            let (mut layer, mut forger) = connect(agreed);
            // In two records.
            let wire = [forger.record(22, &ask[..3]), forger.record(22, &ask[3..]), forger.data(b"text")].concat();
            assert_eq!(open(&mut layer, &wire, &[5]).text, b"text");
            assert!(layer.has_to_say());
            assert_eq!(forger.hears(&mut layer), [(21, vec![1, 100])]);
            assert!(!layer.has_to_say());
            let wire = seal(&mut layer, &[b"goes on"]);
            assert_eq!(forger.read(&wire), [(23, b"goes on".to_vec())]);
        }
    }
}
