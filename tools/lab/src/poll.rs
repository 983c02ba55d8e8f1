//! Waiting: on a condition, until a deadline, or until someone asks to stop.
//!
//! **Not**: a way to wait for a fixed time. Whoever waits names what it waits for.
//!
//! **Invariants**: nothing else in this crate or in xtask sleeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Between two looks at a condition: short enough not to be felt, long enough to cost no CPU worth naming.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Set once SIGINT (Ctrl-C) or SIGTERM has arrived; the tool then stops its children and leaves.
#[derive(Clone)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Takes over SIGINT and SIGTERM for the rest of the process.
    ///
    /// # Errors
    /// The kernel refused the handlers; not expected on Linux.
    pub fn on_signals() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&flag)).context("signal handlers could not be installed")?;
        }
        Ok(Self(flag))
    }

    /// A stop that no signal sets: for waits that must not be cut short.
    pub fn never() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }

    /// Whether someone has asked the tool to stop.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Calls `probe` until it returns a value (`Some`), the deadline passes or a stop is requested (`None`).
///
/// The probe always runs at least once.
pub fn until<T>(deadline: Instant, stop: &Stop, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    loop {
        if let Some(value) = probe() {
            return Some(value);
        }
        if stop.requested() || Instant::now() >= deadline {
            return None;
        }
        thread::sleep(POLL_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_runs_even_when_the_deadline_has_passed() {
        assert_eq!(until(Instant::now(), &Stop::never(), || Some(7)), Some(7));
    }

    #[test]
    fn waiting_ends_at_the_deadline_and_on_a_stop() {
        assert_eq!(until(Instant::now(), &Stop::never(), || None::<u8>), None);
        let stop = Stop(Arc::new(AtomicBool::new(true)));
        let far = Instant::now() + Duration::from_secs(3600);
        assert_eq!(until(far, &stop, || None::<u8>), None);
    }
}
