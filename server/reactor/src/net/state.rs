//! What a core keeps of a connection, and what follows from each completion.
//!
//! ```text
//! receive:   Disarmed --arm--> Armed --end: buffers gone--> Starved --buffers back--> Armed
//!               ^                |---end: end of stream---> EndOfStream
//!               |                |---end: error-----------> Failed
//!               '--- inbox over its bound: Cancelling <-----'     (armed again when the inbox has been read)
//! ```
//!
//! **Not** I/O: the loop asks, then calls the driver.
//!
//! **Invariants**: at most one send is in flight; the slot outlives every operation on it, so that the kernel never
//! holds memory that has been freed; an idle connection owns no buffer.

use crate::buffer::Received;
use crate::driver::{Copying, Errno, Size, Socket};
use crate::id::{TaskId, TimerId};
use crate::net::inbox::Inbox;
use crate::net::protected::Protected;
use crate::outbox::{OpenedBy, Outbox, OutboxChunk, SendBuffers};
use crate::time::Instant;

/// Received bytes a connection may leave unread before its receive is stopped.
const INBOX_BYTES_MAX: usize = 64 * 1024;
/// The same for a connection that receives bulk: a few of the large buffers.
const BULK_INBOX_BYTES_MAX: usize = 256 * 1024;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Receive {
    Disarmed,
    Armed,
    Cancelling,
    Starved,
    EndOfStream,
    Failed(Errno),
}

/// The send handed to the driver and not finished, and what earlier ones have left behind.
#[derive(Default)]
pub(crate) struct Flight {
    pub(crate) under_way: bool,
    /// Zero-copy sends whose memory the kernel has not released.
    pub(crate) lent: u32,
    /// Sent chunks that the kernel may still read.
    pub(crate) held: Vec<OutboxChunk>,
    /// Sending without a copy gains nothing on this connection, or does not work.
    pub(crate) always_copy: bool,
}

pub(crate) struct ConnectionState {
    pub(crate) socket: Socket,
    pub(crate) connecting: bool,
    pub(crate) connected: Option<Result<(), Errno>>,
    pub(crate) receive: Receive,
    /// The pool of the receive that is armed, and the pool of the next.
    pub(crate) armed_size: Size,
    pub(crate) wanted_size: Size,
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
    pub(crate) flight: Flight,
    /// The layer between its task and its socket, where there is one.
    pub(crate) protected: Option<Box<Protected>>,
    pub(crate) send_failed: Option<Errno>,
    /// Waiting for bytes, for the connect, or for the receive to be over.
    pub(crate) reader: Option<TaskId>,
    /// Waiting for the send queue to shrink to this many bytes.
    pub(crate) writer: Option<(TaskId, usize)>,
    /// When waiting fails. The timer may be set earlier than this; it is moved when it fires.
    pub(crate) deadline: Instant,
    pub(crate) timer: Option<(TimerId, Instant)>,
    pub(crate) dirty: bool,
    /// Its owner is gone: free the slot when the last operation is over.
    pub(crate) abandoned: bool,
}

impl ConnectionState {
    pub(crate) fn new(socket: Socket, opened_by: OpenedBy) -> Self {
        ConnectionState {
            socket,
            connecting: false,
            connected: None,
            receive: Receive::Disarmed,
            armed_size: Size::Small,
            wanted_size: Size::Small,
            inbox: Inbox::default(),
            outbox: Outbox::new(opened_by),
            flight: Flight::default(),
            protected: None,
            send_failed: None,
            reader: None,
            writer: None,
            deadline: Instant::NEVER,
            timer: None,
            dirty: false,
            abandoned: false,
        }
    }

    /// Bytes written and not yet taken by the kernel, or taken and still held for it.
    pub(crate) fn queued_bytes(&self) -> usize {
        if self.flight.held.is_empty() { self.outbox.bytes() } else { self.outbox.bytes() + self.held_bytes() }
    }

    #[inline(never)]
    fn held_bytes(&self) -> usize {
        self.flight.held.iter().map(OutboxChunk::len).sum()
    }

    /// Memory of its send buffers that are queued or held for the kernel.
    #[inline(never)]
    pub(crate) fn queued_buffer_bytes(&self) -> usize {
        self.outbox.buffer_bytes() + self.flight.held.iter().map(OutboxChunk::buffer_bytes).sum::<usize>()
    }

    /// Whether the driver still uses the socket of this connection.
    pub(crate) fn uses_socket(&self) -> bool {
        self.connecting || matches!(self.receive, Receive::Armed | Receive::Cancelling) || self.flight.under_way
    }

    /// Whether the kernel still reads memory of this connection, although the send is over: until the peer has
    /// acknowledged it, or the closed socket has given up.
    pub(crate) fn is_lent(&self) -> bool {
        self.flight.lent > 0
    }

    /// Whether the next send has to copy. At most one send at a time goes without, so that what is held is bounded by it.
    pub(crate) fn copying(&self) -> Copying {
        if self.flight.lent > 0 || self.flight.always_copy { Copying::Must } else { Copying::May }
    }

    /// Queues received bytes. True when the receive must be stopped until they have been read.
    #[inline]
    pub(crate) fn push_received(&mut self, data: Received) -> bool {
        let scarce = data.is_scarce();
        // Nearly always the only bytes that are there.
        let must_stop = !self.inbox.is_empty() && data.is_crowded();
        self.inbox.push(data, scarce);
        self.receive == Receive::Armed && (must_stop || self.inbox.bytes() >= self.inbox_bytes_max())
    }

    fn inbox_bytes_max(&self) -> usize {
        match self.armed_size {
            Size::Small => INBOX_BYTES_MAX,
            Size::Bulk => BULK_INBOX_BYTES_MAX,
        }
    }

    /// Whether a receive that was stopped may begin again.
    pub(crate) fn may_rearm(&self) -> bool {
        self.receive == Receive::Disarmed && self.inbox.bytes() <= self.inbox_bytes_max() / 2
    }

    /// Notes the usual end of a send, and gives its buffer: `sent` copied bytes were all that was queued, in
    /// one chunk, nothing is lent, and nobody waits. Anything else changes nothing, and is for [`ConnectionState::note_sent`].
    #[inline]
    pub(crate) fn finish_usual_send(&mut self, sent: usize) -> Option<Vec<u8>> {
        if self.flight.lent > 0 || self.abandoned || self.writer.is_some() {
            return None;
        }
        let buffer = self.outbox.finish_only(sent)?;
        self.flight.under_way = false;
        Some(buffer)
    }

    /// Notes a finished send. True when more is to be sent.
    pub(crate) fn note_sent(&mut self, result: Result<usize, Errno>, lent: bool, buffers: &mut SendBuffers) -> bool {
        self.flight.under_way = false;
        self.flight.lent += u32::from(lent);
        match result {
            Ok(sent) => self.note_sent_bytes(sent, buffers),
            Err(errno) => self.note_send_failed(errno, buffers),
        }
        !self.outbox.is_empty()
    }

    fn note_sent_bytes(&mut self, sent: usize, buffers: &mut SendBuffers) {
        // Also what copying sends have sent meanwhile: a chunk may have been lent in part and copied in part.
        let hold = self.flight.lent > 0;
        let (held, opened_by) = (&mut self.flight.held, self.outbox.opened_by());
        self.outbox.advance(sent, |chunk| keep_or_spare(chunk, hold, held, (opened_by, &mut *buffers)));
    }

    #[cold]
    fn note_send_failed(&mut self, errno: Errno, buffers: &mut SendBuffers) {
        self.send_failed = Some(errno);
        let hold = self.flight.lent > 0;
        let (held, opened_by) = (&mut self.flight.held, self.outbox.opened_by());
        self.outbox.clear(|chunk, in_flight| keep_or_spare(chunk, hold && in_flight, held, (opened_by, &mut *buffers)));
    }

    /// Notes that the kernel has released the memory of one zero-copy send.
    pub(crate) fn note_released(&mut self, buffers: &mut SendBuffers) {
        assert!(self.flight.lent > 0, "a release without a loan");
        self.flight.lent -= 1;
        if self.flight.lent == 0 {
            for chunk in self.flight.held.drain(..) {
                keep_or_spare(chunk, false, &mut Vec::new(), (self.outbox.opened_by(), &mut *buffers));
            }
        }
    }

    /// Gives the core the memory of a connection that is over: nothing of it is sent any more, and the kernel is done with it.
    pub(crate) fn give_buffers(&mut self, buffers: &mut SendBuffers) -> Vec<OutboxChunk> {
        let (mut shared, opened_by) = (Vec::new(), self.outbox.opened_by());
        let mut give = |chunk| match chunk {
            OutboxChunk::Owned(buffer) => buffers.give_queued(opened_by, buffer),
            OutboxChunk::Shared(_) => shared.push(chunk),
        };
        self.outbox.clear(|chunk, _| give(chunk));
        self.flight.held.drain(..).for_each(give);
        shared
    }

    /// The task to wake now that the send queue has shrunk, if it is small enough for it.
    pub(crate) fn writer_to_wake(&mut self) -> Option<TaskId> {
        let (task, below) = self.writer?;
        if self.queued_bytes() > below && self.send_failed.is_none() {
            return None;
        }
        self.writer = None;
        Some(task)
    }
}

fn keep_or_spare(
    chunk: OutboxChunk,
    hold: bool,
    held: &mut Vec<OutboxChunk>,
    (opened_by, buffers): (OpenedBy, &mut SendBuffers),
) {
    if hold {
        held.push(chunk);
    } else if let OutboxChunk::Owned(buffer) = chunk {
        buffers.give_queued(opened_by, buffer);
    }
}
