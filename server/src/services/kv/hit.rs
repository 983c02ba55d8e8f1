//! The hit path: a read of a key that a core of this process owns, answered within the poll that parsed it.
//!
//! **Not** for anything that waits, allocates, locks or logs; whatever needs that is left to `slow`.
//!
//! **Invariants**: all memory it writes to is the connection's send buffer and the core's scratch.

use std::ops::Range;
use std::rc::Rc;

use corelane_http::cache_status::{CacheStatus, HitSource};
use corelane_http::entity_tag::TagRoom;
use corelane_http::field::FieldValue;
use corelane_http::problem::Problem;
use corelane_http::range::ContentRange;
use corelane_http::request::Head;
use corelane_http::response::ResponseHead;
use corelane_http::target::{DecodeError, percent_decode};
use corelane_http::{Method, Status};
use shardstore::cache::Hit;
use shardstore::key::{KEY_BYTES_MAX, KeyHash, StoredKey};
use store_runtime::edge_copy;
use store_runtime::kind::ItemKind;
use store_runtime::request::Refusal;

use crate::edge::{EdgeCore, Scratch};
use crate::exchange::reply::Context;
use crate::services::kv::read::{self, ReadAnswer};
use crate::services::kv::remote;
use crate::services::kv::value::{self, COPY_BYTES_MAX, Chunks};
use crate::services::kv::version_tag::tag_of;

/// What became of a request on the hit path.
pub(crate) enum Served {
    /// Its answer is written.
    Written,
    /// Its head is written; these bytes follow.
    Followed(Chunks),
    /// It is for the slow path.
    NotHere,
}

/// A value's facts, wherever the value is.
pub(crate) struct Facts<'a> {
    pub(crate) version: u64,
    /// Unix milliseconds; 0 for never.
    pub(crate) expire_ms: u64,
    pub(crate) content_type: &'a [u8],
    pub(crate) value_bytes: usize,
    pub(crate) cache_status: Option<CacheStatus>,
}

impl<'a> Facts<'a> {
    /// What an item in a shard of this process says by its kind, expiry and metadata; version and length are still to be told.
    #[inline(always)]
    pub(crate) fn of(core: &EdgeCore, item: (ItemKind, u64, &'a [u8]), source: HitSource) -> Self {
        let (kind, expire_ms, metadata) = item;
        let (expire_ms, content_type) = edge_copy::of_value(kind, expire_ms, metadata);
        let cache_status = core.snapshot().settings.cache_status.then_some(CacheStatus::Hit(source));
        Facts { version: 0, expire_ms, content_type, value_bytes: 0, cache_status }
    }
}

/// Tries to answer a read of a key from this core's shard, or in place from another's.
#[inline]
pub(crate) fn serve(
    core: &Rc<EdgeCore>,
    head: &Head<'_>,
    context: Context,
    (keyspace, raw_key): (&[u8], &[u8]),
    out: &mut Vec<u8>,
) -> Served {
    let hash = match stored_key(core, keyspace, raw_key, Spelling::of(head)) {
        Ok(hash) => hash,
        Err(problem) => {
            core.write_problem(context, &problem, out);
            return Served::Written;
        }
    };
    // A client may ask for the owner's answer; only the slow path looks at that, and embedded mode is the owner.
    let wants_owner = core.cluster.is_some() && !head.cache_control().is_empty();
    if wants_owner {
        return Served::NotHere;
    }
    let is_plain = context.method == Method::Get && !head.is_conditional_or_partial();
    if !core.store.cores().owns(hash) {
        return remote::serve(core, head, context, hash, out);
    }
    let scratch = core.scratch.borrow();
    let mut shard = core.store.shard();
    let Some(hit) = shard.get(hash, &scratch.key, core.reactor.wall_ms()) else {
        drop(scratch);
        return miss(core, context, out);
    };
    drop(scratch);
    let facts = own_facts(core, hit);
    if is_plain && facts.value_bytes <= COPY_BYTES_MAX {
        write_whole_head(core, context, &facts, out);
        value::copy(&hit.value(), &(0..facts.value_bytes), out);
        return Served::Written;
    }
    let decided = Decided::of(head, context, &facts);
    write_own(core, context, (hit, &facts), &decided, out)
}

/// Counts a hit in this core's own shard, and tells its facts.
// By value: a hit whose address is taken would live in memory, on the path of every request.
#[inline(always)]
fn own_facts<'a>(core: &EdgeCore, hit: Hit<'a>) -> Facts<'a> {
    core.metrics.hits_own.increment();
    Facts {
        version: hit.version().bits(),
        value_bytes: hit.value().len(),
        ..Facts::of(core, (ItemKind::of_flags(hit.flags()), hit.expire_ms(), hit.metadata()), HitSource::Own)
    }
}

/// Writes the answer to a read that found its value in this core's own shard.
fn write_own(
    core: &EdgeCore,
    context: Context,
    (hit, facts): (Hit<'_>, &Facts<'_>),
    decided: &Decided,
    out: &mut Vec<u8>,
) -> Served {
    // Whether the value can be sent is known before anything of its answer is written or counted.
    let lent = match decided.body() {
        Some(part) if part.len() > COPY_BYTES_MAX => match value::lend(core, hit, &part) {
            Some(chunks) => Some(chunks),
            None => {
                core.write_refusal(context, Refusal::Busy, None, out);
                return Served::Written;
            }
        },
        Some(part) => {
            write_found(core, context, facts, decided, out);
            value::copy(&hit.value(), &part, out);
            return Served::Written;
        }
        None => None,
    };
    write_found(core, context, facts, decided, out);
    lent.map_or(Served::Written, Served::Followed)
}

/// What becomes of a read of a key that the cache does not hold.
pub(crate) fn miss(core: &EdgeCore, context: Context, out: &mut Vec<u8>) -> Served {
    if core.cluster.is_some() {
        return Served::NotHere;
    }
    core.metrics.absent.increment();
    write_absent(core, context, core.snapshot().settings.cache_status.then_some(CacheStatus::Miss), out);
    Served::Written
}

/// How a key is written in a request's target.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// As it is, and it holds no brace.
    Plain,
    /// Perhaps percent-encoded.
    Encoded,
}

impl Spelling {
    #[inline]
    pub(crate) fn of(head: &Head<'_>) -> Self {
        if head.target_is_plain() { Spelling::Plain } else { Spelling::Encoded }
    }
}

/// Puts the stored form of a key into the core's scratch and hashes it, or says what is wrong with it.
#[inline]
pub(crate) fn stored_key(
    core: &EdgeCore,
    keyspace: &[u8],
    raw_key: &[u8],
    spelling: Spelling,
) -> Result<KeyHash, Problem<'static>> {
    if !core.snapshot().keyspaces.contains(keyspace) {
        return Err(UNKNOWN_KEYSPACE);
    }
    let Scratch { key, decoded, .. } = &mut *core.scratch.borrow_mut();
    let user_key = match spelling {
        Spelling::Plain if raw_key.len() <= KEY_BYTES_MAX => raw_key,
        _ => percent_decode(raw_key, decoded, KEY_BYTES_MAX).map_err(|error| match error {
            DecodeError::Percent => BAD_KEY,
            DecodeError::TooLong => LONG_KEY,
        })?,
    };
    key.clear();
    // The keyspace exists and the key is bounded: only an empty key is left to be refused.
    StoredKey::encode(keyspace, user_key, key).map_err(|_| BAD_KEY)?;
    Ok(match spelling {
        Spelling::Plain => core.hasher.hash_untagged(key),
        Spelling::Encoded => core.hasher.hash(key),
    })
}

const UNKNOWN_KEYSPACE: Problem<'static> = Problem {
    status: Status::NotFound,
    slug: "unknown-keyspace",
    detail: "there is no such keyspace; keyspaces are made in the configuration, [keyspace.NAME]",
};

const BAD_KEY: Problem<'static> = Problem {
    status: Status::BadRequest,
    slug: "bad-key",
    detail: "a key is 1 to 4096 bytes, percent-encoded where it must be",
};

const LONG_KEY: Problem<'static> =
    Problem { status: Status::UriTooLong, slug: "key-too-long", detail: "a key has at most 4096 bytes" };

/// Writes 404.
pub(crate) fn write_absent(core: &EdgeCore, context: Context, cache_status: Option<CacheStatus>, out: &mut Vec<u8>) {
    let problem = Problem { status: Status::NotFound, slug: "not-found", detail: "there is no value under this key" };
    let extra = ResponseHead { cache_status, ..ResponseHead::new(problem.status) };
    core.write_problem_with(context, &problem, extra, out);
}

/// What a read of a value that exists comes to, before anything of it is written.
pub(crate) struct Decided {
    answer: ReadAnswer,
    /// The part of the value that follows the head; empty where none does.
    part: Range<usize>,
}

impl Decided {
    #[inline]
    pub(crate) fn of(head: &Head<'_>, context: Context, facts: &Facts<'_>) -> Self {
        let answer = read::decide(head, facts.version, facts.value_bytes as u64);
        let part = match &answer {
            _ if context.method == Method::Head => 0..0,
            ReadAnswer::Whole => 0..facts.value_bytes,
            ReadAnswer::Part(part) => part.start as usize..part.end as usize,
            _ => 0..0,
        };
        Decided { answer, part }
    }

    /// The part of the value that must follow the head, if any.
    #[inline]
    pub(crate) fn body(&self) -> Option<Range<usize>> {
        (!self.part.is_empty()).then(|| self.part.clone())
    }
}

/// Writes the head of a 200 with the whole value.
#[inline]
pub(crate) fn write_whole_head(core: &EdgeCore, context: Context, facts: &Facts<'_>, out: &mut Vec<u8>) {
    let mut room = TagRoom::new();
    let answer = ResponseHead {
        connection: context.connection,
        content_length: Some(facts.value_bytes as u64),
        content_type: Some(content_type(facts.content_type)),
        etag: Some(tag_of(facts.version, &mut room)),
        max_age_s: max_age_s(facts.expire_ms, core.reactor.wall_ms()),
        cache_status: facts.cache_status,
        ..ResponseHead::new(Status::Ok)
    };
    core.write_ok_head(&answer, out);
}

/// Writes the head of the answer to a read of a value that exists, or all of it where no value follows.
#[inline]
pub(crate) fn write_found(core: &EdgeCore, context: Context, facts: &Facts<'_>, decided: &Decided, out: &mut Vec<u8>) {
    let value_bytes = facts.value_bytes as u64;
    let (status, content_length, content_range) = match &decided.answer {
        ReadAnswer::Whole => return write_whole_head(core, context, facts, out),
        ReadAnswer::Part(part) => {
            let content_range = ContentRange::Part { part: part.clone(), value_bytes };
            (Status::PartialContent, Some(part.end - part.start), Some(content_range))
        }
        ReadAnswer::NotModified => (Status::NotModified, None, None),
        ReadAnswer::Unsatisfiable | ReadAnswer::PreconditionFailed | ReadAnswer::BadConditions => {
            write_refused_read(core, context, facts, &decided.answer, out);
            return;
        }
    };
    let mut room = TagRoom::new();
    let answer = ResponseHead {
        connection: context.connection,
        content_length,
        content_type: content_length.map(|_| content_type(facts.content_type)),
        etag: Some(tag_of(facts.version, &mut room)),
        max_age_s: max_age_s(facts.expire_ms, core.reactor.wall_ms()),
        cache_status: facts.cache_status,
        accept_ranges: false,
        content_range,
        ..ResponseHead::new(status)
    };
    core.write_head(&answer, out);
}

fn write_refused_read(core: &EdgeCore, context: Context, facts: &Facts<'_>, decided: &ReadAnswer, out: &mut Vec<u8>) {
    let (status, slug, detail) = match decided {
        ReadAnswer::Unsatisfiable => {
            (Status::RangeNotSatisfiable, "range-not-satisfiable", "the range begins at or after the value's end")
        }
        ReadAnswer::PreconditionFailed => {
            (Status::PreconditionFailed, "precondition-failed", "the value has another version than If-Match names")
        }
        _ => {
            let problem = crate::services::kv::write::BAD_TAGS;
            (problem.status, problem.slug, problem.detail)
        }
    };
    let value_bytes = facts.value_bytes as u64;
    let unsatisfied = (status == Status::RangeNotSatisfiable).then_some(ContentRange::Unsatisfied { value_bytes });
    let mut room = TagRoom::new();
    let extra = ResponseHead {
        etag: Some(tag_of(facts.version, &mut room)),
        content_range: unsatisfied,
        cache_status: facts.cache_status,
        ..ResponseHead::new(status)
    };
    core.write_problem_with(context, &Problem { status, slug, detail }, extra, out);
}

#[inline]
fn content_type(metadata: &[u8]) -> FieldValue<'_> {
    // Empty means that the client gave none.
    FieldValue::new(metadata).filter(|_| !metadata.is_empty()).unwrap_or(FieldValue::OCTET_STREAM)
}

/// Seconds left, rounded down: a client's cache must not outlive the value.
pub(crate) fn max_age_s(expire_ms: u64, now_ms: u64) -> Option<u32> {
    (expire_ms > 0).then(|| u32::try_from(expire_ms.saturating_sub(now_ms) / 1000).unwrap_or(u32::MAX))
}
