//! A read of a key that another core of this process owns, answered in place within the poll that parsed it.
//!
//! **Not** for what the owner has to see: a miss of an edge with nodes, a large value, a value that is being changed.
//!
//! **Invariants**: as of `hit`; nothing of the other core's memory is written, and nothing of it is lent.

use corelane_http::Method;
use corelane_http::cache_status::{CacheStatus, HitSource};
use corelane_http::request::Head;
use shardstore::cache::{Found, Read};
use shardstore::key::KeyHash;

use super::answer::Context;
use super::hit::{self, Decided, Facts, Served};
use crate::edge::EdgeCore;
use crate::store::near;

/// Tries to answer a read of a key from another core's shard; the stored key is in the core's scratch.
#[inline(never)]
pub(super) fn serve(core: &EdgeCore, head: &Head<'_>, context: Context, hash: KeyHash, out: &mut Vec<u8>) -> Served {
    let Some(reader) = core.others.reader(hash.shard(core.cores).0) else { return Served::NotHere };
    let mut scratch = core.scratch.borrow_mut();
    // Taken out meanwhile: answering with a problem uses the scratch, too.
    let mut item = std::mem::take(&mut scratch.item);
    let read = reader.read(hash, &scratch.key, core.reactor.wall_ms(), &mut item);
    drop(scratch);
    let served = match read {
        Read::Found(found) => {
            core.metrics.hits_core.increment();
            write(core, head, context, (&found, &item), out);
            Served::Written
        }
        Read::Absent => hit::miss(core, context, out),
        Read::Large | Read::Contended => Served::NotHere,
    };
    core.scratch.borrow_mut().item = item;
    served
}

fn write(core: &EdgeCore, head: &Head<'_>, context: Context, (found, item): (&Found, &[u8]), out: &mut Vec<u8>) {
    let (metadata, value) = (&item[found.metadata()], &item[found.value()]);
    let is_copy = core.cluster.is_some();
    let (expire_ms, content_type) = if is_copy { near::split_metadata(metadata) } else { (found.expire_ms, metadata) };
    let facts = Facts {
        version: found.version.bits(),
        expire_ms,
        content_type,
        value_bytes: value.len(),
        cache_status: core.settings.cache_status.then_some(CacheStatus::Hit(HitSource::Core)),
    };
    if context.method == Method::Get && !head.is_conditional_or_partial() {
        hit::write_whole_head(core, context, &facts, out);
        out.extend_from_slice(value);
        return;
    }
    let decided = Decided::of(head, context, &facts);
    hit::write_found(core, context, &facts, &decided, out);
    if let Some(part) = decided.body() {
        out.extend_from_slice(&value[part]);
    }
}
