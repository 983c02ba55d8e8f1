//! A request on its way: from the core that takes it to the core that owns its key, and on to a node.
//!
//! ```text
//!   request ──▶ owner core? ──no──▶ hop ──▶ its owner core ──▶ (same path there) ──▶ response by mailbox
//!                 │ yes
//!                 ├─ no nodes behind:   the shard is the truth
//!                 └─ nodes are:         edge copy ──miss──▶ one fill per key ──▶ node       writes go through to the node
//! ```
//!
//! A value is read part by part, at the pace of whoever asks: what a request copies and what a response carries is bounded by
//! [`PART_BYTES_MAX`], and what only concerns what is known of a value moves none of it.
//!
//! **Not**: protocols; requests and responses are values.
//!
//! **Invariants**: all fills and writes of a key pass through its owner core, one place, in one order; before a write is answered,
//! the edge copy is the new value or gone, and no fill that began before it is joined or kept; a fill runs as a task of its
//! own, so that it does not end when the client that started it leaves. A response comes by the request's deadline, or is
//! [`Refusal::Unavailable`] (a read) or [`Refusal::Unknown`] (a write that was sent on).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use reactor::local::{OneSender, one};
use reactor::{CoreId, Reactor};
use shardstore::key::KeyHash;

use crate::budget::{Budget, Lease, Oversize};
use crate::edge_copy::{self, StagedCopy, Times};
use crate::fills::{Coalesced, Fill, FillBounds, Fills};
use crate::hop::{Hop, HopAnswer, HopId, HopMessage, Hops};
use crate::mail::CoreMail;
use crate::owner;
#[cfg(doc)]
use crate::request::PART_BYTES_MAX;
use crate::request::{
    FIRST_PART_BYTES, Outcome, ReadPart, Refusal, Source, StoreOp, StoreRequest, StoreResponse, StoredValue, Write,
};
use crate::staging::{NotStaged, STAGED_BYTES_MIN};
use crate::store::{Store, readings};
use crate::writes::Writes;

/// Longest time to live that the protocol of nodes carries: 49 days. What asks for more gets this, here and at the node alike.
const TTL_MS_MAX: u64 = u32::MAX as u64;

/// Longest value that is fetched as a whole and kept as a copy; of a longer one, each reader fetches the parts it wants.
pub const COPY_BYTES_MAX: usize = 1 << 20;

/// The owners of keys behind a process that has copies only: the nodes.
pub trait Behind: Sized + 'static {
    /// Asks the owner of a key, and waits until the request's deadline at most.
    fn call(self: &Rc<Self>, request: &StoreRequest) -> impl Future<Output = StoreResponse>;
}

/// What happens to requests, to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreEvent {
    /// A request went to another core.
    Hop,
    /// A request could not: a bound is reached.
    HopRefused,
    /// A fill began.
    Fill,
    /// A read waits for a fill that another read began.
    FillCoalesced,
}

/// What bounds requests.
#[derive(Clone, Copy, Debug)]
pub struct TierBounds {
    /// Of fills; their `edge_ttl` is also how long a copy is served.
    pub fills: FillBounds,
    /// How long after its beginning a read that waited for the fill of another read, which failed, may begin its own.
    pub retry_time: Duration,
    /// Memory of the core for what fills bring, until it is handed out.
    pub fetch_bytes_max: usize,
}

/// What the tiers of a core are made from.
pub struct TierPlan<B, M> {
    /// The core's part of the store.
    pub store: Rc<Store>,
    /// The core's end of its process's messages.
    pub mail: Rc<CoreMail<M>>,
    /// `None`: this process's shards are the truth.
    pub behind: Option<Rc<B>>,
    /// Bounds, which may change.
    pub bounds: TierBounds,
    /// Requests that may wait for other cores.
    pub hops_max: usize,
    /// Counts.
    pub note: Box<dyn Fn(StoreEvent)>,
}

/// The store as the requests of one core see it.
pub struct Tiers<B, M> {
    reactor: Reactor,
    store: Rc<Store>,
    mail: Rc<CoreMail<M>>,
    behind: Option<Rc<B>>,
    hops: Hops<OneSender<StoreResponse>>,
    fills: RefCell<Fills>,
    writes: RefCell<Writes>,
    bounds: Cell<TierBounds>,
    /// For what fills bring.
    fetched: Rc<Budget>,
    note: Box<dyn Fn(StoreEvent)>,
}

/// A message between the cores of a process that serve each other's requests.
pub type StoreMessage = HopMessage<StoreRequest, StoreResponse>;

impl<B: Behind, M: From<StoreMessage> + Send + 'static> Tiers<B, M> {
    /// The tiers of the core that `reactor` runs.
    #[must_use]
    pub fn new(reactor: &Reactor, plan: TierPlan<B, M>) -> Rc<Self> {
        Rc::new(Tiers {
            reactor: reactor.clone(),
            store: plan.store,
            mail: plan.mail,
            behind: plan.behind,
            hops: Hops::new(plan.hops_max),
            fills: RefCell::new(Fills::new(plan.bounds.fills)),
            writes: RefCell::default(),
            bounds: Cell::new(plan.bounds),
            fetched: Budget::new(plan.bounds.fetch_bytes_max, Oversize::Refuse),
            note: plan.note,
        })
    }

    /// Other bounds, from now on; fills and waiters beyond them stay until they are done.
    pub fn set_bounds(&self, bounds: TierBounds) {
        self.bounds.set(bounds);
        self.fetched.set_bytes_max(bounds.fetch_bytes_max);
        self.fills.borrow_mut().set_bounds(bounds.fills);
    }

    /// Keys being filled.
    #[must_use]
    pub fn fills(&self) -> usize {
        self.fills.borrow().len()
    }

    /// Bytes leased for what fills bring.
    #[must_use]
    pub fn fetched_bytes(&self) -> usize {
        self.fetched.leased_bytes()
    }

    /// Serves a request here or on the core that owns its key.
    pub async fn serve(self: &Rc<Self>, request: StoreRequest) -> StoreResponse {
        let owner = self.store.cores().owner(request.hash);
        if owner == self.reactor.core() {
            return self.serve_own(request).await;
        }
        match self.inspect_in_place(&request) {
            Some(outcome) => StoreResponse::from_shard(outcome),
            None => self.hop(owner, request).await,
        }
    }

    /// What is known of a key of another core, where that is all that is asked, and may be known here.
    fn inspect_in_place(&self, request: &StoreRequest) -> Option<Outcome> {
        let StoreOp::Inspect { fresh } = request.op else { return None };
        let is_authority = self.behind.is_none();
        if fresh && !is_authority {
            return None;
        }
        let outcome = self.store.inspect_remote((request.hash, &request.key))?;
        // That there is no copy says nothing.
        (is_authority || matches!(outcome, Outcome::Found(_))).then_some(outcome)
    }

    async fn hop(&self, owner: CoreId, request: StoreRequest) -> StoreResponse {
        let (sender, receiver) = one(&self.reactor);
        let (deadline, is_read) = (request.deadline, request.op.is_read());
        (self.note)(StoreEvent::Hop);
        let Ok(id) = self.hops.ask(&self.mail, owner, (deadline, request), sender) else {
            (self.note)(StoreEvent::HopRefused);
            return StoreResponse::refused(Refusal::Busy);
        };
        let _slot = WaitingHop { hops: &self.hops, id };
        match self.reactor.until(deadline, receiver.receive()).await {
            Some(Some(response)) => response,
            // It was sent: the outcome of a write is not known.
            Some(None) | None => StoreResponse::refused(if is_read { Refusal::Unavailable } else { Refusal::Unknown }),
        }
    }

    /// Takes a message of another core.
    pub fn take(self: &Rc<Self>, from: CoreId, message: StoreMessage) {
        match message {
            HopMessage::Ask(hop) => self.serve_for(from, *hop),
            HopMessage::Answer(answer) => {
                let HopAnswer { id, answer } = *answer;
                // A response after the deadline has no waiter.
                if let Some(waiting) = self.hops.take(id) {
                    waiting.send(answer);
                }
            }
        }
    }

    /// Serves a request of another core: at once where the shard is the truth and no large value is written, else as a task of its
    /// own.
    fn serve_for(self: &Rc<Self>, from: CoreId, hop: Hop<StoreRequest>) {
        let Hop { id, deadline, request } = hop;
        if self.reactor.now() > deadline {
            return self.answer(from, id, StoreResponse::refused(Refusal::Unavailable));
        }
        if self.behind.is_none() && !is_staged(&request) {
            return self.answer(from, id, self.apply(&request));
        }
        let serving = Rc::clone(self);
        let task = async move {
            let response = serving.serve_own(request).await;
            serving.answer(from, id, response);
        };
        if self.reactor.spawn(task).is_err() {
            self.answer(from, id, StoreResponse::refused(Refusal::Busy));
        }
    }

    fn answer(&self, to: CoreId, id: HopId, answer: StoreResponse) {
        self.mail.deliver(to, HopMessage::Answer(Box::new(HopAnswer { id, answer })).into());
    }

    /// Does what is asked of a key of this core, whose shard is the truth.
    fn apply(&self, request: &StoreRequest) -> StoreResponse {
        let key = (request.hash, &request.key[..]);
        StoreResponse::from_shard(match (&request.op, request.op.as_write()) {
            (_, Some(write)) => owner::apply(&mut self.store.shard(), key, &write, readings(&self.reactor)),
            (StoreOp::Read(part), None) => self.store.read(key, part),
            (_, None) => self.store.inspect(key),
        })
    }

    /// Writes a large value to a key of this core, whose shard is the truth.
    async fn write_staged(&self, request: &StoreRequest) -> StoreResponse {
        let Some(Write::Set(set)) = request.op.as_write() else { return self.apply(request) };
        let key = (request.hash, &request.key[..]);
        StoreResponse::from_shard(match self.store.stage(key, &set, request.deadline, || true).await {
            Ok(staged) => owner::outcome_of(staged.apply(key, &set)),
            Err(NotStaged::Refused(written)) => owner::outcome_of(written),
            Err(NotStaged::GivenUp) => Outcome::Refused(Refusal::Unavailable),
        })
    }

    async fn serve_own(self: &Rc<Self>, request: StoreRequest) -> StoreResponse {
        let Some(behind) = &self.behind else {
            return if is_staged(&request) { self.write_staged(&request).await } else { self.apply(&request) };
        };
        match request.op {
            StoreOp::Read(ReadPart { version: Some(_), .. }) => self.read_on(behind, &request).await,
            StoreOp::Inspect { fresh: true } | StoreOp::Read(ReadPart { fresh: true, .. }) => {
                // Not coalesced with a question that began earlier, and so never older than this request.
                let response = behind.call(&request).await;
                self.forget_older(&request, &response);
                response.for_op(&request.op)
            }
            StoreOp::Inspect { .. } | StoreOp::Read(_) => self.get(&request).await,
            StoreOp::Set(_) | StoreOp::Delete { .. } => self.write(behind, request).await,
        }
    }

    /// Reads a part of a value of which a part is known: of a copy of that version, or of the node's value.
    async fn read_on(&self, behind: &Rc<B>, request: &StoreRequest) -> StoreResponse {
        let copy = self.apply(request);
        if matches!(copy.outcome, Outcome::Found(_)) {
            return copy;
        }
        behind.call(request).await.for_op(&request.op)
    }

    async fn get(self: &Rc<Self>, request: &StoreRequest) -> StoreResponse {
        let copy = self.apply(request);
        if matches!(copy.outcome, Outcome::Found(_)) {
            return copy;
        }
        let began = self.reactor.now();
        let (response, is_other) = self.coalesce(request).await;
        if is_other && response.is_unavailable() && self.reactor.now() < began + self.bounds.get().retry_time {
            // The fill was begun by another read, and earlier; this read still has time for its own.
            return self.coalesce(request).await.0;
        }
        response
    }

    /// Waits for the key's fill, or starts one; the flag is true if another read had started it.
    async fn coalesce(self: &Rc<Self>, request: &StoreRequest) -> (StoreResponse, bool) {
        let (sender, receiver) = one(&self.reactor);
        let waiter = (sender, matches!(request.op, StoreOp::Read(_)));
        let coalesced = self.fills.borrow_mut().coalesce(&request.key, waiter, self.reactor.now());
        let is_other = matches!(coalesced, Coalesced::Waiting);
        match coalesced {
            Coalesced::Full => return (StoreResponse::refused(Refusal::Busy), false),
            Coalesced::Waiting => (self.note)(StoreEvent::FillCoalesced),
            Coalesced::Start(fill) => {
                (self.note)(StoreEvent::Fill);
                if self.writes.borrow().is_writing(&request.key) {
                    // What the node says now may be older than the write that is under way.
                    fill.do_not_keep();
                }
                let op = match request.op {
                    StoreOp::Read(_) => StoreOp::Read(ReadPart::beginning(false)),
                    _ => StoreOp::Inspect { fresh: false },
                };
                let asking = StoreRequest { key: request.key.clone(), op, ..*request };
                if self.reactor.spawn(Rc::clone(self).fill(asking, fill)).is_err() {
                    self.fills.borrow_mut().invalidate_inflight(&request.key);
                    return (StoreResponse::refused(Refusal::Busy), false);
                }
            }
        }
        match self.reactor.until(request.deadline, receiver.receive()).await {
            Some(Some(response)) => (response.for_op(&request.op), is_other),
            Some(None) | None => (StoreResponse::refused(Refusal::Unavailable), is_other),
        }
    }

    /// Calls the node once, keeps the value if it may, and sends the response to all waiters.
    async fn fill(self: Rc<Self>, request: StoreRequest, fill: Rc<Fill>) {
        let lease = self.fetched.wait(&self.reactor, FIRST_PART_BYTES, request.deadline).await;
        // From before the node is asked: a copy is no older than this says.
        let serve_until_ms = self.reactor.steady_ms() + self.edge_ttl_ms();
        let (mut response, _lease) = match lease {
            Some(lease) if self.reactor.now() < request.deadline => self.fetch(&request, &fill, lease).await,
            _ => (StoreResponse::refused(Refusal::Busy), None),
        };
        // Before the fill is finished: a write until then has no copy kept.
        let staged = match &response.outcome {
            Outcome::Found(value) => self.stage_copy(&request, value, serve_until_ms, || fill.may_keep()).await,
            _ => None,
        };
        let finished = self.fills.borrow_mut().finish(&request.key, &fill);
        if let (true, Outcome::Found(value)) = (finished.may_keep, &response.outcome) {
            self.keep(&request, (value, staged), serve_until_ms);
        }
        if let Source::Node { collapsed, .. } = &mut response.source {
            *collapsed = finished.waiters.len() > 1;
        }
        for waiter in finished.waiters {
            waiter.send(response.clone());
        }
    }

    /// Asks the node for a value, for all of it where a copy of it may be kept; with what it is leased by.
    async fn fetch(&self, request: &StoreRequest, fill: &Fill, mut lease: Lease) -> (StoreResponse, Option<Lease>) {
        let behind = self.behind.as_ref().expect("only what has somebody behind it is filled");
        let response = behind.call(request).await;
        let Outcome::Found(first) = &response.outcome else { return (response, None) };
        let is_wanted = fill.wants_value() && fill.may_keep() && self.edge_ttl_ms() > 0;
        if first.is_whole() || !is_wanted || first.value_bytes > COPY_BYTES_MAX {
            return (response, Some(lease));
        }
        // Where there is no room for all of it, whoever asks gets what there is, and then part after part.
        if !lease.grow(first.value_bytes.saturating_sub(FIRST_PART_BYTES)) {
            return (response, Some(lease));
        }
        match self.fetch_rest(behind, request, first).await {
            Some(outcome) => (StoreResponse { outcome, ..response }, Some(lease)),
            None => (response, Some(lease)),
        }
    }

    /// The whole value of which the beginning is here; `None` when the rest cannot be had.
    async fn fetch_rest(&self, behind: &Rc<B>, request: &StoreRequest, first: &StoredValue) -> Option<Outcome> {
        let mut bytes = Vec::with_capacity(first.value_bytes);
        bytes.extend_from_slice(&first.part);
        while bytes.len() < first.value_bytes {
            let rest = ReadPart {
                offset: bytes.len(),
                bytes_max: first.value_bytes - bytes.len(),
                version: Some(first.version),
                is_first: bytes.is_empty(),
                fresh: false,
            };
            let asking = StoreRequest { key: request.key.clone(), op: StoreOp::Read(rest), ..*request };
            match behind.call(&asking).await.outcome {
                Outcome::Found(next) if next.offset == bytes.len() && !next.part.is_empty() => {
                    bytes.extend_from_slice(&next.part);
                }
                _ => return None,
            }
        }
        if shardstore::wire::checksum(&bytes) != first.value_crc32c {
            return Some(Outcome::Refused(Refusal::Corrupt));
        }
        Some(Outcome::Found(StoredValue { offset: 0, part: Arc::new(bytes), ..first.clone() }))
    }

    /// Puts a write through to the node.
    async fn write(&self, behind: &Rc<B>, mut request: StoreRequest) -> StoreResponse {
        if let StoreOp::Set(set) = &mut request.op {
            set.ttl_ms = set.ttl_ms.min(TTL_MS_MAX);
        }
        let inflight = WriteInflight::begin(self, &request);
        let now_ms = self.reactor.steady_ms();
        let serve_until_ms = now_ms + self.edge_ttl_ms();
        let response = behind.call(&request).await;
        let stored = match (&response.outcome, &mut request.op) {
            (Outcome::Stored { version, .. }, StoreOp::Set(set))
                if set.value.len() <= COPY_BYTES_MAX && !set.no_store =>
            {
                Some(StoredValue {
                    version: *version,
                    expire_ms: if set.ttl_ms == 0 { 0 } else { now_ms + set.ttl_ms },
                    metadata: std::mem::take(&mut set.metadata).into(),
                    value_bytes: set.value.len(),
                    value_crc32c: set.value_crc32c,
                    offset: 0,
                    part: Arc::clone(&set.value),
                })
            }
            _ => None,
        };
        // Before the write is ended: of two that overlap neither has a copy kept.
        let staged = match &stored {
            Some(value) => self.stage_copy(&request, value, serve_until_ms, || true).await,
            None => None,
        };
        if let (true, Some(value)) = (inflight.end(), &stored) {
            self.keep(&request, (value, staged), serve_until_ms);
        }
        response
    }

    fn edge_ttl_ms(&self) -> u64 {
        u64::try_from(self.bounds.get().fills.edge_ttl.as_millis()).unwrap_or(u64::MAX)
    }

    /// Brings in the bytes of a value of which a copy may be kept, where they are too many for one turn.
    async fn stage_copy(
        &self,
        request: &StoreRequest,
        value: &StoredValue,
        serve_until_ms: u64,
        is_wanted: impl Fn() -> bool,
    ) -> Option<StagedCopy<'_>> {
        let is_wanted = || is_wanted() && self.reactor.now() < request.deadline;
        if value.value_bytes <= STAGED_BYTES_MIN || !is_wanted() {
            return None;
        }
        let times = Times { now_ms: self.reactor.steady_ms(), serve_until_ms };
        StagedCopy::stage(&self.store, (request.hash, &request.key), value, times, is_wanted).await
    }

    /// Keeps a copy; a large one if it was staged.
    fn keep(
        &self,
        request: &StoreRequest,
        (value, staged): (&StoredValue, Option<StagedCopy<'_>>),
        serve_until_ms: u64,
    ) {
        let times = Times { now_ms: self.reactor.steady_ms(), serve_until_ms };
        let key = (request.hash, &*request.key);
        match staged {
            Some(staged) => staged.keep(key, value, times),
            None if value.value_bytes <= STAGED_BYTES_MIN => {
                edge_copy::keep(&mut self.store.shard(), key, value, times);
            }
            None => {}
        }
    }

    /// A read that went to the node has seen more than our copy, if that is older.
    fn forget_older(&self, request: &StoreRequest, response: &StoreResponse) {
        let version = match &response.outcome {
            Outcome::Found(value) => Some(value.version),
            Outcome::Absent => None,
            _ => return,
        };
        let now_ms = self.reactor.steady_ms();
        edge_copy::forget_older(&mut self.store.shard(), (request.hash, &request.key), version, now_ms);
    }
}

impl<B, M> Tiers<B, M> {
    /// A write to a key begins or ends: neither its copy nor what is being fetched can be trusted to have seen it.
    fn forget(&self, hash: KeyHash, key: &[u8]) {
        self.fills.borrow_mut().invalidate_inflight(key);
        edge_copy::forget(&mut self.store.shard(), (hash, key), self.reactor.steady_ms());
    }
}

/// Whether a request writes a value that is copied slice by slice.
fn is_staged(request: &StoreRequest) -> bool {
    matches!(&request.op, StoreOp::Set(set) if set.value.len() > STAGED_BYTES_MIN)
}

/// A slot in which a hop waits; free when dropped, also when its client has left.
struct WaitingHop<'a> {
    hops: &'a Hops<OneSender<StoreResponse>>,
    id: HopId,
}

impl Drop for WaitingHop<'_> {
    fn drop(&mut self) {
        self.hops.take(self.id);
    }
}

/// A write under way; ended when dropped, also when its client has left.
struct WriteInflight<'a, B, M> {
    tiers: &'a Tiers<B, M>,
    key: Box<[u8]>,
    hash: KeyHash,
    is_ended: bool,
}

impl<'a, B, M> WriteInflight<'a, B, M> {
    fn begin(tiers: &'a Tiers<B, M>, request: &StoreRequest) -> Self {
        tiers.writes.borrow_mut().begin(&request.key);
        tiers.forget(request.hash, &request.key);
        WriteInflight { tiers, key: request.key.clone(), hash: request.hash, is_ended: false }
    }

    /// True when no other write to the key overlapped.
    fn end(mut self) -> bool {
        self.is_ended = true;
        self.close()
    }

    fn close(&self) -> bool {
        self.tiers.forget(self.hash, &self.key);
        self.tiers.writes.borrow_mut().end(&self.key)
    }
}

impl<B, M> Drop for WriteInflight<'_, B, M> {
    fn drop(&mut self) {
        if !self.is_ended {
            self.close();
        }
    }
}

#[cfg(test)]
mod tests;
