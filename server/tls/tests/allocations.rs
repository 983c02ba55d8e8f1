//! No allocation for a record that comes whole or goes, and little memory for a connection that waits: shown by an allocator that counts.
//!
//! The text is let go between the records, as a task does that has read it.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "../src/protect/rig.rs"]
#[expect(dead_code, reason = "shared with the tests of the crate, of which these use a part")]
mod rig;

/// Where `rig` looks for it.
mod side {
    pub(crate) use corelane_tls::protect::KernelSide;
}

use std::alloc::System;

use corelane_tls::protect::RecordLayer;
use reactor::{Opened, Plain, PlainSource, Protection, Received};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Most memory of a layer that waits, with what rustls keeps for it, in bytes.
const IDLE_BYTES_MAX: usize = 2560;

/// What the library takes from the C library for a key, in bytes: 584 for `EVP_AEAD_CTX`, and what either adds.
const KEY_BYTES: usize = 608;

/// Text that is there already.
struct Standing<'a> {
    text: &'a [u8],
}

impl PlainSource for Standing<'_> {
    fn front(&self) -> &[u8] {
        self.text
    }

    fn queued_bytes(&self) -> usize {
        self.text.len()
    }

    fn consume(&mut self, count: usize) {
        self.text = &self.text[count..];
    }
}

fn layers(agreed: rig::Agreed) -> (RecordLayer, RecordLayer) {
    let ((client_secrets, client), (server_secrets, server), tickets) = rig::both_parts(agreed);
    let mut client = RecordLayer::new(client_secrets, client, agreed.version).unwrap();
    let server = RecordLayer::new(server_secrets, server, agreed.version).unwrap();
    client.open(Received::owned(tickets), &mut Opened::default()).unwrap();
    (client, server)
}

/// What the other end has sealed, as it lies in a receive.
fn received(from: &mut RecordLayer, text: &[u8]) -> Received {
    let mut wire = Vec::new();
    for record in text.chunks(1000) {
        from.seal(&mut Plain::new(&mut Standing { text: record }, usize::MAX), &mut wire);
    }
    Received::owned(wire)
}

fn a_record_takes_no_memory(agreed: rig::Agreed) {
    let (mut client, mut server) = layers(agreed);
    let text = vec![b'x'; 64 * 1024];
    let mut opened = Opened::default();
    let mut wire = Vec::with_capacity(80 * 1024);
    for (request_bytes, answer_bytes) in [(128, 330), (5000, 8000), (1, 64 * 1024)] {
        for round in 0..3 {
            let request = received(&mut client, &text[..request_bytes]);
            let region = Region::new(ALLOCATOR);
            server.open(request, &mut opened).unwrap();
            wire.clear();
            server.seal(&mut Plain::new(&mut Standing { text: &text[..answer_bytes] }, usize::MAX), &mut wire);
            let change = region.change();
            let piece = opened.pop().unwrap();
            assert_eq!(piece.len(), request_bytes);
            // The first makes room for the piece in `opened`, once for the connection.
            assert!(round == 0 || change.allocations + change.reallocations == 0, "{agreed:?}: {change:?}");
        }
    }
}

fn a_layer_that_waits_is_small(agreed: rig::Agreed) {
    let region = Region::new(ALLOCATOR);
    let kept: Vec<_> = (0..64)
        .map(|_| {
            let (client, server) = layers(agreed);
            drop(client);
            Box::new(server)
        })
        .collect();
    let change = region.change();
    let bytes = (change.bytes_allocated - change.bytes_deallocated) / kept.len() + 2 * KEY_BYTES;
    println!("{agreed:?}: {bytes} bytes, {} of them the layer itself", size_of::<RecordLayer>());
    assert!(bytes <= IDLE_BYTES_MAX, "{agreed:?}: {bytes} bytes");
}

#[test]
fn records_take_no_memory_and_layers_little() {
    for agreed in rig::AGREED {
        a_record_takes_no_memory(agreed);
        a_layer_that_waits_is_small(agreed);
    }
}
