//! A connection, as its task sees it.
//!
//! **Not** buffered twice: [`Connection::receive`] lends the ring's own buffer, [`Connection::write`] appends to the
//! buffer that is sent.
//!
//! **Invariants**: what is written in one pass leaves in one send, in order; every wait ends at the connection's
//! deadline.

use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::address::Address;
use crate::buffer::Received;
use crate::core::Reactor;
use crate::driver::{DetachedSocket, Size, Socket};
use crate::id::ConnectionId;
use crate::net::protected::DetachedLayer;
use crate::net::protection::Fault;
use crate::net::state::{ConnectionState, Receive};
use crate::outbox::{OpenedBy, SharedBytes};
use crate::time::Instant;

/// Bytes read and thrown away at most while a connection is being finished, so that a peer that is still sending
/// gets to read our last answer instead of a reset (RFC 9112, section 9.6): as many as the largest body has that a client
/// may send, and not for ever.
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Why a handle always finds its connection.
const SLOT_LIVES: &str = "a connection's slot lives as long as its handle";

/// What can happen to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// The deadline set with [`Connection::set_deadline`] has come.
    #[error("timed out")]
    TimedOut,
    /// The socket failed; the peer's doing or the network's.
    #[error("socket error: {}", std::io::Error::from_raw_os_error(*.0))]
    Socket(i32),
    /// This core holds as many connections as it can.
    #[error("this core holds as many connections as it can")]
    Full,
    /// The layer of the connection has given it up (see [`Connection::protect`]); the peer's doing.
    #[error("{0}")]
    Protection(#[from] Fault),
}

const _: () =
    assert!(size_of::<Poll<Result<Option<Received>, ConnectionError>>>() == 24, "an error costs a receive nothing");

/// A stream connection; closed when dropped, at once and without sending what is still queued.
pub struct Connection {
    sender: ConnectionSender,
}

/// Writes to a connection from other tasks of its core. Does nothing once the connection is gone.
#[derive(Clone)]
pub struct ConnectionSender {
    reactor: Reactor,
    id: ConnectionId,
}

impl Reactor {
    /// Connects to `address`.
    ///
    /// # Errors
    /// The peer's or the network's: refused, unreachable, or not connected by `deadline`.
    pub async fn connect(&self, address: &Address, deadline: Instant) -> Result<Connection, ConnectionError> {
        let inserted = self.inner.connections.borrow_mut().insert(ConnectionState::new(Socket(-1), OpenedBy::Core));
        let id = ConnectionId(inserted.map_err(|_| ConnectionError::Full)?);
        let started = self.inner.driver.borrow_mut().connect(id, address);
        let socket = match started {
            Ok(socket) => socket,
            Err(error) => {
                self.inner.connections.borrow_mut().remove(id.0);
                return Err(ConnectionError::Socket(error.raw_os_error().unwrap_or(libc::EIO)));
            }
        };
        self.with_state(id, |state, _| {
            state.socket = socket;
            state.connecting = true;
            state.deadline = deadline;
        });
        let connection = Connection { sender: ConnectionSender { reactor: self.clone(), id } };
        poll_fn(|_| connection.poll_connected()).await?;
        connection.set_deadline(Instant::NEVER);
        Ok(connection)
    }
}

impl Connection {
    pub(crate) fn adopt(reactor: &Reactor, socket: Socket) -> Result<Connection, Box<ConnectionState>> {
        let id = reactor.adopt(socket)?;
        Ok(Connection { sender: ConnectionSender { reactor: reactor.clone(), id } })
    }

    pub(super) fn id(&self) -> ConnectionId {
        self.sender.id
    }

    pub(super) fn reactor(&self) -> &Reactor {
        &self.sender.reactor
    }

    pub(super) fn state<R>(&self, change: impl FnOnce(&mut ConnectionState, &Reactor) -> R) -> R {
        self.reactor().with_state(self.sender.id, change).expect(SLOT_LIVES)
    }

    fn poll_connected(&self) -> Poll<Result<(), ConnectionError>> {
        self.state(|state, reactor| match state.connected {
            Some(Ok(())) => Poll::Ready(Ok(())),
            Some(Err(errno)) => Poll::Ready(Err(ConnectionError::Socket(errno))),
            None => wait_to_read(state, reactor, self.sender.id),
        })
    }

    /// A handle with which other tasks of this core write to the connection.
    pub fn sender(&self) -> ConnectionSender {
        self.sender.clone()
    }

    /// The other end, where it is known.
    pub fn peer(&self) -> Option<Address> {
        self.state(|state, reactor| reactor.inner.driver.borrow().peer(state.socket))
    }

    /// Whether a layer protects it: see [`crate::Protection`].
    pub fn is_protected(&self) -> bool {
        self.state(|state, _| state.is_protected())
    }

    /// Whether what was received so far may have been recorded by somebody, and be sent again by them: see
    /// [`crate::Protection::may_be_replayed`].
    pub fn may_be_replayed(&self) -> bool {
        self.sender.may_be_replayed()
    }

    /// Sets the instant after which every wait on this connection fails with [`ConnectionError::TimedOut`].
    pub fn set_deadline(&self, deadline: Instant) {
        self.state(|state, _| state.deadline = deadline);
    }

    /// Says that much is about to be received (a large body), or that it is over: receives use large buffers meanwhile,
    /// so that bulk takes fewer completions. Changing it costs a cancelled receive; not worth it below about 128 KiB.
    pub fn expect_bulk(&self, bulk: bool) {
        self.state(|state, reactor| {
            let wanted = if bulk { Size::Bulk } else { Size::Small };
            if state.wanted_size != wanted {
                state.wanted_size = wanted;
                reactor.stop_receive(self.sender.id, state);
            }
        });
    }

    /// Waits for bytes; `None` when the peer has sent all it will send.
    ///
    /// # Errors
    /// [`ConnectionError`]; bytes that came before the error are handed out first.
    pub fn receive(&self) -> Receiving<'_> {
        Receiving { connection: self }
    }

    /// Bytes that are there already.
    pub fn try_receive(&self) -> Option<Received> {
        self.state(|state, reactor| match state.protected {
            None => state.inbox.pop(),
            Some(_) => reactor.next_opened(self.sender.id, state),
        })
    }

    /// Opens the send buffer to append to. What is written leaves at the end of the pass.
    #[inline(always)]
    pub fn write(&self) -> WriteGuard<'_> {
        self.sender.write()
    }

    /// Appends memory that is sent in place.
    pub fn write_shared(&self, bytes: SharedBytes) {
        self.state(|state, reactor| {
            if state.send_failed.is_none() {
                state.outbox.push_shared(bytes);
                reactor.mark_dirty(self.sender.id, state);
            }
        });
    }

    /// Bytes written that the kernel has not taken.
    #[inline(always)]
    pub fn queued_bytes(&self) -> usize {
        self.state(|state, _| state.queued_bytes())
    }

    /// Memory of this connection's part of [`Reactor::queued_bytes`]. Looks at each buffer.
    pub fn queued_buffer_bytes(&self) -> usize {
        self.state(|state, _| state.queued_buffer_bytes())
    }

    /// Waits until at most `below` bytes are queued.
    ///
    /// # Errors
    /// [`ConnectionError`]: the send failed, or the deadline has come.
    pub async fn drained(&self, below: usize) -> Result<(), ConnectionError> {
        poll_fn(|_| self.poll_drained(below)).await
    }

    fn poll_drained(&self, below: usize) -> Poll<Result<(), ConnectionError>> {
        self.state(|state, reactor| {
            if let Some(errno) = state.send_failed {
                return Poll::Ready(Err(ConnectionError::Socket(errno)));
            }
            if state.queued_bytes() <= below {
                return Poll::Ready(Ok(()));
            }
            if reactor.now() >= state.deadline {
                return Poll::Ready(Err(ConnectionError::TimedOut));
            }
            state.writer = Some((reactor.current_task(), below));
            reactor.ensure_timer(self.sender.id, state);
            Poll::Pending
        })
    }

    /// Sends what is queued, then the end of the stream, and waits, for `linger` at most, until the peer is
    /// done too; then closes. Errors end it early.
    pub async fn finish(self, linger: Duration) {
        self.finish_within(linger, linger).await;
    }

    /// The same, but waits for as long as bytes come, for `whole` at most; `silence` is the time from one to the next.
    pub async fn finish_within(self, silence: Duration, whole: Duration) {
        let reactor = self.reactor().clone();
        let end = reactor.now() + whole;
        self.set_deadline(end.min(reactor.now() + silence));
        self.state(|state, reactor| reactor.close_layer(self.sender.id, state));
        if self.drained(0).await.is_err() {
            return;
        }
        let socket = self.state(|state, _| state.socket);
        reactor.inner.driver.borrow_mut().shutdown_send(socket);
        let mut discarded = 0;
        while let Ok(Some(data)) = self.receive().await {
            discarded += data.len();
            if discarded > LINGER_BYTES_MAX {
                return;
            }
            drop(data);
            self.set_deadline(end.min(reactor.now() + silence));
        }
    }

    /// Has the connection fail when the peer has acknowledged nothing for so long although bytes are on the way to it: that of a
    /// peer that has vanished would otherwise be sent again for many minutes, and reach it when it is back.
    pub fn limit_unacknowledged(&self, longest: Duration) {
        self.state(|state, reactor| reactor.inner.driver.borrow_mut().limit_unacknowledged(state.socket, longest));
    }

    /// Closes by a reset: what was written and has not left is thrown away, in the kernel too, and the peer learns that it was.
    pub fn reset(self) {
        self.state(|state, reactor| reactor.inner.driver.borrow_mut().reset_on_close(state.socket));
    }

    /// Takes the connection off this core, so that another can attach it. Bytes that have come already go with it, and its layer.
    ///
    /// # Errors
    /// [`ConnectionError`] when it failed meanwhile, or when the deadline came with bytes still to be sent.
    pub async fn detach(self) -> Result<Detached, ConnectionError> {
        self.drained(0).await?;
        let id = self.sender.id;
        self.state(|state, reactor| {
            reactor.stop_receive(id, state);
        });
        poll_fn(|_| self.poll_disarmed()).await?;
        let reactor = self.reactor().clone();
        let removed = reactor.inner.connections.borrow_mut().remove(id.0);
        let mut state = removed.expect(SLOT_LIVES);
        if let Some((timer, _)) = state.timer {
            reactor.inner.wheel.borrow_mut().cancel(timer);
        }
        let unread = state.inbox.iter().flat_map(|data| data.iter().copied()).collect();
        let mut driver = reactor.inner.driver.borrow_mut();
        driver.release(id);
        let socket = driver.detach(state.socket);
        drop(driver);
        let ended = state.receive == Receive::EndOfStream;
        let layer = state.protected.take().map(|protected| protected.detach());
        Ok(Detached { socket, unread, ended, layer })
    }

    fn poll_disarmed(&self) -> Poll<Result<(), ConnectionError>> {
        self.state(|state, reactor| match state.receive {
            _ if state.fault().is_some() => Poll::Ready(state.fault().map_or(Ok(()), |fault| Err(fault.into()))),
            Receive::Failed(errno) => Poll::Ready(Err(ConnectionError::Socket(errno))),
            Receive::Armed | Receive::Cancelling => {
                state.reader = Some(reactor.current_task());
                Poll::Pending
            }
            _ if state.is_lent() => {
                // The kernel still reads memory that goes with the slot.
                state.reader = Some(reactor.current_task());
                Poll::Pending
            }
            Receive::Disarmed | Receive::Starved | Receive::EndOfStream => Poll::Ready(Ok(())),
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.sender.reactor.abandon(self.sender.id);
    }
}

impl ConnectionSender {
    /// Opens the send buffer to append to; what is written to a connection that is gone goes nowhere.
    pub fn write(&self) -> WriteGuard<'_> {
        let inner = &*self.reactor.inner;
        let buffer = match inner.connections.borrow_mut().get_mut(self.id.0) {
            Some(state) => state.outbox.take_tail(&mut inner.send_buffers.borrow_mut()),
            None => Vec::new(),
        };
        WriteGuard { sender: self, buffer }
    }

    /// Whether the connection is still there and its sends have not failed.
    pub fn is_open(&self) -> bool {
        let open = |state: &mut ConnectionState, _: &Reactor| !state.abandoned && state.send_failed.is_none();
        self.reactor.with_state(self.id, open).unwrap_or(false)
    }

    /// As [`Connection::may_be_replayed`]; false when the connection is gone.
    pub fn may_be_replayed(&self) -> bool {
        self.reactor.with_state(self.id, |state, _| state.may_be_replayed()).unwrap_or(false)
    }

    /// Brings the connection's deadline forward, so that whoever waits on it gets [`ConnectionError::TimedOut`] by then.
    pub fn expire_at(&self, instant: Instant) {
        self.reactor.with_state(self.id, |state, reactor| {
            state.deadline = state.deadline.min(instant);
            reactor.ensure_timer(self.id, state);
        });
    }

    /// Bytes written that the kernel has not taken; 0 when the connection is gone.
    pub fn queued_bytes(&self) -> usize {
        self.reactor.with_state(self.id, |state, _| state.queued_bytes()).unwrap_or(0)
    }
}

/// The end of a connection's send queue, open for appending; queued when dropped.
pub struct WriteGuard<'a> {
    sender: &'a ConnectionSender,
    buffer: Vec<u8>,
}

impl Deref for WriteGuard<'_> {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.buffer
    }
}

impl DerefMut for WriteGuard<'_> {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }
}

impl Drop for WriteGuard<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        let ConnectionSender { reactor, id } = self.sender;
        let inner = &*reactor.inner;
        let mut connections = inner.connections.borrow_mut();
        let Some(state) = connections.get_mut(id.0) else { return };
        if buffer.is_empty() || state.send_failed.is_some() || state.abandoned {
            return reactor.give_up_tail(*id, state, buffer);
        }
        state.outbox.give_tail(buffer, &mut inner.send_buffers.borrow_mut());
        reactor.mark_dirty(*id, state);
    }
}

/// Registers the running task for the next completion, or fails when the deadline has come.
fn wait_to_read<T>(
    state: &mut ConnectionState,
    reactor: &Reactor,
    id: ConnectionId,
) -> Poll<Result<T, ConnectionError>> {
    if reactor.now() >= state.deadline {
        return Poll::Ready(Err(ConnectionError::TimedOut));
    }
    state.reader = Some(reactor.current_task());
    reactor.ensure_timer(id, state);
    Poll::Pending
}

/// Waits for bytes; see [`Connection::receive`].
pub struct Receiving<'a> {
    connection: &'a Connection,
}

impl Future for Receiving<'_> {
    type Output = Result<Option<Received>, ConnectionError>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let ConnectionSender { reactor, id } = &self.connection.sender;
        let mut connections = reactor.inner.connections.borrow_mut();
        let state = connections.get_mut(id.0).expect(SLOT_LIVES);
        if state.receive != Receive::Armed || state.send_failed.is_some() {
            return poll_disarmed_receive(state, reactor, *id);
        }
        if state.protected.is_some() {
            return poll_protected_receive(state, reactor, *id);
        }
        match state.inbox.pop() {
            Some(data) => Poll::Ready(Ok(Some(data))),
            None => wait_to_read(state, reactor, *id),
        }
    }
}

/// A poll of a receive that is not armed, or whose connection has failed: arms it again when it may be.
#[cold]
fn poll_disarmed_receive(
    state: &mut ConnectionState,
    reactor: &Reactor,
    id: ConnectionId,
) -> Poll<Result<Option<Received>, ConnectionError>> {
    if state.protected.is_some() {
        return poll_protected_receive(state, reactor, id);
    }
    let data = state.inbox.pop();
    if state.may_rearm() {
        reactor.arm_receive(id, state);
    }
    end_or_wait(data, state, reactor, id)
}

/// A poll of a receive on a connection with a layer.
#[inline(never)]
fn poll_protected_receive(
    state: &mut ConnectionState,
    reactor: &Reactor,
    id: ConnectionId,
) -> Poll<Result<Option<Received>, ConnectionError>> {
    let data = reactor.next_opened(id, state);
    let end = state.protected.as_ref().and_then(|protected| protected.end());
    match end {
        Some(end) if data.is_none() => return Poll::Ready(end.map(|()| None)),
        // What comes is thrown away.
        Some(_) => {}
        None if state.may_rearm() => reactor.arm_receive(id, state),
        None => {}
    }
    end_or_wait(data, state, reactor, id)
}

/// The end of a poll: the bytes that are there, or the end of the connection, or a wait.
#[inline(always)]
fn end_or_wait(
    data: Option<Received>,
    state: &mut ConnectionState,
    reactor: &Reactor,
    id: ConnectionId,
) -> Poll<Result<Option<Received>, ConnectionError>> {
    match (data, state.receive) {
        (Some(data), _) => Poll::Ready(Ok(Some(data))),
        (None, Receive::EndOfStream) => Poll::Ready(Ok(None)),
        (None, Receive::Failed(errno)) => Poll::Ready(Err(ConnectionError::Socket(errno))),
        (None, _) => match state.send_failed {
            Some(errno) => Poll::Ready(Err(ConnectionError::Socket(errno))),
            None => wait_to_read(state, reactor, id),
        },
    }
}

/// A connection between two cores: on no core, with the bytes that had come.
#[derive(Debug)]
pub struct Detached {
    socket: DetachedSocket,
    unread: Vec<u8>,
    ended: bool,
    layer: Option<DetachedLayer>,
}

impl Detached {
    /// Makes it a connection of `reactor`'s core.
    ///
    /// # Errors
    /// [`ConnectionError::Full`]: the core holds as many connections as it can; this one is closed.
    pub fn attach(self, reactor: &Reactor) -> Result<Connection, ConnectionError> {
        let socket = match self.socket {
            DetachedSocket::Kernel(fd) => Socket(std::os::fd::IntoRawFd::into_raw_fd(fd)),
            DetachedSocket::Simulated(socket) => Socket(socket),
        };
        let adopted = Connection::adopt(reactor, socket);
        let connection = adopted.map_err(|state| {
            reactor.inner.driver.borrow_mut().close(state.socket);
            ConnectionError::Full
        })?;
        connection.state(|state, reactor| {
            if let Some(layer) = self.layer {
                state.protected = Some(layer.attach());
                reactor.mark_dirty(connection.sender.id, state);
            }
            if !self.unread.is_empty() {
                state.push_received(Received::owned(self.unread));
            }
            if self.ended {
                state.receive = Receive::EndOfStream;
            }
        });
        Ok(connection)
    }
}
