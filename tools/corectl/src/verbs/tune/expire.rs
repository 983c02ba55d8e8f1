//! `corectl tune expire`: what the timer calls, or what is the timer.
//!
//! **Invariants**: in a session of its own before it says that it is ready. Waits on the clock that counts sleep. Tries again for a
//! day while another corectl is at work, a value does not go back, or the state cannot be read.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use corectl::host::DETACHED;
use corectl::transaction::{expire, recover};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};

use super::session::TuneSession;

/// Seconds between two attempts, the first and the longest.
const PAUSE_SECONDS: std::ops::RangeInclusive<u64> = 1..=10;

/// Attempts: about a day.
const ATTEMPTS_MAX: u32 = 8_640;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The change
    #[arg(long)]
    id: String,
    /// Seconds to wait first
    #[arg(long)]
    wait: Option<u64>,
}

pub(super) fn run(session: &TuneSession, options: &Options) -> Result<ExitCode> {
    if let Some(seconds) = options.wait {
        rustix::process::setsid().context("a session of its own")?;
        println!("{DETACHED}");
        wait(seconds)?;
    }
    let mut pause = *PAUSE_SECONDS.start();
    for _ in 1..ATTEMPTS_MAX {
        match take_back(session, &options.id) {
            Ok(()) => return Ok(ExitCode::SUCCESS),
            // Nobody may be there to read it, and whoever is has not read all of what was before.
            Err(error) => drop(writeln!(std::io::stderr(), "corectl tune expire: {error:#}; tries again in {pause} s")),
        }
        wait(pause)?;
        pause = (pause * 2).min(*PAUSE_SECONDS.end());
    }
    take_back(session, &options.id).map(|()| ExitCode::SUCCESS)
}

fn take_back(session: &TuneSession, id: &str) -> Result<()> {
    let store = session.store();
    let _lock = store.lock()?;
    recover(&store)?;
    expire(&store, id)?;
    Ok(())
}

/// Waits, sleep of the machine included.
pub(super) fn wait(seconds: u64) -> Result<()> {
    let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::empty()).context("a timer")?;
    let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
    let after = Timespec { tv_sec: i64::try_from(seconds).context("seconds")?, tv_nsec: 0 };
    let once = Itimerspec { it_interval: zero, it_value: after };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once).context("a timer")?;
    poll(&mut [PollFd::new(&timer, PollFlags::IN)], None).context("a timer")?;
    Ok(())
}
