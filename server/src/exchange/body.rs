//! Gathering a request's body.
//!
//! **Not** streaming: a value is stored whole, so its body is gathered whole. **Not** timing: a body that arrives too slowly is the
//! frontend's to end.
//!
//! **Invariants**: bodies of one core together stay within their budget, for as long as somebody needs them.

use std::rc::Rc;

use corelane_http::Status;
use corelane_http::problem::Problem;
use corelane_http::request::Body;
use store_runtime::budget::{Budget, Lease};

use super::Wire;
use super::wire::BodyFault;
use crate::edge::metrics::CoreMetrics;

const NO_MEMORY: Problem<'static> = Problem {
    status: Status::ServiceUnavailable,
    slug: "too-many-bodies",
    detail: "too many request bodies are being received; try again",
};

/// The bounds of a body that is gathered.
pub(crate) struct Bounds<'a> {
    /// What all bodies of the core together may take.
    pub(crate) budget: &'a Rc<Budget>,
    /// Where it is counted that the budget did not hold a body.
    pub(crate) metrics: &'a CoreMetrics,
    /// Longest body, in bytes, where its length was not announced.
    pub(crate) bytes_max: usize,
    /// What a longer one is refused with.
    pub(crate) too_large: Problem<'static>,
}

/// Gathers the body that a head announces.
pub(crate) async fn gather<W: Wire>(wire: &mut W, body: Body, bounds: Bounds<'_>) -> Result<Gathered, BodyFault> {
    let mut gathered = Gathered { lease: bounds.budget.empty_lease(), bytes: Vec::new() };
    let announced = match body {
        Body::None => return Ok(gathered),
        // Bounded by the parser (`body_bytes`) and by the keyspace before it came to this.
        Body::Length(length) => usize::try_from(length).unwrap_or(usize::MAX),
        Body::Chunked => 0,
    };
    while let Some(bytes) = wire.body().await? {
        if announced == 0 && gathered.bytes.len() + bytes.len() > bounds.bytes_max {
            return Err(BodyFault::Refused(bounds.too_large));
        }
        if !gathered.append(bytes, announced) {
            bounds.metrics.bodies_shed.increment();
            return Err(BodyFault::Refused(NO_MEMORY));
        }
    }
    Ok(gathered)
}

/// Bytes of a body, and the memory they count as for as long as somebody needs them.
pub(crate) struct Gathered {
    pub(crate) lease: Lease,
    pub(crate) bytes: Vec<u8>,
}

impl Gathered {
    /// Appends bytes, counting what they cost; false where the budget does not hold them. `announced` is the whole length,
    /// 0 where it is not known.
    #[must_use]
    fn append(&mut self, bytes: &[u8], announced: usize) -> bool {
        if !self.lease.grow(bytes.len()) {
            return false;
        }
        if self.bytes.capacity() < self.bytes.len() + bytes.len() {
            // Doubling, but never beyond what was announced: a client that announces much and sends little gets little.
            let wanted = (2 * self.bytes.len()).max(bytes.len());
            let wanted = if announced > 0 { wanted.min(announced - self.bytes.len()) } else { wanted };
            self.bytes.reserve_exact(wanted.max(bytes.len()));
        }
        self.bytes.extend_from_slice(bytes);
        true
    }
}
