//! The way between an HTTP/1 connection and the one exchange that it carries at a time.
//!
//! **Not** HTTP semantics.
//!
//! **Invariants**: a response that is written before the request's body has been read to its end is the connection's last,
//! and so is one that is written while the server drains; both say so.

use corelane_http::Status;
use corelane_http::h1::CONTINUE;
use corelane_http::h1::chunked::ChunkedError;
use corelane_http::problem::Problem;
use corelane_http::request::RequestBody;
use reactor::{Connection, ConnectionError, SharedBytes};

use super::H1;
use super::body::{BodyReader, BodyStep};
use super::input::Input;
use super::measure::Stopwatch;
use super::receive::receive_until;
use super::reply::{Context, H1Reply};
use crate::exchange::Wire;
use crate::exchange::wire::BodyFault;
use crate::frontend::pace::Pace;

const SLOW: Problem<'static> =
    Problem { status: Status::RequestTimeout, slug: "body-timeout", detail: "the request's body arrives too slowly" };

pub(super) struct H1Wire<'a> {
    h1: &'a H1,
    connection: &'a Connection,
    input: &'a mut Input,
    context: Context,
    body: BodyReader,
    /// Of the body; from when it is first asked for.
    pace: Option<Pace>,
    /// Bytes at the start of the input that were lent to the exchange.
    lent_bytes: usize,
    stays: bool,
    stopwatch: Stopwatch,
}

impl<'a> H1Wire<'a> {
    /// For a request whose head is taken off the input.
    pub(super) fn new(
        h1: &'a H1,
        (connection, input): (&'a Connection, &'a mut Input),
        (context, body): (Context, RequestBody),
        stopwatch: Stopwatch,
    ) -> Self {
        let body = BodyReader::new(body, &h1.snapshot.get().head_limits);
        H1Wire { h1, connection, input, context, body, pace: None, lent_bytes: 0, stays: false, stopwatch }
    }

    /// Ends the exchange; whether the connection goes on after its response.
    pub(super) fn end(self) -> bool {
        self.connection.expect_bulk(false);
        self.stays
    }

    async fn receive(&mut self) -> Result<(), BodyFault> {
        let now = self.h1.reactor.now();
        let snapshot = self.h1.snapshot.hold();
        let limits = &snapshot.settings.limits;
        let pace = self.pace.get_or_insert(Pace {
            began: now,
            rate_min: limits.body_rate_min,
            grace: limits.body_rate_grace,
            idle_timeout: limits.idle_timeout,
        });
        let deadline = pace.deadline(now, self.body.read_bytes());
        self.connection.expect_bulk(self.body.is_bulk());
        match receive_until(&self.h1.reactor, self.connection, deadline).await {
            Ok(Some(received)) => {
                self.input.push(received);
                Ok(())
            }
            Err(ConnectionError::TimedOut) => {
                self.h1.metrics.timeouts.increment();
                Err(BodyFault::Refused(SLOW))
            }
            Ok(None) | Err(_) => Err(BodyFault::Gone),
        }
    }

    fn refused(&self, error: ChunkedError) -> BodyFault {
        let problem = error.problem();
        if problem.status == Status::BadRequest {
            self.h1.metrics.malformed.increment();
        }
        BodyFault::Refused(problem)
    }
}

impl Wire for H1Wire<'_> {
    type Reply<'r> = H1Reply<'r>;

    fn respond<T>(&mut self, write: impl FnOnce(&mut H1Reply<'_>) -> T) -> T {
        let is_last = self.h1.connections.is_draining() || !self.body.is_read();
        let context = if is_last { self.context.as_last() } else { self.context };
        self.stays = context.stays();
        let mut lent = Vec::new();
        let written = {
            let mut out = self.connection.write();
            write(&mut H1Reply::new(&self.h1.responder, context, &mut out, &mut lent))
        };
        send_in_place(self.connection, &mut lent);
        self.stopwatch.end(&self.h1.reactor, &self.h1.metrics);
        written
    }

    fn invite_body(&mut self) {
        if self.input.is_empty() {
            self.connection.write().extend_from_slice(CONTINUE);
        }
    }

    async fn body(&mut self) -> Result<Option<&[u8]>, BodyFault> {
        self.input.consume(std::mem::take(&mut self.lent_bytes));
        loop {
            match self.body.next(self.input.bytes()).map_err(|error| self.refused(error))? {
                BodyStep::Data(range) => {
                    self.lent_bytes = range.end;
                    return Ok(Some(&self.input.bytes()[range]));
                }
                BodyStep::More(count) => {
                    self.input.consume(count);
                    self.receive().await?;
                }
                BodyStep::End(count) => {
                    self.input.consume(count);
                    self.connection.expect_bulk(false);
                    return Ok(None);
                }
            }
        }
    }
}

/// Queues bytes that are sent in place.
pub(super) fn send_in_place(connection: &Connection, lent: &mut Vec<SharedBytes>) {
    lent.drain(..).for_each(|bytes| connection.write_shared(bytes));
}
