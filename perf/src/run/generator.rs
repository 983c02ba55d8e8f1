//! One core of the generator: sends what is due, on whichever connection has room, and accounts for what comes back.
//!
//! ```text
//!  pacer ── due? ──▶ choice: operation, key ──▶ lane with room ──▶ request
//!                                                 lane ◀── answer: right? how late? ──▶ window, measured
//! ```
//!
//! A *lane* is one connection with the requests that are under way on it. Lanes are served in the order in which they got room,
//! so that all connections are used.
//!
//! **Not** I/O: `lane` reads and connects, `dispatch` waits.
//!
//! **Invariants**: a lane has at most `pipeline` requests under way; a request keeps the instant at which it was due, however
//! late it is sent.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use reactor::{ConnectionSender, Reactor};

use super::arrivals::Pacer;
use super::choice::{Choice, Operation, ReadKind};
use super::phases::Phases;
pub(crate) use super::plan::{RunPlan, Team, WINDOW};
use super::protocol::{AnswerListener, Ask, Granted, RANGE, Tag};
use super::scenario::{ExpectedBody, MISS};
use super::tally::{Accounts, RequestFailure, RequestTally};
use super::values::Values;

/// A request under way.
#[derive(Clone, Copy, Debug)]
struct RequestInFlight {
    due_ns: u64,
    sent_ns: u64,
    operation: Operation,
    read: ReadKind,
    key: u64,
}

impl RequestInFlight {
    const fn new(ask: &Ask, (due_ns, sent_ns): (u64, u64)) -> Self {
        Self { due_ns, sent_ns, operation: ask.operation, read: ask.read, key: ask.key }
    }
}

/// Keys whose entity tags are remembered, for the conditional requests that ask for them again. By Zipf's law, three of five
/// requests for a million keys are for these.
const TAGS: u64 = 4096;

#[derive(Default)]
struct Lane {
    /// None while it is not connected.
    sender: Option<ConnectionSender>,
    allowance: Granted,
    flights: VecDeque<RequestInFlight>,
    /// Whether it stands in the row of lanes with room.
    in_row: bool,
}

struct State {
    lanes: Vec<Lane>,
    /// Lanes with room, in the order in which they got it.
    row: VecDeque<usize>,
    /// None: a closed loop.
    pacer: Option<Pacer>,
    choice: Choice,
    /// Requests for which their lane's server had not granted room: the next ones to be sent. As many at most as answers bring
    /// fills at once, and one that was drawn.
    held: VecDeque<Ask>,
    /// The last entity tag of each of the first keys; of none, if nothing is asked conditionally.
    tags: Vec<Tag>,
    /// Requests under way on a lane at most.
    pipeline: usize,
    /// Whether requests are due for which no lane has had room.
    is_behind: bool,
    accounts: Accounts,
    /// Moves with everything that is sent or comes.
    activity: u64,
}

/// One core's share of the load.
pub(super) struct Generator {
    pub(super) reactor: Reactor,
    pub(super) plan: Arc<RunPlan>,
    state: RefCell<State>,
}

/// How many of `all` things core `core` of `cores` has.
pub(crate) const fn share(all: usize, core: usize, cores: usize) -> usize {
    all / cores + (core < all % cores) as usize
}

impl Generator {
    /// The share of this reactor's core.
    pub(super) fn new(reactor: Reactor, plan: Arc<RunPlan>) -> Self {
        let (core, scenario) = (reactor.core().index(), &plan.scenario);
        // Far apart for cores and purposes, so that no two draw the same.
        let seed = scenario.seed.wrapping_mul(0x9E37_79B9).wrapping_add(core as u64 * 2);
        let pacer = scenario
            .rate
            .map(|rate| Pacer::new(scenario.arrivals, rate / plan.team.cores as f64, reactor.now().as_nanos(), seed));
        let lanes = share(scenario.connections, core, plan.team.cores);
        let state = State {
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            row: VecDeque::with_capacity(lanes),
            pacer,
            choice: Choice::new(&scenario.keys, scenario.mix, scenario.clients, seed + 1).following(plan.cursor(core)),
            tags: if scenario.mix.conditional > 0.0 { vec![Tag::default(); TAGS as usize] } else { Vec::new() },
            held: VecDeque::new(),
            pipeline: scenario.pipeline,
            is_behind: false,
            accounts: Accounts::default(),
            activity: 0,
        };
        Self { state: RefCell::new(state), reactor, plan }
    }

    /// Lanes of this core.
    pub(super) fn lanes(&self) -> usize {
        self.state.borrow().lanes.len()
    }

    /// A lane is connected.
    pub(super) fn open(&self, lane: usize, sender: ConnectionSender, allowance: Granted) {
        let state = &mut *self.state.borrow_mut();
        state.lanes[lane].sender = Some(sender);
        state.lanes[lane].allowance = allowance;
        state.stand_in_row(lane);
    }

    /// A lane's connection is gone; what was under way on it has failed.
    pub(super) fn close(&self, lane: usize, why: RequestFailure) {
        let state = &mut *self.state.borrow_mut();
        state.lanes[lane].sender = None;
        for flight in std::mem::take(&mut state.lanes[lane].flights) {
            state.fail(&self.plan.phases, flight.due_ns, why);
        }
    }

    /// A lane could not be connected.
    pub(super) fn refuse(&self, due_ns: u64) {
        self.state.borrow_mut().fail(&self.plan.phases, due_ns, RequestFailure::Connect);
    }

    /// Sends what is due, as far as lanes have room.
    pub(super) fn issue(&self) {
        let now_ns = self.reactor.now().as_nanos();
        let until_ns = self.plan.phases.until_ns();
        let state = &mut *self.state.borrow_mut();
        while let Some(due_ns) = state.due(now_ns, until_ns) {
            let Some(lane) = state.row.pop_front() else {
                state.is_behind = true;
                return;
            };
            state.lanes[lane].in_row = false;
            state.fill_lane(&self.plan, lane, (due_ns, now_ns));
        }
        state.is_behind = false;
    }

    /// When the next request is due, in nanoseconds; `u64::MAX` in a closed loop, which has no such thing.
    pub(super) fn next_due_ns(&self) -> u64 {
        self.state.borrow().pacer.as_ref().map_or(u64::MAX, Pacer::due_ns)
    }

    /// Whether requests are due that wait for room.
    pub(super) fn is_behind(&self) -> bool {
        self.state.borrow().is_behind
    }

    /// Whether all that is due before `until_ns` was sent and answered.
    pub(super) fn is_done(&self, until_ns: u64) -> bool {
        let state = self.state.borrow();
        let all_sent = state.pacer.as_ref().is_none_or(|pacer| pacer.due_ns() >= until_ns);
        all_sent && state.lanes.iter().all(|lane| lane.flights.is_empty())
    }

    /// Accounts for the time since the core was looked at last.
    pub(super) fn note_time(&self, (elapsed_ns, idle_ns): (u64, u64), measured: bool) {
        let state = &mut *self.state.borrow_mut();
        let tally = state.accounts.of(measured);
        tally.elapsed_ns += elapsed_ns;
        tally.idle_ns += idle_ns;
    }

    /// Moves whenever something is sent or comes.
    pub(super) fn activity(&self) -> u64 {
        self.state.borrow().activity
    }

    /// Ends the connections whose oldest request is older than the scenario allows.
    pub(super) fn expire(&self) {
        let now = self.reactor.now();
        let oldest_ns = now.as_nanos().saturating_sub(duration_ns(self.plan.scenario.timeout));
        for lane in &self.state.borrow().lanes {
            if let (Some(sender), Some(flight)) = (&lane.sender, lane.flights.front())
                && flight.sent_ns < oldest_ns
            {
                sender.expire_at(now);
            }
        }
    }

    /// Hands over the window that ends now, and begins the next.
    pub(super) fn take_window(&self) -> RequestTally {
        self.state.borrow_mut().accounts.end_window()
    }

    /// Hands over the result. Requests that were due and are not answered remain as its difference.
    pub(super) fn take_measured(&self) -> RequestTally {
        let state = &mut *self.state.borrow_mut();
        let (phases, until_ns) = (&self.plan.phases, self.plan.phases.until_ns());
        // What was due and never sent was due all the same.
        if let Some(pacer) = &mut state.pacer
            && until_ns != u64::MAX
        {
            while pacer.due_ns() < until_ns {
                state.accounts.of(phases.measures(pacer.due_ns())).due += 1;
                pacer.advance();
            }
        }
        state.accounts.end_window();
        std::mem::take(&mut state.accounts.result)
    }

    /// Hears the answers of a lane; hand it to `Answers::read`.
    pub(super) fn with_listener<R>(&self, lane: usize, read: impl FnOnce(&mut LaneListener<'_>) -> R) -> R {
        let now_ns = self.reactor.now().as_nanos();
        let state = &mut *self.state.borrow_mut();
        // Bytes that end no answer have been received and compared all the same.
        state.activity += 1;
        let mut listener = LaneListener { state, plan: &self.plan, lane, now_ns, run: AnswerRun::default() };
        let outcome = read(&mut listener);
        listener.end_run();
        outcome
    }
}

/// A duration in nanoseconds; longer ones than 584 years are cut.
pub(super) fn duration_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[inline]
fn draw(choice: &mut Choice, lane: usize, values: &Values, tags: &[Tag]) -> Ask {
    let mut ask = choice.next(lane);
    ask.ttl_s = values.ttl_s(ask.key);
    if ask.read == ReadKind::Conditional {
        ask.tag = tags.get(ask.key as usize).copied().unwrap_or_default();
    }
    ask
}

impl State {
    /// The instant of the next request, if it has come and is not behind the end.
    #[inline]
    fn due(&self, now_ns: u64, until_ns: u64) -> Option<u64> {
        match &self.pacer {
            Some(pacer) => Some(pacer.due_ns()).filter(|due_ns| *due_ns <= now_ns && *due_ns < until_ns),
            // A closed loop sends whenever it may, so only a lane with room makes a request due.
            None => (now_ns < until_ns && !self.row.is_empty()).then_some(now_ns),
        }
    }

    /// Sends on a lane that has room: one request, or in a closed loop as many as it has room for. Where the server has
    /// granted less, the lane stands in the row again with its next answer.
    #[inline]
    fn fill_lane(&mut self, plan: &RunPlan, index: usize, (due_ns, now_ns): (u64, u64)) {
        let lane = &mut self.lanes[index];
        let Some(sender) = &lane.sender else { return };
        let room = plan.scenario.pipeline - lane.flights.len();
        let wanted = if self.pacer.is_some() { 1 } else { room };
        let mut count = 0;
        {
            let mut buffer = sender.write();
            while count < wanted {
                let ask =
                    self.held.pop_front().unwrap_or_else(|| draw(&mut self.choice, index, &plan.values, &self.tags));
                if !plan.requests.write(&mut buffer, &lane.allowance, ask, &plan.values) {
                    self.held.push_front(ask);
                    break;
                }
                lane.flights.push_back(RequestInFlight::new(&ask, (due_ns, now_ns)));
                count += 1;
            }
        }
        if count == wanted && wanted < room {
            self.stand_in_row(index);
        }
        if count > 0 {
            self.note_sent(plan, count as u64, (due_ns, now_ns));
        }
    }

    #[inline]
    fn note_sent(&mut self, plan: &RunPlan, count: u64, (due_ns, now_ns): (u64, u64)) {
        self.activity += count;
        let tally = self.accounts.of(plan.phases.measures(due_ns));
        tally.due += count;
        tally.sent += count;
        // A closed loop has no instant to be late for.
        let Some(pacer) = &mut self.pacer else { return };
        pacer.advance();
        if self.is_behind {
            tally.waited += count;
        } else {
            tally.lateness.saturating_record((now_ns - due_ns).max(1));
        }
    }

    #[inline]
    fn stand_in_row(&mut self, lane: usize) {
        let state = &mut self.lanes[lane];
        if !state.in_row && state.sender.is_some() && state.flights.len() < self.pipeline {
            state.in_row = true;
            self.row.push_back(lane);
        }
    }

    fn fail(&mut self, phases: &Phases, due_ns: u64, why: RequestFailure) {
        self.activity += 1;
        self.accounts.of(phases.measures(due_ns)).failures.count(why);
    }
}

/// Answers in a row that are counted alike: with pipelining, most are.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct AnswerRun {
    due_ns: u64,
    status: u16,
    count: u64,
    hits: u64,
    misses: u64,
    body_bytes: u64,
}

/// See [`Generator::with_listener`].
pub(super) struct LaneListener<'a> {
    state: &'a mut State,
    plan: &'a RunPlan,
    lane: usize,
    now_ns: u64,
    run: AnswerRun,
}

impl LaneListener<'_> {
    /// Counts a right answer, with those before it that are counted alike.
    #[inline]
    fn count(&mut self, flight: RequestInFlight, status: u16, body_bytes: usize) {
        let is_read = self.plan.may_miss && flight.operation == Operation::Get;
        let is_miss = is_read && status == MISS;
        if is_miss {
            // First of all: the end of a run gives the room on to whoever is next.
            self.fill(flight.key);
        }
        if self.run.count > 0 && (self.run.due_ns, self.run.status) != (flight.due_ns, status) {
            self.end_run();
        }
        (self.run.due_ns, self.run.status) = (flight.due_ns, status);
        self.run.count += 1;
        self.run.body_bytes += body_bytes as u64;
        self.run.hits += u64::from(is_read && status == 200);
        self.run.misses += u64::from(is_miss);
    }

    /// Stores what was missed, if the scenario says so, as its user would: on the connection that missed it, where the answer has
    /// just made room. It is due now, and one request more than the rate asks for. After the measured span it is not measured,
    /// but what was due within it and is asked late must find what it would have found.
    fn fill(&mut self, key: u64) {
        let (plan, now_ns) = (self.plan, self.now_ns);
        let lane = &mut self.state.lanes[self.lane];
        let Some(sender) = lane.sender.as_ref().filter(|_| plan.scenario.mix.fill_misses) else { return };
        let ask = Ask::put(key, &plan.values);
        if !plan.requests.write(&mut sender.write(), &lane.allowance, ask, &plan.values) {
            return self.state.held.push_back(ask);
        }
        lane.flights.push_back(RequestInFlight::new(&ask, (now_ns, now_ns)));
        assert!(lane.flights.len() <= self.state.pipeline, "the answer has made room");
        self.state.activity += 1;
        let tally = self.state.accounts.of(plan.phases.measures(now_ns));
        tally.due += 1;
        tally.sent += 1;
    }

    #[inline]
    fn end_run(&mut self) {
        let AnswerRun { due_ns, status, count, hits, misses, body_bytes } = std::mem::take(&mut self.run);
        if count == 0 {
            return;
        }
        self.state.activity += count;
        let tally = self.state.accounts.of(self.plan.phases.measures(due_ns));
        tally.hits += hits;
        tally.misses += misses;
        tally.count_status(status, count);
        tally.count_answers(count, self.now_ns.saturating_sub(due_ns), body_bytes);
        self.state.stand_in_row(self.lane);
    }

    /// The bytes that the body of an answer must be, or for a HEAD those that it tells the length of; none if the scenario does
    /// not say.
    #[inline]
    fn expected(&self, flight: &RequestInFlight, status: u16) -> Option<&'_ [u8]> {
        if flight.operation != Operation::Get || self.plan.scenario.expect.body == ExpectedBody::Any {
            return None;
        }
        let value = self.plan.values.of(flight.key);
        match status {
            200 => Some(value),
            206 => Some(&value[RANGE.start.min(value.len())..RANGE.end.min(value.len())]),
            _ => None,
        }
    }

    /// Whether a status answers what was asked: a part only who asked for one, "not modified" only who has something.
    #[inline]
    fn fits(&self, flight: &RequestInFlight, status: u16) -> bool {
        let is_asked = match status {
            206 => flight.read == ReadKind::Range,
            304 => flight.read == ReadKind::Conditional,
            _ => true,
        };
        is_asked && self.plan.scenario.expect.status.contains(&status)
    }
}

impl AnswerListener for LaneListener<'_> {
    #[inline]
    fn body(&mut self, at: usize, status: u16, offset: usize, bytes: &[u8]) -> bool {
        let Some(flight) = self.state.lanes[self.lane].flights.get(at) else { return false };
        if self.plan.scenario.expect.body != ExpectedBody::Value {
            return true;
        }
        self.expected(flight, status).is_none_or(|value| value.get(offset..offset + bytes.len()) == Some(bytes))
    }

    #[inline]
    fn answer(&mut self, at: usize, status: u16, body_bytes: usize, is_right: bool) {
        let flights = &mut self.state.lanes[self.lane].flights;
        let Some(flight) = (if at == 0 { flights.pop_front() } else { flights.remove(at) }) else {
            // An answer to nothing: the connection cannot be trusted, and the next request would get the wrong one.
            return self.state.fail(&self.plan.phases, self.now_ns, RequestFailure::Malformed);
        };
        let has_length = self.expected(&flight, status).is_none_or(|value| value.len() == body_bytes);
        let failure = if !self.fits(&flight, status) {
            RequestFailure::Status
        } else if is_right && has_length {
            return self.count(flight, status, body_bytes);
        } else {
            RequestFailure::Body
        };
        self.state.accounts.of(self.plan.phases.measures(flight.due_ns)).count_status(status, 1);
        self.state.fail(&self.plan.phases, flight.due_ns, failure);
        self.state.stand_in_row(self.lane);
    }

    #[inline]
    fn is_head(&self) -> bool {
        self.state.lanes[self.lane].flights.front().is_some_and(|flight| flight.read == ReadKind::Head)
    }

    #[inline]
    fn tag(&mut self, text: &[u8]) {
        let Some(flight) = self.state.lanes[self.lane].flights.front() else { return };
        if let Some(tag) = self.state.tags.get_mut(flight.key as usize) {
            *tag = Tag::new(text);
        }
    }
}
