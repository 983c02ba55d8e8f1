//! One end of a simulated connection, and the wire that leads from it to the other end.
//!
//! **Not** aware of time: the network decides when something moves.
//!
//! **Invariants**: bytes arrive in order and once; what is sent after a reset goes nowhere; an end holds at most
//! [`WINDOW_BYTES`] on the wire and unread.

use std::collections::VecDeque;

use crate::driver::Errno;
use crate::id::{ConnectionId, SlabKey};
use crate::time::Instant;

/// Bytes that may be on the way to or unread at one end, as the receive window bounds them.
pub(crate) const WINDOW_BYTES: usize = 128 * 1024;

/// Where an endpoint lives: the core that owns it, or nowhere while it changes cores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CoreAddress {
    pub(crate) process: usize,
    pub(crate) core: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Peer {
    /// Nothing listened, or the handshake is under way.
    None,
    Endpoint(SlabKey),
    /// It was closed, or its process died.
    Gone,
}

pub(crate) struct Endpoint {
    pub(crate) place: CoreAddress,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) peer: Peer,
    /// The process the peer lived in when the connection was made.
    pub(crate) peer_process: usize,
    pub(crate) armed: bool,
    /// Arrived and not handed to the reactor.
    pub(crate) unread: VecDeque<u8>,
    /// On the way to this end.
    pub(crate) wire: VecDeque<u8>,
    /// The peer has sent its last byte; said to the reactor after all bytes.
    pub(crate) fin_sent: bool,
    pub(crate) fin_arrived: bool,
    pub(crate) fin_reported: bool,
    pub(crate) failed: Option<Errno>,
    /// A send that waits for room in the peer's window.
    pub(crate) blocked_send: Option<Vec<u8>>,
    /// Whether an event that moves the wire is already planned.
    pub(crate) moving: bool,
    /// Its close is a reset.
    pub(crate) reset_on_close: bool,
    /// Nothing arrives before this instant, so that the order of arrivals is the order of sends.
    pub(crate) not_before: Instant,
}

impl Endpoint {
    pub(crate) fn new(place: CoreAddress, connection: Option<ConnectionId>) -> Self {
        Endpoint {
            place,
            connection,
            peer: Peer::None,
            peer_process: place.process,
            armed: false,
            unread: VecDeque::new(),
            wire: VecDeque::new(),
            fin_sent: false,
            fin_arrived: false,
            fin_reported: false,
            failed: None,
            blocked_send: None,
            moving: false,
            reset_on_close: false,
            not_before: Instant::from_nanos(0),
        }
    }

    /// Bytes that may still be sent to this end.
    pub(crate) fn room(&self) -> usize {
        WINDOW_BYTES.saturating_sub(self.unread.len() + self.wire.len())
    }

    /// Moves up to `count` bytes from the wire to what the reactor can read; the end of the stream when they are out.
    pub(crate) fn arrive(&mut self, count: usize) {
        let count = count.min(self.wire.len());
        self.unread.extend(self.wire.drain(..count));
        if self.wire.is_empty() && self.fin_sent {
            self.fin_arrived = true;
        }
    }

    /// Everything on the way is lost; the reactor learns it with its next receive or send.
    pub(crate) fn reset(&mut self, errno: Errno) {
        self.wire.clear();
        self.unread.clear();
        self.blocked_send = None;
        self.peer = Peer::Gone;
        self.failed = Some(errno);
    }
}
