//! The control core's loop: signals, watched files, the drain, a tick a second.
//!
//! ```text
//!  SIGTERM, SIGINT ─▶ Lifecycle ──▶ on_state_change(state) ──▶ the binary stops accepting, or ends its cores
//!  SIGHUP ──────────┐
//!  stat, once a second ─▶ Watch ─▶ reload(what, cause) ─▶ the binary reads, checks, and sends snapshots to its cores
//!  while starting or draining, every 10 ms: start(), in_flight()
//! ```
//!
//! **Not** reading or opening anything itself: what it decides on comes from the binary's [`ControlledProcess`], so that the loop runs
//! in the simulation.
//!
//! **Invariants**: a reload happens only while serving; the drain ends at its deadline, to a look; every wait ends.
//!
//! **Source**: docs/config.md (`drain_timeout`); the shutdown rule of docs/specification.md.

#[cfg(test)]
mod tests;

use std::{io, time::Duration};

use reactor::{Instant, Reactor, Signal};

use crate::{
    drain::{Exit, Lifecycle, LifecycleEvent, LifecycleState},
    watch::{Mark, Sight, Watch},
};

/// How often the watched files are checked: a change takes effect after two checks at most.
const TICK: Duration = Duration::from_secs(1);

/// How often a start or a drain is looked at: a restart is not made slower by more than this.
const LOOK: Duration = Duration::from_millis(10);

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
}

impl Watched {
    /// All of them, in the order they are read in: what a topology is checked against may have changed with the settings.
    pub const ALL: [Self; 2] = [Self::Config, Self::Topology];
}

/// Why what is watched is to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadCause {
    /// SIGHUP.
    Signal,
    /// Another file is there.
    Change,
}

impl std::fmt::Display for ReloadCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Signal => "signal",
            Self::Change => "change",
        })
    }
}

/// What the loop asks of a binary and reports to it, on the control core.
pub trait ControlledProcess {
    /// How far the start has come. Asked until it is over.
    fn start(&self) -> Start;

    /// Connections and requests that are still being served, on all cores. Asked while draining.
    fn in_flight(&self) -> usize;

    /// How long a drain may take that begins now.
    fn drain_timeout(&self) -> Duration;

    /// What the files look like now; empty when there are none.
    fn marks(&self, watched: Watched) -> Vec<Mark>;

    /// Reads the files, and keeps what it has when that is refused. Gives what they looked like before they were read, so
    /// that a change meanwhile is seen by the next look.
    fn reload(&self, watched: Watched, cause: ReloadCause) -> Vec<Mark>;

    /// There were files and are none any more. Told once; what was read stays in use.
    fn files_gone(&self, watched: Watched) {
        let _ = watched;
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
}

/// Runs the lifecycle of the process until it is to end, and returns how. The caller then ends the cores and exits with it.
///
/// # Errors
///
/// The operator's: no file descriptor is left to watch signals with.
pub async fn run(reactor: &Reactor, process: &dyn ControlledProcess, options: Options) -> io::Result<Exit> {
    reactor.watch_signals()?;
    let mut running = LifecycleLoop {
        reactor,
        process,
        life: Lifecycle::new(process.drain_timeout()),
        watches: [Watch::new(options.config_marks), Watch::new(options.topology_marks)],
    };
    let mut next_tick = reactor.now() + TICK;
    loop {
        running.look();
        if let LifecycleState::Stopped(exit) = running.life.state() {
            return Ok(exit);
        }
        let until = running.wake_at(next_tick);
        match reactor.until(until, reactor.next_signal()).await {
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

struct LifecycleLoop<'a> {
    reactor: &'a Reactor,
    process: &'a dyn ControlledProcess,
    life: Lifecycle,
    /// Of each of [`Watched::ALL`].
    watches: [Watch; 2],
}

impl LifecycleLoop<'_> {
    fn on(&mut self, event: LifecycleEvent) {
        self.life.set_drain_timeout(self.process.drain_timeout());
        let before = self.life.state();
        let after = self.life.on(event, self.reactor.now());
        if after != before {
            self.process.on_state_change(after);
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
            LifecycleState::Draining { .. } => self.on(LifecycleEvent::InFlight(self.process.in_flight())),
            LifecycleState::Serving | LifecycleState::Stopped(_) => {}
        }
    }

    fn wake_at(&self, next_tick: Instant) -> Instant {
        match self.life.state() {
            LifecycleState::Serving | LifecycleState::Stopped(_) => next_tick,
            LifecycleState::Starting | LifecycleState::Draining { .. } => next_tick.min(self.reactor.now() + LOOK),
        }
    }

    fn reload_on_signal(&mut self) {
        if self.life.state() == LifecycleState::Serving {
            for (watched, watch) in Watched::ALL.into_iter().zip(&mut self.watches) {
                watch.note_read(self.process.reload(watched, ReloadCause::Signal));
            }
        }
    }

    fn tick(&mut self) {
        self.process.tick();
        if self.life.state() != LifecycleState::Serving {
            return;
        }
        for (watched, watch) in Watched::ALL.into_iter().zip(&mut self.watches) {
            match watch.look(self.process.marks(watched)) {
                Sight::Same | Sight::Changing => {}
                Sight::Gone => self.process.files_gone(watched),
                Sight::Changed => watch.note_read(self.process.reload(watched, ReloadCause::Change)),
            }
        }
    }
}
