//! One HTTP/1 connection, from its first byte to its last.
//!
//! ```text
//!   receive ──▶ serve what is complete ──▶ (needs more? carry it) ──▶ back-pressure ──▶ receive …
//! ```
//!
//! **Not** HTTP semantics: what is answered is decided elsewhere.
//!
//! **Invariants**: every wait has a deadline; after a framing error nothing more is read as a request; a connection
//! whose client does not read is not read from either.

use std::rc::Rc;
use std::time::Duration;

use corelane_gateway::normal::RequestScheme;
use corelane_http::Status;
use corelane_http::h1::Parsed;
use corelane_http::h1::request::{RequestError, Resume, parse};
use corelane_http::h1::server::{RequestRound, ResponseForm};
use corelane_http::problem::Problem;
use corelane_http::request::{RequestBody, RequestHead};
use reactor::{Connection, ConnectionError, Instant, Received, SharedBytes};

use super::drain;
use super::logged::{LoggedWire, PendingRecord};
use super::measure::Stopwatch;
use super::receive::{Requests, receive_until};
use super::reply::H1Reply;
use super::wire::{H1Wire, send_in_place};
use super::{H1, logged};
use crate::access_log::Downstream;
use crate::connections::Registered;
use crate::exchange::Begun;
use crate::frontend::bounds::keyed;
use crate::services::{self, Exchange, Plan};

/// How long a finished connection waits for its client to have read everything, while nothing comes from it.
const LINGER: Duration = Duration::from_secs(2);

/// How long it waits in all for a client that goes on sending a body that was refused: as it may not look for the response
/// before it has sent everything, and would lose it in a reset.
const LINGER_WHOLE: Duration = Duration::from_secs(30);

/// How long an idle connection of a draining server waits for a last request.
const DRAINING_IDLE: Duration = Duration::from_secs(1);

const MEMORY_FULL: Problem<'static> = Problem {
    limit: None,
    status: Status::ServiceUnavailable,
    slug: "memory-full",
    detail: "limits.connection_memory_bytes: clients that do not read have used it up; try again",
};

const HEADS_FULL: Problem<'static> = Problem {
    limit: None,
    status: Status::ServiceUnavailable,
    slug: "memory-full",
    detail: "limits.connection_memory_bytes: no memory is left for heads that come in parts; try again",
};

struct Session {
    h1: Rc<H1>,
    connection: Connection,
    requests: Requests,
    downstream: Downstream,
}

/// How a connection ends.
enum End {
    /// There is nothing to say, or nobody to say it to.
    Close,
    /// What is queued is sent first.
    Finish,
}

/// What the loop over a connection's requests goes on with.
enum LoopState {
    /// More bytes are needed.
    Receive,
    /// A request needs more than this poll.
    Carry(Box<Carried>),
    /// As many requests as one poll may serve are served.
    Pause,
    /// The last response is written.
    Finish,
}

/// A request that needs more than the poll that parsed it.
struct Carried {
    exchange: Exchange,
    form: ResponseForm,
    body: RequestBody,
    /// Its record, where responses are recorded.
    pending: Option<Box<PendingRecord>>,
}

/// Serves a connection until it ends. It was registered before this task began, so that the bound on connections counts
/// it from its admission.
pub(crate) async fn serve(h1: Rc<H1>, connection: Connection, registered: Registered, downstream: Downstream) {
    let requests = Requests::new(&mut h1.heads.borrow_mut());
    let mut session = Session { h1, connection, requests, downstream };
    match session.run().await {
        End::Close => {}
        End::Finish => {
            // The linger is for a client that has everything; large responses to slow clients take longer than that.
            if session.drain_to(0).await.is_ok() {
                registered.finish();
                session.connection.finish_within(LINGER, LINGER_WHOLE).await;
            }
        }
    }
}

impl Session {
    async fn run(&mut self) -> End {
        loop {
            if self.h1.is_overfull() && !self.may_serve().await {
                return self.refuse_head(&MEMORY_FULL);
            }
            let round = self.h1.rounds.begin(&self.h1.reactor, &self.h1.metrics);
            if round.is_some() {
                self.note_key();
            }
            let state = self.serve_ready();
            if let Some(round) = round {
                let carried = u64::from(matches!(state, LoopState::Carry(_)));
                round.end(self.h1.reactor.read_clock(), &self.h1.metrics, carried);
            }
            match state {
                LoopState::Finish => return End::Finish,
                LoopState::Pause => self.h1.reactor.yield_now().await,
                LoopState::Receive => match self.receive().await {
                    Ok(()) => {}
                    Err(end) => return end,
                },
                // Boxed, so that the connections that never come here do not carry the room for it.
                LoopState::Carry(carried) => {
                    if !Box::pin(self.carry(*carried)).await {
                        return End::Finish;
                    }
                }
            }
            if let Err(end) = self.relieve().await {
                return end;
            }
        }
    }

    /// Counts the first key of a round that is measured.
    #[cold]
    fn note_key(&self) {
        let snapshot = self.h1.snapshot.get();
        if !snapshot.settings.hot_keys {
            return;
        }
        let mut resume = Resume::default();
        if let Ok(Parsed::Complete(head)) = parse(self.requests.unread(), &snapshot.head_limits, &mut resume)
            && let Some((keyspace, raw_key)) = services::key_of(&head)
        {
            self.h1.hot_keys.borrow_mut().note(keyspace, raw_key);
        }
    }

    /// Whether memory comes back for what is to be served, if anything is.
    #[cold]
    async fn may_serve(&mut self) -> bool {
        if self.requests.unread().is_empty() {
            return true;
        }
        // The ring needs its buffers for others meanwhile.
        self.requests.release();
        drain::memory_comes_back(&self.h1).await
    }

    /// Serves every complete request that can be served now.
    fn serve_ready(&mut self) -> LoopState {
        let Session { h1, connection, requests, downstream } = self;
        let snapshot = h1.snapshot.get();
        let limits = &snapshot.settings.limits;
        let mut heads = h1.heads.borrow_mut();
        let mut round = requests.begin_round(&snapshot.head_limits, &mut heads);
        let queue_bytes_max = h1.queue_bytes_max();
        // Bytes queued before `out`, and not looked at anew for every request.
        let mut queued_bytes = 0;
        let mut out = connection.write();
        let mut lent = Vec::new();
        for _ in 0..limits.pipelined_requests_max {
            let dispatched = match serve_next(h1, &mut round, (connection, downstream), (&mut out, &mut lent)) {
                Ok(dispatched) => dispatched,
                Err(state) => return state,
            };
            h1.metrics.requests.increment();
            match dispatched.result {
                DispatchResult::Written => {}
                DispatchResult::WithBody => {
                    drop(out);
                    send_in_place(connection, &mut lent);
                    queued_bytes = connection.queued_bytes();
                    out = connection.write();
                }
                DispatchResult::NeedsAsync(carried) => return LoopState::Carry(carried),
            }
            if !dispatched.stays {
                return LoopState::Finish;
            }
            // Many responses of one round can be more than any client may leave unread.
            if queued_bytes + out.len() > queue_bytes_max {
                return LoopState::Pause;
            }
        }
        LoopState::Pause
    }

    /// Carries a request through whose head is taken off the input; false when the connection ends after its response.
    async fn carry(&mut self, carried: Carried) -> bool {
        let Session { h1, connection, requests, .. } = self;
        let Carried { exchange, form, body, pending } = carried;
        let stopwatch = Stopwatch::begin(&h1.reactor, exchange.route());
        let mut wire = H1Wire::new(h1, (connection, requests), (form, body), stopwatch);
        match pending {
            None => services::carry(&h1.services, exchange, &mut wire).await,
            Some(pending) => {
                services::carry(&h1.services, exchange, &mut LoggedWire::new(h1, &mut wire, *pending)).await;
            }
        }
        wire.end()
    }

    /// Waits for bytes.
    async fn receive(&mut self) -> Result<(), End> {
        self.requests.release();
        let deadline = self.receive_deadline();
        self.connection.set_deadline(deadline);
        let received = match self.requests.head_began() {
            Some(_) => {
                let Some(_lease) = self.h1.heads_in_part.lease(self.requests.unread().len()) else {
                    return Err(self.refuse_head(&HEADS_FULL));
                };
                receive_until(&self.h1.reactor, &self.connection, deadline).await
            }
            None => self.connection.receive().await,
        };
        match received {
            Ok(Some(received)) => {
                self.requests.push(received);
                Ok(())
            }
            // The client has sent all; what it asked for is on its way.
            Ok(None) => Err(End::Finish),
            Err(ConnectionError::TimedOut) => Err(self.time_out()),
            Err(_) => Err(End::Close),
        }
    }

    /// By when the next bytes must come. An idle connection keeps no snapshot alive.
    fn receive_deadline(&self) -> Instant {
        let now = self.h1.reactor.now();
        let snapshot = self.h1.snapshot.get();
        let limits = &snapshot.settings.limits;
        match self.requests.head_began() {
            Some(began) => began + limits.header_timeout,
            None if self.h1.connections.is_draining() => now + DRAINING_IDLE.min(limits.idle_timeout),
            None => now + limits.idle_timeout,
        }
    }

    fn time_out(&mut self) -> End {
        if self.requests.head_began().is_none() {
            return End::Finish;
        }
        self.h1.metrics.timeouts.increment();
        let problem = Problem {
            limit: None,
            status: Status::RequestTimeout,
            slug: "header-timeout",
            detail: "the request's head did not arrive in time",
        };
        self.refuse_head(&problem)
    }

    /// Answers a head that has not come whole.
    fn refuse_head(&mut self, problem: &Problem<'_>) -> End {
        let Session { h1, connection, requests, downstream } = self;
        let request = (requests.unread(), requests.head_began().unwrap_or_else(|| h1.reactor.now()));
        h1.refuse(problem, request, (connection, downstream), &mut connection.write());
        End::Finish
    }

    /// Waits, if the client does not read, until half of what is queued has been taken.
    async fn relieve(&mut self) -> Result<(), End> {
        let bytes_max = self.h1.queue_bytes_max();
        if self.connection.queued_bytes() <= bytes_max {
            return Ok(());
        }
        self.requests.release();
        self.drain_to(bytes_max / 2).await
    }

    /// Waits until at most `below` bytes are queued, for as long as the client goes on taking them.
    async fn drain_to(&self, below: usize) -> Result<(), End> {
        drain::drain_to(&self.h1, &self.connection, below).await.map_err(|_| End::Close)
    }
}

/// A request that was dispatched.
struct Dispatched {
    result: DispatchResult,
    /// Whether the connection goes on after its response.
    stays: bool,
}

/// What became of a request in the poll that parsed it.
enum DispatchResult {
    /// Its response is written.
    Written,
    /// Its response is written, but for the bytes that are sent in place.
    WithBody,
    /// It needs more than this poll.
    NeedsAsync(Box<Carried>),
}

/// Where responses are written: copied bytes, and behind them those that are sent in place.
type Outgoing<'a> = (&'a mut Vec<u8>, &'a mut Vec<SharedBytes>);

/// Reads the next head and dispatches its request; or says how the loop goes on.
#[inline(always)]
fn serve_next(
    h1: &H1,
    round: &mut RequestRound<'_, Received, Instant>,
    (connection, downstream): (&Connection, &mut Downstream),
    (out, lent): Outgoing<'_>,
) -> Result<Dispatched, LoopState> {
    if services::pays_look_ahead(&h1.services) && round.read_ahead(|head| services::look_ahead(&h1.services, head)) {
        services::prefetch(&h1.services);
    }
    let serve = |head: &RequestHead<'_>| dispatch(h1, head, (connection, &mut *downstream), (&mut *out, lent));
    match round.next(|| h1.reactor.now(), serve) {
        Ok(Some(dispatched)) => Ok(dispatched),
        Ok(None) => Err(LoopState::Receive),
        Err(error) => {
            h1.metrics.requests_refused.increment();
            let request = (round.unread(), h1.reactor.now());
            if error == RequestError::Http2 {
                h1.go_away(error.status(), request, (connection, downstream), out);
            } else {
                let problem = keyed(error.problem(&h1.snapshot.get().head_limits));
                h1.refuse(&problem, request, (connection, downstream), out);
            }
            Err(LoopState::Finish)
        }
    }
}

/// How the client of a connection speaks to its listener.
pub(super) fn scheme_of(connection: &Connection) -> RequestScheme {
    if connection.is_protected() { RequestScheme::Https } else { RequestScheme::Http }
}

#[inline(always)]
fn dispatch(
    h1: &H1,
    head: &RequestHead<'_>,
    from: (&Connection, &mut Downstream),
    (out, lent): Outgoing<'_>,
) -> Dispatched {
    let connection = from.0;
    let form = ResponseForm::of(head, h1.connections.ends_each());
    let in_poll = form.before(head.body());
    let mut reply = H1Reply::new(&h1.responder, in_poll, out, lent);
    let (begun, pending) = if h1.recorder.is_on() {
        logged::begin(h1, head, reply, from)
    } else {
        (services::begin(&h1.services, head, || scheme_of(connection), &mut reply), None)
    };
    let result = match begun {
        Begun::Done => DispatchResult::Written,
        Begun::Lent => DispatchResult::WithBody,
        Begun::Later(plan) => {
            let plan = if comes_too_early(connection, head) { Plan::TooEarly } else { plan };
            let carried = Carried { exchange: Exchange::new(head, plan), form, body: head.body(), pending };
            DispatchResult::NeedsAsync(Box::new(carried))
        }
    };
    Dispatched { result, stays: in_poll.stays() }
}

/// Whether a request that needs more than its poll may not be carried out yet. Out of line, for those that do not.
#[inline(never)]
fn comes_too_early(connection: &Connection, head: &RequestHead<'_>) -> bool {
    services::is_too_early(head, || connection.may_be_replayed())
}
