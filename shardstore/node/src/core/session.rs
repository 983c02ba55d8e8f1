//! A connection after its HELLO: reading, answering, waiting, ending.
//!
//! ```text
//!        ┌──────────────────────────────────────────────────────────┐
//!        ▼                                                          │
//!  serve what is there ─▶ write streams while there is room ─▶ wait for bytes, room or a notice
//!        │                                                          │
//!        └─ a fault ─▶ end        peer done, idle, slow, drained ───┘─▶ end
//! ```
//!
//! **Not**: what a frame means ([`super::serve`]).
//!
//! **Invariants**: nothing is read while the send queue is over [`QUEUE_BYTES_MAX`], too many streams wait, or a batch of several
//! slices is under way, so that a peer that does not read costs bounded memory; such a peer is cut after [`SLOW_TIME`].
//!
//! **Source**: docs/wire.md, "A connection"; docs/config.md, `limits.idle_timeout`.

use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use reactor::{Connection, ConnectionError, Instant, Received};
use shardstore::session::FrameReader;
use shardstore::session::server::PeerCredit;
use shardstore::wire::reassembly::ReassemblyError;
use shardstore::wire::terms::SessionTerms;
use store_runtime::budget::Lease;

use super::ahead;
use super::drain::QUIET;
use super::link::Link;
use super::permit::ConnectionPermit;
use super::serve::FrameHandler;
use super::{NodeCore, note};
use crate::metrics::Event;
use crate::plan::LINGER_TIME;

/// Answers queued for a peer before nothing more is read from it: some hundred microseconds of a 10 Gbps link. Less as the
/// core's send queues fill ([`NodeCore::queue_bytes_max`]).
pub(super) const QUEUE_BYTES_MAX: usize = 256 * 1024;

/// Queued bytes at which reading goes on.
const QUEUE_BYTES_LOW: usize = 64 * 1024;

/// Large answers that may wait for a peer before nothing more is read from it.
const STREAMS_MAX: usize = 8;

/// How long a peer may leave a full send queue unread.
const SLOW_TIME: Duration = Duration::from_secs(10);

/// The fault of a peer that has not shown its certificate for too long.
const AGE_FAULT: &str = "link_too_old";

/// A node ends what is so many times as old as an edge lets a connection become.
const LINK_TIMES_MAX: u32 = 2;

/// The fault of a peer that means another map by the epoch in force.
const MAP_FAULT: &str = "hello_map";

/// How a connection ends.
#[derive(Debug, PartialEq, Eq)]
enum SessionEnd {
    /// The peer is done, or the node is.
    Done,
    /// The peer broke the rules; the name of how.
    Fault(&'static str),
    Idle,
    Slow,
    /// No memory is left for a frame that has come in part.
    Full,
    Lost,
}

/// Serves a connection to its end, from what came behind the peer's HELLO. Our HELLO goes first.
pub(super) async fn run(permit: ConnectionPermit, connection: Connection, terms: SessionTerms, reader: FrameReader) {
    let core = Rc::clone(&permit.core);
    core.hello().encode(&mut connection.write());
    let (requests, bytes) = core.granted();
    let credit = PeerCredit::new(requests, bytes);
    let link = Rc::new(Link::new(connection.sender(), terms, credit, Rc::clone(&permit.attention)));
    let handler = FrameHandler::new(&core, &link, bytes);
    let now = core.reactor.now();
    let mut session = PeerSession {
        core: &core,
        connection: &connection,
        link,
        handler,
        reader,
        in_part: core.frames_in_part.empty_lease(),
        received: None,
        arrived: now,
        last_frame: now,
        room_until: None,
        ends_at: core.link_end(),
        ended: false,
    };
    let end = session.run().await;
    drop(session);
    match end {
        SessionEnd::Done => connection.finish(LINGER_TIME).await,
        SessionEnd::Fault(name) => {
            core.metrics().faults.note(name);
            connection.finish(LINGER_TIME).await;
        }
        SessionEnd::Idle => {
            note(&core, Event::Idle);
            connection.finish(LINGER_TIME).await;
        }
        SessionEnd::Slow => note(&core, Event::SlowReader),
        SessionEnd::Full => note(&core, Event::FrameRefused),
        SessionEnd::Lost => note(&core, Event::Lost),
    }
}

/// What a connection waited for.
enum Woken {
    Received(Result<Option<Received>, ConnectionError>),
    Room(Result<(), ConnectionError>),
    Notified,
}

impl Drop for PeerSession<'_> {
    fn drop(&mut self) {
        // Streams hold pins and leases; hops that are still to be answered hold the link, and must not keep those.
        self.link.streams.borrow_mut().clear();
    }
}

struct PeerSession<'a> {
    core: &'a Rc<NodeCore>,
    connection: &'a Connection,
    link: Rc<Link>,
    handler: FrameHandler,
    reader: FrameReader,
    /// For what the reader holds.
    in_part: Lease,
    /// A buffer that has arrived and is not read yet.
    received: Option<Received>,
    /// When the last bytes arrived.
    arrived: Instant,
    last_frame: Instant,
    /// Until when the peer has to make room.
    room_until: Option<Instant>,
    /// When the peer has to have shown its certificate again, on another connection.
    ends_at: Instant,
    /// The peer has sent all it will send.
    ended: bool,
}

impl PeerSession<'_> {
    async fn run(&mut self) -> SessionEnd {
        loop {
            if self.core.conflicts_with(self.link.map.get()) {
                return SessionEnd::Fault(MAP_FAULT);
            }
            if self.core.reactor.now() >= self.ends_at {
                return SessionEnd::Fault(AGE_FAULT);
            }
            if let Err(name) = self.serve_received() {
                return SessionEnd::Fault(name);
            }
            self.give_up_values();
            self.write_streams();
            if self.ended && self.is_quiet() {
                return SessionEnd::Done;
            }
            if !self.is_blocked() && (self.reader.has_backlog() || self.received.is_some()) {
                continue;
            }
            if !self.fits() {
                return SessionEnd::Full;
            }
            match self.wait().await {
                Woken::Received(Ok(Some(data))) => self.received = Some(data),
                Woken::Received(Ok(None)) => self.ended = true,
                Woken::Room(Ok(())) => self.room_until = None,
                Woken::Notified => {}
                Woken::Received(Err(ConnectionError::TimedOut)) | Woken::Room(Err(ConnectionError::TimedOut)) => {
                    if let Some(end) = self.judge_silence() {
                        return end;
                    }
                }
                Woken::Received(Err(_)) | Woken::Room(Err(_)) => return SessionEnd::Lost,
            }
        }
    }

    /// Whether the core has memory for what is held until more arrives.
    fn fits(&mut self) -> bool {
        let held = self.reader.held_bytes();
        self.in_part.shrink_to(held);
        self.in_part.covers(held)
    }

    /// Serves every whole frame that has arrived, until the peer has to read first.
    fn serve_received(&mut self) -> Result<(), &'static str> {
        while !self.is_blocked() {
            match self.received.take().or_else(|| self.connection.try_receive()) {
                Some(data) => {
                    self.arrived = self.core.reactor.now();
                    self.serve_buffer(&data)?;
                }
                None if self.reader.has_backlog() => self.serve_buffer(&[])?,
                None => return Ok(()),
            }
        }
        // The ring needs its buffers for others.
        if let Some(data) = self.received.take() {
            self.reader.hold(&data, &mut self.core.spares.borrow_mut());
        }
        Ok(())
    }

    /// Serves the frames of one buffer; all answers go into one opening of the send queue.
    fn serve_buffer(&mut self, received: &[u8]) -> Result<(), &'static str> {
        let core = self.core;
        let round = core.rounds.take().then(|| (core.metrics().requests_so_far(), core.reactor.read_clock()));
        let served = self.serve_frames(received);
        if let Some((before, began)) = round {
            core.metrics().note_duration(&before, core.reactor.read_clock().since(began));
        }
        served
    }

    #[inline(always)]
    fn serve_frames(&mut self, received: &[u8]) -> Result<(), &'static str> {
        let PeerSession { core, connection, link, handler, reader, arrived, last_frame, .. } = self;
        let queue_bytes_max = core.queue_bytes_max();
        let mut out = connection.write();
        // Bytes of the frames whose keys have been looked at ahead of need.
        let mut ahead_bytes = 0;
        let read = reader.read(received, &link.terms.limits, &mut core.spares.borrow_mut(), |frame, from| {
            if ahead_bytes == 0 {
                ahead_bytes = ahead::prefetch(core, from);
            }
            handler.take(frame, *arrived, &mut out)?;
            ahead_bytes = ahead_bytes.saturating_sub(frame.wire_bytes());
            *last_frame = core.reactor.now();
            let has_to_read = out.len() > queue_bytes_max || link.streams.borrow().len() >= STREAMS_MAX;
            Ok(if has_to_read || link.is_in_batch() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        // That its map is another one ends a connection as a fault of the frame that says so.
        let name = |error: ReassemblyError| if core.conflicts_with(link.map.get()) { MAP_FAULT } else { error.name() };
        read.map_err(name)
    }

    /// Writes frames of large answers while the send queue is short.
    fn write_streams(&mut self) {
        while self.connection.queued_bytes() <= QUEUE_BYTES_LOW {
            let mut streams = self.link.streams.borrow_mut();
            let Some(stream) = streams.front_mut() else { return };
            let bytes = stream.request_bytes();
            let is_done = stream.write_frame(
                &self.link.terms,
                &self.link.credit,
                self.core.reactor.now(),
                &mut self.connection.write(),
            );
            if is_done {
                streams.pop_front();
                self.link.credit.note_completed(bytes);
            }
        }
    }

    /// Gives up values that have taken too long to arrive.
    fn give_up_values(&mut self) {
        let now = self.core.reactor.now();
        if self.handler.gives_up_at().is_some_and(|at| at <= now) {
            self.handler.give_up_values(now, &mut self.connection.write());
        }
    }

    fn has_many_streams(&self) -> bool {
        self.link.streams.borrow().len() >= STREAMS_MAX
    }

    /// Whether nothing more is read from the peer for now.
    fn is_blocked(&self) -> bool {
        self.has_to_read() || self.link.is_in_batch()
    }

    /// Whether the peer has to read before anything more is read from it.
    fn has_to_read(&self) -> bool {
        self.connection.queued_bytes() > self.core.queue_bytes_max() || self.has_many_streams()
    }

    /// Whether nothing is under way.
    fn is_quiet(&self) -> bool {
        self.link.credit.waiting() == 0 && self.link.streams.borrow().is_empty() && !self.link.is_in_batch()
    }

    async fn wait(&mut self) -> Woken {
        let reads = !self.ended && !self.is_blocked();
        let wants_room = self.has_to_read() || !self.link.streams.borrow().is_empty();
        self.set_deadline(wants_room);
        let mut receiving = self.connection.receive();
        let mut drained = pin!(self.connection.drained(QUEUE_BYTES_LOW.min(self.core.queue_bytes_max() / 4)));
        let mut notified = pin!(self.link.attention.notified());
        poll_fn(|context| {
            if reads && let Poll::Ready(received) = Pin::new(&mut receiving).poll(context) {
                return Poll::Ready(Woken::Received(received));
            }
            if wants_room && let Poll::Ready(room) = drained.as_mut().poll(context) {
                return Poll::Ready(Woken::Room(room));
            }
            notified.as_mut().poll(context).map(|()| Woken::Notified)
        })
        .await
    }

    fn set_deadline(&mut self, wants_room: bool) {
        let now = self.core.reactor.now();
        let mut deadline = self.last_frame + self.core.limits().idle_timeout;
        if deadline <= now {
            // No request comes, but one is being answered: check again after as long.
            deadline = now + self.core.limits().idle_timeout;
        }
        if wants_room {
            deadline = deadline.min(*self.room_until.get_or_insert(now + SLOW_TIME));
        } else {
            self.room_until = None;
        }
        if let Some(at) = self.handler.gives_up_at() {
            deadline = deadline.min(at);
        }
        if self.core.is_draining() && self.is_quiet() {
            deadline = deadline.min(now + QUIET);
        }
        deadline = deadline.min(self.ends_at);
        self.connection.set_deadline(deadline);
    }

    /// What it means that the deadline has come.
    fn judge_silence(&self) -> Option<SessionEnd> {
        let now = self.core.reactor.now();
        if self.room_until.is_some_and(|until| now >= until) {
            return Some(SessionEnd::Slow);
        }
        if !self.is_quiet() {
            return None;
        }
        if self.core.is_draining() {
            return Some(SessionEnd::Done);
        }
        let idle_since = now.since(self.last_frame);
        (idle_since >= self.core.limits().idle_timeout).then_some(SessionEnd::Idle)
    }
}

impl NodeCore {
    /// When a connection that begins now ends, whatever is owed on it: never in the clear, where nobody shows anything.
    fn link_end(&self) -> Instant {
        let security = self.security.borrow();
        let time = security.listener.as_ref().map(|_| security.link_time * LINK_TIMES_MAX);
        time.map_or(Instant::NEVER, |time| self.reactor.now() + time)
    }

    /// Requests and bytes a peer may have in flight on a connection that begins now.
    fn granted(&self) -> (u32, u32) {
        let limits = self.limits();
        (u32::from(limits.requests_per_connection), limits.bytes_per_connection)
    }
}

#[cfg(test)]
mod tests;
