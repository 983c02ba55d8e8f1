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
//! **Invariants**: answers that the peer does not read are bounded by the send queue; what is written to a connection that
//! is gone goes nowhere.
//!
//! **Source**: docs/wire.md, "Flow control".

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use reactor::ConnectionSender;
use reactor::local::Notify;
use shardstore::session::server::PeerCredit;
use shardstore::wire::request::Dialect;
use shardstore::wire::terms::SessionTerms;

use super::stream::ResponseStream;

/// The shared part of a connection.
pub(crate) struct Link {
    pub(crate) sender: ConnectionSender,
    pub(crate) terms: SessionTerms,
    pub(crate) dialect: Dialect,
    /// Deadlines of its requests are on our clock.
    pub(crate) has_clock: bool,
    /// The peer's map by its last HELLO: epoch and checksum.
    pub(crate) map: Cell<Option<(u32, u32)>>,
    /// What the peer has in flight.
    pub(crate) credit: PeerCredit,
    /// Notified when there is something for the connection's task: a stream to write, an answer that came, a drain.
    pub(crate) attention: Rc<Notify>,
    /// Large answers, in the order they are to be sent.
    pub(crate) streams: RefCell<VecDeque<ResponseStream>>,
    /// Requests of this connection, and parts of its batches, that other cores have.
    hops: Cell<u32>,
    /// A batch of several slices is under way: nothing else of the connection is served.
    in_batch: Cell<bool>,
}

impl Link {
    pub(crate) fn new(
        sender: ConnectionSender,
        terms: SessionTerms,
        credit: PeerCredit,
        attention: Rc<Notify>,
    ) -> Self {
        Link {
            sender,
            dialect: terms.dialect(),
            has_clock: terms.peer_clock_us.is_some(),
            map: Cell::new(terms.peer_map.map(|sum| (terms.peer_epoch, sum))),
            terms,
            credit,
            attention,
            streams: RefCell::default(),
            hops: Cell::default(),
            in_batch: Cell::default(),
        }
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

    /// Notes that a batch begins that takes several turns.
    pub(crate) fn begin_batch(&self) {
        self.in_batch.set(true);
    }

    /// Notes that a batch is answered.
    pub(crate) fn end_batch(&self) {
        self.in_batch.set(false);
    }

    /// Whether requests of the connection wait for a batch before them.
    #[inline]
    pub(crate) fn is_in_batch(&self) -> bool {
        self.in_batch.get()
    }

    /// The longest value that goes in one frame.
    pub(crate) const fn frame_value_bytes_max(&self) -> u32 {
        self.terms.limits.frame_value_bytes_max
    }
}
