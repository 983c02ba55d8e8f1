//! Simulated processes and the scheduler that runs their cores.
//!
//! **Not** parallel: one core runs at a time, and which one is drawn.
//!
//! **Invariants**: time moves only when no core has anything to do; a process that was killed runs no more code, not
//! even destructors that could still send.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::clock::SimClock;
use super::disk::SimDisk;
use super::driver::SimDriver;
use super::endpoint::CoreAddress;
use super::network::{Network, NetworkOptions};
use crate::core::{CoreSeed, Holdings, Reactor};
use crate::driver::{AnyDriver, Wait};
use crate::host::{CoreSpec, Host};
use crate::mailbox::Doorbells;
use crate::random::Random;
use crate::signal::Signal;
use crate::time::Instant;

/// A simulated process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessId(usize);

/// What the peers of a killed process get to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CrashMode {
    /// `kill -9`: the kernel resets its connections.
    Killed,
    /// The host is gone: nobody answers, and its disk has what was flushed.
    PowerLoss,
}

struct SimCore {
    reactor: Reactor,
}

struct SimProcess {
    name: String,
    cores: Vec<SimCore>,
    disk: Rc<RefCell<SimDisk>>,
}

/// A simulation.
pub struct World {
    network: Rc<RefCell<Network>>,
    processes: Vec<SimProcess>,
    random: Random,
    steps: u64,
}

/// Passes of one simulation at most: far more than any scenario needs, so that one that does not come to rest ends
/// with an explanation.
const STEPS_MAX: u64 = 200_000_000;

impl World {
    /// An empty world; the seed fixes everything that will happen in it.
    pub fn new(seed: u64, options: NetworkOptions) -> Self {
        let mut random = Random::new(seed);
        let network = Network::new(random.fork(), options);
        World { network: Rc::new(RefCell::new(network)), processes: Vec::new(), random, steps: 0 }
    }

    /// Adds a process without cores; [`World::host`] starts some.
    pub fn add_process(&mut self, name: &str) -> ProcessId {
        // By its number, so that a world in which nobody uses a disk goes the same way as one without.
        let disk = Rc::new(RefCell::new(SimDisk::new(self.processes.len() as u64)));
        self.processes.push(SimProcess { name: name.to_owned(), cores: Vec::new(), disk });
        ProcessId(self.processes.len() - 1)
    }

    /// What starts cores in a process.
    pub fn host(&mut self, process: ProcessId) -> impl Host + '_ {
        SimHost { world: self, process }
    }

    /// The disk of a process: it is there before its first core starts, and outlives them all.
    pub fn disk(&self, process: ProcessId) -> Rc<RefCell<SimDisk>> {
        Rc::clone(&self.processes[process.0].disk)
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.network.borrow().now
    }

    /// A number from the world's generator, for the scenario's own choices.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// Changes how the network behaves from now on.
    pub fn set_network(&mut self, options: NetworkOptions) {
        self.network.borrow_mut().set_options(options);
    }

    /// The wall clock of a process, in milliseconds of Unix time.
    #[must_use]
    pub fn wall_ms(&self, process: ProcessId) -> u64 {
        super::driver::wall_ms(&self.network.borrow(), process.0)
    }

    /// Sets by how many milliseconds the wall clock of a process is ahead of the world's (behind, where negative), from its
    /// next pass on.
    pub fn set_clock_skew(&mut self, process: ProcessId, skew_ms: i64) {
        self.network.borrow_mut().clock_skews_ms.insert(process.0, skew_ms);
    }

    /// Gives a process a monotonic clock of its own: with another zero, and so many millionths faster than the world's (slower,
    /// where negative). For use before its cores start: it must not go back.
    pub fn set_clock(&mut self, process: ProcessId, offset: Duration, drift_ppm: i32) {
        let offset_ns = u64::try_from(offset.as_nanos()).unwrap_or(u64::MAX);
        self.network.borrow_mut().clocks.insert(process.0, SimClock::new(offset_ns, drift_ppm));
    }

    /// Cuts the network between two processes; connections stay silent until [`World::heal`].
    pub fn partition(&mut self, a: ProcessId, b: ProcessId) {
        self.network.borrow_mut().partition(a.0, b.0);
    }

    /// Mends all cuts.
    pub fn heal(&mut self) {
        self.network.borrow_mut().heal();
    }

    /// Sends a signal to a process: to its last core, which is the control thread of our servers.
    pub fn signal(&mut self, process: ProcessId, signal: Signal) {
        let core = self.processes[process.0].cores.len();
        if core > 0 {
            self.network.borrow_mut().signal((process.0, core - 1), signal.number());
        }
    }

    /// Ends a process in the middle of whatever it does.
    pub fn kill(&mut self, process: ProcessId, mode: CrashMode) {
        self.network.borrow_mut().kill(process.0, mode == CrashMode::Killed);
        if mode == CrashMode::PowerLoss {
            self.processes[process.0].disk.borrow_mut().lose_power();
        }
        for core in std::mem::take(&mut self.processes[process.0].cores) {
            // Destructors of tasks run, but what they start goes to endpoints that are gone.
            core.reactor.drop_tasks();
        }
    }

    /// Whether a process still has cores that run.
    pub fn is_running(&self, process: ProcessId) -> bool {
        let mut cores = self.processes[process.0].cores.iter();
        cores.any(|core| !core.reactor.is_stopping() && core.reactor.holdings().tasks > 0)
    }

    /// What a process's cores hold, by core.
    pub fn holdings(&self, process: ProcessId) -> Vec<Holdings> {
        self.processes[process.0].cores.iter().map(|core| core.reactor.holdings()).collect()
    }

    /// Open ends of connections in the whole world.
    pub fn open_endpoints(&self) -> usize {
        self.network.borrow().open_endpoints()
    }

    /// A hash of all that has happened: equal for equal seeds.
    pub fn trace(&self) -> u64 {
        self.network.borrow().trace
    }

    /// Runs until `done` says so or virtual time reaches `deadline`; true in the first case.
    ///
    /// # Panics
    /// When the world does not come to rest within a very large number of steps: something spins.
    pub fn run_until(&mut self, deadline: Instant, mut done: impl FnMut(&World) -> bool) -> bool {
        loop {
            if done(self) {
                return true;
            }
            if self.now() >= deadline || !self.step(deadline) {
                return done(self);
            }
        }
    }

    /// Runs for a while of virtual time.
    pub fn run_for(&mut self, duration: Duration) {
        let deadline = self.now() + duration;
        self.run_until(deadline, |_| false);
    }

    /// Runs one core, or lets time pass up to `deadline`. False when nothing will ever happen again.
    fn step(&mut self, deadline: Instant) -> bool {
        self.steps += 1;
        assert!(self.steps < STEPS_MAX, "the simulation does not come to rest: {}", self.describe());
        let runnable = self.runnable();
        if runnable.is_empty() {
            return self.pass_time(deadline);
        }
        let pick = self.random.below(runnable.len() as u64) as usize;
        let (process, core) = runnable[pick];
        let reactor = self.processes[process].cores[core].reactor.clone();
        reactor.enter(Wait::No);
        reactor.pass();
        reactor.park();
        // A pass takes a little time, so that deadlines can fall between two of them.
        let now = self.now() + Duration::from_nanos(self.random.between(200, 3000));
        self.network.borrow_mut().advance(now);
        if reactor.is_stopping() {
            reactor.drop_tasks();
            reactor.enter(Wait::No);
            reactor.pass();
        }
        true
    }

    fn runnable(&self) -> Vec<(usize, usize)> {
        let network = self.network.borrow();
        let mut runnable = Vec::new();
        for (process, state) in self.processes.iter().enumerate() {
            let now = network.process_now(process);
            for (core, state) in state.cores.iter().enumerate() {
                let due = state.reactor.next_timer().is_some_and(|at| at <= now);
                let reported = network.has_completions((process, core));
                let stopped = state.reactor.is_stopping() && !reported;
                if !stopped && (due || reported || state.reactor.has_work()) {
                    runnable.push((process, core));
                }
            }
        }
        runnable
    }

    fn pass_time(&mut self, deadline: Instant) -> bool {
        let network = self.network.borrow();
        let timers = self.processes.iter().enumerate().flat_map(|(process, state)| {
            let running = state.cores.iter().filter(|core| !core.reactor.is_stopping());
            let network = &network;
            running.filter_map(move |core| Some(network.world_time(process, core.reactor.next_timer()?)))
        });
        let next = timers.chain(network.next_event()).min();
        drop(network);
        let Some(next) = next else { return false };
        self.network.borrow_mut().advance(next.min(deadline));
        true
    }

    fn describe(&self) -> String {
        let lines = self.processes.iter().map(|process| {
            let cores = process.cores.iter().map(|core| format!("{:?}", core.reactor.holdings()));
            format!("{}: {}", process.name, cores.collect::<Vec<_>>().join(", "))
        });
        lines.collect::<Vec<_>>().join("; ")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for core in self.processes.iter_mut().flat_map(|process| process.cores.drain(..)) {
            core.reactor.drop_tasks();
        }
    }
}

struct SimHost<'a> {
    world: &'a mut World,
    process: ProcessId,
}

impl Host for SimHost<'_> {
    fn doorbells(&mut self, cores: usize) -> io::Result<Doorbells> {
        Ok(Doorbells::simulated(cores))
    }

    fn start_core(&mut self, spec: CoreSpec, body: Box<dyn FnOnce(Reactor) + Send>) -> io::Result<()> {
        let World { network, processes, random, .. } = &mut *self.world;
        let cores = &mut processes[self.process.0].cores;
        assert_eq!(cores.len(), spec.id.index(), "cores are started in order");
        let place = CoreAddress { process: self.process.0, core: cores.len() };
        let driver = SimDriver::new(Rc::clone(network), place);
        let doorbell = spec.doorbells.of(spec.id);
        let seed = CoreSeed { random: random.next_u64(), shuffle_tasks: true };
        let reactor = Reactor::new(spec.id, AnyDriver::Simulated(driver), doorbell, seed);
        cores.push(SimCore { reactor: reactor.clone() });
        body(reactor);
        Ok(())
    }
}
