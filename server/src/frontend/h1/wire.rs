//! The way between an HTTP/1 connection and the one exchange that it carries at a time.
//!
//! **Not** HTTP semantics.
//!
//! **Invariants**: a response that is written before the request's body has been read to its end is the connection's last,
//! and so is one that is written while the server drains; both say so.

use corelane_http::Status;
use corelane_http::h1::chunked::ChunkedError;
use corelane_http::h1::server::{BodyReader, BodyStep, ResponseForm};
use corelane_http::problem::Problem;
use corelane_http::request::RequestBody;
use reactor::{Connection, ConnectionError, SharedBytes};

use super::H1;
use super::drain;
use super::measure::Stopwatch;
use super::receive::{Requests, receive_until};
use super::reply::H1Reply;
use crate::exchange::Wire;
use crate::exchange::wire::{BodyFault, ClientGone};
use crate::frontend::bounds::keyed;
use crate::frontend::pace::Pace;

const SLOW: Problem<'static> = Problem {
    limit: None,
    status: Status::RequestTimeout,
    slug: "body-timeout",
    detail: "the request's body arrives too slowly",
};

/// Bytes still to come from which on they are received in bulk.
const BULK_BYTES_MIN: usize = 128 * 1024;

pub(super) struct H1Wire<'a> {
    h1: &'a H1,
    connection: &'a Connection,
    requests: &'a mut Requests,
    form: ResponseForm,
    body: BodyReader,
    /// Of the body; from when it is first asked for.
    pace: Option<Pace>,
    stays: bool,
    stopwatch: Stopwatch,
}

impl<'a> H1Wire<'a> {
    /// For a request whose head is taken off the input.
    pub(super) fn new(
        h1: &'a H1,
        (connection, requests): (&'a Connection, &'a mut Requests),
        (form, body): (ResponseForm, RequestBody),
        stopwatch: Stopwatch,
    ) -> Self {
        let body = BodyReader::new(body, &h1.snapshot.get().head_limits);
        H1Wire { h1, connection, requests, form, body, pace: None, stays: false, stopwatch }
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
            whole: limits.body_timeout,
        });
        let deadline = pace.deadline(now, self.body.read_bytes());
        self.connection.expect_bulk(is_bulk(&self.body));
        match receive_until(&self.h1.reactor, self.connection, deadline).await {
            Ok(Some(received)) => {
                self.requests.push(received);
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
        let problem = keyed(error.problem(&self.h1.snapshot.get().head_limits));
        if problem.status == Status::BadRequest {
            self.h1.metrics.requests_refused.increment();
        }
        BodyFault::Refused(problem)
    }
}

impl Wire for H1Wire<'_> {
    type Reply<'r> = H1Reply<'r>;

    fn respond<T>(&mut self, write: impl FnOnce(&mut H1Reply<'_>) -> T) -> T {
        let is_last = self.h1.connections.ends_each() || !self.body.is_read();
        let form = if is_last { self.form.as_last() } else { self.form };
        self.stays = form.stays();
        let mut lent = Vec::new();
        let written = {
            let mut out = self.connection.write();
            write(&mut H1Reply::new(&self.h1.responder, form, &mut out, &mut lent))
        };
        send_in_place(self.connection, &mut lent);
        self.stopwatch.end(&self.h1.reactor, &self.h1.metrics);
        written
    }

    fn invite_body(&mut self) {
        let invitation = self.body.invitation(self.requests.input());
        self.connection.write().extend_from_slice(invitation);
    }

    async fn body(&mut self) -> Result<Option<&[u8]>, BodyFault> {
        loop {
            match self.body.next(self.requests.input()).map_err(|error| self.refused(error))? {
                BodyStep::Data => return Ok(Some(self.body.data(self.requests.input()))),
                BodyStep::More => self.receive().await?,
                BodyStep::End => {
                    self.connection.expect_bulk(false);
                    return Ok(None);
                }
            }
        }
    }

    async fn room(&mut self, bytes: usize) -> Result<(), ClientGone> {
        // The ring needs its buffers for others, however long the client takes.
        self.requests.release();
        let room = self.wait_for_room(bytes).await;
        self.stays &= room.is_ok();
        room
    }

    fn extend(&mut self, bytes: SharedBytes) {
        self.connection.write_shared(bytes);
    }

    fn cut(&mut self) {
        self.stays = false;
    }
}

impl H1Wire<'_> {
    async fn wait_for_room(&self, bytes: usize) -> Result<(), ClientGone> {
        drain::drain_to(self.h1, self.connection, bytes).await.map_err(|_| ClientGone)
    }
}

/// Whether much of a body is still to come; where that is not known, what has come is a fair guess.
fn is_bulk(body: &BodyReader) -> bool {
    body.bytes_to_come().unwrap_or(body.read_bytes()) >= BULK_BYTES_MIN
}

/// Queues bytes that are sent in place.
pub(super) fn send_in_place(connection: &Connection, lent: &mut Vec<SharedBytes>) {
    lent.drain(..).for_each(|bytes| connection.write_shared(bytes));
}

#[cfg(test)]
mod tests {
    use corelane_http::MessageLimits;
    use corelane_http::h1::input::LentInput;

    use super::*;

    #[test]
    fn bulk_is_what_is_still_to_come() {
        let reader = |body| BodyReader::new(body, &MessageLimits::default());
        assert!(!is_bulk(&reader(RequestBody::None)));
        let (mut announced, mut input) =
            (reader(RequestBody::Length(BULK_BYTES_MIN as u64 + 1)), LentInput::<Vec<u8>>::default());
        assert!(is_bulk(&announced));
        input.push(b"ab".to_vec());
        announced.next(&mut input).unwrap();
        assert!(!is_bulk(&announced));
        let (mut chunked, mut input) = (reader(RequestBody::Chunked), LentInput::<Vec<u8>>::default());
        assert!(!is_bulk(&chunked));
        let mut chunk = format!("{BULK_BYTES_MIN:x}\r\n").into_bytes();
        chunk.resize(chunk.len() + BULK_BYTES_MIN, b'x');
        input.push(chunk);
        assert_eq!(chunked.next(&mut input), Ok(BodyStep::Data));
        assert!(is_bulk(&chunked));
    }
}
