//! What a peer has in flight, as far as this side knows, and the credit that responses give back.
//!
//! **Not**: what becomes of a request beyond the credit; the node answers BUSY.
//!
//! **Invariants**: what counts against a peer's credit is requests without an answer, never more than the peer itself counts;
//! every request's credit is granted once, by its own answer or by the next one after an answer that QUIET silenced.
//!
//! **Source**: docs/wire.md, "Flow control".

use std::cell::Cell;

#[derive(Clone, Copy, Debug, Default)]
struct InFlight {
    /// Requests without an answer.
    requests: u32,
    /// Their bytes on the wire.
    bytes: u64,
}

/// The account of one connection, shared by the tasks of its core.
#[derive(Debug)]
pub struct PeerCredit {
    granted_requests: u32,
    granted_bytes: u32,
    in_flight: Cell<InFlight>,
    /// Request credits of answers that QUIET silenced, for the next answer to carry.
    silenced: Cell<u32>,
}

impl PeerCredit {
    /// The account of a peer that may have so many requests and bytes in flight.
    #[must_use]
    pub fn new(granted_requests: u32, granted_bytes: u32) -> Self {
        Self { granted_requests, granted_bytes, in_flight: Cell::default(), silenced: Cell::default() }
    }

    /// Requests that the peer may have in flight.
    #[must_use]
    pub const fn granted_requests(&self) -> u32 {
        self.granted_requests
    }

    /// Whether one more request of `bytes` bytes is within what was granted.
    #[inline]
    #[must_use]
    pub fn covers(&self, bytes: usize) -> bool {
        let InFlight { requests, bytes: waiting } = self.in_flight.get();
        let bytes_fit = waiting == 0 || waiting + bytes as u64 <= u64::from(self.granted_bytes);
        requests < self.granted_requests && bytes_fit
    }

    /// Notes a request that waits for its answer.
    pub fn note_waiting(&self, bytes: usize) {
        let InFlight { requests, bytes: waiting } = self.in_flight.get();
        self.in_flight.set(InFlight { requests: requests + 1, bytes: waiting + bytes as u64 });
    }

    /// Notes that a request no longer waits: its answer has been written.
    ///
    /// # Panics
    ///
    /// When nothing waits: a request completes once.
    pub fn note_completed(&self, bytes: usize) {
        let InFlight { requests, bytes: waiting } = self.in_flight.get();
        assert!(requests > 0, "a request completes once");
        self.in_flight.set(InFlight { requests: requests - 1, bytes: waiting - bytes as u64 });
    }

    /// Requests without an answer.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.in_flight.get().requests
    }

    /// Notes an answer that is not sent because its request was QUIET.
    #[inline]
    pub fn note_silenced(&self) {
        self.silenced.set(self.silenced.get().saturating_add(1));
    }

    /// Request credits that an answer grants which is written now: its own, and those of answers that were silenced
    /// since the last one.
    #[inline]
    #[must_use = "credit that is taken has to be sent"]
    pub fn take_credits(&self) -> u16 {
        // What does not fit the field goes with the answer after this one.
        let silenced = self.silenced.get().min(u32::from(u16::MAX - 1));
        self.silenced.set(self.silenced.get() - silenced);
        1 + silenced as u16
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_counts_until_its_answer_is_written() {
        let credit = PeerCredit::new(2, 1000);
        assert!(credit.covers(5000), "alone, a request larger than the window goes");
        credit.note_waiting(900);
        assert!(credit.covers(100) && !credit.covers(101), "out of bytes");
        credit.note_waiting(100);
        assert!(!credit.covers(0), "out of requests");
        credit.note_completed(900);
        assert!(credit.covers(900) && !credit.covers(901));
        credit.note_completed(100);
        assert_eq!(credit.waiting(), 0);
    }

    #[test]
    #[should_panic(expected = "a request completes once")]
    fn a_request_completes_once() {
        let credit = PeerCredit::new(2, 1000);
        credit.note_waiting(1);
        credit.note_completed(1);
        credit.note_completed(1);
    }

    #[test]
    fn credits_that_do_not_fit_go_with_the_answer_after() {
        let credit = PeerCredit::new(1, 1);
        (0..70_000).for_each(|_| credit.note_silenced());
        assert_eq!((credit.take_credits(), credit.take_credits()), (u16::MAX, 4_467));
        assert_eq!(credit.take_credits(), 1);
    }

    proptest! {
        /// Every answer's credit is granted once, whichever answers are silenced.
        #[test]
        fn no_credit_is_lost_and_none_is_made(silenced in vec(any::<bool>(), 0..500)) {
            let credit = PeerCredit::new(1, 1);
            let mut granted = 0;
            for is_silenced in &silenced {
                if *is_silenced { credit.note_silenced() } else { granted += usize::from(credit.take_credits()) }
            }
            granted += usize::from(credit.take_credits());
            prop_assert_eq!(granted, silenced.len() + 1);
        }
    }
}
