//! HTTP/1: the requests of a connection in, their responses out, in order, one exchange at a time.
//!
//! ```text
//!   bytes ──▶ input ──▶ parse ──▶ services::begin ──▶ answered in this poll    (reply)
//!                                      └──▶ needs a body, another core or a node: services::carry   (wire, body)
//! ```
//!
//! **Not** HTTP semantics: what is answered is decided by services.
//!
//! **Invariants**: what is answered in the poll takes no allocation, lock, await or log; responses leave in the order of
//! requests.

mod connection;
mod drain;
mod logged;
mod measure;
mod receive;
mod reply;
#[cfg(test)]
mod tests;
mod wire;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use corelane_http::Status;
use corelane_http::h1::foreign::HTTP2_GOAWAY;
use corelane_http::h1::server::{RequestScratch, ResponseForm};
use corelane_http::problem::Problem;
use corelane_http::response::ResponseHead;
use reactor::{Connection, Instant, Reactor};

use super::responder::Responder;
use crate::access_log::{Downstream, Recorder, RequestLine, ResponseNote};
use crate::connections::Connections;
use crate::exchange::Reply;
use crate::hot_keys::HotKeys;
use crate::metrics::CoreMetrics;
use crate::services::Services;
use crate::snapshot::CurrentSnapshot;
pub(crate) use connection::serve;
use measure::Rounds;
use reply::H1Reply;
use store_runtime::budget::Budget;
use store_runtime::send_queue;

/// Memos of clients' fields. Some 600 bytes of each are touched where clients are browsers, so that all of them stay in a
/// core's cache.
const MEMOS: usize = 64;

/// Part of the bound on send queues by which they may pass it, so that clients that read are served while those that do not are
/// found.
pub(crate) const SLACK_PART: usize = 4;

/// What all HTTP/1 connections of a core share.
pub(crate) struct H1 {
    reactor: Reactor,
    snapshot: Rc<CurrentSnapshot>,
    services: Services,
    responder: Responder,
    /// Where the heads of all connections are read.
    heads: RefCell<RequestScratch>,
    /// While the server drains, every response is its connection's last.
    connections: Rc<Connections>,
    /// Of responses, for the access log.
    recorder: Rc<Recorder>,
    metrics: Arc<CoreMetrics>,
    /// For what has come of heads that have not come whole.
    heads_in_part: Rc<Budget>,
    /// Keys of the rounds that are measured.
    hot_keys: Rc<RefCell<HotKeys>>,
    /// Which rounds of connections are measured.
    rounds: Rounds,
}

/// What the HTTP/1 connections of a core are served with, beside services.
#[derive(Clone, Copy)]
pub(crate) struct H1Parts<'a> {
    pub(crate) reactor: &'a Reactor,
    pub(crate) snapshot: &'a Rc<CurrentSnapshot>,
    pub(crate) connections: &'a Rc<Connections>,
    pub(crate) recorder: &'a Rc<Recorder>,
    pub(crate) metrics: &'a Arc<CoreMetrics>,
    pub(crate) heads_in_part: &'a Rc<Budget>,
    pub(crate) hot_keys: &'a Rc<RefCell<HotKeys>>,
}

impl H1 {
    pub(crate) fn new(parts: &H1Parts<'_>, services: Services) -> Self {
        let H1Parts { reactor, snapshot, connections, recorder, metrics, heads_in_part, hot_keys } = *parts;
        H1 {
            reactor: reactor.clone(),
            snapshot: Rc::clone(snapshot),
            services,
            responder: Responder::new(reactor, metrics),
            heads: RefCell::new(RequestScratch::with_memos(MEMOS)),
            connections: Rc::clone(connections),
            recorder: Rc::clone(recorder),
            metrics: Arc::clone(metrics),
            heads_in_part: Rc::clone(heads_in_part),
            hot_keys: Rc::clone(hot_keys),
            rounds: Rounds::new(),
        }
    }

    /// Bytes that one connection may have queued now.
    #[inline]
    fn queue_bytes_max(&self) -> usize {
        let limits = &self.snapshot.get().settings.limits;
        send_queue::bytes_max(limits.send_queue_bytes, limits.connection_memory_bytes, self.reactor.queued_bytes())
    }

    /// Whether the core has queued its bound: then whoever takes nothing for a while is cut off.
    fn is_full(&self) -> bool {
        self.queue_bytes_max() == 0
    }

    /// Whether the core has queued more than its bound by a quarter: then nothing is served before memory comes back.
    #[inline]
    fn is_overfull(&self) -> bool {
        let bound = self.snapshot.get().settings.limits.connection_memory_bytes;
        self.reactor.queued_bytes() >= bound + bound / SLACK_PART
    }

    /// Writes an error that is a connection's last response, whatever was asked: these bytes, from `began` on.
    pub(crate) fn refuse(
        &self,
        problem: &Problem<'_>,
        (bytes, began): (&[u8], Instant),
        from: (&Connection, &mut Downstream),
        out: &mut Vec<u8>,
    ) {
        let before = out.len();
        let mut lent = Vec::new();
        H1Reply::new(&self.responder, ResponseForm::closing(), out, &mut lent)
            .problem(problem, ResponseHead::new(problem.status));
        let head = &out[before..];
        let body_start = memchr::memmem::find(head, b"\r\n\r\n").map_or(head.len(), |at| at + 4);
        self.record_refusal(problem.status, head.len() - body_start, (bytes, began), from);
    }

    /// Tells a client of HTTP/2, in its own protocol, to use HTTP/1.1. Recorded with the status that HTTP/1 has for that.
    pub(crate) fn go_away(
        &self,
        status: Status,
        request: (&[u8], Instant),
        from: (&Connection, &mut Downstream),
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(HTTP2_GOAWAY);
        self.record_refusal(status, HTTP2_GOAWAY.len(), request, from);
    }

    fn record_refusal(
        &self,
        status: Status,
        sent_bytes: usize,
        (bytes, began): (&[u8], Instant),
        from: (&Connection, &mut Downstream),
    ) {
        if !self.recorder.is_on() {
            return;
        }
        from.1.count_request();
        let note = ResponseNote { status: status.code(), sent_bytes: sent_bytes as u64, ..ResponseNote::default() };
        self.recorder.record(&RequestLine::of_bytes(bytes), from, &note, began);
    }
}
