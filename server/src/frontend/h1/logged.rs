//! Requests whose responses are recorded for the access log: replies and wires that note what is written.
//!
//! ```text
//!  in the poll: begin ── LoggedReply ──▶ H1Reply          the record is made when the response is written
//!  carried:     begin ─▶ record ─▶ LoggedWire ──▶ H1Wire  the record is begun with the head, and ended with all of the response
//! ```
//!
//! **Not** on anybody's way while the access log is off: [`begin`] is called instead of [`services::begin`] when it is on.
//!
//! **Invariants**: a response is written exactly as without the log; recording it allocates only for requests that need
//! more than their poll, and once for a connection.

use corelane_http::Method;
use corelane_http::problem::Problem;
use corelane_http::request::RequestHead;
use corelane_http::response::ResponseHead;
use reactor::{Connection, Instant, SharedBytes};

use super::H1;
use super::connection::scheme_of;
use super::reply::H1Reply;
use super::wire::H1Wire;
use crate::access_log::{AccessRecord, Downstream, RequestLine, ResponseNote};
use crate::exchange::origin::ResponseOrigin;
use crate::exchange::wire::{BodyFault, ClientGone};
use crate::exchange::{Begun, Reply, Wire};
use crate::services::{self, Plan};

/// A record whose response is yet to be written.
pub(super) struct PendingRecord {
    record: AccessRecord,
    began: Instant,
}

/// Responds to a request, or plans how to, as [`services::begin`] does, and records it.
#[cold]
#[inline(never)]
pub(super) fn begin(
    h1: &H1,
    head: &RequestHead<'_>,
    reply: H1Reply<'_>,
    (connection, downstream): (&Connection, &mut Downstream),
) -> (Begun<Plan>, Option<Box<PendingRecord>>) {
    downstream.count_request();
    // The pass in which its head was complete: a request that waits for others of its pass takes longer.
    let began = h1.reactor.now();
    let request = RequestLine::of(head);
    let mut note = ResponseNote::default();
    let mut logged = LoggedReply { reply, note: &mut note };
    let begun = services::begin(&h1.services, head, || scheme_of(connection), &mut logged);
    let pending = match begun {
        Begun::Done | Begun::Lent => {
            h1.recorder.record(&request, (connection, downstream), &note, began);
            None
        }
        Begun::Later(_) => {
            Some(Box::new(PendingRecord { record: h1.recorder.begin(&request, (connection, downstream)), began }))
        }
    };
    (begun, pending)
}

/// A reply that notes what is written to it.
pub(super) struct LoggedReply<'a> {
    reply: H1Reply<'a>,
    note: &'a mut ResponseNote,
}

impl Reply for LoggedReply<'_> {
    fn note_origin(&mut self, origin: ResponseOrigin) {
        self.note.origin = origin;
    }

    fn head(&mut self, head: ResponseHead<'_>) {
        self.note.status = head.status.code();
        self.reply.head(head);
    }

    fn copy(&mut self, bytes: &[u8]) {
        self.note.sent_bytes += bytes.len() as u64;
        self.reply.copy(bytes);
    }

    fn lend(&mut self, bytes: SharedBytes) {
        self.note.sent_bytes += (*bytes).as_ref().len() as u64;
        self.reply.lend(bytes);
    }

    fn problem(&mut self, problem: &Problem<'_>, head: ResponseHead<'_>) {
        let sends_body = self.reply.form.method != Method::Head;
        self.reply.responder.problem(problem, head, sends_body, self);
    }
}

/// A wire that records the response written to it.
pub(super) struct LoggedWire<'w, 'a> {
    h1: &'a H1,
    wire: &'w mut H1Wire<'a>,
    pending: PendingRecord,
    note: ResponseNote,
    /// The head of the response is written: it is recorded when no more of it follows.
    is_written: bool,
}

impl<'w, 'a> LoggedWire<'w, 'a> {
    pub(super) fn new(h1: &'a H1, wire: &'w mut H1Wire<'a>, pending: PendingRecord) -> Self {
        LoggedWire { h1, wire, pending, note: ResponseNote::default(), is_written: false }
    }
}

impl Drop for LoggedWire<'_, '_> {
    fn drop(&mut self) {
        if self.is_written {
            self.h1.recorder.end(&self.pending.record, &self.note, self.pending.began);
        }
    }
}

impl Wire for LoggedWire<'_, '_> {
    type Reply<'r> = LoggedReply<'r>;

    fn respond<T>(&mut self, write: impl FnOnce(&mut LoggedReply<'_>) -> T) -> T {
        let LoggedWire { wire, note, is_written, .. } = self;
        *is_written = true;
        wire.respond(|reply| write(&mut LoggedReply { reply: reply.reborrow(), note: &mut *note }))
    }

    fn invite_body(&mut self) {
        self.wire.invite_body();
    }

    async fn body(&mut self) -> Result<Option<&[u8]>, BodyFault> {
        let bytes = self.wire.body().await?;
        self.note.received_bytes += bytes.map_or(0, |bytes| bytes.len() as u64);
        Ok(bytes)
    }

    async fn room(&mut self, bytes: usize) -> Result<(), ClientGone> {
        self.wire.room(bytes).await
    }

    fn extend(&mut self, bytes: SharedBytes) {
        self.note.sent_bytes += (*bytes).as_ref().len() as u64;
        self.wire.extend(bytes);
    }

    fn cut(&mut self) {
        self.wire.cut();
    }
}
