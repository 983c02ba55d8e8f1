//! `corectl tune expire`: what the timer calls, or what is the timer.
//!
//! **Invariants**: in a session of its own before it says that it is ready. Waits on the clock that counts sleep.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use corectl::host::{DETACHED, HostError};
use corectl::transaction::{expire, recover};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};

use super::session::TuneSession;

/// Seconds that it waits for another corectl to let go of the lock.
const LOCK_SECONDS_MAX: u64 = 600;

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
    let store = session.store();
    for _ in 0..LOCK_SECONDS_MAX {
        match store.lock() {
            Ok(_lock) => {
                recover(&store)?;
                expire(&store, &options.id)?;
                return Ok(ExitCode::SUCCESS);
            }
            Err(HostError::Locked { .. }) => wait(1)?,
            Err(error) => return Err(error.into()),
        }
    }
    bail!("another corectl has held the lock for {LOCK_SECONDS_MAX} s")
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
