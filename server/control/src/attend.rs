//! The control core's loop: signals, the watched file, the drain, a tick a second.
//!
//! ```text
//!  SIGTERM, SIGINT ─▶ Life ──▶ moved(state) ──▶ the binary stops accepting, or ends its cores
//!  SIGHUP ──────────┐
//!  stat, once a second ─▶ Watch ─▶ reload(cause) ─▶ the binary reads, checks, and sends snapshots to its cores
//!  while starting or draining, every 10 ms: start(), in_flight()
//! ```
//!
//! **Not** reading or opening anything itself: what it decides on comes from the binary's [`Process`], so that the loop runs
//! in the simulation.
//!
//! **Invariants**: a reload happens only while serving; the drain ends at its deadline, to a look; every wait ends.
//!
//! **Source**: docs/config.md (`drain_time`); the shutdown rule of docs/specification.md.

#[cfg(test)]
mod tests;

use std::{io, time::Duration};

use reactor::{Instant, Reactor, Signal};

use crate::{
    drain::{Event, Exit, Life, State},
    watch::{Mark, Sight, Watch},
};

/// How often the watched file is looked at: an operator who has changed it waits two looks at most.
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

/// Why the watched file is to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadCause {
    /// SIGHUP.
    Signal,
    /// Another file is there.
    Change,
}

/// What the loop asks and tells a binary, on the control core.
pub trait Process {
    /// How far the start has come. Asked until it is over.
    fn start(&self) -> Start;

    /// Connections and requests that are still being served, on all cores. Asked while draining.
    fn in_flight(&self) -> usize;

    /// What the watched file looks like now; `None` when there is none, or none is watched.
    fn mark(&self) -> Option<Mark>;

    /// Reads the watched file, and keeps what it has when that is refused.
    fn reload(&self, cause: ReloadCause);

    /// The watched file was there and is not any more. Told once; what was read stays in use.
    fn file_gone(&self) {}

    /// The life of the process has moved on: stop accepting on `Draining`.
    fn moved(&self, state: State);

    /// A second has passed: time for what is done once a second, such as flushing the log.
    fn tick(&self) {}
}

/// What the loop is told at its start.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long a drain may take.
    pub drain_time: Duration,
    /// What the watched file looked like before it was read; `None` when there is none.
    pub read_mark: Option<Mark>,
}

/// Attends to the process until it is to be ended, and tells how. The caller then ends the cores and exits with it.
///
/// # Errors
///
/// The operator's: no file descriptor is left to watch signals with.
pub async fn attend(reactor: &Reactor, process: &dyn Process, options: Options) -> io::Result<Exit> {
    reactor.watch_signals()?;
    let watch = Watch::new(options.read_mark);
    let mut attendant = Attendant {
        reactor,
        process,
        life: Life::new(options.drain_time),
        watch,
        has_file: options.read_mark.is_some(),
    };
    let mut next_tick = reactor.now() + TICK;
    loop {
        attendant.look();
        if let State::Stopped(exit) = attendant.life.state() {
            return Ok(exit);
        }
        let until = attendant.wake_at(next_tick);
        match reactor.until(until, reactor.next_signal()).await {
            Some(Signal::Terminate) => attendant.on(Event::Terminate),
            Some(Signal::Reload) => attendant.reload_on_signal(),
            None => {}
        }
        if reactor.now() >= next_tick {
            next_tick = reactor.now() + TICK;
            attendant.tick();
        }
    }
}

struct Attendant<'a> {
    reactor: &'a Reactor,
    process: &'a dyn Process,
    life: Life,
    watch: Watch,
    /// Whether there was a file at the last look.
    has_file: bool,
}

impl Attendant<'_> {
    fn on(&mut self, event: Event) {
        let before = self.life.state();
        let after = self.life.on(event, self.reactor.now());
        if after != before {
            self.process.moved(after);
        }
    }

    /// Asks what a start or a drain waits for.
    fn look(&mut self) {
        match self.life.state() {
            State::Starting => match self.process.start() {
                Start::UnderWay => {}
                Start::Done => self.on(Event::Started),
                Start::Refused => self.on(Event::Refused),
            },
            State::Draining { .. } => self.on(Event::InFlight(self.process.in_flight())),
            State::Serving | State::Stopped(_) => {}
        }
    }

    fn wake_at(&self, next_tick: Instant) -> Instant {
        match self.life.state() {
            State::Serving | State::Stopped(_) => next_tick,
            State::Starting | State::Draining { .. } => next_tick.min(self.reactor.now() + LOOK),
        }
    }

    fn reload_on_signal(&mut self) {
        if self.life.state() == State::Serving {
            // Before the file is read, so that a change while it is read is seen by the next look.
            let mark = self.process.mark();
            self.watch.note_read(mark);
            self.has_file = mark.is_some();
            self.process.reload(ReloadCause::Signal);
        }
    }

    fn tick(&mut self) {
        self.process.tick();
        if self.life.state() != State::Serving {
            return;
        }
        let sight = self.watch.look(self.process.mark());
        if sight == Sight::Gone && self.has_file {
            self.process.file_gone();
        }
        self.has_file = sight != Sight::Gone;
        if sight == Sight::Changed {
            self.process.reload(ReloadCause::Change);
        }
    }
}
