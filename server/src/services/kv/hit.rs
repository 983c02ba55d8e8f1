//! The hit path: a read of a key that a core of this process owns, answered within the poll that parsed it.
//!
//! **Not** for anything that waits, allocates, locks or logs; whatever needs that becomes a plan.
//!
//! **Invariants**: all memory it writes to is the reply's and the service's scratch.

use corelane_http::Method;
use corelane_http::cache_status::{CacheStatus, HitSource};
use corelane_http::request::RequestHead;
use shardstore::cache::Hit;
use shardstore::key::KeyHash;
use store_runtime::edge_copy;
use store_runtime::kind::ItemKind;

use super::KvService;
use super::key::KeyEncoding;
use super::plan::KvPlan;
use super::respond::{self, Decided, ItemMeta};
use super::value::{self, COPY_BYTES_MAX};
use crate::exchange::origin::{Keeper, ResponseOrigin};
use crate::exchange::{Begun, Reply};

/// What became of a read within the poll.
pub(super) enum Served {
    /// Its response is written.
    Written,
    /// Its response is written; bytes that are sent in place end it.
    WithBody,
    /// It needs what a poll cannot do.
    NeedsAsync,
}

impl KvService {
    /// Begins a GET or HEAD.
    #[inline]
    pub(crate) fn begin_read<R: Reply>(
        &self,
        head: &RequestHead<'_>,
        (keyspace, raw_key): (&[u8], &[u8]),
        reply: &mut R,
    ) -> Begun<KvPlan> {
        let hash = match self.stored_key(keyspace, raw_key, KeyEncoding::of(head)) {
            Ok(hash) => hash,
            Err(problem) => {
                respond::refuse(&problem, reply);
                return Begun::Done;
            }
        };
        match self.read_in_poll(head, hash, reply) {
            Served::Written => Begun::Done,
            Served::WithBody => Begun::Lent,
            Served::NeedsAsync => Begun::Later(KvPlan::Read(self.key(keyspace, hash))),
        }
    }

    /// Begins a PUT or DELETE: neither is finished in the poll.
    pub(crate) fn begin_write<R: Reply>(
        &self,
        head: &RequestHead<'_>,
        (keyspace, raw_key): (&[u8], &[u8]),
        reply: &mut R,
    ) -> Begun<KvPlan> {
        match self.stored_key(keyspace, raw_key, KeyEncoding::of(head)) {
            Ok(hash) => {
                let plan = if head.method() == Method::Put { KvPlan::Put } else { KvPlan::Delete };
                Begun::Later(plan(self.key(keyspace, hash)))
            }
            Err(problem) => {
                respond::refuse(&problem, reply);
                Begun::Done
            }
        }
    }

    /// Tries to answer a read of the key in the scratch from this core's shard, or in place from another's.
    #[inline(always)]
    fn read_in_poll<R: Reply>(&self, head: &RequestHead<'_>, hash: KeyHash, reply: &mut R) -> Served {
        // A client may ask for the owner's response; only a plan looks at that, and an authority is the owner.
        let wants_owner = !self.store.is_authority && !head.cache_control().is_empty();
        if wants_owner {
            return Served::NeedsAsync;
        }
        let is_plain = head.method() == Method::Get && !head.is_conditional_or_partial();
        if !self.store.is_own(hash) {
            return self.read_remote(head, hash, reply);
        }
        let scratch = self.scratch.borrow();
        let mut shard = self.store.shard();
        let Some(hit) = shard.get(hash, &scratch.key, self.store.now_ms()) else {
            drop(scratch);
            return self.miss(Keeper::OwnCore, reply);
        };
        drop(scratch);
        let meta = self.own_meta(hit);
        let is_edge_copy = ItemKind::of_flags(hit.flags()).is_edge_copy();
        reply.note_origin(ResponseOrigin::Hit(Keeper::of(HitSource::Own, is_edge_copy)));
        if is_plain && meta.value_bytes <= COPY_BYTES_MAX {
            self.metrics.reads_own_core.increment();
            respond::whole_head(&meta, self.store.now_ms(), reply);
            value::copy(&hit.value(), &(0..meta.value_bytes), reply);
            return Served::Written;
        }
        let decided = Decided::of(head, &meta);
        self.respond_own((hit, &meta), &decided, reply)
    }

    /// What is known of a hit in this core's own shard.
    // By value: a hit whose address is taken would live in memory, on the path of every request.
    #[inline(always)]
    fn own_meta<'a>(&self, hit: Hit<'a>) -> ItemMeta<'a> {
        ItemMeta {
            version: hit.version().bits(),
            value_bytes: hit.value().len(),
            ..self.local_meta((ItemKind::of_flags(hit.flags()), hit.expire_ms(), hit.metadata()), HitSource::Own)
        }
    }

    /// What an item in a shard of this process says by its kind, expiry and metadata; version and length are for the caller
    /// to fill in.
    #[inline(always)]
    pub(super) fn local_meta<'a>(&self, item: (ItemKind, u64, &'a [u8]), source: HitSource) -> ItemMeta<'a> {
        let (kind, expire_ms, metadata) = item;
        let (expire_ms, metadata) = edge_copy::of_value(kind, expire_ms, metadata);
        let cache_status = self.cache_status().then_some(CacheStatus::Hit(source));
        ItemMeta { version: 0, expire_ms, metadata, value_bytes: 0, cache_status }
    }

    /// Writes the response to a read that found its value in this core's own shard.
    fn respond_own<R: Reply>(&self, (hit, meta): (Hit<'_>, &ItemMeta<'_>), decided: &Decided, reply: &mut R) -> Served {
        let now_ms = self.store.now_ms();
        match decided.body() {
            Some(part) if part.len() > COPY_BYTES_MAX => {
                // Whether the value can be pinned is known before anything of its response is written or counted.
                let Some(chunks) = value::lend(hit, &part) else { return Served::NeedsAsync };
                self.metrics.reads_own_core.increment();
                respond::found(meta, decided, now_ms, reply);
                chunks.into_iter().for_each(|chunk| reply.lend(chunk));
                Served::WithBody
            }
            Some(part) => {
                self.metrics.reads_own_core.increment();
                respond::found(meta, decided, now_ms, reply);
                value::copy(&hit.value(), &part, reply);
                Served::Written
            }
            None => {
                self.metrics.reads_own_core.increment();
                respond::found(meta, decided, now_ms, reply);
                Served::Written
            }
        }
    }

    /// What becomes of a read of a key that this process does not hold.
    pub(super) fn miss<R: Reply>(&self, keeper: Keeper, reply: &mut R) -> Served {
        if !self.store.is_authority {
            return Served::NeedsAsync;
        }
        self.metrics.reads_absent.increment();
        reply.note_origin(ResponseOrigin::Absent(keeper));
        respond::absent(self.cache_status().then_some(CacheStatus::Miss), reply);
        Served::Written
    }
}
