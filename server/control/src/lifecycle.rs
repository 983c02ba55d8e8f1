//! The control core's loop: signals, watched files, the drain, a tick a second.
//!
//! ```text
//!  SIGTERM, SIGINT ─▶ Lifecycle ──▶ on_state_change(state) ──▶ the binary stops accepting, or ends its cores
//!                                          └──▶ ServiceManager: READY, RELOADING, STOPPING; every tick STATUS; WATCHDOG
//!  SIGHUP, a peer ──┐
//!  look, once a second ─▶ FileWatch ─▶ read, elsewhere ─▶ adopt(contents, cause) ─▶ snapshots to the binary's cores
//!  while starting or ending, every 10 ms: start(), in_flight()
//! ```
//!
//! **Not** reading or opening anything itself: what it decides on comes from the binary's [`ControlledProcess`], so that the loop runs
//! in the simulation.
//!
//! **Invariants**: a reload happens only while serving; the drain ends at its deadline, to a look; every wait ends; files that
//! hang hold up nothing but their own reading.
//!
//! **Source**: docs/config.md (`drain_timeout`); the shutdown rule of docs/specification.md.

mod files;
mod state;
#[cfg(test)]
mod tests;

use std::{cell::Cell, future::poll_fn, io, pin::pin, task::Poll, time::Duration};

use reactor::local::Notify;
use reactor::{Instant, Reactor, Signal};

use self::files::FileWatch;
pub use self::files::{Contents, PendingRead};
pub use self::state::{DRAIN_CAUSE, EndTimes, Lifecycle, LifecycleEvent, LifecycleState, in_flight};
use crate::{
    exit::Exit,
    lame_duck::{LameDuck, LameDuckCause},
    log::{LogFields, LogLevel},
    notify::ServiceManager,
    reading::PendingFiles,
    watch::Mark,
};

/// How often the watched files are checked: a change takes effect after two checks at most.
const TICK: Duration = Duration::from_secs(1);

/// How often a start or a drain is looked at: a restart is not made slower by more than this.
const LOOK: Duration = Duration::from_millis(10);

/// How long a look at files or their reading may take; then it is reported, and what is in use stays.
pub const FILES_TIMEOUT: Duration = Duration::from_secs(5);

/// How far the start of a process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Cores, listeners or topology are still missing.
    UnderWay,
    /// Everything is there.
    Done,
    /// It cannot start, and has said why.
    Refused,
}

/// What is watched and read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// The configuration file and those it includes.
    Config,
    /// The topology's file.
    Topology,
    /// Certificates, keys, authorities and what was revoked.
    Security,
}

impl Watched {
    /// All of them, in the order they are read in: what a topology is checked against may have changed with the settings, and so may
    /// the names of the files behind it.
    pub const ALL: [Self; 3] = [Self::Config, Self::Topology, Self::Security];
}

/// Why what is watched is to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadCause {
    /// SIGHUP.
    Signal,
    /// Another file is there.
    Change,
    /// A peer knows a newer one.
    Peer,
}

impl std::fmt::Display for ReloadCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Signal => "signal",
            Self::Change => "change",
            Self::Peer => "peer",
        })
    }
}

/// Wishes to have the topology read again that come from a peer.
pub struct TopologyWishes {
    is_wanted: Cell<bool>,
    news: Notify,
}

impl TopologyWishes {
    /// None yet.
    #[must_use]
    pub fn new(reactor: &Reactor) -> Self {
        Self { is_wanted: Cell::new(false), news: Notify::new(reactor) }
    }

    /// Has the topology read again.
    pub fn wish(&self) {
        self.is_wanted.set(true);
        self.news.notify();
    }
}

/// What the loop asks of a binary and reports to it, on the control core.
pub trait ControlledProcess {
    /// The configuration as it was read.
    type Config;

    /// How far the start has come. Asked until it is over.
    fn start(&self) -> Start;

    /// Connections and requests that are still being served, on all cores. Asked while draining.
    fn in_flight(&self) -> usize;

    /// How long the parts of an end may take that begins now.
    fn end_times(&self) -> EndTimes;

    /// Whether it wants to be left.
    fn lame_duck(&self) -> &LameDuck;

    /// Every response is to end its connection from now on, or none is to any more.
    fn close_connections(&self, closes: bool);

    /// Who is told of what happens here.
    fn manager(&self) -> &ServiceManager;

    /// What it does, a sentence for people.
    fn summary(&self) -> String;

    /// Whether every data core has passed lately.
    fn cores_run(&self) -> bool;

    /// Looks at the files; their marks, empty when there are none.
    fn look(&self, watched: Watched) -> PendingFiles<Vec<Mark>>;

    /// Reads the files. With what they looked like before, so that a change meanwhile is seen by the next look.
    fn read(&self, watched: Watched) -> PendingRead<Self::Config>;

    /// Takes what was read, and keeps what it has when that is refused.
    fn adopt(&self, contents: Contents<Self::Config>, cause: ReloadCause);

    /// How the files are called in messages: the name of the first.
    fn files_name(&self, watched: Watched) -> String;

    /// Logs an event.
    fn log_event(&self, level: LogLevel, event: &str, fields: LogFields<'_>);

    /// What peers wish.
    fn wishes(&self) -> &TopologyWishes;

    /// Whether the files of [`Watched::Security`] are to be read though they may not have changed: other settings use them, or they
    /// did not fit each other a moment ago. Asked again and again; true once for each wish.
    fn wants_security(&self) -> bool {
        false
    }

    /// The process has another state: stop accepting on `Draining`.
    fn on_state_change(&self, state: LifecycleState);

    /// A second has passed: time for what is done once a second, such as flushing the log.
    fn tick(&self) {}
}

/// What the loop starts with.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the topology's file looked like before it was read.
    pub topology_marks: Vec<Mark>,
    /// What the configuration's files looked like before they were read.
    pub config_marks: Vec<Mark>,
    /// What the files of [`Watched::Security`] looked like before they were read.
    pub security_marks: Vec<Mark>,
}

/// Runs the lifecycle of the process until it is to end, and returns how. The caller then ends the cores and exits with it.
///
/// # Errors
///
/// The operator's: no file descriptor is left to watch signals with.
pub async fn run<C>(
    reactor: &Reactor,
    process: &dyn ControlledProcess<Config = C>,
    options: Options,
) -> io::Result<Exit> {
    reactor.watch_signals()?;
    let mut running = LifecycleLoop {
        reactor,
        process,
        life: Lifecycle::new(process.end_times()),
        is_reloading: false,
        closes: false,
        files: [
            FileWatch::new(Watched::Config, options.config_marks),
            FileWatch::new(Watched::Topology, options.topology_marks),
            FileWatch::new(Watched::Security, options.security_marks),
        ],
    };
    let mut next_tick = reactor.now() + TICK;
    loop {
        running.look();
        running.attend_files();
        running.attend_manager();
        running.attend_connections();
        if let LifecycleState::Stopped(exit) = running.life.state() {
            return Ok(exit);
        }
        let until = running.wake_at(next_tick);
        match reactor.until(until, running.next_signal_or_wish()).await.flatten() {
            Some(Signal::Terminate) => running.on(LifecycleEvent::Terminate),
            Some(Signal::Reload) => running.reload_on_signal(),
            None => {}
        }
        if reactor.now() >= next_tick {
            next_tick = reactor.now() + TICK;
            running.tick();
        }
    }
}

struct LifecycleLoop<'a, C> {
    reactor: &'a Reactor,
    process: &'a dyn ControlledProcess<Config = C>,
    life: Lifecycle,
    /// A reload that the service manager was told of is under way.
    is_reloading: bool,
    /// Whether responses end their connections.
    closes: bool,
    /// Each of [`Watched::ALL`].
    files: [FileWatch<C>; Watched::ALL.len()],
}

impl<C> LifecycleLoop<'_, C> {
    /// Waits for a signal, or for a wish of a peer's: `None`.
    async fn next_signal_or_wish(&self) -> Option<Signal> {
        let (mut signal, mut wish) = (pin!(self.reactor.next_signal()), pin!(self.process.wishes().news.notified()));
        poll_fn(|context| match signal.as_mut().poll(context) {
            Poll::Ready(signal) => Poll::Ready(Some(signal)),
            Poll::Pending => wish.as_mut().poll(context).map(|()| None),
        })
        .await
    }

    fn on(&mut self, event: LifecycleEvent) {
        let now = self.reactor.now();
        let times = self.process.end_times();
        let duck = self.process.lame_duck();
        self.life.set_times(EndTimes { lame_duck: duck.left(now, times.lame_duck), ..times });
        let before = self.life.state();
        let after = self.life.on(event, now);
        if after == before {
            return;
        }
        if matches!(after, LifecycleState::LameDuck { .. } | LifecycleState::Draining { .. }) {
            duck.begin(LameDuckCause::Signal, now, self.reactor.wall_ms());
        }
        self.process.on_state_change(after);
        self.tell_manager(after);
    }

    fn tell_manager(&self, after: LifecycleState) {
        let (manager, now) = (self.process.manager(), self.reactor.now());
        let drain = self.process.end_times().drain;
        match after {
            LifecycleState::Serving => manager.ready(&self.process.summary(), now),
            LifecycleState::LameDuck { until } => {
                manager.stopping(until.since(now) + drain, &self.process.summary(), now);
            }
            LifecycleState::Draining { deadline } => {
                manager.stopping(deadline.since(now), &self.process.summary(), now);
            }
            LifecycleState::Stopped(_) | LifecycleState::Starting => {}
        }
    }

    /// Asks what a start or a drain waits for.
    fn look(&mut self) {
        match self.life.state() {
            LifecycleState::Starting => match self.process.start() {
                Start::UnderWay => {}
                Start::Done => self.on(LifecycleEvent::Started),
                Start::Refused => self.on(LifecycleEvent::Refused),
            },
            LifecycleState::LameDuck { .. } | LifecycleState::Draining { .. } => {
                self.on(LifecycleEvent::InFlight(self.process.in_flight()));
            }
            LifecycleState::Serving | LifecycleState::Stopped(_) => {}
        }
    }

    /// Takes what was read of the files, and has them read again where that is wanted.
    fn attend_files(&mut self) {
        if self.life.state() != LifecycleState::Serving {
            return;
        }
        if self.process.wishes().is_wanted.take() {
            self.files[Watched::Topology as usize].want(ReloadCause::Peer);
        }
        if self.process.wants_security() {
            self.files[Watched::Security as usize].want(ReloadCause::Change);
        }
        for index in 0..self.files.len() {
            // What a topology is checked against may change with the settings that are being read.
            if self.files[..index].iter().any(FileWatch::is_busy) {
                return;
            }
            // A look leads to a read at most, and a read that was late to another one.
            while self.files[index].attend(self.process, self.reactor.now()) {}
        }
    }

    /// Gives a sign of life where one is due, and ends a reload that is over or that hanging files hold up.
    fn attend_manager(&mut self) {
        let (manager, now) = (self.process.manager(), self.reactor.now());
        if self.is_reloading && self.files.iter().all(FileWatch::is_settled) {
            self.is_reloading = false;
            manager.ready(&self.process.summary(), now);
        }
        manager.ping(now, || self.process.cores_run());
        if let Some(error) = manager.take_fault() {
            self.process.log_event(LogLevel::Warn, "service_manager_gone", &[("error", &error)]);
        }
    }

    /// Has responses end their connections when it is time, or no more. Those of a drain all do.
    fn attend_connections(&mut self) {
        if !self.takes_connections() {
            return;
        }
        let closes = self.closes_at().is_some_and(|at| self.reactor.now() >= at);
        if closes != self.closes {
            self.closes = closes;
            self.process.close_connections(closes);
        }
    }

    fn takes_connections(&self) -> bool {
        matches!(self.life.state(), LifecycleState::Serving | LifecycleState::LameDuck { .. })
    }

    fn closes_at(&self) -> Option<Instant> {
        self.process.lame_duck().closes_at(self.process.end_times().lame_duck)
    }

    fn wake_at(&self, next_tick: Instant) -> Instant {
        let ping = self.process.manager().next_ping();
        let closes = self.closes_at().filter(|_| !self.closes && self.takes_connections());
        let next_tick = [ping, closes].into_iter().flatten().fold(next_tick, Instant::min);
        let is_waiting = match self.life.state() {
            LifecycleState::Serving => self.files.iter().any(FileWatch::is_busy),
            LifecycleState::Stopped(_) => false,
            LifecycleState::Starting | LifecycleState::LameDuck { .. } | LifecycleState::Draining { .. } => true,
        };
        if is_waiting { next_tick.min(self.reactor.now() + LOOK) } else { next_tick }
    }

    fn reload_on_signal(&mut self) {
        if self.life.state() == LifecycleState::Serving {
            let now = self.reactor.now();
            self.files.iter_mut().for_each(|files| files.want_now(self.process, now));
            self.is_reloading = true;
            self.process.manager().reloading(self.reactor.read_clock());
        }
    }

    fn tick(&mut self) {
        self.process.tick();
        self.process.manager().tick(&self.process.summary(), self.reactor.now());
        if self.life.state() == LifecycleState::Serving {
            let now = self.reactor.now();
            self.files.iter_mut().for_each(|files| files.look(self.process, now));
        }
    }
}
