//! Writing answers: what every one of them has in common.
//!
//! **Not** deciding the status.
//!
//! **Invariants**: every answer is counted by its class; an error to HEAD has no body.

use corelane_http::cache_status::CacheStatus;
use corelane_http::field::FieldValue;
use corelane_http::problem::Problem;
use corelane_http::request::{Head, Version};
use corelane_http::response::{Connection, ResponseHead};
use corelane_http::{Method, Status};

use crate::edge::EdgeCore;
use store_runtime::request::Refusal;

/// What an answer needs to know of its request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Context {
    pub(crate) method: Method,
    pub(crate) connection: Connection,
}

impl Context {
    /// Of a request; `last`: the connection ends with this answer.
    #[inline]
    pub(crate) fn of(head: &Head<'_>, last: bool) -> Self {
        let stays = head.keep_alive() && !last;
        let connection = if stays { Connection::open_for(head.version()) } else { Connection::Close };
        Context { method: head.method(), connection }
    }

    /// Of a request that could not be read.
    pub(crate) fn closing() -> Self {
        debug_assert_eq!(Connection::open_for(Version::Http11), Connection::Open);
        Context { method: Method::Get, connection: Connection::Close }
    }

    /// The same request, but nothing after it on the connection is read.
    pub(crate) fn as_last(self) -> Self {
        Context { connection: Connection::Close, ..self }
    }

    #[inline]
    pub(crate) fn stays(self) -> bool {
        self.connection != Connection::Close
    }
}

impl EdgeCore {
    /// The context of an answer that is written now. One that took its time may have become the last of its connection,
    /// because a drain has begun.
    pub(crate) fn renew(&self, context: Context) -> Context {
        if self.draining.get() { context.as_last() } else { context }
    }

    /// Counts a 200 and writes its head.
    #[inline]
    pub(crate) fn write_ok_head(&self, head: &ResponseHead<'_>, out: &mut Vec<u8>) {
        debug_assert_eq!(head.status, Status::Ok);
        self.metrics.answers_2xx.increment();
        head.encode(&self.response_start(), out);
    }

    /// Counts an answer and writes its head.
    pub(crate) fn write_head(&self, head: &ResponseHead<'_>, out: &mut Vec<u8>) {
        let metrics = &self.metrics;
        let class = match head.status.code() / 100 {
            2 => &metrics.answers_2xx,
            3 => &metrics.answers_3xx,
            4 => &metrics.answers_4xx,
            _ => &metrics.answers_5xx,
        };
        class.increment();
        head.encode(&self.response_start(), out);
    }

    /// Writes an error.
    pub(crate) fn write_problem(&self, context: Context, problem: &Problem<'_>, out: &mut Vec<u8>) {
        self.write_problem_with(context, problem, ResponseHead::new(problem.status), out);
    }

    /// Writes an error whose head says more than the status.
    pub(crate) fn write_problem_with(
        &self,
        context: Context,
        problem: &Problem<'_>,
        extra: ResponseHead<'_>,
        out: &mut Vec<u8>,
    ) {
        let body = &mut self.scratch.borrow_mut().problem;
        body.clear();
        problem.encode_body(body);
        let head = ResponseHead {
            connection: context.connection,
            retry_after_s: problem.retry_after_s(),
            content_length: Some(body.len() as u64),
            content_type: Some(FieldValue::PROBLEM_JSON),
            ..extra
        };
        self.write_head(&head, out);
        if context.method != Method::Head {
            out.extend_from_slice(body);
        }
    }

    /// Writes why an ask was refused.
    pub(crate) fn write_refusal(
        &self,
        context: Context,
        refusal: Refusal,
        cache_status: Option<CacheStatus>,
        out: &mut Vec<u8>,
    ) {
        let problem = problem_of(refusal);
        let extra = ResponseHead { cache_status, ..ResponseHead::new(problem.status) };
        self.write_problem_with(context, &problem, extra, out);
    }
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
            (Status::ContentTooLarge, "value-too-large", "the value is larger than the store that owns this key takes")
        }
        Refusal::Corrupt => {
            (Status::BadGateway, "corrupt", "the value does not match its checksum and was not delivered")
        }
    };
    Problem { status, slug, detail }
}
