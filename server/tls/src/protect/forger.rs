//! A peer that seals whatever it is told, right or wrong.
//!
//! **Not** part of the interface; compiled only for fuzzing and tests.

use super::header::{ContentType, HEADER_BYTES, RecordFormat, TAG_BYTES, VERSION};
use super::keys::Direction;
use super::rig::{Agreed, Parts};
use super::side::KernelSide;
use super::v12;

/// Why nothing fails here that is not tested.
const RIGHT: &str = "the layer is right";

/// The other end of a layer's connection.
pub(super) struct Forger {
    format: RecordFormat,
    sealing: Direction,
    opening: Direction,
    side: KernelSide,
}

impl Forger {
    /// It has read `before` already.
    pub(super) fn new(agreed: Agreed, (secrets, side): Parts, before: &[u8]) -> Self {
        let is_chacha = matches!(secrets.tx.1, rustls::ConnectionTrafficSecrets::Chacha20Poly1305 { .. });
        let format = match (agreed.version, is_chacha) {
            (rustls::ProtocolVersion::TLSv1_3, _) => RecordFormat::Tls13,
            (_, true) => RecordFormat::Tls12ChaCha,
            (_, false) => RecordFormat::Tls12Gcm,
        };
        let (sealing, opening) = (Direction::new(&secrets.tx).expect(RIGHT), Direction::new(&secrets.rx).expect(RIGHT));
        let mut forger = Forger { format, sealing, opening, side };
        let mut rest = before.to_vec();
        while !rest.is_empty() {
            forger.read_record(&mut rest);
        }
        forger
    }

    /// A record of this type and text.
    pub(super) fn record(&mut self, content: u8, text: &[u8]) -> Vec<u8> {
        match self.format {
            RecordFormat::Tls13 => self.inner(&[text, &[content]].concat()),
            RecordFormat::Tls12Gcm | RecordFormat::Tls12ChaCha => {
                let number = self.sealing.sequence();
                let associated = v12::associated(number, ContentType(content), text.len());
                let front = self.sealing.explicit_nonce()[..self.format.front_bytes()].to_vec();
                let (mut sealed, mut tag) = (text.to_vec(), [0; TAG_BYTES]);
                self.sealing.seal(&associated, &mut sealed, &mut tag);
                let header = header(content, front.len() + sealed.len() + TAG_BYTES);
                [&header[..], &front, &sealed, &tag].concat()
            }
        }
    }

    /// A record of TLS 1.3 with this inside: text, type, zeros.
    pub(super) fn inner(&mut self, inner: &[u8]) -> Vec<u8> {
        let header = header(23, inner.len() + TAG_BYTES);
        let (mut sealed, mut tag) = (inner.to_vec(), [0; TAG_BYTES]);
        self.sealing.seal(&header, &mut sealed, &mut tag);
        [&header[..], &sealed, &tag].concat()
    }

    pub(super) fn data(&mut self, text: &[u8]) -> Vec<u8> {
        self.record(23, text)
    }

    /// A KeyUpdate; from here on records are sealed with the next key.
    pub(super) fn key_update(&mut self, is_requested: bool) -> Vec<u8> {
        let record = self.record(22, &[24, 0, 0, 1, u8::from(is_requested)]);
        self.sealing = Direction::new(&self.side.next_to_seal().expect(RIGHT)).expect(RIGHT);
        record
    }

    /// Opens records that the layer has sent: their types and texts. Its KeyUpdates are followed.
    #[cfg(test)]
    pub(super) fn read(&mut self, wire: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut rest = wire.to_vec();
        let mut read = Vec::new();
        while !rest.is_empty() {
            let (content, text) = self.read_record(&mut rest);
            if content == 22 {
                assert_eq!(text, [24, 0, 0, 1, 0], "no other handshake message is ours to send");
                self.opening = Direction::new(&self.side.next_to_open().expect(RIGHT)).expect(RIGHT);
            }
            read.push((content, text));
        }
        read
    }

    /// Opens the first record of `wire`: its type and its text.
    fn read_record(&mut self, wire: &mut Vec<u8>) -> (u8, Vec<u8>) {
        let length = self.format.record_bytes(wire).expect(RIGHT).expect(RIGHT);
        let mut record: Vec<u8> = wire.drain(..length).collect();
        match self.format {
            RecordFormat::Tls13 => {
                let (head, sealed) = record.split_at_mut(HEADER_BYTES);
                let inner_bytes = self.opening.open(None, head, sealed).expect(RIGHT);
                (sealed[inner_bytes - 1], sealed[..inner_bytes - 1].to_vec())
            }
            format => {
                let (content, text) = v12::open(&mut self.opening, format, &mut record).expect(RIGHT);
                (content.0, record[text].to_vec())
            }
        }
    }
}

fn header(content: u8, body_bytes: usize) -> [u8; HEADER_BYTES] {
    let [high, low] = (body_bytes as u16).to_be_bytes();
    [content, VERSION[0], VERSION[1], high, low]
}
