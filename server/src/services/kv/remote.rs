//! A read of a key that another core of this process owns, answered in place within the poll that parsed it.
//!
//! **Not** for what the owner has to see: a miss of an edge with nodes, a large value, a value that is being changed.
//!
//! **Invariants**: as of `hit`; nothing of the other core's memory is written, and nothing of it is lent.

use corelane_http::Method;
use corelane_http::cache_status::HitSource;
use corelane_http::request::Head;
use shardstore::key::KeyHash;
use store_runtime::remote::RemoteRead;

use crate::edge::EdgeCore;
use crate::exchange::reply::Context;
use crate::services::kv::hit::{self, Decided, Facts, Served};

/// Tries to answer a read of a key from another core's shard; the stored key is in the core's scratch.
#[inline(never)]
pub(crate) fn serve(core: &EdgeCore, head: &Head<'_>, context: Context, hash: KeyHash, out: &mut Vec<u8>) -> Served {
    // Taken out meanwhile: answering with a problem uses the scratch, too.
    let key = std::mem::take(&mut core.scratch.borrow_mut().key);
    let served = core.store.read_remote((hash, &key), |read| match read {
        RemoteRead::Found(item) => {
            core.metrics.hits_core.increment();
            let facts = Facts {
                version: item.version.bits(),
                value_bytes: item.value.len(),
                ..Facts::of(core, (item.kind, item.expire_ms, item.metadata), HitSource::Core)
            };
            write(core, head, context, (&facts, item.value), out);
            Served::Written
        }
        RemoteRead::Absent => hit::miss(core, context, out),
        RemoteRead::AskOwner => Served::NotHere,
    });
    core.scratch.borrow_mut().key = key;
    served
}

fn write(core: &EdgeCore, head: &Head<'_>, context: Context, (facts, value): (&Facts<'_>, &[u8]), out: &mut Vec<u8>) {
    if context.method == Method::Get && !head.is_conditional_or_partial() {
        hit::write_whole_head(core, context, facts, out);
        out.extend_from_slice(value);
        return;
    }
    let decided = Decided::of(head, context, facts);
    hit::write_found(core, context, facts, &decided, out);
    if let Some(part) = decided.body() {
        out.extend_from_slice(&value[part]);
    }
}
