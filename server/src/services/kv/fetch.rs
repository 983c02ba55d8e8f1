//! Reads that the poll could not answer: of another core, or of a node.
//!
//! **Not** on the hit path: it may allocate and wait.

use corelane_http::cache_control::CacheControl;
use corelane_http::cache_status::{CacheStatus, ForwardReason, HitSource};
use corelane_http::request::RequestHead;
use store_runtime::request::{Outcome, Refusal, Source, StoreOp, StoredValue};

use super::KvService;
use super::plan::Key;
use super::respond::{self, Decided, ItemMeta};
use super::value::{self, COPY_BYTES_MAX};
use crate::exchange::origin::{Keeper, ResponseOrigin};
use crate::exchange::{Reply, Wire};

impl KvService {
    /// Reads a key wherever it is.
    pub(super) async fn fetch<W: Wire>(&self, head: &RequestHead<'_>, key: &Key, wire: &mut W) {
        // A malformed directive does not stop a read (RFC 9111, section 5.2).
        let fresh = CacheControl::parse(head.cache_control()).is_ok_and(|asked| asked.no_cache);
        let deadline = self.store.deadline(key.policy.value_bytes_max);
        let response = self.store.ask(key, StoreOp::Get { fresh }, deadline).await;
        let reason = if fresh { ForwardReason::Request } else { ForwardReason::Miss };
        let cache_status = self.forward_status(key, response.source, reason);
        let origin = Self::node_origin(response.source, reason);
        wire.respond(|reply| match response.outcome {
            Outcome::Found(found) => {
                reply.note_origin(origin.unwrap_or(ResponseOrigin::Hit(self.keeper(key))));
                self.count_read(key, response.source);
                self.respond_found(head, &found, cache_status, reply);
            }
            Outcome::Refused(refusal) => {
                // What this process refused without asking a node was neither hit nor forwarded.
                reply.note_origin(origin.unwrap_or_default());
                respond::refusal(refusal, cache_status.filter(|_| response.source != Source::Shard), reply);
            }
            _ => {
                let status = if response.source == Source::Shard { Some(CacheStatus::Miss) } else { cache_status };
                self.metrics.reads_absent.increment();
                reply.note_origin(origin.unwrap_or(ResponseOrigin::Absent(self.keeper(key))));
                respond::absent(status.filter(|_| self.cache_status()), reply);
            }
        });
    }

    /// Where a response comes from if a node was asked.
    pub(super) fn node_origin(source: Source, reason: ForwardReason) -> Option<ResponseOrigin> {
        match source {
            Source::Shard => None,
            Source::Node { id, collapsed } => Some(ResponseOrigin::Node { id, reason, collapsed }),
        }
    }

    /// Whose shard of this process keeps the key.
    pub(super) fn keeper(&self, key: &Key) -> Keeper {
        let source = if self.store.is_own(key.hash) { HitSource::Own } else { HitSource::Core };
        // What an edge with nodes behind it keeps are copies.
        Keeper::of(source, !self.store.is_authority)
    }

    fn count_read(&self, key: &Key, source: Source) {
        match source {
            Source::Node { .. } => self.metrics.reads_node.increment(),
            Source::Shard if self.store.is_own(key.hash) => self.metrics.reads_own_core.increment(),
            Source::Shard => self.metrics.reads_other_core.increment(),
        }
    }

    fn respond_found<R: Reply>(
        &self,
        head: &RequestHead<'_>,
        found: &StoredValue,
        cache_status: Option<CacheStatus>,
        reply: &mut R,
    ) {
        let meta = ItemMeta {
            version: found.version.bits(),
            expire_ms: found.expire_ms,
            content_type: &found.metadata,
            value_bytes: found.value.len(),
            cache_status,
        };
        let decided = Decided::of(head, &meta);
        let now_ms = self.store.now_ms();
        match decided.body() {
            Some(part) if part.len() > COPY_BYTES_MAX => {
                // Whether the value can be sent is known before anything of its response is written or counted.
                let Some(shared) = value::share(&self.outbound, &found.value, part) else {
                    let forwarded = cache_status.filter(|status| matches!(status, CacheStatus::Forwarded { .. }));
                    return respond::refusal(Refusal::Busy, forwarded, reply);
                };
                respond::found(&meta, &decided, now_ms, reply);
                reply.lend(shared);
            }
            Some(part) => {
                respond::found(&meta, &decided, now_ms, reply);
                reply.copy(&found.value[part]);
            }
            None => respond::found(&meta, &decided, now_ms, reply),
        }
    }

    /// What a response says about where it came from, if it does.
    pub(super) fn forward_status(&self, key: &Key, source: Source, reason: ForwardReason) -> Option<CacheStatus> {
        let own = self.store.is_own(key.hash);
        self.cache_status().then_some(match source {
            Source::Shard => CacheStatus::Hit(if own { HitSource::Own } else { HitSource::Core }),
            Source::Node { id, collapsed } => CacheStatus::Forwarded { reason, node: id, collapsed },
        })
    }
}
