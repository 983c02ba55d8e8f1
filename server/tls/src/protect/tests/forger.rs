//! A peer that seals whatever it is told, right or wrong.

use super::super::header::{ContentType, HEADER_BYTES, RecordFormat, TAG_BYTES, VERSION};
use super::super::keys::Direction;
use super::super::layer::RecordLayer;
use super::super::rig::{Agreed, Parts, both_parts};
use super::super::side::KernelSide;
use super::super::v12;
use super::{layer, open, seal};

/// The other end of a layer's connection.
pub(super) struct Forger {
    format: RecordFormat,
    sealing: Direction,
    opening: Direction,
    side: KernelSide,
}

/// A server's layer, and a client that forges.
pub(super) fn server(agreed: Agreed) -> (RecordLayer, Forger) {
    let (client, server, tickets) = both_parts(agreed);
    (layer(agreed, server), Forger::new(agreed, client, &tickets))
}

/// A client's layer, and a server that forges.
pub(super) fn client(agreed: Agreed) -> (RecordLayer, Forger) {
    let (client, server, tickets) = both_parts(agreed);
    let mut layer = layer(agreed, client);
    assert_eq!(open(&mut layer, &tickets, &[]).fault, None);
    let mut forger = Forger::new(agreed, server, &[]);
    // So that the tickets are forgotten.
    assert_eq!(open(&mut layer, &forger.data(b"welcome"), &[]).text, b"welcome");
    (layer, forger)
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
        let (sealing, opening) = (Direction::new(&secrets.tx).unwrap(), Direction::new(&secrets.rx).unwrap());
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
        self.sealing = Direction::new(&self.side.next_to_seal().unwrap()).unwrap();
        record
    }

    /// Opens records that the layer has sent: their types and texts. Its KeyUpdates are followed.
    pub(super) fn read(&mut self, wire: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut rest = wire.to_vec();
        let mut read = Vec::new();
        while !rest.is_empty() {
            let (content, text) = self.read_record(&mut rest);
            if content == 22 {
                assert_eq!(text, [24, 0, 0, 1, 0], "no other handshake message is ours to send");
                self.opening = Direction::new(&self.side.next_to_open().unwrap()).unwrap();
            }
            read.push((content, text));
        }
        read
    }

    /// Opens the first record of `wire`: its type and its text.
    fn read_record(&mut self, wire: &mut Vec<u8>) -> (u8, Vec<u8>) {
        let length = self.format.record_bytes(wire).unwrap().unwrap();
        let mut record: Vec<u8> = wire.drain(..length).collect();
        match self.format {
            RecordFormat::Tls13 => {
                let (head, sealed) = record.split_at_mut(HEADER_BYTES);
                let inner_bytes = self.opening.open(None, head, sealed).unwrap();
                (sealed[inner_bytes - 1], sealed[..inner_bytes - 1].to_vec())
            }
            format => {
                let (content, text) = v12::open(&mut self.opening, format, &mut record).unwrap();
                (content.0, record[text].to_vec())
            }
        }
    }

    /// What the layer says when it writes nothing.
    pub(super) fn hears(&mut self, layer: &mut RecordLayer) -> Vec<(u8, Vec<u8>)> {
        let wire = seal(layer, &[]);
        self.read(&wire)
    }
}

fn header(content: u8, body_bytes: usize) -> [u8; HEADER_BYTES] {
    let [high, low] = (body_bytes as u16).to_be_bytes();
    [content, VERSION[0], VERSION[1], high, low]
}
