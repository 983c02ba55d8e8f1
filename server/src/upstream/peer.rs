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
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use reactor::local::{Event, OneSender, one};
use reactor::{Address, Connection, Instant, Reactor, Sender};
use shardstore::wire::Request;
use shardstore::wire::credits::{Credits, Spent};
use shardstore::wire::hello::Hello;
use shardstore::wire::reassembly::{self, Part, Reassembler};
use shardstore::wire::session::Session;

use super::cluster::Cluster;
use super::link::Link;
use super::reply::Reply;
use super::session::{LinkError, Stream, answer, shake_hands};

/// Values in chunks that a node may have under way to us on one connection.
const CHUNKED_ANSWERS_MAX: usize = 64;

struct Ready {
    sender: Sender,
    session: Session,
    credits: Credits,
}

struct Owed {
    sender: OneSender<Reply>,
    spent: Spent,
}

pub(crate) struct Peer {
    /// The core of the node this connection belongs to.
    core: u16,
    ready: RefCell<Option<Ready>>,
    owed: RefCell<HashMap<u64, Owed>>,
    next_id: Cell<u64>,
    /// When anything last came from the node.
    last_heard: Cell<Instant>,
    /// The connection came up or went down, or credit came back.
    changed: Event,
}

/// Why a call has no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CallError {
    /// Nothing was sent: no connection in time.
    NotSent,
    /// Nothing was sent: too many wait already.
    Full,
    /// It was sent, and the connection ended before the answer.
    Lost,
    /// It was sent, and the answer did not come in time.
    TimedOut,
}

impl Peer {
    pub(crate) fn new(reactor: &Reactor, core: u16) -> Self {
        Peer {
            core,
            ready: RefCell::new(None),
            owed: RefCell::new(HashMap::new()),
            next_id: Cell::new(1),
            last_heard: Cell::new(reactor.now()),
            changed: Event::new(reactor),
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready.borrow().is_some()
    }

    /// Ends the connection; its task starts over.
    pub(crate) fn hang_up(&self, now: Instant) {
        if let Some(ready) = &*self.ready.borrow() {
            ready.sender.expire_at(now);
        }
    }

    /// Sends a request and waits for its answer, until `deadline`.
    pub(crate) async fn call(
        &self,
        cluster: &Cluster,
        link: &Link,
        mut request: Request<'_>,
        deadline: Instant,
    ) -> Result<Reply, CallError> {
        let (sender, receiver) = one(&cluster.reactor);
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        request.id = id;
        let spent = match self.try_spend(&request) {
            Some(spent) => spent,
            None => self.wait_to_spend(cluster, link, &request, deadline).await?,
        };
        request.deadline_us = budget_us(cluster.reactor.now(), deadline);
        self.write(&request);
        self.owed.borrow_mut().insert(id, Owed { sender, spent });
        let sent = cluster.reactor.now();
        match cluster.reactor.until(deadline, receiver.receive()).await {
            Some(Some(reply)) => Ok(reply),
            Some(None) => Err(CallError::Lost),
            // The credit stays spent until the node answers: it is still at work on it.
            None => {
                if self.last_heard.get() <= sent {
                    // Not one byte since: more likely the connection is dead than the node slow with everything.
                    self.hang_up(cluster.reactor.now());
                }
                Err(CallError::TimedOut)
            }
        }
    }

    fn try_spend(&self, request: &Request<'_>) -> Option<Spent> {
        let bytes = shardstore::wire::HEADER_BYTES + request.op.key().len() + request.op.value().len();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.ready.borrow_mut().as_mut()?.credits.spend(bytes)
    }

    async fn wait_to_spend(
        &self,
        cluster: &Cluster,
        link: &Link,
        request: &Request<'_>,
        deadline: Instant,
    ) -> Result<Spent, CallError> {
        if link.waiting.get() >= cluster.options.queue_per_node {
            return Err(CallError::Full);
        }
        let _place = Place::take(link);
        loop {
            if let Some(spent) = self.try_spend(request) {
                return Ok(spent);
            }
            if link.breaker.borrow().is_open() || link.retired.get() {
                return Err(CallError::NotSent);
            }
            if cluster.reactor.until(deadline, self.changed.notified()).await.is_none() {
                return Err(CallError::NotSent);
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
        if let Some(ready) = &mut *self.ready.borrow_mut() {
            let starved = ready.credits.requests_free() == 0 || ready.credits.bytes_free() == 0;
            ready.credits.settle(owed.spent, credits);
            if starved {
                self.changed.notify();
            }
        }
        if let Some(reply) = reply {
            owed.sender.send(reply);
        }
    }

    fn go_down(&self) {
        *self.ready.borrow_mut() = None;
        // Dropping what is owed tells everybody who waits.
        let owed = std::mem::take(&mut *self.owed.borrow_mut());
        drop(owed);
        self.changed.notify();
    }

    async fn converse(&self, cluster: &Rc<Cluster>, link: &Rc<Link>) -> Result<(), LinkError> {
        let now = cluster.reactor.now();
        let deadline = now + cluster.options.connect_time;
        let connection = cluster.reactor.connect(&Address::Tcp(link.address), deadline).await?;
        connection.set_deadline(deadline);
        let hello = Hello { wanted_core: self.core, ..cluster.hello() };
        let (session, stream) = shake_hands(&connection, &hello, link.id.0).await?;
        connection.set_deadline(Instant::NEVER);
        link.note_success();
        *link.last_error.borrow_mut() = None;
        link.node_cores.set(session.peer_cores);
        link.grow(cluster);
        let credits = Credits::granted(session.send_requests, session.send_bytes);
        *self.ready.borrow_mut() = Some(Ready { sender: connection.sender(), session, credits });
        self.changed.notify();
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
                if let Some((id, credits, reply)) = answer(frame, &mut reassembler)? {
                    self.settle(id, credits, reply);
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
        let ended = peer.converse(&cluster, &link).await;
        peer.go_down();
        if let Err(error) = ended {
            cluster.note_link_error(&error);
            *link.last_error.borrow_mut() = Some(error.to_string());
        }
        link.note_failure(&cluster);
        if link.retired.get() {
            break;
        }
        cluster.reactor.sleep(pause(&cluster)).await;
    }
    peer.go_down();
}

/// Half to one and a half times the probe time, so that the cores of many edges do not knock in step.
fn pause(cluster: &Cluster) -> Duration {
    let base = cluster.options.breaker_probe_time;
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
