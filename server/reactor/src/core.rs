//! One core: its tasks, timers, sockets and driver, and the pass that moves them all on.
//!
//! ```text
//!  pass:  timers due -> mailbox rung -> ready tasks (bounded) -> starved receives -> one send per dirty connection
//!  enter: everything submitted in one system call; waits only when nothing is ready and nothing has rung
//!         then completions, one at a time -> inboxes and wakes
//! ```
//!
//! **Not** shared: a [`Reactor`] and all that it hands out stay on their core (`!Send`).
//!
//! **Invariants**: no task runs while a completion is being handled; no borrow of the core's tables is held while a
//! task runs.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use crate::counters::{CounterCells, ReactorCounters, add};
use crate::driver::{AnyDriver, Next, Wait};
use crate::executor::{Boxed, Executor, poll_once};
use crate::id::{ConnectionId, CoreId, TaskId};
use crate::mailbox::doorbell::Doorbell;
use crate::net::backlog::ListenerState;
use crate::net::state::ConnectionState;
use crate::outbox::{OpenedBy, SendBuffers};
use crate::precise_waits::PreciseWaits;
use crate::random::Random;
use crate::slab::Slab;
use crate::time::Instant;
use crate::timer::{TimerTarget, Wheel};

/// Polls per pass: enough to serve every client that one enter can report, few enough that completions, and with
/// them everyone else's bytes, are looked at again within a fraction of a millisecond.
const POLLS_PER_PASS: u64 = 512;

/// How old the readings in milliseconds of a pass may be.
const MS_GRAIN_NS: u64 = 500_000;

/// Connections of one core at most, whatever the configuration says.
const CONNECTIONS_MAX: usize = 1 << 20;

/// Listening sockets of one core at most.
const LISTENERS_MAX: usize = 256;

/// What a core still holds: for leak checks, and for `/v1/status`.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// Tasks that have not ended.
    pub tasks: usize,
    /// Connections, including those that wait for their last completion.
    pub connections: usize,
    /// Timers set.
    pub timers: usize,
    /// Listening sockets.
    pub listeners: usize,
    /// Memory of send buffers that are queued, on connections that either side has opened.
    pub queued_bytes: usize,
}

pub(crate) struct Inner {
    pub(crate) id: CoreId,
    pub(crate) now: Cell<Instant>,
    wall_ms: Cell<u64>,
    steady_ms: Cell<u64>,
    /// When `wall_ms` and `steady_ms` were read.
    ms_read: Cell<Instant>,
    executor: RefCell<Executor>,
    running: Cell<Option<TaskId>>,
    pub(crate) wheel: RefCell<Wheel>,
    pub(crate) precise: RefCell<PreciseWaits>,
    /// Before the connections: the kernel must be done with their memory when they are dropped.
    pub(crate) driver: RefCell<AnyDriver>,
    pub(crate) connections: RefCell<Slab<ConnectionState>>,
    pub(crate) listeners: RefCell<Slab<ListenerState>>,
    pub(crate) dirty: RefCell<Vec<ConnectionId>>,
    pub(crate) starved: RefCell<VecDeque<ConnectionId>>,
    pub(crate) send_buffers: RefCell<SendBuffers>,
    pub(crate) doorbell: Arc<Doorbell>,
    /// How often the doorbell was found rung.
    bell_rings: Cell<u64>,
    /// How many of these have been waited for.
    bell_rings_seen: Cell<u64>,
    bell_waiters: RefCell<Vec<TaskId>>,
    pub(crate) signals: RefCell<(VecDeque<i32>, Option<TaskId>)>,
    stopping: Cell<bool>,
    pub(crate) counters: CounterCells,
    random: RefCell<Random>,
}

/// A handle on the core that runs the caller. Cheap to clone; stays on its thread.
#[derive(Clone)]
pub struct Reactor {
    pub(crate) inner: Rc<Inner>,
}

/// No room for another task on this core; the future is dropped.
#[derive(Debug, thiserror::Error)]
#[error("this core already runs {max} tasks", max = crate::executor::TASKS_MAX)]
pub struct SpawnError;

impl Reactor {
    pub(crate) fn new(id: CoreId, driver: AnyDriver, doorbell: Arc<Doorbell>, seed: CoreSeed) -> Self {
        let now = driver.now();
        let mut random = Random::new(seed.random);
        let shuffle = seed.shuffle_tasks.then(|| random.fork());
        let inner = Inner {
            id,
            now: Cell::new(now),
            wall_ms: Cell::new(driver.wall_ms()),
            steady_ms: Cell::new(driver.steady_ms()),
            executor: RefCell::new(Executor::new(shuffle)),
            running: Cell::new(None),
            wheel: RefCell::new(Wheel::new(now)),
            precise: RefCell::new(PreciseWaits::default()),
            connections: RefCell::new(Slab::new(CONNECTIONS_MAX)),
            listeners: RefCell::new(Slab::new(LISTENERS_MAX)),
            dirty: RefCell::new(Vec::with_capacity(1024)),
            starved: RefCell::new(VecDeque::new()),
            send_buffers: RefCell::new(SendBuffers::new()),
            driver: RefCell::new(driver),
            doorbell,
            bell_rings: Cell::new(0),
            bell_rings_seen: Cell::new(0),
            bell_waiters: RefCell::new(Vec::new()),
            signals: RefCell::new((VecDeque::new(), None)),
            stopping: Cell::new(false),
            counters: CounterCells::default(),
            ms_read: Cell::new(now),
            random: RefCell::new(random),
        };
        Reactor { inner: Rc::new(inner) }
    }

    /// The core this is.
    pub fn core(&self) -> CoreId {
        self.inner.id
    }

    /// The instant at which this pass began.
    pub fn now(&self) -> Instant {
        self.inner.now.get()
    }

    /// The instant at which this is called: the clock is read, which [`Reactor::now`] does once in a pass.
    pub fn read_clock(&self) -> Instant {
        self.inner.driver.borrow().now()
    }

    /// Milliseconds since the Unix epoch, as of this pass: for what leaves the process, such as dates and versions. It jumps
    /// when somebody sets the clock; ages and lifetimes are counted with [`Reactor::steady_ms`].
    pub fn wall_ms(&self) -> u64 {
        self.inner.wall_ms.get()
    }

    /// Milliseconds since the machine started, as of this pass: the same on all cores of a process, never set by anybody, and
    /// running while the machine sleeps. Readings of two machines are not compared.
    #[inline]
    pub fn steady_ms(&self) -> u64 {
        self.inner.steady_ms.get()
    }

    /// The next number of this core's generator: for jitter, not for secrets.
    pub fn random(&self) -> u64 {
        self.inner.random.borrow_mut().next_u64()
    }

    /// Runs `future` as a task of this core.
    ///
    /// # Errors
    /// The core's bound on tasks is reached: shed what the task was for.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) -> Result<(), SpawnError> {
        let inserted = self.inner.executor.borrow_mut().insert(Box::pin(future));
        // A future that found no room is dropped here, after the borrow: its destructors may wake other tasks.
        inserted.map(drop).map_err(|_| SpawnError)
    }

    /// Ends this core's loop at the end of the pass; tasks that have not ended are dropped.
    pub fn stop(&self) {
        self.inner.stopping.set(true);
    }

    /// What this core has counted so far.
    pub fn counters(&self) -> ReactorCounters {
        ReactorCounters { overflows: self.inner.driver.borrow().overflows(), ..self.inner.counters.read() }
    }

    /// Memory of the send buffers that are queued on connections this core has accepted, in bytes. What is sent in place is its
    /// owner's.
    #[inline]
    pub fn queued_bytes(&self) -> usize {
        self.inner.send_buffers.borrow().queued_bytes(OpenedBy::Peer)
    }

    /// What this core holds now.
    pub fn holdings(&self) -> Holdings {
        Holdings {
            tasks: self.inner.executor.borrow().len(),
            connections: self.inner.connections.borrow().len(),
            timers: self.inner.wheel.borrow().len(),
            listeners: self.inner.listeners.borrow().len(),
            queued_bytes: [OpenedBy::Peer, OpenedBy::Core]
                .map(|it| self.inner.send_buffers.borrow().queued_bytes(it))
                .iter()
                .sum(),
        }
    }

    pub(crate) fn wake_core(&self, bell: &Doorbell) {
        add(&self.inner.counters.wakes, 1);
        self.inner.driver.borrow_mut().wake(bell);
    }

    pub(crate) fn doorbell_rung(&self) -> DoorbellRung<'_> {
        DoorbellRung { reactor: self }
    }

    /// The task that is being polled.
    ///
    /// # Panics
    /// Outside a task: futures of this crate are polled by the reactor only.
    pub(crate) fn current_task(&self) -> TaskId {
        self.inner.running.get().expect("a reactor's futures are polled by tasks of that reactor")
    }

    pub(crate) fn wake(&self, task: TaskId) {
        self.inner.executor.borrow_mut().wake(task);
    }

    /// Makes a task ready in the next pass.
    pub(crate) fn wake_in_next_pass(&self, task: TaskId) {
        self.inner.executor.borrow_mut().wake_in_next_pass(task);
    }
}

/// What a core's generator starts from.
#[derive(Clone, Copy)]
pub(crate) struct CoreSeed {
    pub(crate) random: u64,
    /// Run ready tasks in random order: the simulator's way to find orderings that matter.
    pub(crate) shuffle_tasks: bool,
}

/// The event loop, for whoever drives it: a thread or the simulator.
impl Reactor {
    /// Whether the loop is over.
    pub(crate) fn is_stopping(&self) -> bool {
        self.inner.stopping.get()
    }

    /// Runs everything that can run now.
    pub(crate) fn pass(&self) {
        let inner = &*self.inner;
        add(&inner.counters.passes, 1);
        self.refresh_clock();
        let now = inner.now.get();
        inner.wheel.borrow_mut().advance(now, |target| self.fire(target));
        self.fire_precise(now);
        self.look_at_doorbell();
        self.run_ready();
        self.rearm_starved();
        self.flush_dirty();
    }

    /// How long the driver may wait after this pass. `Wait::No` leaves the core unparked; otherwise it is parked and
    /// must be unparked when the wait is over.
    pub(crate) fn park(&self) -> Wait {
        let inner = &*self.inner;
        // Without a task there is nothing left to wait for: the loop is about to end.
        let busy = {
            let executor = inner.executor.borrow();
            executor.has_ready() || executor.len() == 0 || inner.stopping.get()
        };
        if busy {
            return Wait::No;
        }
        let next = self.next_timer();
        if next.is_some_and(|deadline| deadline <= inner.now.get()) || !inner.doorbell.flags.park() {
            return Wait::No;
        }
        next.map_or(Wait::Forever, Wait::Until)
    }

    fn unpark(&self) {
        self.inner.doorbell.flags.unpark();
    }

    /// Hands everything started over to the driver, waits as asked, and handles all that is complete.
    pub(crate) fn enter(&self, wait: Wait) {
        let entered = self.inner.driver.borrow_mut().enter(wait);
        self.unpark();
        entered.expect("io_uring_enter fails only for reasons that are ours");
        loop {
            self.handle_completions();
            let found = self.inner.driver.borrow_mut().find_more();
            if !found.expect("io_uring_enter fails only for reasons that are ours") {
                break;
            }
        }
    }

    /// Handles what the driver has to say.
    fn handle_completions(&self) {
        loop {
            let next = self.inner.driver.borrow_mut().next_completion();
            match next {
                Next::Received { connection, data } => self.received(connection, data),
                Next::Sent { connection, bytes } => self.sent_copied(connection, bytes as usize),
                Next::Queued => self.complete_queued(),
                Next::Nothing => return,
            }
            add(&self.inner.counters.completions, 1);
        }
    }

    #[inline(never)]
    fn complete_queued(&self) {
        let queued = self.inner.driver.borrow_mut().take_queued();
        self.complete(queued.expect("the driver has announced it"));
    }

    /// Whether any task has not ended.
    pub(crate) fn has_tasks(&self) -> bool {
        self.inner.executor.borrow().len() > 0
    }

    /// Whether a pass would find something to do, timers aside.
    pub(crate) fn has_work(&self) -> bool {
        self.inner.executor.borrow().has_ready() || self.inner.doorbell.flags.is_rung()
    }

    pub(crate) fn next_timer(&self) -> Option<Instant> {
        let precise = self.inner.precise.borrow().next();
        self.inner.wheel.borrow().next_deadline().into_iter().chain(precise).min()
    }

    /// Drops every task, and with them the references to this core that they hold.
    pub(crate) fn drop_tasks(&self) {
        loop {
            let tasks = self.inner.executor.borrow_mut().take_all();
            if tasks.is_empty() {
                return;
            }
            drop(tasks);
        }
    }

    fn refresh_clock(&self) {
        let inner = &*self.inner;
        let driver = inner.driver.borrow();
        let now = driver.now();
        inner.now.set(now);
        // These have a grain of milliseconds: they need not be read more often than that.
        if now.as_nanos().saturating_sub(inner.ms_read.get().as_nanos()) >= MS_GRAIN_NS {
            inner.ms_read.set(now);
            inner.wall_ms.set(driver.wall_ms());
            inner.steady_ms.set(driver.steady_ms());
        }
    }

    #[inline]
    fn fire_precise(&self, now: Instant) {
        while let Some(task) = self.inner.precise.borrow_mut().take_due(now) {
            self.wake(task);
        }
    }

    fn fire(&self, target: TimerTarget) {
        match target {
            TimerTarget::Task(task) => self.wake(task),
            TimerTarget::Connection(id) => self.connection_timer(id),
        }
    }

    fn look_at_doorbell(&self) {
        if self.inner.doorbell.flags.take() {
            self.wake_bell_waiters();
        }
    }

    #[inline(never)]
    fn wake_bell_waiters(&self) {
        self.inner.bell_rings.set(self.inner.bell_rings.get() + 1);
        for task in self.inner.bell_waiters.borrow_mut().drain(..) {
            self.wake(task);
        }
    }

    fn run_ready(&self) {
        let inner = &*self.inner;
        inner.executor.borrow_mut().begin_pass();
        let mut polls = 0;
        while polls < POLLS_PER_PASS {
            let Some((id, mut future)) = inner.executor.borrow_mut().take_ready() else { break };
            inner.running.set(Some(id));
            polls += 1;
            if poll_once(&mut future).is_pending() {
                inner.executor.borrow_mut().put_back(id, future);
            } else {
                self.end_task(id, future);
            }
        }
        inner.running.set(None);
        add(&inner.counters.polls, polls);
    }

    #[inline(never)]
    fn end_task(&self, id: TaskId, future: Boxed) {
        // Dropped before its slot is freed and while it is still the running task: its destructors may use the
        // reactor.
        drop(future);
        self.inner.executor.borrow_mut().remove(id);
    }

    fn flush_dirty(&self) {
        if self.inner.dirty.borrow().is_empty() {
            return;
        }
        let mut dirty = std::mem::take(&mut *self.inner.dirty.borrow_mut());
        for id in dirty.drain(..) {
            self.flush(id);
        }
        *self.inner.dirty.borrow_mut() = dirty;
    }

    fn rearm_starved(&self) {
        if !self.inner.starved.borrow().is_empty() {
            self.rearm_each_starved();
        }
    }

    #[inline(never)]
    fn rearm_each_starved(&self) {
        // In the order in which they starved, so that nobody waits forever; each once per pass.
        let starved = self.inner.starved.borrow().len();
        for _ in 0..starved {
            let Some(id) = self.inner.starved.borrow_mut().pop_front() else { return };
            if !self.rearm_after_starving(id) {
                self.inner.starved.borrow_mut().push_back(id);
            }
        }
    }
}

/// Waits for the doorbell. Ready at once when it has rung since the last wait.
pub(crate) struct DoorbellRung<'a> {
    reactor: &'a Reactor,
}

impl Future for DoorbellRung<'_> {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        let inner = &self.reactor.inner;
        if inner.bell_rings_seen.replace(inner.bell_rings.get()) != inner.bell_rings.get() {
            return std::task::Poll::Ready(());
        }
        let task = self.reactor.current_task();
        let mut waiters = inner.bell_waiters.borrow_mut();
        if !waiters.contains(&task) {
            waiters.push(task);
        }
        std::task::Poll::Pending
    }
}

impl Drop for Inner {
    /// Memory that the kernel may still read outlives the core: it is leaked, which happens at most once per connection
    /// and only when a core ends while its last sends are under way.
    fn drop(&mut self) {
        let connections = self.connections.get_mut();
        for key in connections.keys() {
            let reads_memory = |state: &ConnectionState| state.is_lent() || state.flight.under_way;
            if connections.get(key).is_some_and(reads_memory) {
                std::mem::forget(connections.remove(key));
            }
        }
    }
}
