//! Gathering a request's body.
//!
//! **Not** streaming: a value is stored whole, so its body is gathered whole. **Not** timing: a body that arrives too slowly is the
//! frontend's to end.
//!
//! **Invariants**: bodies of one core together stay within their budget until they are no longer needed.

use std::rc::Rc;

use corelane_http::Status;
use corelane_http::problem::Problem;
use corelane_http::request::RequestBody;
use shardstore::wire::checksum_append;
use store_runtime::budget::{Budget, Lease};

use super::Wire;
use super::wire::BodyFault;
use crate::metrics::CoreMetrics;

const NO_MEMORY: Problem<'static> = Problem {
    limit: None,
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
    /// Frees what has come of a body that does not come whole.
    pub(crate) discard: &'a dyn Fn(Vec<u8>, Lease),
}

/// Gathers the body that a head announces.
pub(crate) async fn gather<W: Wire>(
    wire: &mut W,
    body: RequestBody,
    bounds: Bounds<'_>,
) -> Result<Gathered, BodyFault> {
    let mut gathered = Gathered { lease: bounds.budget.empty_lease(), bytes: Vec::new(), crc32c: 0 };
    let announced = match body {
        RequestBody::None => return Ok(gathered),
        // Bounded by the parser (`body_bytes`) and by the keyspace before it came to this.
        RequestBody::Length(length) => usize::try_from(length).unwrap_or(usize::MAX),
        RequestBody::Chunked => 0,
    };
    let fault = loop {
        match wire.body().await {
            Ok(None) => return Ok(gathered),
            Ok(Some(bytes)) if announced == 0 && gathered.bytes.len() + bytes.len() > bounds.bytes_max => {
                break BodyFault::Refused(bounds.too_large);
            }
            Ok(Some(bytes)) if gathered.append(bytes, announced) => {}
            Ok(Some(_)) => {
                bounds.metrics.bodies_shed.increment();
                break BodyFault::Refused(NO_MEMORY);
            }
            Err(fault) => break fault,
        }
    };
    (bounds.discard)(gathered.bytes, gathered.lease);
    Err(fault)
}

/// Bytes of a body, and the lease on the memory they take.
pub(crate) struct Gathered {
    pub(crate) lease: Lease,
    pub(crate) bytes: Vec<u8>,
    /// Their CRC-32C, computed as they came: over a long body at once it would be a pause for others.
    pub(crate) crc32c: u32,
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
        assert!(announced == 0 || self.bytes.len() <= announced, "a wire hands out no more than the head announced");
        self.crc32c = checksum_append(self.crc32c, bytes);
        true
    }
}

#[cfg(test)]
mod tests {
    use store_runtime::budget::Oversize;

    use super::super::fakes::{FakeWire, now};
    use super::*;

    const TOO_LARGE: Problem<'static> =
        Problem { limit: None, status: Status::ContentTooLarge, slug: "too-large", detail: "" };

    fn free(bytes: Vec<u8>, lease: Lease) {
        drop((bytes, lease));
    }

    /// Gathers pieces of so many bytes; the bytes that came, or the slug of what was refused.
    fn gather_pieces(budget: &Rc<Budget>, body: RequestBody, pieces: &[usize]) -> (Result<Gathered, String>, u64) {
        let metrics = CoreMetrics::default();
        let pieces = pieces.iter().map(|&bytes| vec![b'x'; bytes]).collect();
        let mut wire = FakeWire { pieces, ..FakeWire::default() };
        let bounds = Bounds { budget, metrics: &metrics, bytes_max: 100, too_large: TOO_LARGE, discard: &free };
        let gathered = now(gather(&mut wire, body, bounds)).map_err(|fault| match fault {
            BodyFault::Gone => "gone".to_owned(),
            BodyFault::Refused(problem) => problem.slug.to_owned(),
        });
        (gathered, metrics.bodies_shed.value())
    }

    #[test]
    fn bodies_are_bounded_by_their_keyspace_and_by_the_budget() {
        // The rest of the budget is leased elsewhere.
        let cases: [(RequestBody, &[usize], Result<usize, &str>); 7] = [
            (RequestBody::None, &[], Ok(0)),
            (RequestBody::Length(60), &[20, 40], Ok(60)),
            (RequestBody::Length(90), &[90], Err("too-many-bodies")),
            (RequestBody::Chunked, &[20, 40], Ok(60)),
            (RequestBody::Chunked, &[80], Ok(80)),
            (RequestBody::Chunked, &[80, 1], Err("too-many-bodies")),
            (RequestBody::Chunked, &[20, 81], Err("too-large")),
        ];
        for (body, pieces, expected) in cases {
            let budget = Budget::new(100, Oversize::Refuse);
            let _others = budget.lease(20);
            let (gathered, shed) = gather_pieces(&budget, body, pieces);
            let bytes = gathered.as_ref().map(|gathered| gathered.bytes.len()).map_err(String::as_str);
            assert_eq!(bytes, expected, "{body:?} in {pieces:?}");
            if let Ok(gathered) = &gathered {
                assert_eq!(gathered.crc32c, shardstore::wire::checksum(&gathered.bytes));
            }
            assert_eq!(shed, u64::from(expected == Err("too-many-bodies")), "{body:?} in {pieces:?}");
            assert_eq!(budget.leased_bytes(), 20 + bytes.unwrap_or(0), "leased as long as it is held");
            drop(gathered);
            assert_eq!(budget.leased_bytes(), 20);
        }
    }

    #[test]
    fn a_client_that_announces_much_and_sends_little_gets_little() {
        let budget = Budget::new(1 << 20, Oversize::Refuse);
        let (gathered, _) = gather_pieces(&budget, RequestBody::Length(1 << 19), &[10]);
        let Ok(gathered) = gathered else { panic!("what came is kept until the wire says that more will not come") };
        assert!(gathered.bytes.capacity() < 100, "{} bytes", gathered.bytes.capacity());
    }

    #[test]
    fn a_client_that_leaves_leaves_nothing_behind() {
        let budget = Budget::new(100, Oversize::Refuse);
        let metrics = CoreMetrics::default();
        let mut wire =
            FakeWire { pieces: [vec![b'x'; 50]].into(), fault: Some(BodyFault::Gone), ..FakeWire::default() };
        let bounds =
            Bounds { budget: &budget, metrics: &metrics, bytes_max: 100, too_large: TOO_LARGE, discard: &free };
        assert!(matches!(now(gather(&mut wire, RequestBody::Length(60), bounds)), Err(BodyFault::Gone)));
        assert_eq!(budget.leased_bytes(), 0);
    }

    #[test]
    fn a_body_may_be_as_long_as_its_keyspace_takes() {
        let budget = Budget::new(1 << 20, Oversize::Refuse);
        let (gathered, _) = gather_pieces(&budget, RequestBody::Chunked, &[60, 40]);
        assert_eq!(gathered.map(|gathered| gathered.bytes.len()), Ok(100));
    }

    /// Doubling keeps copies few; what was announced is not exceeded.
    #[test]
    fn memory_grows_by_doubling_up_to_what_was_announced() {
        let cases: [(usize, &[(usize, usize)]); 2] =
            [(0, &[(10, 10), (10, 30), (10, 30), (1, 90)]), (35, &[(10, 10), (10, 30), (5, 30), (10, 35)])];
        for (announced, steps) in cases {
            let budget = Budget::new(1 << 20, Oversize::Refuse);
            let mut gathered = Gathered { lease: budget.empty_lease(), bytes: Vec::new(), crc32c: 0 };
            for (index, (bytes, capacity)) in steps.iter().enumerate() {
                assert!(gathered.append(&vec![b'x'; *bytes], announced));
                assert_eq!(gathered.bytes.capacity(), *capacity, "{announced} announced, step {index}");
            }
        }
    }
}
