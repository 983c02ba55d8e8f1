//! Reads whose head has come before, byte for byte: what they ask for is known without reading them.
//!
//! What a head asks for depends on its bytes alone, and what the head of an answer says on a handful of numbers. So for the
//! heads that come again and again (a popular key, asked for by one client library) both are remembered, and compared, which
//! is a fraction of the work of reading one and writing the other.
//!
//! **Not** a cache of values, or of answers: each is looked up in its shard, which counts its use and tells its version and
//! whether it has expired. Only a whole value, asked for without conditions on an HTTP/1.1 connection that stays open.
//!
//! **Invariants**: as of `hit`; the answer is, byte for byte, what it would have been.

mod table;

use corelane_http::Method;
use corelane_http::request::Head;
use corelane_http::response::Connection;
use shardstore::key::KeyHash;

use crate::edge::EdgeCore;
use crate::exchange::reply::Context;
use crate::services::kv::hit::{self, Decided, Facts, Served};
use crate::services::kv::remote;
use crate::services::kv::value::{self, COPY_BYTES_MAX};
pub(crate) use table::Repeats;
use table::{AnswerHead, Said};

/// What every head that becomes known has in common.
const CONTEXT: Context = Context { method: Method::Get, connection: Connection::Open };

/// Tries to answer the request at the start of the input; tells how long its head is, and what became of it.
#[inline(always)]
pub(crate) fn serve(core: &EdgeCore, input: &[u8], out: &mut Vec<u8>) -> Option<(usize, Served)> {
    let repeats = &mut *core.repeats.borrow_mut();
    let known = repeats.recall(input)?;
    // A draining server ends connections with their next answer, which says so.
    if core.draining.get() {
        return None;
    }
    core.metrics.repeats.increment();
    let head_bytes = known.head_bytes();
    let (key, hash, answer) = known.parts();
    if hash.shard(core.cores).0 != core.id.0 {
        return Some((head_bytes, serve_other(core, (hash, key), answer, out)));
    }
    let mut shard = core.shard.borrow_mut();
    let Some(hit) = shard.get(hash, key, core.reactor.wall_ms()) else {
        return Some((head_bytes, hit::miss(core, CONTEXT, out)));
    };
    let facts = hit::own_facts(core, hit);
    let served = if facts.value_bytes <= COPY_BYTES_MAX {
        write_head(core, answer, &facts, out);
        value::copy(&hit.value(), &(0..facts.value_bytes), out);
        Served::Written
    } else {
        hit::write_own(core, CONTEXT, (hit, &facts), &Decided::whole(&facts), out)
    };
    Some((head_bytes, served))
}

/// The same for a key of another core.
#[inline(never)]
fn serve_other(core: &EdgeCore, asked: (KeyHash, &[u8]), answer: &mut AnswerHead, out: &mut Vec<u8>) -> Served {
    remote::read(core, asked, |found| match found {
        Some((facts, value)) => {
            write_head(core, answer, facts, out);
            out.extend_from_slice(value);
            Served::Written
        }
        None => hit::miss(core, CONTEXT, out),
    })
}

/// Writes the head of a 200 with the whole value: the last one again, if it says the same.
#[inline(always)]
fn write_head(core: &EdgeCore, answer: &mut AnswerHead, facts: &Facts<'_>, out: &mut Vec<u8>) {
    let now_ms = core.reactor.wall_ms();
    let said = Said {
        version: facts.version,
        value_bytes: facts.value_bytes,
        max_age_s: hit::max_age_s(facts.expire_ms, now_ms),
        date_s: now_ms / 1000,
    };
    if let Some(head) = answer.saying(said, facts.content_type) {
        core.metrics.answers_2xx.increment();
        out.reserve(head.len() + facts.value_bytes);
        out.extend_from_slice(head);
    } else {
        let start = out.len();
        hit::write_whole_head(core, CONTEXT, facts, out);
        answer.keep(said, facts.content_type, &out[start..]);
    }
}

/// Notes a read of a whole value, of the key in the core's scratch: it becomes known when it has come before.
#[inline]
pub(crate) fn note(core: &EdgeCore, head: &Head<'_>, context: Context, hash: KeyHash) {
    if context == CONTEXT {
        core.repeats.borrow_mut().note((head.as_bytes(), head.target_end()), &core.scratch.borrow().key, hash);
    }
}
