//! One connection to a node: kept up, spoken over by many tasks at once.
//!
//! ```text
//!   Down ──connect, HELLO──▶ Ready ──error, end, breaker──▶ Down ──(pause with jitter)──▶ …
//! ```
//!
//! **Not** ordered: answers come as the node has them; ids tell whose they are.
//!
//! **Invariants**: a request spends credit until it is answered or the connection ends; when it ends, everybody who
//! waits for an answer learns it at once.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use reactor::local::{OneSender, one};
use reactor::{Address, Connection, Instant, Reactor, Sender};
use shardstore::wire::Request;
use shardstore::wire::credits::Credits;
use shardstore::wire::hello::Hello;
use shardstore::wire::reassembly::{self, Part, Reassembler};
use shardstore::wire::session::Session;

use super::cluster::Cluster;
use super::link::Link;
use super::reply::Reply;
use super::session::{Answered, LinkError, Stream, answer, shake_hands};
use super::window::{Grant, Window};

/// How long a retired connection goes on for what is owed on it, and how long one may take no byte while we send.
const RETIRE_TIME: Duration = Duration::from_secs(10);

/// Values in chunks that a node may have under way to us on one connection.
const CHUNKED_ANSWERS_MAX: usize = 64;

struct Ready {
    sender: Sender,
    session: Session,
}

/// An answer that the node owes us.
struct Owed {
    sender: OneSender<Reply>,
    grant: Grant,
    /// When a part of it last came.
    progress: Option<Instant>,
}

pub(crate) struct Peer {
    /// The core of the node this connection belongs to.
    core: u16,
    ready: RefCell<Option<Ready>>,
    window: RefCell<Window>,
    owed: RefCell<BTreeMap<u64, Owed>>,
    next_id: Cell<u64>,
    /// When anything last came from the node.
    last_heard: Cell<Instant>,
    /// We have ended the connection ourselves; whoever did has counted why.
    hung_up: Cell<bool>,
    /// The link is retired: end the connection when nothing is owed on it.
    retiring: Cell<bool>,
}

/// How long a call may take.
#[derive(Clone, Copy)]
pub(crate) struct CallTime {
    /// By when the answer must have come, or the first part of it.
    pub(crate) first_sign: Instant,
    /// By when all of it must have, as long as parts keep coming.
    pub(crate) deadline: Instant,
}

/// Why a call has no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CallError {
    /// Nothing was sent: no connection in time.
    NotSent,
    /// Nothing was sent: too many wait, or credit did not come in time.
    Full,
    /// It was sent, and the connection ended before the answer.
    Lost,
    /// It was sent, and the answer did not come in time. `silent`: nor did anything else, for long enough to think that
    /// nothing ever will.
    TimedOut { silent: bool },
}

impl Peer {
    pub(crate) fn new(reactor: &Reactor, core: u16) -> Self {
        Peer {
            core,
            ready: RefCell::new(None),
            window: RefCell::new(Window::default()),
            owed: RefCell::new(BTreeMap::new()),
            next_id: Cell::new(1),
            last_heard: Cell::new(reactor.now()),
            hung_up: Cell::new(false),
            retiring: Cell::new(false),
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.borrow().is_some()
    }

    /// Ends the connection; its task starts over.
    pub(crate) fn hang_up(&self, now: Instant) {
        if let Some(ready) = &*self.ready.borrow() {
            self.hung_up.set(true);
            ready.sender.expire_at(now);
        }
    }

    /// Ends the connection once nothing is owed on it, and in any case within [`RETIRE_TIME`].
    pub(crate) fn retire(&self, now: Instant) {
        self.retiring.set(true);
        self.window.borrow_mut().dismiss();
        let at = if self.owed.borrow().is_empty() { now } else { now + RETIRE_TIME };
        self.hang_up(at);
    }

    /// Sends everybody away who waits for credit: the node is not to be asked now.
    pub(crate) fn dismiss(&self) {
        self.window.borrow_mut().dismiss();
    }

    /// Sends a request and waits for its answer, within `time`.
    pub(crate) async fn call(
        &self,
        cluster: &Cluster,
        link: &Link,
        mut request: Request<'_>,
        time: CallTime,
    ) -> Result<Reply, CallError> {
        let mut until = time.first_sign.min(time.deadline);
        if until <= cluster.reactor.now() {
            return Err(CallError::NotSent);
        }
        let (sender, receiver) = one(&cluster.reactor);
        request.id = self.next_id.get();
        self.next_id.set(request.id + 1);
        let grant = self.grant(cluster, link, &request, until).await?;
        let sent = cluster.reactor.now();
        if until <= sent {
            self.window.borrow_mut().refund(grant);
            return Err(CallError::Full);
        }
        request.deadline_us = budget_us(sent, until);
        self.write(&request);
        self.owed.borrow_mut().insert(request.id, Owed { sender, grant, progress: None });
        let mut receiving = std::pin::pin!(receiver.receive());
        loop {
            match cluster.reactor.until(until, receiving.as_mut()).await {
                Some(Some(reply)) => return Ok(reply),
                Some(None) => return Err(CallError::Lost),
                None => {}
            }
            // The credit stays spent until the node answers: it is still at work on it.
            let progress = self.owed.borrow().get(&request.id).and_then(|owed| owed.progress);
            let extended = progress.map_or(until, |at| (at + cluster.options.get().request_time).min(time.deadline));
            if extended <= cluster.reactor.now() {
                let silent = self.is_silent(cluster, sent);
                if silent {
                    self.hang_up(cluster.reactor.now());
                }
                return Err(CallError::TimedOut { silent });
            }
            until = extended;
        }
    }

    /// Whether nothing has come since `sent`, for as long as a connection may take to be made, although everything was
    /// sent: then it is the connection that is dead, not the node that is slow.
    fn is_silent(&self, cluster: &Cluster, sent: Instant) -> bool {
        let since = sent.max(self.last_heard.get());
        let sending = self.ready.borrow().as_ref().is_some_and(|ready| ready.sender.queued_bytes() > 0);
        let patience = if sending { RETIRE_TIME } else { cluster.options.get().connect_time };
        cluster.reactor.now().since(since) >= patience
    }

    /// Credit for a request; waits for its turn.
    async fn grant(
        &self,
        cluster: &Cluster,
        link: &Link,
        request: &Request<'_>,
        until: Instant,
    ) -> Result<Grant, CallError> {
        let bytes = shardstore::wire::HEADER_BYTES + request.op.key().len() + request.op.value().len();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Some(grant) = self.window.borrow_mut().take(bytes) {
            return Ok(grant);
        }
        if link.waiting.get() >= cluster.options.get().queue_per_node {
            return Err(CallError::Full);
        }
        let _place = Place::take(link);
        loop {
            if link.breaker.borrow().is_open() || link.retired.get() {
                return Err(CallError::NotSent);
            }
            let (sender, receiver) = one(&cluster.reactor);
            self.window.borrow_mut().wait(bytes, sender);
            match cluster.reactor.until(until, receiver.receive()).await {
                Some(Some(grant)) if self.window.borrow().is_current(&grant) => return Ok(grant),
                // Granted on a connection that has ended since: once more.
                Some(Some(_)) => {}
                Some(None) => return Err(CallError::NotSent),
                None if self.is_ready() => return Err(CallError::Full),
                None => return Err(CallError::NotSent),
            }
        }
    }

    /// Appends the request's frames to what leaves at the end of this pass.
    fn write(&self, request: &Request<'_>) {
        let ready = self.ready.borrow();
        let ready = ready.as_ref().expect("credit was spent on a connection that is up, and nothing was awaited since");
        let mut out = ready.sender.write();
        let value = request.op.value();
        let total = u32::try_from(value.len()).expect("bodies are bounded by 64 MiB");
        let frame_bytes_max = ready.session.limits.frame_value_bytes_max;
        if total <= frame_bytes_max {
            request.encode_head(ready.session.dialect(), Part::whole(total), &mut out);
            out.extend_from_slice(value);
            return;
        }
        for part in reassembly::split(total, frame_bytes_max) {
            request.encode_head(ready.session.dialect(), part, &mut out);
            out.extend_from_slice(&value[part.range()]);
        }
    }

    fn settle(&self, id: u64, credits: u16, reply: Option<Reply>) {
        let Some(owed) = self.owed.borrow_mut().remove(&id) else { return };
        self.window.borrow_mut().settle(owed.grant, credits);
        if let Some(reply) = reply {
            owed.sender.send(reply);
        }
        if self.retiring.get() && self.owed.borrow().is_empty() {
            self.hang_up(self.last_heard.get());
        }
    }

    fn note_progress(&self, id: u64) {
        if let Some(owed) = self.owed.borrow_mut().get_mut(&id) {
            owed.progress = Some(self.last_heard.get());
        }
    }

    fn go_down(&self) {
        *self.ready.borrow_mut() = None;
        self.window.borrow_mut().close();
        // Dropping what is owed tells everybody who waits.
        let owed = std::mem::take(&mut *self.owed.borrow_mut());
        drop(owed);
    }

    async fn converse(&self, cluster: &Rc<Cluster>, link: &Rc<Link>) -> Result<(), LinkError> {
        let now = cluster.reactor.now();
        let deadline = now + cluster.options.get().connect_time;
        let connection = cluster.reactor.connect(&Address::Tcp(link.address), deadline).await?;
        connection.set_deadline(deadline);
        let hello = Hello { wanted_core: self.core, ..cluster.hello() };
        let (session, stream) = shake_hands(&connection, &hello, link.id.0).await?;
        if link.retired.get() {
            return Err(LinkError::Ended);
        }
        connection.set_deadline(Instant::NEVER);
        link.note_success();
        *link.last_error.borrow_mut() = None;
        link.node_cores.set(session.peer_cores);
        link.grow(cluster);
        self.hung_up.set(false);
        self.last_heard.set(cluster.reactor.now());
        *self.ready.borrow_mut() = Some(Ready { sender: connection.sender(), session });
        self.window.borrow_mut().open(Credits::granted(session.send_requests, session.send_bytes));
        self.read_answers(&cluster.reactor, &connection, &session, stream).await
    }

    async fn read_answers(
        &self,
        reactor: &Reactor,
        connection: &Connection,
        session: &Session,
        mut stream: Stream,
    ) -> Result<(), LinkError> {
        let value_bytes_max = session.value_bytes_max;
        let bytes_max = u64::from(value_bytes_max) * 4;
        let mut reassembler = Reassembler::new(value_bytes_max, CHUNKED_ANSWERS_MAX, bytes_max);
        loop {
            let data = connection.receive().await?.ok_or(LinkError::Ended)?;
            self.last_heard.set(reactor.now());
            stream.feed(&data, &session.limits, |frame| {
                match answer(frame, &mut reassembler)? {
                    Answered::Whole { id, credits, reply } => self.settle(id, credits, reply),
                    Answered::Part { id } => self.note_progress(id),
                    Answered::Nothing => {}
                }
                Ok(())
            })?;
            connection.expect_bulk(stream.expects_bulk());
        }
    }
}

/// Keeps a connection up until its link is retired.
pub(crate) async fn run(cluster: Rc<Cluster>, link: Rc<Link>, peer: Rc<Peer>) {
    while !link.retired.get() {
        if peer.core > 0 && link.breaker.borrow().is_open() {
            // The first connection probes for all.
            link.changed.notified().await;
            continue;
        }
        let was_up = peer.converse(&cluster, &link).await;
        let idle = peer.owed.borrow().is_empty();
        let was_ready = peer.is_ready();
        peer.go_down();
        let Err(error) = was_up else { continue };
        // A node that closes a connection on which nothing is owed (for want of use, or because it drains) has not failed.
        let orderly = was_ready && idle && matches!(error, LinkError::Ended);
        if !orderly {
            cluster.note_link_error(&error);
            *link.last_error.borrow_mut() = Some(error.to_string());
        }
        if !orderly && !peer.hung_up.replace(false) {
            link.note_failure(&cluster);
        }
        if link.retired.get() {
            break;
        }
        cluster.reactor.sleep(pause(&cluster)).await;
    }
    peer.go_down();
}

/// Half to one and a half times the probe time, so that the cores of many edges do not knock in step.
fn pause(cluster: &Cluster) -> Duration {
    let base = cluster.options.get().breaker_probe_time;
    let spread = u64::try_from(base.as_micros()).unwrap_or(u64::MAX).max(1);
    base / 2 + Duration::from_micros(cluster.reactor.random() % spread)
}

fn budget_us(now: Instant, deadline: Instant) -> u32 {
    let micros = deadline.since(now).as_micros();
    // Zero would mean "no deadline" to the node.
    u32::try_from(micros).unwrap_or(u32::MAX).max(1)
}

/// A place among those who wait on a link; given back when dropped.
struct Place<'a>(&'a Link);

impl<'a> Place<'a> {
    fn take(link: &'a Link) -> Self {
        link.waiting.set(link.waiting.get() + 1);
        Place(link)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}
