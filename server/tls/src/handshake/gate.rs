//! Who may do the expensive step of a handshake in this pass of the core, and what the core counts.
//!
//! ```text
//!  try_enter ── a permit of this pass is left, and nobody waits ──▶ the step
//!      └─▶ join ──▶ line: front │ … ──▶ take, in a later pass ──▶ the step
//!            └─▶ full: refused, counted
//! ```
//!
//! The front of the line asks again in each pass; the others sleep, and whoever comes to the front is called. So a storm costs
//! a pass a few polls besides the steps themselves, however many wait.
//!
//! **Not** a clock: a permit is a step, whatever it costs.
//!
//! **Invariants**: at most `per_pass` permits a pass, in the order of arrival; at most `waiting_max` wait; the front was called.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use rustls::HandshakeKind;

use super::engine::EarlyData;
use super::fault::{HandshakeFault, LABELS};

/// Bounds on the handshakes of one core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateLimits {
    /// Expensive steps in one pass: each is some 100 us, for which everybody else of the core waits. At least 1.
    pub per_pass: u32,
    /// Handshakes that may wait for their step. What comes beyond is refused.
    pub waiting_max: usize,
}

impl Default for GateLimits {
    fn default() -> Self {
        GateLimits { per_pass: 2, waiting_max: 1024 }
    }
}

impl GateLimits {
    /// Without a permit in any pass nobody would ever be through.
    fn at_least_one(self) -> Self {
        GateLimits { per_pass: self.per_pass.max(1), ..self }
    }
}

/// A place in the line.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
pub struct Ticket(u64);

/// The permits of one core. `Call` is what calls a waiter when it is dropped.
pub struct HandshakeGate<Call> {
    limits: Cell<GateLimits>,
    /// The pass that `left` is about.
    pass: Cell<u64>,
    left: Cell<u32>,
    /// In order of arrival; who was called has no call left.
    line: RefCell<VecDeque<(Ticket, Option<Call>)>>,
    next_ticket: Cell<u64>,
}

impl<Call> HandshakeGate<Call> {
    /// A gate that nobody waits at.
    #[must_use]
    pub fn new(limits: GateLimits) -> Self {
        let limits = limits.at_least_one();
        let (left, line) = (Cell::new(limits.per_pass), RefCell::new(VecDeque::new()));
        HandshakeGate { limits: Cell::new(limits), pass: Cell::new(0), left, line, next_ticket: Cell::new(0) }
    }

    /// Bounds what comes from now on; who waits already waits on.
    pub fn set_limits(&self, limits: GateLimits) {
        self.limits.set(limits.at_least_one());
    }

    /// Takes a permit of the pass, when nobody waits and one is left.
    pub fn try_enter(&self, pass: u64) -> bool {
        self.line.borrow().is_empty() && self.take_permit(pass)
    }

    /// Joins the end of the line; `None` when it is full. Whoever has no one before it is called at once.
    pub fn join(&self, call: Call) -> Option<Ticket> {
        let mut line = self.line.borrow_mut();
        if line.len() >= self.limits.get().waiting_max {
            return None;
        }
        let ticket = Ticket(self.next_ticket.replace(self.next_ticket.get() + 1));
        let called = line.is_empty();
        line.push_back((ticket, Some(call)));
        drop(line);
        if called {
            self.call_front();
        }
        Some(ticket)
    }

    /// Takes a permit of the pass for the front of the line, which leaves it. `false`: none is left, or somebody else is at the front.
    pub fn take(&self, ticket: Ticket, pass: u64) -> bool {
        let is_front = self.line.borrow().front().is_some_and(|(front, _)| *front == ticket);
        if !is_front || !self.take_permit(pass) {
            return false;
        }
        self.leave(ticket);
        true
    }

    /// Leaves the line; does nothing for who has left it.
    pub fn leave(&self, ticket: Ticket) {
        let mut line = self.line.borrow_mut();
        let Ok(index) = line.binary_search_by_key(&ticket, |(ticket, _)| *ticket) else { return };
        let left = line.remove(index);
        drop(line);
        drop(left);
        if index == 0 {
            self.call_front();
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.line.borrow().len()
    }

    fn call_front(&self) {
        // Dropped when the line is no longer borrowed: that calls.
        let call = self.line.borrow_mut().front_mut().and_then(|(_, call)| call.take());
        drop(call);
    }

    fn take_permit(&self, pass: u64) -> bool {
        if self.pass.replace(pass) != pass {
            self.left.set(self.limits.get().per_pass);
        }
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}

/// What one side of a core's handshakes has counted since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HandshakeCounts {
    /// Full handshakes.
    pub full: u64,
    /// Resumed ones.
    pub resumed: u64,
    /// Failed ones, by the index of the fault's label in [`LABELS`]; those that were shed among them.
    pub failed: [u64; LABELS.len()],
    /// Those whose early data were taken.
    pub early_accepted: u64,
    /// Those whose early data were thrown away.
    pub early_refused: u64,
    /// Of those whose early data were taken: the client has not finished in its time.
    pub early_unconfirmed: u64,
}

impl HandshakeCounts {
    /// Failed ones, of all faults.
    #[must_use]
    pub fn failed_total(&self) -> u64 {
        self.failed.iter().sum()
    }
}

/// The counts where they grow.
#[derive(Default)]
pub struct HandshakeCounters {
    full: Cell<u64>,
    resumed: Cell<u64>,
    failed: [Cell<u64>; LABELS.len()],
    early_accepted: Cell<u64>,
    early_refused: Cell<u64>,
    early_unconfirmed: Cell<u64>,
}

impl HandshakeCounters {
    /// Counts a handshake that is done.
    pub fn count_done(&self, kind: HandshakeKind) {
        add_one(if kind == HandshakeKind::Resumed { &self.resumed } else { &self.full });
    }

    /// Counts what has become of early data.
    pub fn count_early(&self, early_data: EarlyData) {
        match early_data {
            EarlyData::None => {}
            EarlyData::Refused => add_one(&self.early_refused),
            EarlyData::Accepted => add_one(&self.early_accepted),
        }
    }

    /// Counts a client that has sent early data, which were taken, and has not finished in its time.
    pub fn count_unconfirmed(&self) {
        add_one(&self.early_unconfirmed);
    }

    /// Counts one that has failed.
    pub fn count_failed(&self, fault: &HandshakeFault) {
        add_one(&self.failed[fault.index()]);
    }

    /// What was counted so far.
    #[must_use]
    pub fn read(&self) -> HandshakeCounts {
        let failed = std::array::from_fn(|index| self.failed[index].get());
        HandshakeCounts {
            full: self.full.get(),
            resumed: self.resumed.get(),
            failed,
            early_accepted: self.early_accepted.get(),
            early_refused: self.early_refused.get(),
            early_unconfirmed: self.early_unconfirmed.get(),
        }
    }
}

fn add_one(count: &Cell<u64>) {
    count.set(count.get() + 1);
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::{GateLimits, HandshakeCounters, HandshakeGate, Ticket};
    use crate::handshake::HandshakeFault;
    use crate::handshake::fault::LABELS;
    use rustls::HandshakeKind;

    /// Notes a name when it is dropped.
    struct Noting(Rc<RefCell<Vec<u64>>>, u64);

    impl Drop for Noting {
        fn drop(&mut self) {
            self.0.borrow_mut().push(self.1);
        }
    }

    fn gate_with_line(waiting: u64) -> (HandshakeGate<Noting>, Vec<Ticket>, Rc<RefCell<Vec<u64>>>) {
        let (gate, called) = (HandshakeGate::new(GateLimits { per_pass: 2, waiting_max: 5 }), Rc::default());
        let tickets = (0..waiting).map(|name| gate.join(Noting(Rc::clone(&called), name)).unwrap()).collect();
        (gate, tickets, called)
    }

    #[test]
    fn a_pass_has_its_permits_and_no_more() {
        let (gate, ..) = gate_with_line(0);
        for pass in [1, 2, 7] {
            assert_eq!([(); 4].map(|()| gate.try_enter(pass)), [true, true, false, false]);
        }
        let none = HandshakeGate::<()>::new(GateLimits { per_pass: 0, waiting_max: 1 });
        assert!(none.try_enter(1), "one at least: with none nobody would ever pass");
    }

    #[test]
    fn who_waits_goes_first_and_in_order() {
        let (gate, tickets, called) = gate_with_line(5);
        assert_eq!(*called.borrow(), [0], "the front is called, the others sleep");
        assert!(!gate.try_enter(1), "nobody overtakes the line");
        assert!(!gate.take(tickets[1], 1), "nor the front");
        assert!(gate.take(tickets[0], 1));
        assert_eq!(*called.borrow(), [0, 1]);
        assert!(gate.take(tickets[1], 1));
        assert!(!gate.take(tickets[2], 1), "two a pass");
        assert!(gate.take(tickets[2], 2));
        assert_eq!(*called.borrow(), [0, 1, 2, 3]);
        assert_eq!(gate.waiting(), 2);
    }

    #[test]
    fn the_line_is_bounded_and_may_be_left() {
        let (gate, tickets, called) = gate_with_line(5);
        assert!(gate.join(Noting(Rc::clone(&called), 5)).is_none());
        called.borrow_mut().clear();
        gate.leave(tickets[1]);
        assert_eq!(*called.borrow(), [1], "only its own call is gone");
        gate.leave(tickets[0]);
        gate.leave(tickets[0]);
        assert_eq!(*called.borrow(), [1, 2], "the next is called once");
        assert_eq!(gate.waiting(), 3);
        assert!(gate.join(Noting(called, 6)).is_some());
    }

    #[test]
    fn handshakes_are_counted_by_kind_and_fault() {
        let counters = HandshakeCounters::default();
        counters.count_done(HandshakeKind::Full);
        counters.count_done(HandshakeKind::FullWithHelloRetryRequest);
        counters.count_done(HandshakeKind::Resumed);
        counters.count_failed(&HandshakeFault::Shed);
        counters.count_failed(&HandshakeFault::TimedOut);
        counters.count_failed(&HandshakeFault::Shed);
        let counts = counters.read();
        assert_eq!((counts.full, counts.resumed, counts.failed_total()), (2, 1, 3));
        let shed = LABELS.iter().position(|label| *label == "shed").unwrap();
        assert_eq!(counts.failed[shed], 2);
    }
}
