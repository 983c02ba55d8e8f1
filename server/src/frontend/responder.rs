//! What the responses of a core have in common, whatever the protocol: their date, and that they are counted.
//!
//! **Not** deciding the status, and **not** encoding heads.
//!
//! **Invariants**: every response is counted once, by the class of its final status; its date is that of the second in
//! which it is written.

use std::cell::{Cell, Ref, RefCell};
use std::sync::Arc;

use corelane_http::Status;
use corelane_http::field::FieldValue;
use corelane_http::h1::ResponseStart;
use corelane_http::problem::Problem;
use corelane_http::response::ResponseHead;
use reactor::Reactor;

use crate::exchange::Reply;
use crate::metrics::CoreMetrics;

pub(super) struct Responder {
    reactor: Reactor,
    date: DateClock,
    metrics: Arc<CoreMetrics>,
    /// The body of an error, while its head is written.
    problem: RefCell<Vec<u8>>,
}

impl Responder {
    pub(super) fn new(reactor: &Reactor, metrics: &Arc<CoreMetrics>) -> Self {
        Responder {
            reactor: reactor.clone(),
            date: DateClock::new(),
            metrics: Arc::clone(metrics),
            problem: RefCell::new(Vec::with_capacity(512)),
        }
    }

    /// Counts a response, and gives the date it bears.
    #[inline(always)]
    pub(super) fn begin(&self, status: Status) -> Ref<'_, ResponseStart> {
        count(&self.metrics, status);
        self.date.at(self.reactor.wall_ms())
    }

    /// Writes an error whose head says what `head` says, too.
    pub(super) fn problem<R: Reply>(
        &self,
        problem: &Problem<'_>,
        head: ResponseHead<'_>,
        sends_body: bool,
        reply: &mut R,
    ) {
        let body = &mut *self.problem.borrow_mut();
        body.clear();
        problem.encode_body(body);
        reply.head(ResponseHead {
            retry_after_s: problem.retry_after_s(),
            content_length: Some(body.len() as u64),
            content_type: Some(FieldValue::PROBLEM_JSON),
            ..head
        });
        if sends_body {
            reply.copy(body);
        }
    }
}

/// Counts a response by its class. An interim head is no response yet: the final one is counted.
#[inline(always)]
fn count(metrics: &CoreMetrics, status: Status) {
    let class = match status.code() / 100 {
        2 => &metrics.responses_2xx,
        3 => &metrics.responses_3xx,
        4 => &metrics.responses_4xx,
        5 => &metrics.responses_5xx,
        _ => return,
    };
    class.increment();
}

/// The `Date` of the running second, made once for all its responses.
struct DateClock {
    second: Cell<u64>,
    date: RefCell<ResponseStart>,
}

impl DateClock {
    fn new() -> Self {
        DateClock { second: Cell::new(0), date: RefCell::new(ResponseStart::at_unix_seconds(0)) }
    }

    /// The date at a time in unix milliseconds.
    #[inline]
    fn at(&self, now_ms: u64) -> Ref<'_, ResponseStart> {
        let now_s = now_ms / 1000;
        if self.second.replace(now_s) != now_s {
            self.date.replace(ResponseStart::at_unix_seconds(now_s));
        }
        self.date.borrow()
    }
}

#[cfg(test)]
mod tests {
    use control::metrics::Counter;
    use corelane_http::date::HttpDate;
    use reactor::sim::{NetworkOptions, World};
    use reactor::{CoreId, CoreSpec, Host};

    use super::*;
    use crate::exchange::fakes::FakeReply;

    #[test]
    fn the_date_is_that_of_the_second() {
        let clock = DateClock::new();
        for now_ms in [0, 999, 1_000, 1_700_000_000_123, 1_700_000_000_999, 1_700_000_001_000, 1_699_999_999_999] {
            let mut head = Vec::new();
            ResponseHead::new(Status::NoContent).encode(&clock.at(now_ms), &mut head);
            let date = HttpDate::from_unix_seconds(now_ms / 1000);
            let line = [b"\r\nDate: ", &date.as_bytes()[..], b"\r\n"].concat();
            assert!(head.windows(line.len()).any(|part| part == line), "{now_ms}: {}", head.escape_ascii());
        }
    }

    #[test]
    fn every_response_is_counted_once_by_its_class() {
        for status in (100..=599).map(|code| Status::from_code(code).expect("it is in range")) {
            let metrics = CoreMetrics::default();
            count(&metrics, status);
            let counted =
                [&metrics.responses_2xx, &metrics.responses_3xx, &metrics.responses_4xx, &metrics.responses_5xx]
                    .map(Counter::value);
            let class = status.code() / 100;
            let expected = [2, 3, 4, 5].map(|counted| u64::from(counted == class));
            assert_eq!(counted, expected, "{status:?}");
        }
    }

    #[test]
    fn an_error_says_what_its_body_is_and_when_to_try_again() {
        let mut world = World::new(1, NetworkOptions::default());
        let process = world.add_process("responder");
        let mut host = world.host(process);
        let doorbells = host.doorbells(1).unwrap();
        let spec = CoreSpec { id: CoreId(0), cpu: None, name: "responder".to_owned(), doorbells };
        let body = |reactor: Reactor| {
            let responder = Responder::new(&reactor, &Arc::default());
            let cases = [(Status::ServiceUnavailable, Some(1), true), (Status::NotFound, None, false)];
            for (status, retry_after_s, sends_body) in cases {
                let (problem, mut reply) =
                    (Problem { limit: None, status, slug: "x", detail: "y" }, FakeReply::default());
                let mut body = Vec::new();
                problem.encode_body(&mut body);
                responder.problem(&problem, ResponseHead::new(status), sends_body, &mut reply);
                assert_eq!((reply.status, reply.retry_after_s), (Some(status), retry_after_s));
                assert_eq!(reply.content_type.as_deref(), Some(&b"application/problem+json"[..]));
                assert_eq!(reply.content_length, Some(body.len() as u64));
                assert_eq!(reply.body, if sends_body { body } else { Vec::new() });
            }
            reactor.stop();
        };
        host.start_core(spec, Box::new(body)).unwrap();
        drop(host);
        world.run_for(std::time::Duration::from_secs(1));
        assert!(!world.is_running(process), "the body is over");
    }
}
