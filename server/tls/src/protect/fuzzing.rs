//! Any records, cut anywhere and changed anywhere: a layer and rustls make the same of them.
//!
//! ```text
//!  script ─▶ forger ─▶ wire, changed ─┬─▶ layer, in receives of any length ─┐
//!                                     └─▶ rustls                            ┴─▶ the same text, end and refusal
//! ```
//!
//! **Not** part of the interface; compiled only for fuzzing and tests.
//!
//! **Invariants**: a script has fewer records than any budget, since the budgets are not the same.

use std::io::Read as _;

use reactor::{Opened, Protection, Received};
use rustls::Connection;

use super::forger::Forger;
use super::layer::RecordLayer;
use super::rig::{AGREED, Agreed, Parts, client_parts, server_parts};

/// Most records that are sealed.
const RECORDS_MAX: usize = 8;

/// Where a layer is stricter than rustls, or earlier: an empty alert or handshake record (RFC 8446 section 5.1), a record of another
/// version, and the beginning of a record or message that cannot come, before it is whole.
const STRICTER: [&str; 6] =
    ["empty_message", "record_version", "record_length", "record_type", "message_type", "message_length"];

/// A record of TLS 1.2 with handshake messages.
const HANDSHAKE: u8 = 22;

/// The bytes that decide what is done.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> usize {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(byte)
    }

    fn number(&mut self) -> usize {
        self.byte() << 8 | self.byte()
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }
}

/// What came of the records.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    text: Vec<u8>,
    ended: bool,
    refused: Option<&'static str>,
}

/// A layer opens what rustls opens, and refuses what it refuses.
pub fn tls_open(bytes: &[u8]) {
    let mut script = Script(bytes);
    let choice = script.byte();
    let agreed = AGREED[choice % AGREED.len()];
    let (layer, mut rustls, mut forger) = ends(agreed, choice >= 128);
    let mut wire = Vec::new();
    let mut hello = false;
    for _ in 0..script.byte() % RECORDS_MAX {
        let record = record(&mut script, &mut forger, agreed);
        // In TLS 1.3 the type is sealed, and rustls declines nothing.
        hello |= record[0] == HANDSHAKE;
        wire.extend(record);
    }
    for _ in 0..script.byte() % 4 {
        let (at, bits) = (script.number(), script.byte() as u8);
        if let Some(byte) = wire.get_mut(at) {
            *byte ^= bits;
        }
    }
    let behind = script.byte() % 32;
    wire.extend(script.bytes(behind));
    let lengths: Vec<usize> = (0..script.byte() % 16).map(|_| script.number() % 20_000 + 1).collect();
    compare(&by_layer(layer, &wire, &lengths), &by_rustls(&mut rustls, &wire), hello);
}

/// The same end twice, as a layer and as rustls's, and the other end.
fn ends(agreed: Agreed, is_client: bool) -> (RecordLayer, Connection, Forger) {
    let (of_client, server, tickets) = client_parts(agreed);
    let (of_server, client) = server_parts(agreed);
    let layer = |(secrets, side): Parts| {
        RecordLayer::new(secrets, side, agreed.version).expect("these are the versions and suites that there are")
    };
    if is_client {
        // Its tickets have come: this layer is behind them, as rustls's client is.
        let mut layer = layer(of_client);
        layer.open(Received::owned(tickets), &mut Opened::default()).expect("tickets are right");
        (layer, client.into(), Forger::new(agreed, of_server, &[]))
    } else {
        (layer(of_server), server.into(), Forger::new(agreed, of_client, &tickets))
    }
}

/// A record of any kind.
fn record(script: &mut Script<'_>, forger: &mut Forger, agreed: Agreed) -> Vec<u8> {
    let is_13 = agreed.version == rustls::ProtocolVersion::TLSv1_3;
    match script.byte() % 8 {
        0..=2 => forger.data(&vec![b't'; script.number() % 16_400]),
        3 => {
            let count = script.byte() % 64;
            forger.data(script.bytes(count))
        }
        4 if is_13 => forger.key_update(script.byte() % 2 == 1),
        5 if is_13 => {
            let (count, zeros) = (script.byte() % 64, script.number() % 17_000);
            forger.inner(&[script.bytes(count), &vec![0; zeros]].concat())
        }
        6 => forger.record(21, &[script.byte() as u8 % 4, script.byte() as u8]),
        _ => {
            let (content, count) = (20 + script.byte() as u8 % 5, script.byte() % 64);
            forger.record(content, script.bytes(count))
        }
    }
}

fn by_layer(mut layer: RecordLayer, wire: &[u8], lengths: &[usize]) -> Outcome {
    let mut outcome = Outcome { text: Vec::new(), ended: false, refused: None };
    let mut opened = Opened::default();
    let (mut rest, mut lengths) = (wire, lengths.iter());
    while !rest.is_empty() && outcome.refused.is_none() {
        let length = *lengths.next().unwrap_or(&rest.len());
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        rest = behind;
        outcome.refused = layer.open(Received::owned(piece.to_vec()), &mut opened).err().map(reactor::Fault::word);
    }
    while let Some(piece) = opened.pop() {
        outcome.text.extend_from_slice(&piece);
    }
    outcome.ended = opened.ended();
    outcome
}

fn by_rustls(connection: &mut Connection, wire: &[u8]) -> Outcome {
    let mut outcome = Outcome { text: Vec::new(), ended: false, refused: None };
    let mut rest = wire;
    while !rest.is_empty() && outcome.refused.is_none() && !outcome.ended {
        connection.read_tls(&mut rest).expect("memory can be read");
        match connection.process_new_packets() {
            Ok(state) => outcome.ended = state.peer_has_closed(),
            Err(_) => outcome.refused = Some("refused"),
        }
        // Without an end that may be waited for it says that it would block, and has read what there is.
        let _ = connection.reader().read_to_end(&mut outcome.text);
    }
    outcome
}

/// `hello`: another handshake may have been asked for. It is declined; what is in its hello rustls alone has read.
fn compare(ours: &Outcome, theirs: &Outcome, hello: bool) {
    let words = (ours.refused, theirs.refused);
    if hello && theirs.refused.is_some() {
        let (short, long) = if ours.text.len() < theirs.text.len() { (ours, theirs) } else { (theirs, ours) };
        assert!(long.text.starts_with(&short.text), "{words:?}: another text");
    } else if ours.refused.is_some_and(|word| STRICTER.contains(&word)) {
        assert!(theirs.text.starts_with(&ours.text), "{words:?}: text that rustls has not seen");
    } else {
        assert!(ours.text == theirs.text, "{words:?}: {} and {} bytes", ours.text.len(), theirs.text.len());
        assert_eq!(ours.ended, theirs.ended, "{words:?}");
        assert_eq!(ours.refused.is_some(), theirs.refused.is_some(), "{words:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    /// Runs the seeds, so that a seed that found something keeps finding it.
    #[test]
    fn seeds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/tls_open");
        let seeds: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(seeds.len() >= 4, "seeds are lost");
        for path in seeds {
            super::tls_open(&std::fs::read(path).unwrap());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            super::tls_open(&bytes);
        }
    }
}
