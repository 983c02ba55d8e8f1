//! Whether every data core still runs: a message to each, once a second, and the time since it last answered.
//!
//! ```text
//!  control ── beat ──▶ core ── beat ──▶ control       no answer for 5 s: logged, /readyz 503
//! ```
//!
//! **Not** sending: the binary does, with a message of its own kind. **Not** ending a core that hangs.
//!
//! **Invariants**: at most one beat is under way to a core in 5 s, so that the mailbox of one that hangs does not fill; the first beat
//! counts from the start of the process.

use std::{cell::Cell, fmt::Display, time::Duration};

use reactor::{CoreId, Instant};

use crate::{
    admin::Readiness,
    lifecycle::LifecycleState,
    log::{LogFields, LogLevel},
};

/// How long a core may not answer: much longer than any request may keep it, and than a busy host lets it wait.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(5);

/// The beats of all data cores.
pub struct Heartbeats(Vec<Beats>);

struct Beats {
    /// The beat that is under way.
    sent: Cell<Option<Instant>>,
    answered: Cell<Instant>,
    /// Logged as hanging.
    is_reported: Cell<bool>,
}

impl Heartbeats {
    /// Of so many cores, which run now.
    #[must_use]
    pub fn new(cores: usize, now: Instant) -> Self {
        let beats = || Beats { sent: Cell::new(None), answered: Cell::new(now), is_reported: Cell::new(false) };
        Self((0..cores).map(|_| beats()).collect())
    }

    /// Once a second: sends with `send`, which gives whether there was room, and logs what has changed with `event`.
    pub fn tick(&self, now: Instant, send: impl Fn(CoreId) -> bool, event: &dyn Fn(LogLevel, &str, LogFields<'_>)) {
        for (index, beats) in self.0.iter().enumerate() {
            let core = CoreId(index as u16);
            let is_due = beats.sent.get().is_none_or(|sent| now >= sent + HEARTBEAT_TIMEOUT);
            if is_due && send(core) {
                beats.sent.set(Some(now));
            }
            let silent = now.since(beats.answered.get());
            let hangs = silent >= HEARTBEAT_TIMEOUT;
            if beats.is_reported.replace(hangs) != hangs {
                let fields: [(&'static str, &dyn Display); 2] = [("core", &core.0), ("seconds", &silent.as_secs())];
                match hangs {
                    true => event(LogLevel::Error, "core_hangs", &fields),
                    false => event(LogLevel::Info, "core_answers", &fields[..1]),
                }
            }
        }
    }

    /// Whether every core has answered lately.
    #[must_use]
    pub fn all_answer(&self, now: Instant) -> bool {
        self.0.iter().all(|beats| now.since(beats.answered.get()) < HEARTBEAT_TIMEOUT)
    }

    /// A core has answered.
    pub fn note(&self, core: CoreId, now: Instant) {
        if let Some(beats) = self.0.get(core.index()) {
            beats.sent.set(None);
            beats.answered.set(now);
        }
    }

    /// Whether a process in this state, whose cores answer like this, is ready to serve; `missing` are the other reasons why not.
    /// It is not either way when it is starting or ending.
    #[must_use]
    pub fn readiness(&self, state: LifecycleState, now: Instant, missing: Vec<String>) -> Readiness {
        let not_yet = |reason: &str| Readiness::NotReady(vec![reason.to_owned()]);
        match state {
            LifecycleState::Serving | LifecycleState::LameDuck { .. } => {}
            LifecycleState::Starting => return not_yet("the process is starting"),
            LifecycleState::Draining { .. } => return not_yet("the process is draining"),
            LifecycleState::Stopped(_) => return not_yet("the process has stopped"),
        }
        let hanging = self.0.iter().enumerate().filter_map(|(core, beats)| {
            let silent = now.since(beats.answered.get());
            (silent >= HEARTBEAT_TIMEOUT).then(|| format!("core {core} has not answered for {} s", silent.as_secs()))
        });
        let reasons: Vec<String> = hanging.chain(missing).collect();
        if reasons.is_empty() { Readiness::Ready } else { Readiness::NotReady(reasons) }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn at(second: u64) -> Instant {
        Instant::from_nanos(0) + Duration::from_secs(100 + second)
    }

    #[test]
    fn a_core_that_does_not_answer_makes_the_process_unready() {
        let beats = Heartbeats::new(2, at(0));
        let (sent, log) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        for second in 0..=14 {
            let send = |core: CoreId| {
                sent.borrow_mut().push((second, core.0));
                true
            };
            let event = |_: LogLevel, event: &str, fields: LogFields<'_>| {
                log.borrow_mut().push(format!("{second} {event} {}", fields[0].1));
            };
            beats.tick(at(second), send, &event);
            // The second core hangs from second 3 to second 12.
            beats.note(CoreId(0), at(second));
            if !(3..12).contains(&second) {
                beats.note(CoreId(1), at(second));
            }
            let ready = beats.readiness(LifecycleState::Serving, at(second), Vec::new());
            let expected = match second {
                7..=11 => Readiness::NotReady(vec![format!("core 1 has not answered for {} s", second - 2)]),
                _ => Readiness::Ready,
            };
            assert_eq!(ready, expected, "second {second}");
            assert_eq!(beats.all_answer(at(second)), ready == Readiness::Ready, "second {second}");
        }
        assert_eq!(*log.borrow(), ["7 core_hangs 1", "13 core_answers 1"]);
        let to_second: Vec<u64> = sent.borrow().iter().filter(|(_, core)| *core == 1).map(|(at, _)| *at).collect();
        assert_eq!(to_second, [0, 1, 2, 3, 8, 13, 14], "one at a time while it hangs");
    }

    #[test]
    fn a_mailbox_without_room_is_no_beat() {
        let beats = Heartbeats::new(1, at(0));
        for second in 0..=5 {
            beats.tick(at(second), |_| false, &|_, _, _| {});
        }
        let missing = vec!["no node".to_owned()];
        let expected = ["core 0 has not answered for 5 s", "no node"].map(str::to_owned).to_vec();
        assert_eq!(beats.readiness(LifecycleState::Serving, at(5), missing), Readiness::NotReady(expected));
        let starting = beats.readiness(LifecycleState::Starting, at(5), Vec::new());
        assert_eq!(starting, Readiness::NotReady(vec!["the process is starting".to_owned()]));
    }
}
