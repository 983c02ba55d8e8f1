//! One downstream connection, from its first byte to its last.
//!
//! ```text
//!   receive ──▶ serve what is complete ──▶ (slow request? await it) ──▶ back-pressure ──▶ receive …
//! ```
//!
//! **Not** HTTP semantics: what is answered is decided elsewhere.
//!
//! **Invariants**: every wait has a deadline; after a framing error nothing more is read as a request; a connection
//! whose client does not read is not read from either.

use std::rc::Rc;
use std::time::Duration;

use corelane_http::Status;
use corelane_http::h1::request::{Parsed, Resume, parse_remembering};
use corelane_http::problem::Problem;
use corelane_http::request::{Body, Head};
use reactor::{Connection, ConnectionError, Instant, Received, WriteGuard};

use crate::edge::sessions::Registered;
use crate::edge::{EdgeCore, HeadScratch};
use crate::exchange::reply::Context;
use crate::frontend::h1::input::Input;
use crate::services::kv::hit::{self, Served};
use crate::services::kv::value::Chunks;
use crate::services::router::{self, Subject};

/// How long a finished connection waits for its client to have read everything.
const LINGER: Duration = Duration::from_secs(2);

/// Bytes that a client must take in an idle time while answers wait for it. About the slowest body we take, the other
/// way round: who is slower holds memory for hours.
const TAKEN_BYTES_MIN: usize = 64 * 1024;

/// How long an idle connection of a draining server waits for a last request.
const DRAINING_IDLE: Duration = Duration::from_secs(1);

pub(crate) struct Session {
    pub(crate) core: Rc<EdgeCore>,
    pub(crate) connection: Connection,
    pub(crate) input: Input,
    /// What is known of a head that has come in part. Whole heads are read in the core's memory, which is at hand, and not
    /// in every connection's.
    partial: Option<Box<Resume>>,
    /// When the first byte of a head that is not complete came.
    head_began: Option<Instant>,
}

/// How a connection ends.
enum End {
    /// There is nothing to say, or nobody to say it to.
    Close,
    /// What is queued is sent first.
    Finish,
}

/// What a round over the input came to.
enum Round {
    /// More bytes are needed.
    Receive,
    /// The request whose head is at the start of the input needs more than this poll.
    Slow { head_bytes: usize },
    /// As many requests as one poll may serve.
    Pause,
    /// The last answer is written.
    Finish,
}

/// Serves a connection until it ends. It was registered before this task began, so that the bound on connections counts
/// it from its admission.
pub(crate) async fn serve(core: Rc<EdgeCore>, connection: Connection, registered: Registered) {
    let mut session = Session { core, connection, input: Input::default(), partial: None, head_began: None };
    match session.run().await {
        End::Close => {}
        End::Finish => {
            // The linger is for a client that has everything; large answers to slow clients take longer than that.
            if session.drain_to(0).await.is_ok() {
                registered.finish();
                session.connection.finish(LINGER).await;
            }
        }
    }
}

impl Session {
    async fn run(&mut self) -> End {
        loop {
            match self.serve_ready() {
                Round::Finish => return End::Finish,
                Round::Pause => self.core.reactor.yield_now().await,
                Round::Receive => match self.receive().await {
                    Ok(()) => {}
                    Err(end) => return end,
                },
                // Boxed, so that the connections that never come here do not carry the room for it.
                Round::Slow { head_bytes } => {
                    if !Box::pin(self.serve_slow(head_bytes)).await {
                        return End::Finish;
                    }
                }
            }
            if let Err(end) = self.relieve().await {
                return end;
            }
        }
    }

    /// Serves every complete request that can be served now.
    fn serve_ready(&mut self) -> Round {
        let Session { core, connection, input, partial, head_began } = self;
        let snapshot = core.snapshot();
        let limits = &snapshot.settings.limits;
        // Bytes queued before `out`, and not looked at anew for every request.
        let mut queued_bytes = 0;
        let mut out = connection.write();
        for _ in 0..limits.requests_per_connection_queue {
            if input.is_empty() {
                return Round::Receive;
            }
            let step = match serve_next(core, input.bytes(), (partial, head_began), &mut out) {
                Ok(step) => step,
                Err(round) => return round,
            };
            match step.now {
                Now::Written => {}
                Now::Last => {
                    core.metrics.requests.increment();
                    return Round::Finish;
                }
                Now::Followed(chunks) => {
                    drop(out);
                    send_all(connection, chunks);
                    queued_bytes = connection.queued_bytes();
                    out = connection.write();
                }
                Now::Slow => {
                    *partial = None;
                    return Round::Slow { head_bytes: step.head_bytes };
                }
            }
            core.metrics.requests.increment();
            *partial = None;
            input.consume(step.head_bytes);
            if !step.stays {
                return Round::Finish;
            }
            // Many answers of one round can be more than any client may leave unread.
            if queued_bytes + out.len() > limits.send_queue_bytes {
                return Round::Pause;
            }
        }
        Round::Pause
    }

    /// Waits for bytes.
    async fn receive(&mut self) -> Result<(), End> {
        self.input.release();
        let now = self.core.reactor.now();
        let snapshot = self.core.hold();
        let limits = &snapshot.settings.limits;
        let deadline = match self.head_began {
            Some(began) => began + limits.header_time,
            None if self.core.draining.get() => now + DRAINING_IDLE.min(limits.idle_time),
            None => now + limits.idle_time,
        };
        self.connection.set_deadline(deadline);
        let received = match self.head_began {
            Some(_) => self.receive_until(deadline).await,
            None => self.connection.receive().await,
        };
        match received {
            Ok(Some(received)) => {
                self.input.push(received);
                Ok(())
            }
            // The client has sent all; what it asked for is on its way.
            Ok(None) => Err(End::Finish),
            Err(ConnectionError::TimedOut) => Err(self.time_out()),
            Err(_) => Err(End::Close),
        }
    }

    /// Receives what belongs to a request under way. The beginning of a drain brings every deadline forward, so that
    /// idle connections end; a request that has begun keeps its own.
    pub(crate) async fn receive_until(&self, deadline: Instant) -> Result<Option<Received>, ConnectionError> {
        loop {
            self.connection.set_deadline(deadline);
            match self.connection.receive().await {
                Err(ConnectionError::TimedOut) if self.core.reactor.now() < deadline => {}
                outcome => return outcome,
            }
        }
    }

    fn time_out(&mut self) -> End {
        if self.input.is_empty() {
            return End::Finish;
        }
        self.core.metrics.timeouts.increment();
        let problem = Problem {
            status: Status::RequestTimeout,
            slug: "header-timeout",
            detail: "the request's head did not arrive in time",
        };
        self.core.write_problem(Context::closing(), &problem, &mut self.connection.write());
        End::Finish
    }

    /// Waits, if the client does not read, until half of what is queued has been taken.
    async fn relieve(&mut self) -> Result<(), End> {
        let bound = self.core.snapshot().settings.limits.send_queue_bytes;
        if self.connection.queued_bytes() <= bound {
            return Ok(());
        }
        self.input.release();
        self.drain_to(bound / 2).await
    }

    /// Waits until at most `below` bytes are queued, for as long as the client goes on taking them.
    async fn drain_to(&self, below: usize) -> Result<(), End> {
        let mut queued = self.connection.queued_bytes();
        while queued > below {
            let deadline = self.core.reactor.now() + self.core.snapshot().settings.limits.idle_time;
            let goal = below.max(queued.saturating_sub(TAKEN_BYTES_MIN));
            self.taken(goal, deadline).await?;
            queued = self.connection.queued_bytes();
        }
        Ok(())
    }

    /// Waits until at most `goal` bytes are queued. An answer under way keeps its deadline when a drain begins.
    async fn taken(&self, goal: usize, deadline: Instant) -> Result<(), End> {
        loop {
            self.connection.set_deadline(deadline);
            match self.connection.drained(goal).await {
                Ok(()) => return Ok(()),
                Err(ConnectionError::TimedOut) if self.core.reactor.now() < deadline => {}
                Err(ConnectionError::TimedOut) => {
                    self.core.metrics.timeouts.increment();
                    return Err(End::Close);
                }
                Err(_) => return Err(End::Close),
            }
        }
    }
}

/// A request that was looked at.
struct Step {
    now: Now,
    head_bytes: usize,
    /// Whether the connection goes on after its answer.
    stays: bool,
}

/// What became of a request in the poll that parsed it.
enum Now {
    Written,
    Followed(Chunks),
    /// Its answer is written, and it was the last: what follows on the connection cannot be trusted.
    Last,
    Slow,
}

impl From<Served> for Now {
    #[inline(always)]
    fn from(served: Served) -> Self {
        match served {
            Served::Written => Now::Written,
            Served::Followed(chunks) => Now::Followed(chunks),
            Served::NotHere => Now::Slow,
        }
    }
}

/// Reads the head at the start of the input, and serves its request if that can be done now; or tells how the round ends.
#[inline(always)]
fn serve_next(
    core: &Rc<EdgeCore>,
    input: &[u8],
    (partial, head_began): (&mut Option<Box<Resume>>, &mut Option<Instant>),
    out: &mut WriteGuard<'_>,
) -> Result<Step, Round> {
    let HeadScratch { whole, memo } = &mut *core.head.borrow_mut();
    let resume = partial.as_deref_mut().unwrap_or(whole);
    match parse_remembering(input, &core.snapshot().head_limits, resume, memo) {
        Ok(Parsed::Complete(head)) => {
            *head_began = None;
            let context = Context::of(&head, core.draining.get());
            let now = serve_now(core, &head, context, out);
            Ok(Step { now, head_bytes: head.head_bytes(), stays: context.stays() })
        }
        Ok(Parsed::Partial) => {
            partial.get_or_insert_with(|| Box::new(std::mem::take(whole)));
            head_began.get_or_insert(core.reactor.now());
            Err(Round::Receive)
        }
        Err(error) => {
            core.metrics.malformed.increment();
            core.write_problem(Context::closing(), &error.problem(), out);
            Err(Round::Finish)
        }
    }
}

#[inline]
fn serve_now(core: &Rc<EdgeCore>, head: &Head<'_>, context: Context, out: &mut WriteGuard<'_>) -> Now {
    match router::subject(head) {
        Subject::Read { keyspace, raw_key } => hit::serve(core, head, context, (keyspace, raw_key), out).into(),
        Subject::Write => Now::Slow,
        Subject::Simple(simple) if head.body() == Body::None => {
            router::serve(core, &simple, context, out);
            Now::Written
        }
        Subject::Simple(simple) => {
            router::serve(core, &simple, context.as_last(), out);
            Now::Last
        }
    }
}

pub(crate) fn send_all(connection: &Connection, chunks: Chunks) {
    for chunk in chunks {
        connection.write_shared(chunk);
    }
}
