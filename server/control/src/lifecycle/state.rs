//! Where a process is in its life, from its start to its exit.
//!
//! ```text
//!  Starting ──Started──▶ Serving ──Terminate──▶ LameDuck ──lame_duck, or Terminate again──▶ Draining ──nothing in flight──▶ Stopped(Clean)
//!     │                     └────Terminate, no lame_duck───────────────────────────────────────▲│ deadline, or Terminate again
//!     │ Terminate                                                                              ▼
//!     ├──────────────▶ Stopped(Clean)                                                       Stopped(Cut)
//!     │ Refused
//!     └──────────────▶ Stopped(Refused)
//! ```
//!
//! **Not** acting: the caller stops accepting when the state becomes [`LifecycleState::Draining`] and ends the cores when it becomes
//! [`LifecycleState::Stopped`].
//!
//! **Invariants**: a stopped process stays stopped, with the exit it stopped with; a drain ends at its deadline whatever
//! happens; only what was in flight can be cut.
//!
//! **Source**: docs/config.md (`drain_timeout`, `lame_duck`).

use std::time::Duration;

use reactor::Instant;

use crate::exit::Exit;

/// What a drain waits for: connections that are open, and cores of so many that have not said yet that they have nothing left.
#[must_use]
pub fn in_flight(connections: u64, cores: usize, drained: usize) -> usize {
    let busy_cores = cores.saturating_sub(drained);
    usize::try_from(connections).unwrap_or(usize::MAX).saturating_add(busy_cores)
}

/// Why a process drains: nothing else begins it.
pub const DRAIN_CAUSE: &str = "SIGTERM or SIGINT";

/// Where a process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleState {
    /// Not ready: listeners, topology or cores are missing.
    Starting,
    /// Ready.
    Serving,
    /// Serves all that comes, and tells balancers and clients to go elsewhere.
    LameDuck {
        /// When it begins to drain.
        until: Instant,
    },
    /// Answers what is in flight and takes nothing new.
    Draining {
        /// When what is left is cut.
        deadline: Instant,
    },
    /// To be ended now.
    Stopped(Exit),
}

impl LifecycleState {
    /// Its word in `/v1/status`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::LameDuck { .. } => "lame-duck",
            Self::Draining { .. } => "draining",
            Self::Stopped(_) => "stopped",
        }
    }
}

/// What happens to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// Everything needed to serve is there.
    Started,
    /// The start has failed.
    Refused,
    /// SIGTERM or SIGINT.
    Terminate,
    /// This many requests and connections are still being served.
    InFlight(usize),
}

/// The life of one process.
#[derive(Clone, Copy, Debug)]
pub struct Lifecycle {
    state: LifecycleState,
    times: EndTimes,
}

/// How long the parts of an end may take that has not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTimes {
    /// How long the process serves on for those who have not heard of its end.
    pub lame_duck: Duration,
    /// How long what is in flight may take after that; zero cuts what is not done at once.
    pub drain: Duration,
}

impl Lifecycle {
    /// A process that starts, and will end within these times.
    #[must_use]
    pub fn new(times: EndTimes) -> Self {
        Self { state: LifecycleState::Starting, times }
    }

    /// Other times of what has not begun.
    pub fn set_times(&mut self, times: EndTimes) {
        self.times = times;
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> LifecycleState {
        self.state
    }

    /// Takes in an event at `now`, and returns the state after it.
    pub fn on(&mut self, event: LifecycleEvent, now: Instant) -> LifecycleState {
        self.state = match (self.state, event) {
            (LifecycleState::Starting, LifecycleEvent::Started) => LifecycleState::Serving,
            (LifecycleState::Starting, LifecycleEvent::Refused) => LifecycleState::Stopped(Exit::Refused),
            (LifecycleState::Starting, LifecycleEvent::Terminate) => LifecycleState::Stopped(Exit::Clean),
            (LifecycleState::Serving, LifecycleEvent::Terminate) if !self.times.lame_duck.is_zero() => {
                LifecycleState::LameDuck { until: now + self.times.lame_duck }
            }
            (LifecycleState::Serving | LifecycleState::LameDuck { .. }, LifecycleEvent::Terminate) => {
                self.draining(now)
            }
            (LifecycleState::LameDuck { until }, _) if now >= until => self.draining(now),
            (LifecycleState::Draining { .. }, LifecycleEvent::Terminate) => LifecycleState::Stopped(Exit::Cut),
            (LifecycleState::Draining { .. }, LifecycleEvent::InFlight(0)) => LifecycleState::Stopped(Exit::Clean),
            (LifecycleState::Draining { deadline }, _) if now >= deadline => LifecycleState::Stopped(Exit::Cut),
            (same, _) => same,
        };
        self.state
    }

    fn draining(&self, now: Instant) -> LifecycleState {
        LifecycleState::Draining { deadline: now + self.times.drain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_waits_for_connections_and_for_cores() {
        for (connections, cores, drained, expected) in
            [(0, 4, 4, 0), (0, 4, 1, 3), (7, 4, 4, 7), (7, 4, 1, 10), (0, 1, 2, 0), (u64::MAX, 2, 0, usize::MAX)]
        {
            assert_eq!(in_flight(connections, cores, drained), expected, "{connections} {cores} {drained}");
        }
    }

    const TIMES: EndTimes = EndTimes { lame_duck: Duration::ZERO, drain: Duration::from_secs(30) };

    fn at(second: u64) -> Instant {
        Instant::from_nanos(second * 1_000_000_000)
    }

    #[test]
    fn lives() {
        use LifecycleEvent::{InFlight, Refused, Started, Terminate};
        use LifecycleState::{Serving, Starting, Stopped};
        let draining = LifecycleState::Draining { deadline: at(40) };
        // Events with their second, and the state after the last of them.
        let lives: [(&[(u64, LifecycleEvent)], LifecycleState); 17] = [
            (&[], Starting),
            (&[(0, InFlight(0))], Starting),
            (&[(0, Refused)], Stopped(Exit::Refused)),
            (&[(0, Refused), (1, Started)], Stopped(Exit::Refused)),
            (&[(0, Terminate)], Stopped(Exit::Clean)),
            (&[(0, Started)], Serving),
            (&[(0, Started), (9, InFlight(0))], Serving),
            (&[(0, Started), (9, Refused)], Serving),
            (&[(0, Started), (10, Terminate)], draining),
            (&[(0, Started), (10, Terminate), (39, InFlight(1))], draining),
            (&[(0, Started), (10, Terminate), (39, InFlight(0))], Stopped(Exit::Clean)),
            (&[(0, Started), (10, Terminate), (40, InFlight(1))], Stopped(Exit::Cut)),
            (&[(0, Started), (10, Terminate), (50, InFlight(0))], Stopped(Exit::Clean)),
            (&[(0, Started), (10, Terminate), (11, Terminate)], Stopped(Exit::Cut)),
            (&[(0, Started), (10, Terminate), (11, Started)], draining),
            (&[(0, Started), (10, Terminate), (40, InFlight(1)), (41, InFlight(0))], Stopped(Exit::Cut)),
            (&[(0, Started), (10, Terminate), (11, InFlight(0)), (12, Terminate)], Stopped(Exit::Clean)),
        ];
        for (events, expected) in lives {
            let mut life = Lifecycle::new(TIMES);
            for (second, event) in events {
                life.on(*event, at(*second));
            }
            assert_eq!(life.state(), expected, "{events:?}");
        }
    }

    #[test]
    fn no_drain_time_cuts_what_is_not_done() {
        for (in_flight, exit) in [(0, Exit::Clean), (1, Exit::Cut)] {
            let mut life = Lifecycle::new(EndTimes { drain: Duration::ZERO, ..TIMES });
            life.on(LifecycleEvent::Started, at(0));
            life.on(LifecycleEvent::Terminate, at(5));
            assert_eq!(life.on(LifecycleEvent::InFlight(in_flight), at(5)), LifecycleState::Stopped(exit));
        }
    }

    #[test]
    fn a_lame_duck_drains_when_its_time_is_over_or_at_a_second_signal() {
        use LifecycleEvent::{InFlight, Started, Terminate};
        let duck = LifecycleState::LameDuck { until: at(14) };
        let draining = |second: u64| LifecycleState::Draining { deadline: at(second + 30) };
        let lives: [(&[(u64, LifecycleEvent)], LifecycleState); 7] = [
            (&[(10, Terminate)], duck),
            (&[(10, Terminate), (13, InFlight(0))], duck),
            (&[(10, Terminate), (14, InFlight(2))], draining(14)),
            (&[(10, Terminate), (14, InFlight(0))], draining(14)),
            (&[(10, Terminate), (12, Terminate)], draining(12)),
            (&[(10, Terminate), (12, Terminate), (13, Terminate)], LifecycleState::Stopped(Exit::Cut)),
            (&[(10, Terminate), (14, InFlight(0)), (15, InFlight(0))], LifecycleState::Stopped(Exit::Clean)),
        ];
        for (events, expected) in lives {
            let mut life = Lifecycle::new(EndTimes { lame_duck: Duration::from_secs(4), ..TIMES });
            life.on(Started, at(0));
            for (second, event) in events {
                life.on(*event, at(*second));
            }
            assert_eq!(life.state(), expected, "{events:?}");
        }
    }
}
