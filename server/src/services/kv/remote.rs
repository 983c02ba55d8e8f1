//! A read of a key that another core of this process owns, answered in place within the poll that parsed it.
//!
//! **Not** for what the owner has to see: a miss of an edge with nodes, a large value, a value that is being changed.
//!
//! **Invariants**: as of `hit`; nothing of the other core's memory is written, and nothing of it is lent.

use corelane_http::Method;
use corelane_http::cache_status::HitSource;
use corelane_http::request::Head;
use shardstore::cache::Read;
use shardstore::key::KeyHash;

use crate::edge::EdgeCore;
use crate::exchange::reply::Context;
use crate::services::kv::hit::{self, Decided, Facts, Served};

/// Tries to answer a read of a key from another core's shard; the stored key is in the core's scratch.
#[inline(never)]
pub(crate) fn serve(core: &EdgeCore, head: &Head<'_>, context: Context, hash: KeyHash, out: &mut Vec<u8>) -> Served {
    // Taken out meanwhile: answering with a problem uses the scratch, too.
    let key = std::mem::take(&mut core.scratch.borrow_mut().key);
    let served = read(core, (hash, &key), |found| match found {
        Some((facts, value)) => {
            write(core, head, context, (facts, value), out);
            Served::Written
        }
        None => hit::miss(core, context, out),
    });
    core.scratch.borrow_mut().key = key;
    served
}

/// Reads a key of another core's shard and has `answer` answer: with the facts and the value that were found, or without.
#[inline]
pub(crate) fn read(
    core: &EdgeCore,
    (hash, key): (KeyHash, &[u8]),
    answer: impl FnOnce(Option<(&Facts<'_>, &[u8])>) -> Served,
) -> Served {
    let Some(reader) = core.others.reader(hash.shard(core.cores).0) else { return Served::NotHere };
    let mut item = std::mem::take(&mut core.scratch.borrow_mut().item);
    let served = match reader.read(hash, key, core.reactor.wall_ms(), &mut item) {
        Read::Found(found) => {
            core.metrics.hits_core.increment();
            let facts = Facts {
                version: found.version.bits(),
                value_bytes: found.value().len(),
                ..Facts::of(core, &item[found.metadata()], found.expire_ms, HitSource::Core)
            };
            answer(Some((&facts, &item[found.value()])))
        }
        Read::Absent => answer(None),
        Read::Large | Read::Contended => Served::NotHere,
    };
    core.scratch.borrow_mut().item = item;
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
