//! Records of TLS 1.3 with AES-128-GCM: both ends of a connection, a request one way and its answer the other.
//!
//! **Invariants**: the handshake before has no signature and draws nothing by lot. What is received lies in memory of its own, two
//! allocations a record, since buffers of the kernel's are not to be had here.

#[path = "../../../server/tls/src/protect/rig.rs"]
#[expect(dead_code, reason = "shared with the tests of the crate, of which this uses a part")]
mod rig;

/// Where `rig` looks for it.
mod side {
    pub(crate) use corelane_tls::protect::KernelSide;
}

use std::hint::black_box;

use corelane_tls::protect::RecordLayer;
use reactor::{Opened, Plain, PlainSource, Protection, Received};

const REQUEST: [u8; 128] = [b'r'; 128];

const ANSWER: [u8; 330] = [b'a'; 330];

/// Text that is there already.
struct SentText<'a>(&'a [u8]);

impl PlainSource for SentText<'_> {
    fn front(&self) -> &[u8] {
        self.0
    }

    fn queued_bytes(&self) -> usize {
        self.0.len()
    }

    fn consume(&mut self, count: usize) {
        self.0 = &self.0[count..];
    }
}

/// A client asks, a server answers.
pub(crate) fn records(count: u64) {
    let agreed = rig::AGREED[0];
    let ((client_secrets, client), (server_secrets, server), tickets) = rig::both_parts(agreed);
    let mut client = RecordLayer::new(client_secrets, client, agreed.version).expect("the suite is known");
    let mut server = RecordLayer::new(server_secrets, server, agreed.version).expect("the suite is known");
    let mut opened = Opened::default();
    client.open(Received::owned(tickets), &mut opened).expect("tickets are right");
    for _ in 0..count {
        send(&mut client, &mut server, black_box(&REQUEST), &mut opened);
        send(&mut server, &mut client, black_box(&ANSWER), &mut opened);
    }
}

#[inline(never)]
fn send(from: &mut RecordLayer, to: &mut RecordLayer, text: &[u8], opened: &mut Opened) {
    let mut wire = Vec::with_capacity(1024);
    from.seal(&mut Plain::new(&mut SentText(text), 64 * 1024), &mut wire);
    to.open(Received::owned(wire), opened).expect("what was sealed is opened");
    let piece = opened.pop().expect("it has text");
    assert!(*piece == *text, "the text is what was sealed");
}
