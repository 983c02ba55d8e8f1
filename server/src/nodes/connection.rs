//! One connection to a node: kept up, spoken over by many tasks at once.
//!
//! ```text
//!   Down ──connect, HELLO──▶ Ready ──error, end, breaker──▶ Down ──(pause with jitter)──▶ …
//! ```
//!
//! **Not** ordered: responses come in any order; each names its request by id. What frames and credit are is the
//! protocol's [`CallerSession`].
//!
//! **Invariants**: a request spends credit until it is answered or the connection ends; when it ends, all calls that
//! wait for a response fail at once; a task that stops waiting for credit leaves no credit behind.

mod establish;
#[cfg(test)]
mod tests;
mod watch;

use std::cell::{Cell, RefCell};
use std::time::Duration;

use reactor::local::{Notify, OneSender, one};
use reactor::{Connection, ConnectionSender, Instant, Reactor};
use shardstore::planted::PlantedBug;
use shardstore::session::{
    AnswerReader, CallerSession, Claim, CorrelationId, CreditGrant, CreditWaker, Incoming, WaiterId, wire_bytes,
};
use shardstore::wire::hello::Hello;
use shardstore::wire::reassembly::ValuePart;
use shardstore::wire::request::Op as WireOp;
use shardstore::wire::{FrameError, Request};

use super::clock::NodeClock;
use super::fault::ConnectionFault;
use super::health::NodeHealth;
use super::response::NodeResponse;
use super::shared::ClusterShared;
pub(super) use establish::Established;
use watch::SendProgress;

/// How long a retired connection goes on for what is owed on it.
const RETIRE_TIME: Duration = Duration::from_secs(10);

/// Bytes of a frame still to come from which on they are received in bulk.
const BULK_BYTES_MIN: usize = 128 * 1024;

/// Wakes a task that waits for credit.
struct CallWaker(OneSender<()>);

impl CreditWaker for CallWaker {
    fn wake(self) {
        self.0.send(());
    }
}

/// What a call keeps with its request in flight.
struct PendingCall {
    /// None for a PING, which the connection itself sends.
    sender: Option<OneSender<NodeResponse>>,
    /// When a part of the response last came.
    progress: Option<Instant>,
}

type NodeSession = CallerSession<PendingCall, CallWaker>;

pub(crate) struct NodeConnection {
    reactor: Reactor,
    /// The core of the node this connection belongs to.
    pub(super) core: u16,
    /// Where to write, while the connection is up.
    sender: RefCell<Option<ConnectionSender>>,
    session: RefCell<NodeSession>,
    /// When anything last came from the node.
    last_heard: Cell<Instant>,
    progress: SendProgress,
    /// Epoch of the map in the HELLO of this connection.
    hello_epoch: Cell<u32>,
    /// The node's clock, where it has told it.
    clock: Cell<Option<NodeClock>>,
    /// A PING is under way.
    pinging: Cell<bool>,
    /// A request was sent while nothing was in flight.
    pub(super) begun: Notify,
    /// This process has ended the connection, and has counted why.
    closed: Cell<bool>,
    /// Nothing more is begun on it: end the connection when nothing is owed on it.
    retiring: Cell<bool>,
    /// Another has its place.
    replaced: Cell<bool>,
}

/// How long a call may take.
#[derive(Clone, Copy)]
pub(crate) struct CallTime {
    /// By when the response must have come, or the first part of it.
    pub(crate) first_sign: Instant,
    /// By when all of it must have, as long as parts keep coming.
    pub(crate) deadline: Instant,
}

/// Why a call has no response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CallError {
    /// Nothing was sent: no connection in time.
    NotSent,
    /// Nothing was sent: another connection has the place of this one.
    Replaced,
    /// Nothing was sent: too many wait, or credit did not come in time.
    Full,
    /// It was sent, and the connection ended before the response.
    Lost,
    /// It was sent, and the response did not come in time.
    TimedOut,
}

impl NodeConnection {
    pub(crate) fn new(reactor: &Reactor, core: u16) -> Self {
        NodeConnection {
            reactor: reactor.clone(),
            core,
            sender: RefCell::new(None),
            session: RefCell::default(),
            last_heard: Cell::new(reactor.now()),
            progress: SendProgress::new(reactor.now()),
            hello_epoch: Cell::new(0),
            clock: Cell::new(None),
            pinging: Cell::new(false),
            begun: Notify::new(reactor),
            closed: Cell::new(false),
            retiring: Cell::new(false),
            replaced: Cell::new(false),
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.sender.borrow().is_some()
    }

    /// Ends the connection at an instant; its task starts over.
    pub(crate) fn close(&self, at: Instant) {
        if let Some(sender) = &*self.sender.borrow() {
            self.closed.set(true);
            sender.expire_at(at);
        }
    }

    /// Ends the connection once nothing is owed on it, and in any case within [`RETIRE_TIME`].
    pub(crate) fn retire(&self, now: Instant) {
        self.retiring.set(true);
        self.dismiss();
        let at = if self.session.borrow().is_idle() { now } else { now + RETIRE_TIME };
        self.close(at);
    }

    /// Ends the connection once nothing is owed on it, and in any case at `end`: another has its place, which those who wait go to.
    pub(super) fn leave(&self, now: Instant, end: Instant) {
        self.replaced.set(true);
        self.retiring.set(true);
        self.dismiss();
        self.close(if self.session.borrow().is_idle() { now } else { end });
    }

    /// Whether another has its place.
    pub(super) fn is_replaced(&self) -> bool {
        self.replaced.get()
    }

    /// Why nothing is begun on it any more.
    fn left(&self) -> CallError {
        if self.replaced.get() { CallError::Replaced } else { CallError::NotSent }
    }

    /// Ends the wait of all calls that wait for credit: they fail.
    pub(crate) fn dismiss(&self) {
        self.session.borrow_mut().credit.dismiss();
    }

    /// Sends a request and waits for its response, within `time`.
    pub(crate) async fn call(
        &self,
        shared: &ClusterShared,
        node: &NodeHealth,
        mut request: Request<'_>,
        time: CallTime,
    ) -> Result<NodeResponse, CallError> {
        let mut until = time.first_sign.min(time.deadline);
        if until <= shared.reactor.now() {
            return Err(CallError::NotSent);
        }
        let grant = self.grant(shared, node, &request, until).await?;
        let sent = shared.reactor.now();
        if self.retiring.get() {
            // Its turn came just before the end, which does not wait for it.
            self.session.borrow_mut().credit.refund(grant);
            return Err(self.left());
        }
        if until <= sent {
            self.session.borrow_mut().credit.refund(grant);
            return Err(CallError::Full);
        }
        request.deadline_us = self.deadline_us(sent, until);
        let (sender, receiver) = one(&shared.reactor);
        let id = self.begin(grant, &mut request, PendingCall { sender: Some(sender), progress: None }, sent);
        self.write(shared, id, &request).await;
        let mut receiving = std::pin::pin!(receiver.receive());
        loop {
            match shared.reactor.until(until, receiving.as_mut()).await {
                Some(Some(response)) => return Ok(response),
                Some(None) => return Err(CallError::Lost),
                None => {}
            }
            // The credit stays spent until the node answers: it is still at work on it.
            let progress = self.session.borrow_mut().pending_mut(id).and_then(|pending| pending.progress);
            let extended = progress.map_or(until, |at| (at + shared.options.get().request_timeout).min(time.deadline));
            if extended <= shared.reactor.now() {
                return Err(CallError::TimedOut);
            }
            until = extended;
        }
    }

    /// A deadline as a request says it.
    fn deadline_us(&self, now: Instant, deadline: Instant) -> u32 {
        self.clock.get().map_or_else(|| budget_us(now, deadline), |clock| clock.deadline_us(deadline))
    }

    /// Says HELLO again, for the map that is in force now.
    pub(crate) fn say_hello(&self, shared: &ClusterShared) {
        // A node that has told no clock knows no second HELLO.
        if let Some(sender) = self.sender.borrow().as_ref().filter(|_| self.clock.get().is_some()) {
            let hello = Hello { wanted_core: self.core, ..shared.hello() };
            hello.encode(&mut sender.write());
        }
    }

    /// Credit for a request; waits for its turn.
    async fn grant(
        &self,
        shared: &ClusterShared,
        node: &NodeHealth,
        request: &Request<'_>,
        until: Instant,
    ) -> Result<CreditGrant, CallError> {
        let bytes = self.wire_bytes(request);
        if let Some(grant) = self.session.borrow_mut().credit.take(bytes) {
            return Ok(grant);
        }
        let Some(_waiting) = node.queue(shared.options.get().queue_per_node) else { return Err(CallError::Full) };
        loop {
            if node.breaker.borrow().is_open() || node.retired.get() || self.replaced.get() {
                return Err(self.left());
            }
            let (sender, receiver) = one(&shared.reactor);
            let id = self.session.borrow_mut().credit.wait(bytes, CallWaker(sender));
            let waiter = CreditWait { session: &self.session, id };
            let notified = shared.reactor.until(until, receiver.receive()).await;
            if notified.is_none() {
                return Err(if self.is_ready() { CallError::Full } else { CallError::NotSent });
            }
            let claim = self.session.borrow_mut().credit.claim(waiter.id);
            match claim {
                Claim::Granted(grant) => return Ok(grant),
                // Granted on a connection that has ended since: once more.
                Claim::Outlived | Claim::Waiting => {}
                Claim::Dismissed => return Err(self.left()),
            }
        }
    }

    /// What a request costs; while no connection is up, as if it went in one frame.
    fn wire_bytes(&self, request: &Request<'_>) -> u32 {
        let session = self.session.borrow();
        wire_bytes(&request.op, session.terms().map_or(u32::MAX, |terms| terms.limits.frame_value_bytes_max))
    }

    /// Begins a request on the connection that is up.
    fn begin(
        &self,
        grant: CreditGrant,
        request: &mut Request<'_>,
        pending: PendingCall,
        now: Instant,
    ) -> CorrelationId {
        let mut session = self.session.borrow_mut();
        if session.is_idle() {
            self.progress.moved.set(now);
            self.begun.notify();
        }
        let id = session.begin(grant, pending);
        request.id = id.0;
        if let WireOp::Read { key, .. } = request.op
            && session.terms().is_some_and(|terms| !terms.has_read())
        {
            // An older release: the whole value comes, and is cut where it is used.
            request.op = WireOp::Get { key };
        }
        id
    }

    /// Appends the request's frames to what leaves at the end of this pass; of a large value, one in each pass, so that others get
    /// their turn. It ends where the connection does.
    async fn write(&self, shared: &ClusterShared, id: CorrelationId, request: &Request<'_>) {
        let parts = self.session.borrow().parts(request);
        for part in parts {
            if part.offset > 0 {
                shared.reactor.yield_now().await;
            }
            let session = self.session.borrow();
            if session.position(id).is_none() {
                return;
            }
            if let Some(sender) = &*self.sender.borrow() {
                self.write_part(&session, request, part, sender);
            }
        }
    }

    /// Writes one frame, and counts its bytes.
    fn write_part(&self, session: &NodeSession, request: &Request<'_>, part: ValuePart, sender: &ConnectionSender) {
        let mut out = sender.write();
        let before = out.len();
        session.write_part(request, part, &mut out);
        self.progress.written.set(self.progress.written.get() + (out.len() - before) as u64);
    }

    /// A response has come; none that can be read, if `response` is none.
    fn release(&self, id: CorrelationId, credits: u16, response: Option<NodeResponse>) {
        let mut session = self.session.borrow_mut();
        let Some(at) = session.position(id) else { return };
        let pending = session.complete(at, credits);
        let is_idle = session.is_idle();
        drop(session);
        match (pending, response) {
            (Some(PendingCall { sender: Some(sender), .. }), Some(response)) => sender.send(response),
            (Some(PendingCall { sender: None, .. }), response) => {
                self.note_clock(response.map_or(0, |response| response.version));
            }
            (_, None) | (None, _) => {}
        }
        if self.retiring.get() && is_idle {
            self.close(self.last_heard.get());
        }
    }

    fn take(&self, incoming: Incoming<'_>) -> Result<(), FrameError> {
        match incoming {
            Incoming::Answer { id, credits, answer } => self.release(id, credits, NodeResponse::of(answer)?),
            Incoming::Part { id } => {
                if let Some(pending) = self.session.borrow_mut().pending_mut(id) {
                    pending.progress = Some(self.last_heard.get());
                }
            }
        }
        Ok(())
    }

    /// Whether no response is owed on it.
    pub(super) fn is_idle(&self) -> bool {
        self.session.borrow().is_idle()
    }

    /// Whether we have ended it ourselves; forgotten once it is asked.
    pub(super) fn take_closed(&self) -> bool {
        self.closed.replace(false)
    }

    pub(super) fn go_down(&self) {
        *self.sender.borrow_mut() = None;
        let pending = self.session.borrow_mut().close();
        // Dropping the pending calls wakes their tasks, which then fail with `CallError::Lost`.
        drop(pending);
    }

    /// Takes calls and reads responses until the connection ends.
    pub(super) async fn serve(
        &self,
        shared: &ClusterShared,
        node: &NodeHealth,
        established: Established,
    ) -> Result<(), ConnectionFault> {
        let Established { connection, terms, answers } = established;
        self.closed.set(false);
        self.retiring.set(false);
        self.last_heard.set(shared.reactor.now());
        self.progress.written.set(0);
        self.progress.taken.set(0);
        self.pinging.set(false);
        self.clock.set(terms.peer_clock_us.map(|told_us| NodeClock::new(told_us, shared.reactor.read_clock())));
        *self.sender.borrow_mut() = Some(connection.sender());
        let epoch = shared.topology.borrow().epoch();
        if self.hello_epoch.get() != epoch {
            self.say_hello(shared);
        }
        self.session.borrow_mut().open(terms);
        let ended = self.read_answers((shared, node), &connection, answers).await;
        // What is given up is not to arrive later: neither what waits here nor what the kernel still has.
        if !self.is_idle() && !PlantedBug::LateWrites.is_planted() {
            connection.reset();
        }
        ended
    }

    async fn read_answers(
        &self,
        (shared, node): (&ClusterShared, &NodeHealth),
        connection: &Connection,
        mut answers: AnswerReader,
    ) -> Result<(), ConnectionFault> {
        // Answers may have come behind the HELLO.
        answers.read(&[], &mut shared.spares.borrow_mut(), |incoming| self.take(incoming))?;
        loop {
            let Some(data) = self.receive(shared, node, connection).await? else { continue };
            self.last_heard.set(shared.reactor.now());
            answers.read(&data, &mut shared.spares.borrow_mut(), |incoming| self.take(incoming))?;
            connection.expect_bulk(answers.missing_bytes() >= BULK_BYTES_MIN);
        }
    }
}

/// A task that waits for credit; it leaves the queue when dropped, with what was set aside for it.
struct CreditWait<'a> {
    session: &'a RefCell<NodeSession>,
    id: WaiterId,
}

impl Drop for CreditWait<'_> {
    fn drop(&mut self) {
        self.session.borrow_mut().credit.cancel(self.id);
    }
}

fn budget_us(now: Instant, deadline: Instant) -> u32 {
    let micros = deadline.since(now).as_micros();
    // Zero would mean "no deadline" to the node.
    u32::try_from(micros).unwrap_or(u32::MAX).max(1)
}
