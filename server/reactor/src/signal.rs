//! Signals of the process, as values that a task waits for.
//!
//! **Not** handlers: the signals are blocked in every thread and read from a descriptor by one core.
//!
//! **Source**: signalfd(2); signal-safety(7) for why nothing is done in a handler.

use std::future::poll_fn;
use std::task::Poll;

use crate::core::Reactor;

/// The signals a server reacts to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// Stop gracefully (`SIGTERM`, `SIGINT`).
    Terminate,
    /// Read the configuration and the topology again (`SIGHUP`).
    Reload,
}

impl Signal {
    const ALL: [(i32, Signal); 3] =
        [(libc::SIGTERM, Signal::Terminate), (libc::SIGINT, Signal::Terminate), (libc::SIGHUP, Signal::Reload)];

    fn from_number(number: i32) -> Option<Signal> {
        Signal::ALL.iter().find(|(n, _)| *n == number).map(|(_, signal)| *signal)
    }

    pub(crate) fn number(self) -> i32 {
        Signal::ALL.iter().find(|(_, signal)| *signal == self).map_or(0, |(n, _)| *n)
    }
}

/// Signals whose default is to end the process, and that must not: what they say comes as an error of the call that caused
/// it (`SIGPIPE`: a peer went away; `SIGXFSZ`: a file is as long as it may be), or means nothing here (`SIGUSR1`, `SIGUSR2`).
const IGNORED: [i32; 4] = [libc::SIGPIPE, libc::SIGXFSZ, libc::SIGUSR1, libc::SIGUSR2];

/// Blocks the signals in the calling thread and in all threads it will start, and ignores those that must not end the
/// process. Call it first thing in `main`.
pub fn block_signals() {
    // SAFETY: sigset_t is plain data that sigemptyset initialises; all pointers are to locals that outlive the calls,
    // and pthread_sigmask and signal only change how the kernel delivers signals.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for (number, _) in Signal::ALL {
            libc::sigaddset(&raw mut set, number);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        for number in IGNORED {
            libc::signal(number, libc::SIG_IGN);
        }
    }
}

impl Reactor {
    /// Starts to watch the process's signals on this core.
    ///
    /// # Errors
    /// The operator's: not enough file descriptors.
    pub fn watch_signals(&self) -> std::io::Result<()> {
        let numbers: Vec<i32> = Signal::ALL.iter().map(|(number, _)| *number).collect();
        self.inner.driver.borrow_mut().watch_signals(&numbers)
    }

    /// Waits for the next signal; [`Reactor::watch_signals`] must have been called.
    pub async fn next_signal(&self) -> Signal {
        poll_fn(|_| {
            let mut signals = self.inner.signals.borrow_mut();
            while let Some(number) = signals.0.pop_front() {
                if let Some(signal) = Signal::from_number(number) {
                    return Poll::Ready(signal);
                }
            }
            signals.1 = Some(self.current_task());
            Poll::Pending
        })
        .await
    }
}
