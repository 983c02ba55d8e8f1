//! A connection with a layer: what is received is opened in its task's poll, what is written is sealed when a send starts.
//!
//! **Not** what plain connections pay for: they look once whether there is a layer, in a poll and in the start of a send.
//!
//! **Invariants**: what is in flight is wire, what is behind it plaintext, so that plaintext never leaves; it is sealed only when
//! nothing is in flight, at most [`SEAL_BYTES_MAX`] at a time and never while completions are handled; after the end, a fault or the
//! layer's last word nothing is opened, or sealed, any more.

use crate::buffer::Received;
use crate::core::Reactor;
use crate::id::ConnectionId;
use crate::net::connection::{Connection, ConnectionError};
use crate::net::inbox::Inbox;
use crate::net::protection::{Fault, Opened, Plain, PlainSource, Protection};
use crate::net::state::ConnectionState;
use crate::outbox::{Outbox, SEAL_BYTES_MAX, SendBuffers, wire_room};

/// The layer of a connection, and what it has opened.
pub(crate) struct Protected {
    layer: Box<dyn Protection>,
    opened: Opened,
    fault: Option<Fault>,
    writing: Writing,
    /// Something that the layer had to say waits behind the send under way: once is enough, whatever the peer makes it say.
    said: bool,
}

/// What becomes of what is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Writing {
    /// It is sealed.
    Open,
    /// It is sealed, and the layer's last word follows what is queued.
    Closing,
    /// It is thrown away.
    Over,
}

impl Protected {
    fn new(layer: Box<dyn Protection>) -> Self {
        Protected { layer, opened: Opened::default(), fault: None, writing: Writing::Open, said: false }
    }

    /// How receiving has ended, once all that was opened has been taken.
    pub(super) fn end(&self) -> Option<Result<(), ConnectionError>> {
        if let Some(fault) = self.fault {
            return Some(Err(fault.into()));
        }
        self.opened.ended().then_some(Ok(()))
    }

    /// The next piece that is opened; and whether more was opened for it.
    fn next(&mut self, inbox: &mut Inbox) -> (Option<Received>, bool) {
        let mut opened = false;
        loop {
            if let Some(piece) = self.opened.pop() {
                return (Some(piece), opened);
            }
            if self.end().is_some() {
                inbox.clear();
                return (None, opened);
            }
            let Some(received) = inbox.pop() else { return (None, opened) };
            opened = true;
            if let Err(fault) = self.layer.open(received, &mut self.opened) {
                self.fault = Some(fault);
                self.writing = Writing::Over;
            }
        }
    }

    /// Seals what may be sealed now.
    fn seal(&mut self, outbox: &mut Outbox, under_way: bool, buffers: &mut SendBuffers) {
        if self.writing == Writing::Over && outbox.bytes_behind() > 0 {
            outbox.drop_behind(buffers);
        }
        if !outbox.is_loaded() {
            self.seal_plain(outbox, buffers);
        } else if self.layer.has_to_say() && !(under_way && self.said) {
            self.seal_word(outbox, buffers);
            self.said = under_way;
        }
    }

    /// Seals from the front of what is queued.
    fn seal_plain(&mut self, outbox: &mut Outbox, buffers: &mut SendBuffers) {
        let queued = outbox.bytes();
        if self.writing == Writing::Closing && queued <= SEAL_BYTES_MAX {
            self.close();
        }
        if queued == 0 && !self.layer.has_to_say() {
            return;
        }
        let mut wire = buffers.take();
        // At once, and no more than a spare buffer has.
        wire.reserve_exact(wire_room(queued.min(SEAL_BYTES_MAX)));
        self.layer.seal(&mut Plain::new(&mut outbox.unsealed(buffers), SEAL_BYTES_MAX), &mut wire);
        load(wire, outbox, buffers);
    }

    /// Seals what the layer itself has to say, and nothing else.
    fn seal_word(&mut self, outbox: &mut Outbox, buffers: &mut SendBuffers) {
        let mut wire = buffers.take();
        self.layer.seal(&mut Plain::new(&mut Nothing, 0), &mut wire);
        load(wire, outbox, buffers);
    }

    fn close(&mut self) {
        self.layer.close();
        self.writing = Writing::Over;
    }

    /// What goes to another core.
    pub(super) fn detach(mut self) -> DetachedLayer {
        let mut opened = Vec::new();
        while let Some(piece) = self.opened.pop() {
            opened.extend_from_slice(&piece);
        }
        DetachedLayer { layer: self.layer, opened, ended: self.opened.ended() }
    }
}

/// Takes sealed bytes into flight; the buffer back when there are none.
fn load(wire: Vec<u8>, outbox: &mut Outbox, buffers: &mut SendBuffers) {
    if wire.is_empty() {
        buffers.give(wire);
    } else {
        outbox.load_wire(wire, buffers);
    }
}

/// No plaintext: only the layer speaks.
struct Nothing;

impl PlainSource for Nothing {
    fn front(&self) -> &[u8] {
        &[]
    }

    fn queued_bytes(&self) -> usize {
        0
    }

    fn consume(&mut self, count: usize) {
        assert!(count == 0, "taken {count} bytes of nothing");
    }
}

/// A layer between two cores, with what it had opened.
pub(super) struct DetachedLayer {
    layer: Box<dyn Protection>,
    opened: Vec<u8>,
    ended: bool,
}

impl DetachedLayer {
    pub(super) fn attach(self) -> Box<Protected> {
        let mut protected = Protected::new(self.layer);
        protected.opened.push(Received::owned(self.opened));
        if self.ended {
            protected.opened.end();
        }
        Box::new(protected)
    }
}

impl std::fmt::Debug for DetachedLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DetachedLayer({} bytes opened, ended: {})", self.opened.len(), self.ended)
    }
}

impl ConnectionState {
    /// Whether it has a layer.
    pub(super) fn is_protected(&self) -> bool {
        self.protected.is_some()
    }

    /// Whether what its layer has opened may have been recorded, and be sent again.
    pub(super) fn may_be_replayed(&self) -> bool {
        self.protected.as_ref().is_some_and(|protected| protected.layer.may_be_replayed())
    }

    /// Why its layer has given it up.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.protected.as_ref().and_then(|protected| protected.fault)
    }
}

impl Connection {
    /// Puts a layer between this connection's task and its socket. Bytes that are queued leave as they are; what is written from now on
    /// is sealed, and what comes is opened: first `unread`, which were received before and belong to the layer.
    ///
    /// Dropping the connection closes the socket and the layer says nothing; [`Connection::finish`] has it say its last word before the
    /// end of the stream. Of a fault the layer's word (an alert) is sent before the task learns of it, what was written and not sealed is
    /// thrown away, and the bytes opened before it are handed out first.
    ///
    /// # Panics
    /// When it has a layer already. No [`crate::WriteGuard`] may be open: what it holds would be sealed.
    pub fn protect(&self, layer: Box<dyn Protection>, unread: Vec<u8>) {
        self.protect_opened(layer, Vec::new(), unread);
    }

    /// The same with a layer that has opened bytes already, which are received first.
    ///
    /// # Panics
    /// As [`Connection::protect`].
    pub fn protect_opened(&self, layer: Box<dyn Protection>, opened: Vec<u8>, unread: Vec<u8>) {
        self.state(|state, reactor| {
            assert!(state.protected.is_none(), "a connection has one layer");
            state.outbox.load_all();
            let mut protected = Box::new(Protected::new(layer));
            protected.opened.push(Received::owned(opened));
            state.protected = Some(protected);
            if !unread.is_empty() {
                state.inbox.push_front(Received::owned(unread));
            }
            reactor.mark_dirty(self.id(), state);
        });
    }
}

impl Reactor {
    /// The next opened bytes of a connection with a layer. What the layer has to say about what it has opened leaves at the end of the
    /// pass; about a fault, at once.
    pub(super) fn next_opened(&self, id: ConnectionId, state: &mut ConnectionState) -> Option<Received> {
        let protected = state.protected.as_deref_mut()?;
        let faulty = protected.fault.is_some();
        let (piece, opened) = protected.next(&mut state.inbox);
        if protected.fault.is_some() && !faulty {
            self.start_protected_send(id, state);
        } else if opened && protected.layer.has_to_say() {
            self.mark_dirty(id, state);
        }
        piece
    }

    /// Starts the next send of a connection with a layer: seals, unless wire is left of the last one.
    #[inline(never)]
    pub(super) fn start_protected_send(&self, id: ConnectionId, state: &mut ConnectionState) {
        let Some(protected) = state.protected.as_deref_mut() else { return };
        if state.abandoned || state.connecting || state.send_failed.is_some() {
            return;
        }
        protected.seal(&mut state.outbox, state.flight.under_way, &mut self.inner.send_buffers.borrow_mut());
        if !state.flight.under_way && state.outbox.is_loaded() {
            protected.said = false;
            self.send_loaded(id, state);
        }
        // What is thrown away is queued no more.
        if let Some(task) = state.writer_to_wake() {
            self.wake(task);
        }
    }

    /// Has the layer, if there is one, say its last word behind what is queued.
    pub(super) fn close_layer(&self, id: ConnectionId, state: &mut ConnectionState) {
        let Some(protected) = state.protected.as_deref_mut().filter(|it| it.writing == Writing::Open) else { return };
        if state.send_failed.is_some() {
            return;
        }
        protected.writing = Writing::Closing;
        if state.outbox.bytes_behind() == 0 {
            // Here, so that it is queued and waited for.
            protected.close();
            protected.seal_word(&mut state.outbox, &mut self.inner.send_buffers.borrow_mut());
        }
        self.mark_dirty(id, state);
    }
}
