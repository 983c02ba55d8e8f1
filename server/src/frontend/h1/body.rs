//! Receiving a request's body.
//!
//! **Not** streaming: a value is stored whole, so its body is gathered whole.
//!
//! **Invariants**: bodies of one core together stay within `body_memory_bytes`, until the store has answered; a body slower
//! than `body_rate_min` after its grace is given up, and so is one that pauses: what came early earns time for what
//! comes slowly, never a silence longer than the grace (or [`SILENCE_MIN`], where that is longer).

use std::time::Duration;

use corelane_http::Status;
use corelane_http::h1::chunked::{ChunkedError, Decoder, Found};
use corelane_http::problem::Problem;
use corelane_http::request::Body;
use reactor::{ConnectionError, Instant};
use store_runtime::budget::Lease;

use crate::edge::metrics::CoreMetrics;
use crate::frontend::h1::connection::Session;

/// Bytes still to come from which on they are received in bulk.
const BULK_BYTES_MIN: usize = 128 * 1024;

/// The longest silence within a body is never less than this: a lost packet or two, and their retransmission.
const SILENCE_MIN: Duration = Duration::from_secs(1);

/// Why a body did not arrive.
pub(crate) enum BodyFault {
    /// The client is gone.
    Gone,
    /// Answer this, and close.
    Refused(Problem<'static>),
}

const SLOW: Problem<'static> =
    Problem { status: Status::RequestTimeout, slug: "body-timeout", detail: "the request's body arrives too slowly" };

const NO_MEMORY: Problem<'static> = Problem {
    status: Status::ServiceUnavailable,
    slug: "too-many-bodies",
    detail: "too many request bodies are being received; try again",
};

impl Session {
    /// Gathers the body; `bytes_max` bounds it where no length was announced.
    pub(crate) async fn read_body(&mut self, body: Body, bytes_max: usize) -> Result<Gathered, BodyFault> {
        let gathered = self.gather_body(body, bytes_max).await;
        self.connection.expect_bulk(false);
        gathered
    }

    async fn gather_body(&mut self, body: Body, bytes_max: usize) -> Result<Gathered, BodyFault> {
        let mut gathered = Gathered { lease: self.core.bodies.empty_lease(), bytes: Vec::new() };
        let began = self.core.reactor.now();
        match body {
            Body::None => {}
            Body::Length(length) => {
                // Bounded by the parser (`body_bytes`) and by the keyspace before it came to this.
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                loop {
                    let taken = self.input.bytes().len().min(length - gathered.bytes.len());
                    gathered.append(&self.input.bytes()[..taken], length, &self.core.metrics)?;
                    self.input.consume(taken);
                    if gathered.bytes.len() == length {
                        break;
                    }
                    self.connection.expect_bulk(length - gathered.bytes.len() >= BULK_BYTES_MIN);
                    self.receive_body(began, gathered.bytes.len()).await?;
                }
            }
            Body::Chunked => self.read_chunks(&mut gathered, began, bytes_max).await?,
        }
        Ok(gathered)
    }

    async fn read_chunks(
        &mut self,
        gathered: &mut Gathered,
        began: Instant,
        bytes_max: usize,
    ) -> Result<(), BodyFault> {
        let mut decoder = Decoder::new(&self.core.snapshot().head_limits);
        let mut wire_bytes = 0;
        loop {
            let input = self.input.bytes();
            let taken = match decoder.decode(input).map_err(refused)? {
                Found::Data(range) => {
                    if gathered.bytes.len() + range.len() > bytes_max {
                        return Err(BodyFault::Refused(crate::services::kv::write::TOO_LARGE));
                    }
                    let end = range.end;
                    gathered.append(&input[range], 0, &self.core.metrics)?;
                    end
                }
                Found::NeedMore => input.len(),
                Found::End(end) => {
                    self.input.consume(end);
                    return Ok(());
                }
            };
            wire_bytes += taken;
            self.input.consume(taken);
            if self.input.is_empty() {
                // How much is to come is not known; what has come is a fair guess.
                self.connection.expect_bulk(wire_bytes >= BULK_BYTES_MIN);
                self.receive_body(began, wire_bytes).await?;
            }
        }
    }

    async fn receive_body(&mut self, began: Instant, bytes: usize) -> Result<(), BodyFault> {
        let snapshot = self.core.hold();
        let limits = &snapshot.settings.limits;
        let now = self.core.reactor.now();
        let earned_ms = (bytes as u64).saturating_mul(1000).checked_div(limits.body_rate_min);
        let deadline = match earned_ms {
            Some(earned_ms) => {
                let rate_end = began + limits.body_rate_grace + Duration::from_millis(earned_ms);
                let silence = limits.body_rate_grace.max(SILENCE_MIN).min(limits.idle_time);
                rate_end.min(now + silence)
            }
            // No rate is asked for: then a silence as long as an idle connection's ends it.
            None => now + limits.idle_time,
        };
        match self.receive_until(deadline).await {
            Ok(Some(received)) => {
                self.input.push(received);
                Ok(())
            }
            Err(ConnectionError::TimedOut) => {
                self.core.metrics.timeouts.increment();
                Err(BodyFault::Refused(SLOW))
            }
            Ok(None) | Err(_) => Err(BodyFault::Gone),
        }
    }
}

fn refused(error: ChunkedError) -> BodyFault {
    BodyFault::Refused(error.problem())
}

/// Bytes of a body, and the memory they count as for as long as somebody needs them.
pub(crate) struct Gathered {
    pub(crate) lease: Lease,
    pub(crate) bytes: Vec<u8>,
}

impl Gathered {
    /// Appends bytes, counting what they cost; `expected` is the whole length, where it is known.
    fn append(&mut self, bytes: &[u8], expected: usize, metrics: &CoreMetrics) -> Result<(), BodyFault> {
        if !self.lease.grow(bytes.len()) {
            metrics.bodies_shed.increment();
            return Err(BodyFault::Refused(NO_MEMORY));
        }
        if self.bytes.capacity() < self.bytes.len() + bytes.len() {
            // Doubling, but never beyond what was announced: a client that announces much and sends little gets little.
            let wanted = (2 * self.bytes.len()).max(bytes.len());
            let wanted = if expected > 0 { wanted.min(expected - self.bytes.len()) } else { wanted };
            self.bytes.reserve_exact(wanted.max(bytes.len()));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}
