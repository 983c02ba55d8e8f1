//! The responses of the key-value service.
//!
//! **Not** deciding what is true of a value: conditions and ranges are [`super::read`]'s.
//!
//! **Invariants**: a response never promises more than is so: `max-age` is rounded down; a head is written when all it
//! announces can be sent.

use std::ops::Range;

use corelane_http::cache_status::CacheStatus;
use corelane_http::entity_tag::TagRoom;
use corelane_http::field::FieldValue;
use corelane_http::problem::Problem;
use corelane_http::range::ContentRange;
use corelane_http::request::RequestHead;
use corelane_http::response::ResponseHead;
use corelane_http::{Method, Status};
use store_runtime::request::Refusal;

use super::kept::KeptFields;
use super::read::{self, ReadAnswer};
use super::version_tag::tag_of;
use super::write;
use crate::exchange::Reply;

/// What is known of an item beside its value, wherever it is.
pub(super) struct ItemMeta<'a> {
    pub(super) version: u64,
    /// Steady milliseconds; 0 for never.
    pub(super) expire_ms: u64,
    /// As stored: see [`super::kept`].
    pub(super) metadata: &'a [u8],
    pub(super) value_bytes: usize,
    pub(super) cache_status: Option<CacheStatus>,
}

/// What a read of a value that exists comes to, before anything of it is written.
pub(super) struct Decided {
    answer: ReadAnswer,
    /// The part of the value that follows the head; empty where none does.
    part: Range<usize>,
}

impl Decided {
    #[inline]
    pub(super) fn of(head: &RequestHead<'_>, meta: &ItemMeta<'_>) -> Self {
        let answer = read::decide(head, meta.version, meta.value_bytes as u64);
        let part = match &answer {
            _ if head.method() == Method::Head => 0..0,
            ReadAnswer::Whole => 0..meta.value_bytes,
            ReadAnswer::Part(part) => part.start as usize..part.end as usize,
            _ => 0..0,
        };
        debug_assert!(part.start <= part.end && part.end <= meta.value_bytes, "a part lies within its value");
        Decided { answer, part }
    }

    /// The part of the value that must follow the head, if any.
    #[inline]
    pub(super) fn body(&self) -> Option<Range<usize>> {
        (!self.part.is_empty()).then(|| self.part.clone())
    }
}

/// Writes the head of a 200 with the whole value.
#[inline]
pub(super) fn whole_head<R: Reply>(meta: &ItemMeta<'_>, now_ms: u64, reply: &mut R) {
    // Nearly all values have no fields but their type.
    let Some(content_type) = FieldValue::new(meta.metadata) else { return whole_head_kept(meta, now_ms, reply) };
    let mut room = TagRoom::new();
    reply.head(ResponseHead {
        content_length: Some(meta.value_bytes as u64),
        content_type: Some(or_octets(content_type)),
        etag: Some(tag_of(meta.version, &mut room)),
        max_age_s: max_age_s(meta.expire_ms, now_ms),
        cache_status: meta.cache_status,
        ..ResponseHead::new(Status::Ok)
    });
}

/// The same, of a value with which fields are kept.
#[cold]
#[inline(never)]
fn whole_head_kept<R: Reply>(meta: &ItemMeta<'_>, now_ms: u64, reply: &mut R) {
    let kept = KeptFields::of(meta.metadata);
    let mut room = TagRoom::new();
    kept.with_lines(false, max_age_s(meta.expire_ms, now_ms), |max_age_s, fields| {
        reply.head(ResponseHead {
            content_length: Some(meta.value_bytes as u64),
            content_type: FieldValue::new(kept.content_type).map(or_octets),
            etag: Some(tag_of(meta.version, &mut room)),
            max_age_s,
            cache_status: meta.cache_status,
            fields,
            ..ResponseHead::new(Status::Ok)
        });
    });
}

/// Writes the head of the response to a read of a value that exists, or all of it where no value follows.
#[inline]
pub(super) fn found<R: Reply>(meta: &ItemMeta<'_>, decided: &Decided, now_ms: u64, reply: &mut R) {
    let value_bytes = meta.value_bytes as u64;
    let (status, content_length, content_range) = match &decided.answer {
        ReadAnswer::Whole => return whole_head(meta, now_ms, reply),
        ReadAnswer::Part(part) => {
            let content_range = ContentRange::Part { part: part.clone(), value_bytes };
            (Status::PartialContent, Some(part.end - part.start), Some(content_range))
        }
        ReadAnswer::NotModified => (Status::NotModified, None, None),
        ReadAnswer::Unsatisfiable | ReadAnswer::PreconditionFailed | ReadAnswer::BadConditions => {
            return refused_read(meta, &decided.answer, reply);
        }
    };
    let kept = KeptFields::of(meta.metadata);
    let content_type = FieldValue::new(kept.content_type).map(or_octets);
    let is_unchanged = status == Status::NotModified;
    let mut room = TagRoom::new();
    // A 304 repeats what caches go by, and nothing of the representation (RFC 9110, section 15.4.5).
    kept.with_lines(is_unchanged, max_age_s(meta.expire_ms, now_ms), |max_age_s, fields| {
        reply.head(ResponseHead {
            content_length,
            content_type: content_type.filter(|_| !is_unchanged),
            etag: Some(tag_of(meta.version, &mut room)),
            max_age_s,
            cache_status: meta.cache_status,
            content_range,
            fields,
            ..ResponseHead::new(status)
        });
    });
}

fn refused_read<R: Reply>(meta: &ItemMeta<'_>, answer: &ReadAnswer, reply: &mut R) {
    let (status, slug, detail) = match answer {
        ReadAnswer::Unsatisfiable => {
            (Status::RangeNotSatisfiable, "range-not-satisfiable", "the range begins at or after the value's end")
        }
        ReadAnswer::PreconditionFailed => {
            (Status::PreconditionFailed, "precondition-failed", "the value has another version than If-Match names")
        }
        _ => (write::BAD_TAGS.status, write::BAD_TAGS.slug, write::BAD_TAGS.detail),
    };
    let value_bytes = meta.value_bytes as u64;
    let mut room = TagRoom::new();
    let head = ResponseHead {
        etag: Some(tag_of(meta.version, &mut room)),
        content_range: (status == Status::RangeNotSatisfiable).then_some(ContentRange::Unsatisfied { value_bytes }),
        cache_status: meta.cache_status,
        ..ResponseHead::new(status)
    };
    reply.problem(&Problem { limit: None, status, slug, detail }, head);
}

/// Writes 404.
pub(super) fn absent<R: Reply>(cache_status: Option<CacheStatus>, reply: &mut R) {
    let problem = Problem {
        limit: None,
        status: Status::NotFound,
        slug: "not-found",
        detail: "there is no value under this key",
    };
    reply.problem(&problem, ResponseHead { cache_status, ..ResponseHead::new(problem.status) });
}

/// Writes what is wrong with a request.
pub(super) fn refuse<R: Reply>(problem: &Problem<'_>, reply: &mut R) {
    reply.problem(problem, ResponseHead::new(problem.status));
}

/// Writes why the store did not serve a request.
pub(super) fn refusal<R: Reply>(refusal: Refusal, cache_status: Option<CacheStatus>, reply: &mut R) {
    let problem = problem_of(refusal);
    reply.problem(&problem, ResponseHead { cache_status, ..ResponseHead::new(problem.status) });
}

fn problem_of(refusal: Refusal) -> Problem<'static> {
    let (status, slug, detail) = match refusal {
        Refusal::Busy => {
            (Status::ServiceUnavailable, "busy", "a bound on work in flight is reached; nothing was changed; try again")
        }
        Refusal::Unavailable => (
            Status::ServiceUnavailable,
            "node-unavailable",
            "the shard node that owns this key does not answer; nothing was changed; try again",
        ),
        Refusal::Unknown => (
            Status::ServiceUnavailable,
            "outcome-unknown",
            "the write was sent and may have been applied, but its outcome is not known; read the key, or write again",
        ),
        Refusal::TooLarge => {
            let detail = "the value is larger than its keeper allows: with nodes, `limits.value_bytes` and `memory` of the node that \
                          owns this key bound it, without them `memory` of this process";
            (Status::ContentTooLarge, "value-too-large", detail)
        }
        Refusal::Corrupt => {
            (Status::BadGateway, "corrupt", "the value does not match its checksum and was not delivered")
        }
    };
    Problem { limit: None, status, slug, detail }
}

/// Empty means that the client gave none.
#[inline]
fn or_octets(content_type: FieldValue<'_>) -> FieldValue<'_> {
    if content_type.as_bytes().is_empty() { FieldValue::OCTET_STREAM } else { content_type }
}

/// Seconds left, rounded down: a client's cache must not outlive the value.
fn max_age_s(expire_ms: u64, now_ms: u64) -> Option<u32> {
    (expire_ms > 0).then(|| u32::try_from(expire_ms.saturating_sub(now_ms) / 1000).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::fakes::{FakeReply, with_head};

    const META: ItemMeta<'static> =
        ItemMeta { version: 7, expire_ms: 0, metadata: b"text/plain", value_bytes: 10, cache_status: None };

    #[test]
    fn max_age_is_rounded_down() {
        let cases = [
            (0, 5_000, None),
            (6_000, 5_000, Some(1)),
            (6_999, 5_000, Some(1)),
            (5_999, 5_000, Some(0)),
            (5_000, 5_000, Some(0)),
            (4_000, 5_000, Some(0)),
            (u64::MAX, 0, Some(u32::MAX)),
        ];
        for (expire_ms, now_ms, expected) in cases {
            assert_eq!(max_age_s(expire_ms, now_ms), expected, "until {expire_ms}, at {now_ms}");
            let mut reply = FakeReply::default();
            whole_head(&ItemMeta { expire_ms, ..META }, now_ms, &mut reply);
            assert_eq!(reply.max_age_s, expected);
        }
    }

    #[test]
    fn what_follows_the_head_is_what_it_announces() {
        let cases = [
            ("GET", "", Status::Ok, Some(10), Some(0..10)),
            ("HEAD", "", Status::Ok, Some(10), None),
            ("GET", "Range: bytes=2-3\r\n", Status::PartialContent, Some(2), Some(2..4)),
            ("GET", "If-None-Match: \"7\"\r\n", Status::NotModified, None, None),
            ("GET", "If-Match: \"8\"\r\n", Status::PreconditionFailed, None, None),
            ("GET", "Range: bytes=10-\r\n", Status::RangeNotSatisfiable, None, None),
            ("GET", "If-Match: 8\r\n", Status::BadRequest, None, None),
        ];
        for (method, fields, status, content_length, part) in cases {
            with_head(&format!("{method} /v1/kv/default/a HTTP/1.1\r\nHost: h\r\n{fields}\r\n"), |head| {
                let decided = Decided::of(head, &META);
                let mut reply = FakeReply::default();
                found(&META, &decided, 0, &mut reply);
                assert_eq!(reply.status, Some(status), "{method}, {fields:?}");
                assert_eq!((reply.content_length, decided.body()), (content_length, part), "{method}, {fields:?}");
            });
        }
    }

    #[test]
    fn a_write_whose_outcome_is_not_known_is_not_called_failed() {
        let refusals = [
            (Refusal::Busy, Status::ServiceUnavailable, "busy"),
            (Refusal::Unavailable, Status::ServiceUnavailable, "node-unavailable"),
            (Refusal::Unknown, Status::ServiceUnavailable, "outcome-unknown"),
            (Refusal::TooLarge, Status::ContentTooLarge, "value-too-large"),
            (Refusal::Corrupt, Status::BadGateway, "corrupt"),
        ];
        for (refused, status, slug) in refusals {
            let mut reply = FakeReply::default();
            refusal(refused, None, &mut reply);
            assert_eq!((reply.status, reply.problem.as_deref()), (Some(status), Some(slug)), "{refused:?}");
        }
    }

    /// Whatever becomes of a read, its head says which version the value has, and where that is known from.
    #[test]
    fn heads_say_what_is_known_of_the_value() {
        let cache_status = Some(CacheStatus::Miss);
        let meta = ItemMeta { expire_ms: 9_000, cache_status, ..META };
        let part = ContentRange::Part { part: 2..4, value_bytes: 10 };
        let cases = [
            ("Range: bytes=2-3\r\n", Some("text/plain"), Some(9), Some(part)),
            ("If-None-Match: \"7\"\r\n", None, Some(9), None),
            ("If-Match: \"8\"\r\n", None, None, None),
            ("If-Match: 8\r\n", None, None, None),
            ("Range: bytes=10-\r\n", None, None, Some(ContentRange::Unsatisfied { value_bytes: 10 })),
        ];
        for (fields, content_type, max_age_s, content_range) in cases {
            with_head(&format!("GET /v1/kv/default/a HTTP/1.1\r\nHost: h\r\n{fields}\r\n"), |head| {
                let mut reply = FakeReply::default();
                found(&meta, &Decided::of(head, &meta), 0, &mut reply);
                assert_eq!((reply.etag.as_deref(), reply.cache_status), (Some(&b"7"[..]), cache_status), "{fields:?}");
                assert_eq!(reply.content_type.as_deref(), content_type.map(str::as_bytes), "{fields:?}");
                assert_eq!((reply.max_age_s, reply.content_range), (max_age_s, content_range), "{fields:?}");
            });
        }
        let mut reply = FakeReply::default();
        refusal(Refusal::Busy, cache_status, &mut reply);
        assert_eq!(reply.cache_status, cache_status);
    }
}
