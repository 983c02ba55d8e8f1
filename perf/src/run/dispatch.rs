//! The task of a generator's core that sends what is due, sweeps, and reports.
//!
//! While it waits it spins if the plan says so: a core that sleeps is woken tens of microseconds late on many hosts, and whoever
//! wakes it pays for it, which is the server under test.
//!
//! **Invariants**: a window is handed over when it ends; the task ends when the run is over, at the latest `timeout` after
//! the end of the measured span.

use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use reactor::{CoreId, Instant, Reactor};

use super::generator::{Generator, duration_ns};
use super::tally::RequestTally;

/// How often connections are looked over for requests that take too long.
const SWEEP: Duration = Duration::from_millis(50);

/// How soon a core that sleeps looks again for what nothing wakes it for.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// What a core tells whoever conducts the run.
pub(crate) enum Report {
    /// A window has passed.
    Window(CoreId, Box<RequestTally>),
    /// The run is over: what was measured.
    Result(Box<RequestTally>),
    /// An agent is gone before it has told its results.
    Lost(String),
}

/// Where a core reports to.
pub(crate) type Reports = mpsc::Sender<Report>;

/// Drives a core's generator until the run is over, then stops the core.
pub(super) async fn run(generator: Rc<Generator>, reports: Reports) {
    let reactor = generator.reactor.clone();
    let window = generator.plan.team.window;
    let mut clock = LookClock::new(reactor.now(), window);
    while !is_over(&generator, reactor.now()) {
        let now = reactor.now();
        clock.note(&generator, now);
        generator.issue();
        if now >= clock.window_ends {
            clock.window_ends = now + window;
            // Nobody listens once the run was given up.
            let _ = reports.send(Report::Window(reactor.core(), Box::new(generator.take_window())));
        }
        if now >= clock.next_sweep {
            clock.next_sweep = now + SWEEP;
            generator.expire();
        }
        wait(&reactor, &generator, &clock).await;
    }
    let _ = reports.send(Report::Result(Box::new(generator.take_measured())));
    reactor.stop();
}

async fn wait(reactor: &Reactor, generator: &Generator, clock: &LookClock) {
    if generator.plan.team.spins {
        return reactor.next_pass().await;
    }
    let now = reactor.now();
    let end = Instant::from_nanos(generator.plan.phases.until_ns());
    let due = Instant::from_nanos(generator.next_due_ns());
    // Requests that wait for room are sent by the answers that make it; afterwards the next one must not be missed.
    let due = if generator.is_behind() || due <= now { now + LOOK_AGAIN } else { due };
    let end = if end > now { end } else { now + LOOK_AGAIN };
    reactor.sleep_precisely(due.min(clock.window_ends).min(clock.next_sweep).min(end)).await;
}

/// What is looked at again and again, and when.
struct LookClock {
    window_ends: Instant,
    next_sweep: Instant,
    looked: Instant,
    activity: u64,
}

impl LookClock {
    fn new(now: Instant, window: Duration) -> Self {
        Self { window_ends: now + window, next_sweep: now + SWEEP, looked: now, activity: 0 }
    }

    /// Accounts for the time since the last look: idle if nothing was sent and nothing came.
    fn note(&mut self, generator: &Generator, now: Instant) {
        let activity = generator.activity();
        if generator.plan.team.spins {
            let measured = generator.plan.phases.measures(now.as_nanos());
            let elapsed_ns = duration_ns(now.since(self.looked));
            let idle_ns = if activity == self.activity { elapsed_ns } else { 0 };
            generator.note_time((elapsed_ns, idle_ns), measured);
        }
        (self.looked, self.activity) = (now, activity);
    }
}

/// Whether the last answer has come, or will not.
fn is_over(generator: &Generator, now: Instant) -> bool {
    let phases = &generator.plan.phases;
    let until_ns = phases.until_ns();
    let now_ns = now.as_nanos();
    phases.is_over()
        || now_ns >= until_ns
            && (generator.is_done(until_ns) || now_ns - until_ns > duration_ns(generator.plan.scenario.timeout))
}
