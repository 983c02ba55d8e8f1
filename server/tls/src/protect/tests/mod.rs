//! A layer beside rustls's own connections.

mod ending;
mod exchange;
mod malformed;
mod memory;
mod splits;
mod updates;

use std::collections::VecDeque;

use reactor::{Fault, Opened, Plain, PlainSource, Protection, Received};

use super::forger::Forger;
use super::layer::RecordLayer;
use super::rig::{Agreed, Parts, both_parts};

/// What waits to be sent, in pieces.
#[derive(Default)]
pub(super) struct Queue(VecDeque<Vec<u8>>);

impl PlainSource for Queue {
    fn front(&self) -> &[u8] {
        self.0.front().map_or(&[], Vec::as_slice)
    }

    fn queued_bytes(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    fn consume(&mut self, count: usize) {
        let front = self.0.front_mut().expect("what is consumed is there");
        front.drain(..count);
        if front.is_empty() {
            self.0.pop_front();
        }
    }
}

pub(super) fn layer(agreed: Agreed, (secrets, side): Parts) -> RecordLayer {
    RecordLayer::new(secrets, side, agreed.version).unwrap()
}

/// Seals pieces in as many sends as 64 KiB take.
pub(super) fn seal(layer: &mut RecordLayer, pieces: &[&[u8]]) -> Vec<u8> {
    let mut queue = Queue(pieces.iter().filter(|piece| !piece.is_empty()).map(|piece| piece.to_vec()).collect());
    let mut wire = Vec::new();
    loop {
        layer.seal(&mut Plain::new(&mut queue, 64 * 1024), &mut wire);
        if queue.queued_bytes() == 0 {
            return wire;
        }
    }
}

/// What a layer made of what came.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
pub(super) struct Came {
    pub(super) text: Vec<u8>,
    pub(super) pieces: usize,
    pub(super) ended: bool,
    pub(super) fault: Option<&'static str>,
}

/// Opens what has come, in receives of these lengths (the last one again and again).
pub(super) fn open(layer: &mut RecordLayer, wire: &[u8], lengths: &[usize]) -> Came {
    let mut came = Came::default();
    let mut opened = Opened::default();
    let (mut rest, mut lengths) = (wire, lengths.iter());
    let mut length = wire.len().max(1);
    while !rest.is_empty() && came.fault.is_none() {
        length = lengths.next().map_or(length, |&length| length.max(1));
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        rest = behind;
        came.fault = layer.open(Received::owned(piece.to_vec()), &mut opened).err().map(Fault::word);
        while let Some(piece) = opened.pop() {
            came.text.extend_from_slice(&piece);
            came.pieces += 1;
        }
    }
    came.ended = opened.ended();
    came
}

/// Bytes that are not all the same.
pub(super) fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
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
    /// What the layer says when it writes nothing.
    pub(super) fn hears(&mut self, layer: &mut RecordLayer) -> Vec<(u8, Vec<u8>)> {
        let wire = seal(layer, &[]);
        self.read(&wire)
    }
}
