//! Serving an ask on the core that owns its key.
//!
//! **Not** aware of clients: answers go back to whoever asked.
//!
//! **Invariants**: before a write is answered, the local copy is the new value or gone, and no fill that began before
//! it can be joined or kept; a fill runs as a task of its own, so that a client that leaves takes nobody's answer with it.

use std::rc::Rc;

use reactor::local::one;

use super::ask::{Answer, Ask, Found, Op, Outcome, Refusal};
use super::embedded;
use super::fills::{Fill, Joined};
use super::near::{self, Times};
use crate::edge::EdgeCore;
use crate::nodes::Cluster;

/// Longest time to live that the protocol carries: 49 days. What asks for more gets this, here and at the node alike.
const TTL_MS_MAX: u64 = u32::MAX as u64;

/// Serves an ask whose key this core owns.
pub(crate) async fn serve(core: &Rc<EdgeCore>, ask: Ask) -> Answer {
    let Some(cluster) = &core.cluster else {
        let now_ms = core.reactor.wall_ms();
        return embedded::apply(&mut core.shard.borrow_mut(), ask.hash, &ask.key, &ask.op, now_ms);
    };
    match ask.op {
        Op::Get { fresh } => get(core, cluster, ask, fresh).await,
        Op::Set(_) | Op::Delete { .. } => write(core, cluster, ask).await,
    }
}

async fn get(core: &Rc<EdgeCore>, cluster: &Rc<Cluster>, ask: Ask, fresh: bool) -> Answer {
    if fresh {
        // Not joined to a question that began earlier, and so never older than this request.
        let answer = cluster.call(&ask).await;
        forget_older(core, &ask, &answer);
        return answer;
    }
    if let Some(found) = near_copy(core, &ask) {
        return Answer::from_shard(Outcome::Found(found));
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
async fn join(core: &Rc<EdgeCore>, cluster: &Rc<Cluster>, ask: &Ask) -> (Answer, bool) {
    let (sender, receiver) = one(&core.reactor);
    let joined = core.fills.borrow_mut().join(&ask.key, sender, core.reactor.now());
    let is_other = matches!(joined, Joined::Waiting);
    match joined {
        Joined::Full => return (Answer::refused(Refusal::Busy), false),
        Joined::Waiting => core.metrics.fills_joined.add(1),
        Joined::Start(fill) => {
            core.metrics.fills.add(1);
            if core.writes.borrow().is_writing(&ask.key) {
                // What the node says now may be older than the write that is under way.
                fill.do_not_keep();
            }
            let asking = Ask { key: ask.key.clone(), hash: ask.hash, op: Op::Get { fresh: false }, ..*ask };
            let task = self::fill(Rc::clone(core), Rc::clone(cluster), asking, fill);
            if core.reactor.spawn(task).is_err() {
                core.fills.borrow_mut().overtake(&ask.key);
                return (Answer::refused(Refusal::Busy), false);
            }
        }
    }
    match core.reactor.until(ask.deadline, receiver.receive()).await {
        Some(Some(answer)) => (answer, is_other),
        Some(None) | None => (Answer::refused(Refusal::Unavailable), is_other),
    }
}

/// A read that went to the owner has seen more than our copy, if that is older.
fn forget_older(core: &EdgeCore, ask: &Ask, answer: &Answer) {
    let now_ms = core.reactor.wall_ms();
    let mut shard = core.shard.borrow_mut();
    let cache = shard.cache_mut();
    let held = cache.peek(ask.hash, &ask.key, now_ms).map(|hit| hit.version().bits());
    let older = match (&answer.outcome, held) {
        (Outcome::Found(found), Some(held)) => held < found.version,
        (Outcome::Absent, Some(_)) => true,
        _ => false,
    };
    if older {
        cache.remove(ask.hash, &ask.key, now_ms);
    }
}

fn near_copy(core: &EdgeCore, ask: &Ask) -> Option<Found> {
    let mut shard = core.shard.borrow_mut();
    let hit = shard.get(ask.hash, &ask.key, core.reactor.wall_ms())?;
    let (expire_ms, metadata) = near::split_metadata(hit.metadata());
    let mut value = Vec::new();
    hit.value().copy_to(&mut value);
    Some(Found { version: hit.version().bits(), expire_ms, metadata: metadata.into(), value: value.into() })
}

/// Asks the node once, keeps the answer if it may, and hands it to all who wait.
async fn fill(core: Rc<EdgeCore>, cluster: Rc<Cluster>, ask: Ask, fill: Rc<Fill>) {
    let serve_until_ms = core.reactor.wall_ms() + core.snapshot().near_ttl_ms();
    let mut answer = cluster.call(&ask).await;
    let finished = core.fills.borrow_mut().finish(&ask.key, &fill);
    if let (true, Outcome::Found(found)) = (finished.may_keep, &answer.outcome) {
        keep(&core, &ask, found, serve_until_ms);
    }
    if let super::ask::Source::Node { collapsed, .. } = &mut answer.source {
        *collapsed = finished.waiters.len() > 1;
    }
    for waiter in finished.waiters {
        waiter.send(answer.clone());
    }
}

fn keep(core: &EdgeCore, ask: &Ask, found: &Found, serve_until_ms: u64) {
    let times = Times { now_ms: core.reactor.wall_ms(), serve_until_ms };
    near::keep(core.shard.borrow_mut().cache_mut(), ask.hash, &ask.key, found, times);
}

/// Puts a write through to the node.
async fn write(core: &Rc<EdgeCore>, cluster: &Rc<Cluster>, mut ask: Ask) -> Answer {
    if let Op::Set(set) = &mut ask.op {
        set.ttl_ms = set.ttl_ms.min(TTL_MS_MAX);
    }
    let guard = WriteGuard::begin(core, &ask);
    let now_ms = core.reactor.wall_ms();
    let serve_until_ms = now_ms + core.snapshot().near_ttl_ms();
    let answer = cluster.call(&ask).await;
    let alone = guard.end();
    if let (true, Outcome::Stored { version, .. }) = (alone, &answer.outcome)
        && let Op::Set(set) = &mut ask.op
    {
        let expire_ms = if set.ttl_ms == 0 { 0 } else { now_ms + set.ttl_ms };
        let found = Found {
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
    fn begin(core: &'a EdgeCore, ask: &Ask) -> Self {
        core.writes.borrow_mut().begin(&ask.key);
        let guard = WriteGuard { core, key: ask.key.clone(), hash: ask.hash, ended: false };
        guard.forget_copies();
        guard
    }

    fn forget_copies(&self) {
        self.core.fills.borrow_mut().overtake(&self.key);
        self.core.shard.borrow_mut().cache_mut().remove(self.hash, &self.key, self.core.reactor.wall_ms());
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
