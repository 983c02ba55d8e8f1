//! Serving an ask on the core that owns its key.
//!
//! **Not** aware of clients: answers go back to whoever asked.
//!
//! **Invariants**: before a write is answered, the local copy is the new value or gone, and no fill that began before
//! it can be joined or kept; a fill runs as a task of its own, so that a client that leaves takes nobody's answer with it.

use std::rc::Rc;

use reactor::local::one;
use store_runtime::edge_copy::{self, Times};
use store_runtime::owner;
use store_runtime::request::{Outcome, Refusal, Source, StoreOp, StoreRequest, StoreResponse, StoredValue};

use super::fills::{Fill, Joined};
use crate::edge::EdgeCore;
use crate::nodes::Cluster;

/// Longest time to live that the protocol carries: 49 days. What asks for more gets this, here and at the node alike.
const TTL_MS_MAX: u64 = u32::MAX as u64;

/// Serves an ask whose key this core owns.
pub(crate) async fn serve(core: &Rc<EdgeCore>, ask: StoreRequest) -> StoreResponse {
    let Some(cluster) = &core.cluster else {
        let now_ms = core.reactor.wall_ms();
        return owner::apply(&mut core.store.shard(), (ask.hash, &ask.key), &ask.op, now_ms);
    };
    match ask.op {
        StoreOp::Get { fresh } => get(core, cluster, ask, fresh).await,
        StoreOp::Set(_) | StoreOp::Delete { .. } => write(core, cluster, ask).await,
    }
}

async fn get(core: &Rc<EdgeCore>, cluster: &Rc<Cluster>, ask: StoreRequest, fresh: bool) -> StoreResponse {
    if fresh {
        // Not joined to a question that began earlier, and so never older than this request.
        let answer = cluster.call(&ask).await;
        forget_older(core, &ask, &answer);
        return answer;
    }
    if let Some(found) = near_copy(core, &ask) {
        return StoreResponse::from_shard(Outcome::Found(found));
    }
    let began = core.reactor.now();
    let (answer, joined) = join(core, cluster, &ask).await;
    let patience = core.snapshot().settings.upstream.request_time / 2;
    if joined && answer.is_unavailable() && core.reactor.now() < began + patience {
        // The question was somebody else's, and older; this read still has time for one of its own.
        return join(core, cluster, &ask).await.0;
    }
    answer
}

/// Waits for the key's fill, or starts one; whether it was somebody else's.
async fn join(core: &Rc<EdgeCore>, cluster: &Rc<Cluster>, ask: &StoreRequest) -> (StoreResponse, bool) {
    let (sender, receiver) = one(&core.reactor);
    let joined = core.fills.borrow_mut().join(&ask.key, sender, core.reactor.now());
    let is_other = matches!(joined, Joined::Waiting);
    match joined {
        Joined::Full => return (StoreResponse::refused(Refusal::Busy), false),
        Joined::Waiting => core.metrics.fills_joined.add(1),
        Joined::Start(fill) => {
            core.metrics.fills.add(1);
            if core.writes.borrow().is_writing(&ask.key) {
                // What the node says now may be older than the write that is under way.
                fill.do_not_keep();
            }
            let asking =
                StoreRequest { key: ask.key.clone(), hash: ask.hash, op: StoreOp::Get { fresh: false }, ..*ask };
            let task = self::fill(Rc::clone(core), Rc::clone(cluster), asking, fill);
            if core.reactor.spawn(task).is_err() {
                core.fills.borrow_mut().overtake(&ask.key);
                return (StoreResponse::refused(Refusal::Busy), false);
            }
        }
    }
    match core.reactor.until(ask.deadline, receiver.receive()).await {
        Some(Some(answer)) => (answer, is_other),
        Some(None) | None => (StoreResponse::refused(Refusal::Unavailable), is_other),
    }
}

/// A read that went to the owner has seen more than our copy, if that is older.
fn forget_older(core: &EdgeCore, ask: &StoreRequest, answer: &StoreResponse) {
    let version = match &answer.outcome {
        Outcome::Found(found) => Some(found.version),
        Outcome::Absent => None,
        _ => return,
    };
    edge_copy::forget_older(&mut core.store.shard(), (ask.hash, &ask.key), version, core.reactor.wall_ms());
}

fn near_copy(core: &EdgeCore, ask: &StoreRequest) -> Option<StoredValue> {
    edge_copy::get(&mut core.store.shard(), (ask.hash, &ask.key), core.reactor.wall_ms())
}

/// Asks the node once, keeps the answer if it may, and hands it to all who wait.
async fn fill(core: Rc<EdgeCore>, cluster: Rc<Cluster>, ask: StoreRequest, fill: Rc<Fill>) {
    let serve_until_ms = core.reactor.wall_ms() + core.snapshot().near_ttl_ms();
    let mut answer = cluster.call(&ask).await;
    let finished = core.fills.borrow_mut().finish(&ask.key, &fill);
    if let (true, Outcome::Found(found)) = (finished.may_keep, &answer.outcome) {
        keep(&core, &ask, found, serve_until_ms);
    }
    if let Source::Node { collapsed, .. } = &mut answer.source {
        *collapsed = finished.waiters.len() > 1;
    }
    for waiter in finished.waiters {
        waiter.send(answer.clone());
    }
}

fn keep(core: &EdgeCore, ask: &StoreRequest, found: &StoredValue, serve_until_ms: u64) {
    let times = Times { now_ms: core.reactor.wall_ms(), serve_until_ms };
    edge_copy::keep(&mut core.store.shard(), (ask.hash, &ask.key), found, times);
}

/// Puts a write through to the node.
async fn write(core: &Rc<EdgeCore>, cluster: &Rc<Cluster>, mut ask: StoreRequest) -> StoreResponse {
    if let StoreOp::Set(set) = &mut ask.op {
        set.ttl_ms = set.ttl_ms.min(TTL_MS_MAX);
    }
    let guard = WriteGuard::begin(core, &ask);
    let now_ms = core.reactor.wall_ms();
    let serve_until_ms = now_ms + core.snapshot().near_ttl_ms();
    let answer = cluster.call(&ask).await;
    let alone = guard.end();
    if let (true, Outcome::Stored { version, .. }) = (alone, &answer.outcome)
        && let StoreOp::Set(set) = &mut ask.op
    {
        let expire_ms = if set.ttl_ms == 0 { 0 } else { now_ms + set.ttl_ms };
        let found = StoredValue {
            version: *version,
            expire_ms,
            metadata: std::mem::take(&mut set.metadata).into(),
            value: std::mem::take(&mut set.value).into(),
        };
        keep(core, &ask, &found, serve_until_ms);
    }
    answer
}

/// A write under way; ended when dropped, also when its client has left.
struct WriteGuard<'a> {
    core: &'a EdgeCore,
    key: Box<[u8]>,
    hash: shardstore::key::KeyHash,
    ended: bool,
}

impl<'a> WriteGuard<'a> {
    fn begin(core: &'a EdgeCore, ask: &StoreRequest) -> Self {
        core.writes.borrow_mut().begin(&ask.key);
        let guard = WriteGuard { core, key: ask.key.clone(), hash: ask.hash, ended: false };
        guard.forget_copies();
        guard
    }

    fn forget_copies(&self) {
        self.core.fills.borrow_mut().overtake(&self.key);
        edge_copy::forget(&mut self.core.store.shard(), (self.hash, &self.key), self.core.reactor.wall_ms());
    }

    /// True when no other write to the key overlapped.
    fn end(mut self) -> bool {
        self.ended = true;
        self.forget_copies();
        self.core.writes.borrow_mut().end(&self.key)
    }
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.forget_copies();
            self.core.writes.borrow_mut().end(&self.key);
        }
    }
}
