//! A read of a key that another core of this process owns, answered in place within the poll that parsed it.
//!
//! **Not** for what the owner has to see: a miss of an edge with nodes, bytes of a large value, a value that is being changed.
//! What is known of a large value is enough for HEAD, and for conditions and ranges that do not lead to bytes.
//!
//! **Invariants**: as of `hit`; nothing of the other core's memory is written, and nothing of it is lent.

use corelane_http::Method;
use corelane_http::cache_status::HitSource;
use corelane_http::request::RequestHead;
use shardstore::key::KeyHash;
use store_runtime::remote::{RemoteItem, RemoteRead};

use super::KvService;
use super::hit::Served;
use super::respond::{self, Decided, ItemMeta};
use crate::exchange::Reply;
use crate::exchange::origin::{Keeper, ResponseOrigin};

impl KvService {
    /// Tries to answer a read of the key in the scratch from another core's shard.
    #[inline(never)]
    pub(super) fn read_remote<R: Reply>(&self, head: &RequestHead<'_>, hash: KeyHash, reply: &mut R) -> Served {
        let scratch = self.scratch.borrow();
        self.store.read_remote((hash, &scratch.key), |read| match read {
            RemoteRead::Found(item) => {
                self.metrics.reads_other_core.increment();
                reply.note_origin(ResponseOrigin::Hit(Keeper::of(HitSource::Core, item.kind.is_edge_copy())));
                self.respond_copied(head, (&self.remote_meta(&item), item.value), reply);
                Served::Written
            }
            RemoteRead::Large(item) => {
                let meta = self.remote_meta(&item);
                let decided = Decided::of(head, &meta);
                if decided.body().is_some() {
                    return Served::NeedsAsync;
                }
                self.metrics.reads_other_core.increment();
                reply.note_origin(ResponseOrigin::Hit(Keeper::of(HitSource::Core, item.kind.is_edge_copy())));
                respond::found(&meta, &decided, self.store.now_ms(), reply);
                Served::Written
            }
            RemoteRead::Absent => self.miss(Keeper::OtherCore, reply),
            RemoteRead::AskOwner => Served::NeedsAsync,
        })
    }

    fn remote_meta<'a>(&self, item: &RemoteItem<'a>) -> ItemMeta<'a> {
        ItemMeta {
            version: item.version.bits(),
            value_bytes: item.value_bytes,
            ..self.local_meta((item.kind, item.expire_ms, item.metadata), HitSource::Core)
        }
    }

    fn respond_copied<R: Reply>(&self, head: &RequestHead<'_>, (meta, value): (&ItemMeta<'_>, &[u8]), reply: &mut R) {
        let now_ms = self.store.now_ms();
        if head.method() == Method::Get && !head.is_conditional_or_partial() {
            respond::whole_head(meta, now_ms, reply);
            reply.copy(value);
            return;
        }
        let decided = Decided::of(head, meta);
        respond::found(meta, &decided, now_ms, reply);
        if let Some(part) = decided.body() {
            reply.copy(&value[part]);
        }
    }
}
