//! Waiting: on a condition, until a deadline, or until someone asks the measurement to stop.
//!
//! **Not**: a way to wait for a fixed time. Whoever waits names what it waits for.
//!
//! **Invariants**: once a stop was requested it stays requested.

use std::cell::Cell;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Between two looks at a condition: short beside a run of seconds, long enough not to disturb the client's CPU.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Says whether SIGINT (Ctrl-C), SIGTERM or SIGHUP has arrived; the servers are then stopped before the tool leaves.
pub(crate) struct StopSignal {
    signals: Receiver<()>,
    /// Kept in a stop that no signal reaches, so that its channel stays open.
    _sender: Option<Sender<()>>,
    requested: Cell<bool>,
}

impl StopSignal {
    /// Takes over the signals for the rest of the process.
    pub(crate) fn on_signals() -> Result<Self> {
        let mut arrived = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("signal handlers could not be installed")?;
        let (sender, signals) = mpsc::channel();
        thread::spawn(move || arrived.forever().all(|_| sender.send(()).is_ok()));
        Ok(Self { signals, _sender: None, requested: Cell::new(false) })
    }

    /// A stop that no signal requests: for waits that must not be cut short.
    pub(crate) fn never() -> Self {
        let (sender, signals) = mpsc::channel();
        Self { signals, _sender: Some(sender), requested: Cell::new(false) }
    }

    /// Fails once someone has asked the tool to stop.
    pub(crate) fn check(&self) -> Result<()> {
        if self.wait(Duration::ZERO) {
            bail!("stopped by a signal");
        }
        Ok(())
    }

    /// Calls `probe` until it returns a value, or returns `None` when `limit` has passed or a stop was requested.
    ///
    /// The probe always runs at least once.
    pub(crate) fn until<T>(&self, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(value) = probe() {
                return Some(value);
            }
            if Instant::now() >= deadline || self.wait(POLL_INTERVAL) {
                return None;
            }
        }
    }

    /// Waits for a stop, at most for `limit`; says whether one was requested.
    fn wait(&self, limit: Duration) -> bool {
        if !self.requested.get() && self.signals.recv_timeout(limit).is_ok() {
            self.requested.set(true);
        }
        self.requested.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_runs_even_when_the_limit_is_zero() {
        assert_eq!(StopSignal::never().until(Duration::ZERO, || Some(7)), Some(7));
        assert_eq!(StopSignal::never().until(Duration::ZERO, || None::<u8>), None);
    }

    #[test]
    fn a_requested_stop_ends_every_wait() {
        let (sender, signals) = mpsc::channel();
        let stop = StopSignal { signals, _sender: None, requested: Cell::new(false) };
        assert!(stop.check().is_ok());
        sender.send(()).expect("the stop listens");
        assert_eq!(stop.until(Duration::from_secs(3600), || None::<u8>), None);
        assert!(stop.check().is_err(), "a stop stays requested");
    }
}
