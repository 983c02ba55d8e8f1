//! What other tasks of a core may know of a connection: where to write, and how much its peer has in flight.
//!
//! ```text
//!  connection's task ──┐
//!  answers of hops ────┼──▶ Link ──▶ send queue
//!  drain ──────────────┘      └────▶ streams: large answers, written by the connection's task as room comes up
//! ```
//!
//! **Not**: reading from the connection; only its own task does.
//!
//! **Invariants**: what counts against a peer's credit is requests without an answer, never more than the peer itself counts;
//! answers it does not read are bounded by the send queue. What is written to a connection that is gone goes nowhere.
//!
//! **Source**: docs/wire.md, "Flow control".

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use reactor::Sender;
use reactor::local::Event;
use shardstore::wire::request::Dialect;
use shardstore::wire::terms::SessionTerms;

use super::stream::Stream;

/// What a peer has in flight, as far as this side can tell.
#[derive(Clone, Copy, Debug, Default)]
struct InFlight {
    /// Requests without an answer.
    requests: u32,
    /// Their bytes on the wire.
    bytes: u64,
}

/// What a peer may have in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Granted {
    pub(crate) requests: u32,
    pub(crate) bytes: u32,
}

/// The shared part of a connection.
pub(crate) struct Link {
    pub(crate) sender: Sender,
    pub(crate) terms: SessionTerms,
    pub(crate) dialect: Dialect,
    pub(crate) granted: Granted,
    /// Rung when there is something for the connection's task: a stream to write, an answer that came, a drain.
    pub(crate) attention: Rc<Event>,
    /// Large answers, in the order they are to be sent.
    pub(crate) streams: RefCell<VecDeque<Stream>>,
    in_flight: Cell<InFlight>,
    /// Request credits of answers that QUIET silenced, for the next answer to carry.
    silenced: Cell<u32>,
    /// Requests of this connection, and parts of its batches, that other cores have.
    hops: Cell<u32>,
}

impl Link {
    pub(crate) fn new(sender: Sender, terms: SessionTerms, granted: Granted, attention: Rc<Event>) -> Self {
        Link {
            sender,
            dialect: terms.dialect(),
            terms,
            granted,
            attention,
            streams: RefCell::default(),
            in_flight: Cell::default(),
            silenced: Cell::default(),
            hops: Cell::default(),
        }
    }

    /// Whether one more request of `bytes` bytes is within what was granted.
    #[inline]
    pub(crate) fn has_credit(&self, bytes: usize) -> bool {
        let InFlight { requests, bytes: waiting } = self.in_flight.get();
        let bytes_fit = waiting == 0 || waiting + bytes as u64 <= u64::from(self.granted.bytes);
        requests < self.granted.requests && bytes_fit
    }

    /// Notes a request that waits for its answer.
    pub(crate) fn note_waiting(&self, bytes: usize) {
        self.change(|in_flight| {
            in_flight.requests += 1;
            in_flight.bytes += bytes as u64;
        });
    }

    /// Notes that a request no longer waits: its answer has been written.
    pub(crate) fn note_settled(&self, bytes: usize) {
        self.change(|in_flight| {
            assert!(in_flight.requests > 0, "a request is settled once");
            in_flight.requests -= 1;
            in_flight.bytes -= bytes as u64;
        });
    }

    /// Notes a request that another core was given.
    pub(crate) fn note_hop(&self) {
        self.hops.set(self.hops.get() + 1);
    }

    /// Notes that the other core has answered.
    pub(crate) fn note_hop_over(&self) {
        self.hops.set(self.hops.get().checked_sub(1).expect("a hop is answered once"));
    }

    /// Whether other cores have requests of this connection: a read behind a write must not overtake it.
    #[inline]
    pub(crate) fn is_hopping(&self) -> bool {
        self.hops.get() > 0
    }

    /// Notes an answer that is not sent because its request was QUIET.
    #[inline]
    pub(crate) fn note_silenced(&self) {
        self.silenced.set(self.silenced.get().saturating_add(1));
    }

    /// Request credits that an answer grants which is written now: its own, and those of answers that were silenced
    /// since the last one.
    #[inline]
    pub(crate) fn take_credits(&self) -> u16 {
        // What does not fit the field goes with the answer after this one.
        let silenced = self.silenced.get().min(u32::from(u16::MAX - 1));
        self.silenced.set(self.silenced.get() - silenced);
        1 + silenced as u16
    }

    /// Requests without an answer.
    pub(crate) fn waiting(&self) -> u32 {
        self.in_flight.get().requests
    }

    /// The longest value that goes in one frame.
    pub(crate) const fn frame_value_bytes_max(&self) -> u32 {
        self.terms.limits.frame_value_bytes_max
    }

    #[inline]
    fn change(&self, change: impl FnOnce(&mut InFlight)) {
        let mut in_flight = self.in_flight.get();
        change(&mut in_flight);
        self.in_flight.set(in_flight);
    }
}
