//! One connection of the admin listener.
//!
//! ```text
//!  idle (75 s) ── first byte ──▶ head (10 s) ── whole ──▶ answer, queued ── fits ──▶ idle, or the next head
//!    │ time, end of stream         │ time: 408              │ Connection: close, or refused
//!    ▼                             ▼                        ▼
//!  close                         finish ◀───────────────────┘ (send all, wait a little for the peer)
//! ```
//!
//! **Not** more than HTTP/1.x with requests without a body.
//!
//! **Invariants**: every wait has a deadline; what is queued to a client that does not read is bounded, since the next
//! request waits for it; between two requests other tasks of the core run; an idle connection owns no buffer.
//!
//! **Source**: RFC 9112 section 9; the limits of docs/config.md, which are fixed here.

use std::time::Duration;

use corelane_http::h1::foreign::HTTP2_GOAWAY;
use corelane_http::h1::request::RequestError;
use corelane_http::{
    MessageLimits,
    h1::server::{RequestReader, ResponseForm},
    request::{RequestBody, RequestHead},
};
use reactor::{Connection, ConnectionError, Instant, Received};

use super::{
    accept::{OwnPlace, is_taken_over},
    answer::AdminAnswer,
    route,
    server::AdminServer,
};

/// How long a connection may rest between two requests; longer than the usual interval of scrapes, 60 s.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(75);

/// How long a head may take from its first byte.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(10);

/// How long a connection on the place of a probe may take from being accepted to a whole head.
pub(super) const PROBE_TIME: Duration = Duration::from_secs(2);

/// How long a client may take to read what is queued for it, up to [`QUEUE_BYTES_MAX`].
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(30);

/// How long a connection waits for its peer after its last response.
const LINGER: Duration = Duration::from_secs(2);

/// The same on the place of a probe, which the next one needs: enough for the end of a connection to arrive across a data centre.
const PROBE_LINGER: Duration = Duration::from_millis(100);

/// Bytes queued to a client at which its next request waits: a metrics page of a large host fits.
const QUEUE_BYTES_MAX: usize = 256 * 1024;

/// No page of the listener needs more; a body of any length is refused.
const LIMITS: MessageLimits = MessageLimits {
    head_bytes_max: 16 << 10,
    field_count_max: 100,
    target_bytes_max: 8 << 10,
    body_bytes_max: 0,
    chunk_extension_bytes_max: 0,
    trailer_bytes_max: 0,
};

/// The requests of one connection.
type AdminRequests = RequestReader<Received, Instant>;

/// What may be asked on a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pages {
    /// Anything, as often as it is wanted.
    All,
    /// One request for a page of probes.
    Probes,
}

/// What is known of the next request.
enum RequestStep {
    /// More bytes are needed.
    More,
    /// Its response is queued; the connection goes on.
    Answered,
    /// Its response is queued, and it is the last.
    Last,
}

/// Answers the requests of one connection until it ends, or another takes over its place.
pub(super) async fn serve(server: &AdminServer, connection: Connection, place: &OwnPlace, pages: Pages) {
    let mut requests = AdminRequests::new(&mut server.heads.borrow_mut());
    let probe_until = server.reactor().now() + PROBE_TIME;
    loop {
        match step(server, &connection, &mut requests, pages) {
            RequestStep::Answered => {
                requests.release();
                if queue_shrunk(server, &connection, QUEUE_BYTES_MAX).await.is_err() {
                    return;
                }
                // A client that pipelines must not keep this core from its other tasks.
                server.reactor().yield_now().await;
            }
            RequestStep::Last => break,
            RequestStep::More => match receive(server, &connection, &mut requests, (place, pages, probe_until)).await {
                Ok(true) => {}
                Ok(false) => break,
                // Without a place it must not linger, or others could keep any number of them open.
                Err(ConnectionError::TimedOut) if is_taken_over(place) && connection.queued_bytes() == 0 => return,
                Err(ConnectionError::TimedOut) if requests.head_began().is_some() => {
                    refuse(server, &connection, ResponseForm::closing(), &route::too_slow());
                    break;
                }
                Err(ConnectionError::TimedOut) => break,
                Err(_) => return,
            },
        }
    }
    if queue_shrunk(server, &connection, 0).await.is_ok() {
        connection.finish(if pages == Pages::Probes { PROBE_LINGER } else { LINGER }).await;
    }
}

/// Waits for bytes; false when the peer has sent all it will send.
async fn receive(
    server: &AdminServer,
    connection: &Connection,
    requests: &mut AdminRequests,
    (place, pages, probe_until): (&OwnPlace, Pages, Instant),
) -> Result<bool, ConnectionError> {
    let reactor = server.reactor();
    let idle_until = || reactor.now() + IDLE_TIME;
    let deadline = requests.head_began().map_or_else(idle_until, |began| began + HEAD_TIME);
    connection.set_deadline(if pages == Pages::Probes { probe_until } else { deadline });
    let waiting = match pages {
        Pages::All => requests.head_began().is_none().then_some(&server.resting),
        Pages::Probes => Some(&server.unheard),
    };
    requests.release();
    if let Some(waiting) = waiting {
        waiting.add(connection, place);
    }
    let received = connection.receive().await;
    if let Some(waiting) = waiting {
        waiting.remove(place);
    }
    let Some(data) = received? else { return Ok(false) };
    requests.push(data);
    Ok(true)
}

async fn queue_shrunk(server: &AdminServer, connection: &Connection, below: usize) -> Result<(), ConnectionError> {
    connection.set_deadline(server.reactor().now() + ANSWER_TIME);
    connection.drained(below).await
}

/// Answers the next request, if its head is whole.
fn step(server: &AdminServer, connection: &Connection, requests: &mut AdminRequests, pages: Pages) -> RequestStep {
    let mut scratch = server.heads.borrow_mut();
    let now = || server.reactor().now();
    match requests.next(&LIMITS, &mut scratch, now, |head| answer(server, connection, head, pages)) {
        Ok(Some(next)) => next,
        Ok(None) => RequestStep::More,
        Err(error) => {
            // Which method it was is not known for sure; a body after a response to HEAD does no harm on a connection that ends.
            if error == RequestError::Http2 {
                server.metrics.refused.increment();
                connection.write().extend_from_slice(HTTP2_GOAWAY);
            } else {
                refuse(server, connection, ResponseForm::closing(), &AdminAnswer::problem(&error.problem(&LIMITS)));
            }
            RequestStep::Last
        }
    }
}

fn answer(server: &AdminServer, connection: &Connection, head: &RequestHead<'_>, pages: Pages) -> RequestStep {
    server.metrics.requests.increment();
    let form = ResponseForm::of(head, false);
    if pages == Pages::Probes {
        let answer = if route::is_probe(head) { route::answer(head, server) } else { route::too_many_connections() };
        answer.encode(form.as_last(), server.reactor().wall_ms(), &mut connection.write());
        return RequestStep::Last;
    }
    if head.body() != RequestBody::None {
        refuse(server, connection, form.as_last(), &route::body_refused());
        return RequestStep::Last;
    }
    route::answer(head, server).encode(form, server.reactor().wall_ms(), &mut connection.write());
    if form.stays() { RequestStep::Answered } else { RequestStep::Last }
}

/// Queues the last response of a connection whose requests cannot be trusted any more.
fn refuse(server: &AdminServer, connection: &Connection, form: ResponseForm, answer: &AdminAnswer) {
    server.metrics.refused.increment();
    answer.encode(form, server.reactor().wall_ms(), &mut connection.write());
}
