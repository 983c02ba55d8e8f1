//! What the loop does for sockets: completions, send starts, timers, and the freeing of slots.
//!
//! **Not** visible to tasks.
//!
//! **Invariants**: a completion whose key is stale changes nothing; a slot is freed exactly when its owner is gone
//! and its last operation has ended.

use std::io::IoSlice;

use crate::buffer::Received;
use crate::core::Reactor;
use crate::counters::add;
use crate::driver::{Completion, Errno, ReceiveEnd, SendResult, Socket};
use crate::id::ConnectionId;
use crate::net::state::{ConnectionState, Receive};
use crate::outbox::OpenedBy;
use crate::time::Instant;
use crate::timer::TimerTarget;

impl Reactor {
    pub(crate) fn complete(&self, completion: Completion) {
        match completion {
            Completion::Received { connection, data } => self.received(connection, data),
            Completion::Sent { connection, sent } => self.sent(connection, sent),
            Completion::Accepted { listener, result } => self.accepted(listener, result),
            Completion::AcceptEnded { listener } => self.accept_ended(listener),
            Completion::Connected { connection, result } => self.connected(connection, result),
            Completion::ReceiveEnded { connection, end } => self.receive_ended(connection, end),
            Completion::SendReleased { connection, copied } => self.send_released(connection, copied),
            Completion::Signal { number } => self.signalled(number),
        }
    }

    fn signalled(&self, number: i32) {
        let mut signals = self.inner.signals.borrow_mut();
        signals.0.push_back(number);
        if let Some(task) = signals.1.take() {
            self.wake(task);
        }
    }

    /// Runs `change` on a connection's state, if there still is one.
    pub(crate) fn with_state<R>(
        &self,
        id: ConnectionId,
        change: impl FnOnce(&mut ConnectionState, &Reactor) -> R,
    ) -> Option<R> {
        self.inner.connections.borrow_mut().get_mut(id.0).map(|state| change(state, self))
    }

    fn connected(&self, id: ConnectionId, result: Result<(), Errno>) {
        self.with_state(id, |state, reactor| {
            state.connecting = false;
            state.connected = Some(result);
            reactor.wake_reader(state);
        });
        self.free_if_done(id);
    }

    #[inline(always)]
    pub(crate) fn received(&self, id: ConnectionId, data: Received) {
        add(&self.inner.counters.received_bytes, data.unread() as u64);
        let mut connections = self.inner.connections.borrow_mut();
        // Without a connection that wants it, the buffer goes back to its pool.
        let Some(state) = connections.get_mut(id.0).filter(|state| !state.abandoned) else { return };
        if state.push_received(data) {
            self.hold_back(id, state);
        }
        self.wake_reader(state);
    }

    #[inline(never)]
    fn hold_back(&self, id: ConnectionId, state: &mut ConnectionState) {
        add(&self.inner.counters.held_back, 1);
        self.stop_receive(id, state);
    }

    fn receive_ended(&self, id: ConnectionId, end: ReceiveEnd) {
        self.with_state(id, |state, reactor| {
            let stopped = state.receive == Receive::Cancelling;
            state.receive = match end {
                ReceiveEnd::EndOfStream => Receive::EndOfStream,
                ReceiveEnd::Failed(errno) => Receive::Failed(errno),
                ReceiveEnd::NoBuffers if state.abandoned || stopped => Receive::Disarmed,
                ReceiveEnd::NoBuffers => {
                    add(&reactor.inner.counters.starved, 1);
                    reactor.inner.starved.borrow_mut().push_back(id);
                    Receive::Starved
                }
                ReceiveEnd::Disarmed => Receive::Disarmed,
            };
            // The kernel may end a multishot at any time; unless we asked for it, go on at once.
            if end == ReceiveEnd::Disarmed && !stopped && !state.abandoned {
                reactor.arm_receive(id, state);
            }
            reactor.wake_reader(state);
        });
        self.free_if_done(id);
    }

    /// A send of copied bytes has ended: nearly always all that was queued, and nobody waits for that.
    #[inline(always)]
    pub(crate) fn sent_copied(&self, id: ConnectionId, bytes: usize) {
        let mut connections = self.inner.connections.borrow_mut();
        let Some(state) = connections.get_mut(id.0) else { return };
        let Some(buffer) = state.finish_usual_send(bytes) else {
            drop(connections);
            return self.sent(id, SendResult::copied(Ok(bytes)));
        };
        add(&self.inner.counters.sent_bytes, bytes as u64);
        self.inner.send_buffers.borrow_mut().give_queued(state.outbox.opened_by(), buffer);
    }

    #[inline(never)]
    pub(crate) fn sent(&self, id: ConnectionId, sent: SendResult) {
        add(&self.inner.counters.sent_bytes, sent.result.unwrap_or(0) as u64);
        self.with_state(id, |state, reactor| {
            state.flight.always_copy |= sent.refused_zero_copy;
            let more = state.note_sent(sent.result, sent.lent, &mut reactor.inner.send_buffers.borrow_mut());
            if let Some(task) = state.writer_to_wake() {
                reactor.wake(task);
            }
            if state.send_failed.is_some() {
                reactor.wake_reader(state);
            }
            if more && state.protected.is_some() && !state.outbox.is_loaded() {
                // Sealed in the next pass, and not here: a peer that reads fast does not keep the others waiting.
                reactor.mark_dirty(id, state);
            } else if more {
                reactor.start_send(id, state);
            }
        });
        self.free_if_done(id);
    }

    fn send_released(&self, id: ConnectionId, copied: bool) {
        self.with_state(id, |state, reactor| {
            state.flight.always_copy |= copied;
            state.note_released(&mut reactor.inner.send_buffers.borrow_mut());
            reactor.wake_reader(state);
            if let Some(task) = state.writer_to_wake() {
                reactor.wake(task);
            }
        });
        self.free_if_done(id);
    }

    #[inline(always)]
    fn wake_reader(&self, state: &mut ConnectionState) {
        if let Some(task) = state.reader.take() {
            self.wake(task);
        }
    }

    pub(crate) fn arm_receive(&self, id: ConnectionId, state: &mut ConnectionState) {
        debug_assert!(matches!(state.receive, Receive::Disarmed | Receive::Starved));
        state.receive = Receive::Armed;
        state.armed_size = state.wanted_size;
        self.inner.driver.borrow_mut().arm_receive(id, state.socket, state.armed_size);
    }

    /// Stops a receive, so that its task or the next wait begins another.
    pub(crate) fn stop_receive(&self, id: ConnectionId, state: &mut ConnectionState) {
        if state.receive == Receive::Armed {
            state.receive = Receive::Cancelling;
            self.inner.driver.borrow_mut().cancel_receive(id, state.armed_size);
        }
    }

    /// Arms a receive that starved, if its pool has buffers again; false when it has not.
    pub(crate) fn rearm_after_starving(&self, id: ConnectionId) -> bool {
        let rearm = |state: &mut ConnectionState, reactor: &Reactor| {
            if state.receive != Receive::Starved || state.abandoned {
                return true;
            }
            let available = reactor.inner.driver.borrow().buffers_available(state.wanted_size);
            if available {
                reactor.arm_receive(id, state);
            }
            available
        };
        self.with_state(id, rearm).unwrap_or(true)
    }

    /// Starts the next send of a connection, if it has something to send and nothing under way.
    pub(crate) fn flush(&self, id: ConnectionId) {
        self.with_state(id, |state, reactor| reactor.start_send(id, state));
    }

    #[inline(always)]
    fn start_send(&self, id: ConnectionId, state: &mut ConnectionState) {
        state.dirty = false;
        if state.protected.is_some() {
            return self.start_protected_send(id, state);
        }
        let idle = !state.flight.under_way && !state.connecting && state.send_failed.is_none();
        if !idle || state.abandoned || !state.outbox.load() {
            return;
        }
        self.send_loaded(id, state);
    }

    /// Hands what is in flight to the driver.
    #[inline(always)]
    pub(super) fn send_loaded(&self, id: ConnectionId, state: &mut ConnectionState) {
        state.flight.under_way = true;
        add(&self.inner.counters.sends, 1);
        let Some(slice) = state.outbox.only_slice() else { return self.send_many(id, state) };
        // SAFETY: the slice is a chunk in flight, which the outbox neither changes nor gives away before `Sent` has been
        // reported for all of its bytes or with an error, and which is held until `SendReleased` when `Sent` says that it
        // is lent (`note_sent`). The slot is not freed before both have been reported (`free_if_done`); moving the state or
        // a chunk moves the handle, not the heap memory the slice points to.
        unsafe { self.inner.driver.borrow_mut().send(id, state.socket, &[IoSlice::new(slice)], state.copying()) };
    }

    #[inline(never)]
    fn send_many(&self, id: ConnectionId, state: &ConnectionState) {
        let mut driver = self.inner.driver.borrow_mut();
        state.outbox.with_slices(|slices| {
            // SAFETY: what holds for the one slice in `send_loaded` holds for all chunks in flight.
            unsafe { driver.send(id, state.socket, slices, state.copying()) };
        });
    }

    /// Takes back a buffer that has nothing to add to the send queue, or whose bytes nobody will get.
    #[inline(never)]
    pub(crate) fn give_up_tail(&self, id: ConnectionId, state: &mut ConnectionState, buffer: Vec<u8>) {
        self.inner.send_buffers.borrow_mut().give(buffer);
        let sends = state.send_failed.is_none() && !state.abandoned;
        if sends && !state.outbox.is_empty() {
            self.mark_dirty(id, state);
        }
    }

    /// Marks a connection to be flushed at the end of the pass, together with all others.
    #[inline]
    pub(crate) fn mark_dirty(&self, id: ConnectionId, state: &mut ConnectionState) {
        if !state.dirty {
            state.dirty = true;
            self.inner.dirty.borrow_mut().push(id);
        }
    }

    /// Makes sure that something looks at the connection by its deadline.
    pub(crate) fn ensure_timer(&self, id: ConnectionId, state: &mut ConnectionState) {
        if state.deadline == Instant::NEVER {
            return;
        }
        // The timer is moved when it fires: a deadline that moves on with each request costs nothing.
        if state.timer.is_none_or(|(_, at)| at > state.deadline) {
            self.set_timer(id, state);
        }
    }

    #[inline(never)]
    fn set_timer(&self, id: ConnectionId, state: &mut ConnectionState) {
        let mut wheel = self.inner.wheel.borrow_mut();
        if let Some((timer, _)) = state.timer {
            wheel.cancel(timer);
        }
        let timer = wheel.insert(state.deadline, TimerTarget::Connection(id));
        state.timer = Some((timer, state.deadline));
    }

    pub(crate) fn connection_timer(&self, id: ConnectionId) {
        // The wheel is borrowed by the caller: new timers are set by the tasks woken here, or by `ensure_timer` of
        // the next wait.
        self.with_state(id, |state, reactor| {
            state.timer = None;
            reactor.wake_reader(state);
            if let Some((task, _)) = state.writer.take() {
                reactor.wake(task);
            }
        });
    }

    /// The owner of a connection is gone: end what is under way, then free the slot.
    pub(crate) fn abandon(&self, id: ConnectionId) {
        self.with_state(id, |state, reactor| {
            state.abandoned = true;
            state.reader = None;
            state.writer = None;
            state.inbox.clear();
            state.protected = None;
            if let Some((timer, _)) = state.timer.take() {
                reactor.inner.wheel.borrow_mut().cancel(timer);
            }
            reactor.stop_receive(id, state);
            let mut driver = reactor.inner.driver.borrow_mut();
            if state.flight.under_way {
                driver.cancel_send(id);
            }
            if state.connecting {
                driver.cancel_connect(id);
            }
        });
        self.free_if_done(id);
    }

    pub(crate) fn free_if_done(&self, id: ConnectionId) {
        let mut connections = self.inner.connections.borrow_mut();
        let Some(state) = connections.get_mut(id.0).filter(|state| state.abandoned && !state.uses_socket()) else {
            return;
        };
        // Closed first: memory that is lent comes back when the peer acknowledges it or the closed socket gives up, and
        // an open one would not give up.
        let socket = std::mem::replace(&mut state.socket, Socket(-1));
        if socket != Socket(-1) {
            let mut driver = self.inner.driver.borrow_mut();
            driver.release(id);
            driver.close(socket);
        }
        if state.is_lent() {
            return;
        }
        let shared = state.give_buffers(&mut self.inner.send_buffers.borrow_mut());
        // Dropped after the borrow: what is shared may do anything when it goes.
        let state = connections.remove(id.0);
        drop(connections);
        drop((state, shared));
    }

    /// Makes a slot for a socket; the receive starts with the first wait for bytes.
    pub(crate) fn adopt(&self, socket: Socket) -> Result<ConnectionId, Box<ConnectionState>> {
        let inserted = self.inner.connections.borrow_mut().insert(ConnectionState::new(socket, OpenedBy::Peer));
        let id = ConnectionId(inserted.map_err(Box::new)?);
        self.inner.driver.borrow_mut().attach(id, socket);
        Ok(id)
    }
}
